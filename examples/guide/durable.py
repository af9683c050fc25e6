"""The durable way: the same question in a Prefect flow, paid for once however often it is started.

Every effect is in a journal before it happens. Start this again, also after it was killed in the middle: what
was done is taken from the journal, what was not is done.

It needs a Prefect server: `prefect server start`, and `PREFECT_API_URL=http://127.0.0.1:4200/api`.
"""

from __future__ import annotations

import asyncio
import os

from prefect import flow

from agent_tasks import AgentSpec, AgentsProject, TurnResult, TurnSpec, release_owner
from agent_tasks.prefect import tasks
from agent_tasks.tools import ToolSet


def boards_in_stock(wood: str) -> int:
    """How many boards of a wood lie in the store.

    Args:
        wood: Name of the wood, in English.
    """
    return {"oak": 14, "ash": 3}.get(wood.lower(), 0)


@flow
async def ask(question: str) -> TurnResult:
    """Ask an agent that may look into the store."""
    project = AgentsProject()  # PROJECT_ENDPOINT and so on; or a block: await AgentsProject.aload("NAME")
    tools = ToolSet([boards_in_stock])
    spec = AgentSpec(
        name="guide-storekeeper",
        model=os.environ["MODEL_DEPLOYMENT_NAME"],
        instructions="Answer in one sentence.",
        tools=tools.definitions,
    )
    agent = await tasks.ensure_agent(project, spec, owner="guide")
    choice = {"type": "function", "function": {"name": "boards_in_stock"}}
    turn = TurnSpec(step="stock", agent=agent, prompt=question, owner="guide", tool_choice=choice)
    return await tasks.run_turn(project, turn, tools=tools)


async def main() -> None:
    """Ask twice, then delete what the two runs of the flow left on the service."""
    for _ in range(2):
        result = await ask("How many ash boards are left?")
        print(f"{'from the journal' if result.reused else 'asked'}: {result.text}")
        print(f"{len(result.tool_calls)} call, {result.usage.total_tokens} tokens")
    async with AgentsProject().workspace() as workspace:
        print(f"{await release_owner(workspace, 'guide')} things deleted")


if __name__ == "__main__":
    asyncio.run(main())
