"""A reader's own pipeline, as docs/durability.md has it tested."""

from __future__ import annotations

from agent_tasks import AgentSpec, TurnSpec, Workspace, ensure_agent, release_owner, run_turn

ANSWER = "the expected answer"


async def my_pipeline(endpoint: str, folder: str) -> str:
    """One turn, then everything is deleted."""
    async with Workspace.open(endpoint, None, f"sqlite+aiosqlite:///{folder}/journal.db") as ws:
        agent = await ensure_agent(ws, AgentSpec(name="own", model="m", instructions="Answer."), owner="own")
        result = await run_turn(ws, TurnSpec(step="ask", agent=agent, prompt="What is it?", owner="own"))
        await release_owner(ws, "own")
        return result.text
