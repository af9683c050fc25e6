"""What durability costs: a durable turn against the bare request, and a turn that is in the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from agent_tasks.client import AsyncAgentsClient
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from tests.benchmarks.conftest import alternate
from tests.conftest import ServiceFactory

ROUNDS = 60
RULES = {"default": {"reply": {"text": "Hello."}}}


async def test_a_durable_turn_against_a_bare_one(
    service: ServiceFactory, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    running = service(rules=RULES, process=True)
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with contextlib.AsyncExitStack() as stack:
        ws = await stack.enter_async_context(Workspace.open(running.endpoint, None, journal))
        client = await stack.enter_async_context(AsyncAgentsClient(running.endpoint, None))
        spec = AgentSpec(name="clerk", model="scripted", instructions="Greet.")
        agent = await ensure_agent(ws, spec, owner="bench")

        async def bare(number: int) -> None:
            thread = {"messages": [{"role": "user", "content": f"bare {number}"}]}
            async with client.runs.stream_thread_and_run(assistant_id=agent.id, thread=thread) as events:
                async for _ in events:
                    pass

        async def durable(number: int) -> None:
            await run_turn(ws, TurnSpec(step="ask", agent=agent, prompt=f"turn {number}", owner="bench"))

        bare_seconds, durable_seconds = await alternate(ROUNDS, bare, durable)
        _, reused_seconds = await alternate(ROUNDS, bare, durable)

    figure(
        f"a durable turn takes {durable_seconds / bare_seconds:.2f} x a bare streamed run "
        f"({durable_seconds * 1000:.1f} ms against {bare_seconds * 1000:.1f} ms, scripted model)"
    )
    figure(f"a turn that is in the journal takes {reused_seconds / durable_seconds:.2f} x a new one")
    started = [
        row
        for row in running.requests("runs.create_thread_and_run")
        if "turn " in str(row["body"].get("thread"))
    ]
    assert len(started) == ROUNDS, "each durable turn costs one request, and none the second time"
