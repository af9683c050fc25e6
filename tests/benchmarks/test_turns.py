"""What durability costs: processor time of a turn against the bare request, and of a journaled step.

Bare requests are made as they are written at first, with all events parsed; and, for what durability itself
costs, with those alone read that a turn reads.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from agent_tasks.backends.classic.backend import UNHEARD as PASSED_OVER
from agent_tasks.backends.responses.events import UNHEARD as READ
from agent_tasks.client import AsyncAgentsClient, AsyncResponsesClient
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.operations.spare_conversations import SpareConversations
from agent_tasks.settings import ServiceKind
from agent_tasks.testing import ServiceLog
from agent_tasks.wire import AgentStreamEvent
from tests.benchmarks.batches import plain_service
from tests.benchmarks.figures import Figures, Goal

TURNS, STEPS, ROUNDS = 100, 500, 3


async def test_a_durable_turn_against_a_bare_one(journal_url: str, tmp_path: Path, figures: Figures) -> None:
    """In turns, so that a busy machine slows both alike; the best round counts."""
    with plain_service(tmp_path / "service") as endpoint:
        async with (
            Workspace.open(endpoint, None, journal_url, scope="bench") as ws,
            AsyncAgentsClient(endpoint, None) as client,
        ):
            spec = AgentSpec(name="clerk", model="scripted", instructions="Greet.")
            agent = await ensure_agent(ws, spec, owner="bench")

            async def bare(number: int, without: frozenset[AgentStreamEvent] = frozenset()) -> None:
                thread = {"messages": [{"role": "user", "content": f"Paper P-{number}"}]}
                async with client.runs.stream_thread_and_run(
                    assistant_id=agent.id, thread=thread, without=without
                ) as events:
                    async for _ in events:
                        pass

            async def alike(number: int) -> None:
                await bare(number, PASSED_OVER)

            async def durable(number: int) -> None:
                prompt = f"Paper P-{number}"
                await run_turn(ws, TurnSpec(step="ask", agent=agent, prompt=prompt, owner="bench"))

            async def step(number: int) -> None:
                async with ws.hold(f"step-{number}", "step", {"number": number}) as held:
                    assert not held.is_done
                    await ws.journal.operations.finish(ws.scope, f"step-{number}", {"number": number})

            for warm_up in (bare, alike, durable):
                await _processor(range(-10, 0), warm_up)
            bare_ms, alike_ms, durable_ms, reused_ms, step_ms = [], [], [], [], []
            for number in range(ROUNDS):
                turns = range(number * TURNS, (number + 1) * TURNS)
                bare_ms.append(await _processor(turns, bare))
                alike_ms.append(await _processor(turns, alike))
                durable_ms.append(await _processor(turns, durable))
                reused_ms.append(await _processor(turns, durable))
                step_ms.append(await _processor(range(number * STEPS, (number + 1) * STEPS), step))
    figures.add("bare streamed run, processor ms", min(bare_ms))
    figures.add(
        "durable turn, processor ms", min(durable_ms), Goal(6.0), against=min(bare_ms), what="bare run"
    )
    _against(figures, "its run", min(durable_ms), min(alike_ms))
    figures.add(
        "turn from the journal, processor ms", min(reused_ms), against=min(durable_ms), what="new turn"
    )
    figures.add("journaled step, processor ms", min(step_ms), Goal(1.5))


async def test_a_durable_turn_of_the_successor_against_a_bare_one(
    journal_url: str, tmp_path: Path, figures: Figures
) -> None:
    """The same on the Responses wire: a conversation, and a streamed response in it.

    Against one bare response, which leaves nothing to be found again, and against the two requests that a
    turn consists of, made bare: what durability itself costs.
    """
    with plain_service(tmp_path / "service") as endpoint:
        async with (
            Workspace.open(endpoint, None, journal_url, scope="bench", service=ServiceKind.RESPONSES) as ws,
            AsyncResponsesClient(f"{endpoint}/openai/v1", None) as client,
        ):
            spec = AgentSpec(name="clerk", model="scripted", instructions="Greet.")
            agent = await ensure_agent(ws, spec, owner="bench")
            name, _, version = agent.id.rpartition(":")
            reference = {"type": "agent_reference", "name": name, "version": version}

            async def bare(number: int) -> None:
                body = {"agent_reference": reference, "input": f"Paper P-{number}", "stream": True}
                async with client.stream("POST", "/responses", body=body) as events:
                    async for _ in events:
                        pass

            async def both(number: int, only: frozenset[str] | None = None) -> None:
                item = {"type": "message", "role": "user", "content": f"Paper P-{number}"}
                made = await client.post("/conversations", {"items": [item]})
                body = {"agent_reference": reference, "conversation": made["id"], "stream": True}
                async with client.stream("POST", "/responses", body=body, only=only) as events:
                    async for _ in events:
                        pass

            async def alike(number: int) -> None:
                await both(number, READ)

            spares = SpareConversations(ws, owner="bench", ttl=timedelta(hours=1))
            last = 0

            async def durable(number: int) -> None:
                """A turn of a batch, which knows how many are to come."""
                spares.wanted(last - number)
                turn = TurnSpec(step="ask", agent=agent, prompt=f"Paper P-{number}", owner="bench")
                await run_turn(ws, turn, spares=spares)

            async def alone(number: int) -> None:
                turn = TurnSpec(step="alone", agent=agent, prompt=f"Paper P-{number}", owner="bench")
                await run_turn(ws, turn)

            log = ServiceLog(endpoint)
            bare_ms, both_ms, alike_ms, durable_ms, alone_ms, sent = [], [], [], [], [], 0
            async with spares.kept():
                for warm_up in (bare, both, alike, durable, alone):
                    await _processor(range(-10, 0), warm_up)
                for number in range(ROUNDS):
                    turns = range(number * TURNS, (number + 1) * TURNS)
                    last = turns[-1]
                    bare_ms.append(await _processor(turns, bare))
                    both_ms.append(await _processor(turns, both))
                    alike_ms.append(await _processor(turns, alike))
                    before = len(log.requests())
                    durable_ms.append(await _processor(turns, durable))
                    sent += len(log.requests()) - before
                    alone_ms.append(await _processor(turns, alone))
    figures.add("bare streamed response, processor ms", min(bare_ms))
    figures.add(
        "durable turn of the successor, processor ms", min(durable_ms), against=min(bare_ms), what="bare one"
    )
    figures.add("  against its two requests, bare", min(durable_ms), against=min(both_ms), what="bare ones")
    _against(figures, "its two requests", min(durable_ms), min(alike_ms))
    figures.add("  one that makes its conversation itself, processor ms", min(alone_ms))
    _against(figures, "its two requests", min(alone_ms), min(alike_ms))
    figures.add("requests of a durable turn of the successor", sent / ROUNDS / TURNS, Goal(2.0))


def _against(figures: Figures, what: str, durable: float, alike: float) -> None:
    """What durability adds to requests that are read as a turn reads them."""
    figures.add(f"  added to {what}, read alike, processor ms", durable - alike)
    figures.add(f"  against {what}, read alike", durable, against=alike, what="bare")


async def _processor(numbers: range, work: Callable[[int], Awaitable[None]]) -> float:
    """Milliseconds of this process's processor time for each number."""
    begun = time.process_time()
    for number in numbers:
        await work(number)
    return (time.process_time() - begun) / len(numbers) * 1000
