"""A worker that stands still past its lease, while another one takes over, sends nothing when it wakes."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_tasks.backend.agents import ATTEMPT_FIELD, KEY_FIELD
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn, upload_file
from agent_tasks.testing import ChildFailed, run_coroutine
from tests.conftest import ServiceFactory

LEASE = 1.0  # seconds
FROZEN = 4.0  # seconds
POINTS = (
    *("agent.intended", "agent.created", "upload.intended", "upload.created"),
    *("turn.intended", "turn.started", "turn.attached", "turn.ended"),
)
CREATIONS = ("agents.create", "files.upload", "runs.create_thread_and_run")


async def work(endpoint: str, journal: str) -> str:
    """An upload, an agent and a turn."""
    async with Workspace.open(endpoint, None, journal, lease_seconds=LEASE) as ws:
        await upload_file(ws, b"hello", "hello.txt", owner="batch")
        spec = AgentSpec(name="clerk", model="scripted", instructions="Greet.")
        agent = await ensure_agent(ws, spec, owner="batch")
        turn = TurnSpec(step="ask", agent=agent, prompt="Hello?", owner="doc")
        return (await run_turn(ws, turn)).text


async def follow(endpoint: str, journal: str) -> str:
    """The same, by a worker that comes when the first one's lease is over."""
    await asyncio.sleep(LEASE + 0.5)
    return await work(endpoint, journal)


@pytest.mark.parametrize("point", POINTS)
def test_nothing_is_sent_twice(service: ServiceFactory, tmp_path: Path, point: str) -> None:
    running = service(process=True)
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"

    def first() -> str:
        try:
            run_coroutine(work, running.endpoint, journal, crash_point=f"{point}:1:freeze:{FROZEN:g}")
        except ChildFailed as failed:
            return str(failed)
        return ""

    with ThreadPoolExecutor(2) as pool:
        frozen = pool.submit(first)
        deadline = 90.0  # seconds
        successor = pool.submit(run_coroutine, follow, running.endpoint, journal)
        assert successor.result(deadline).result
        assert "LeaseLostError" in frozen.result(deadline) or frozen.result() == ""
    sent: Counter[tuple[object, ...]] = Counter()
    for row in running.requests():
        if row["operation"] in CREATIONS:
            body = row["body"]
            mark = body.get("metadata") or body.get("filename")
            what = (mark[KEY_FIELD], mark[ATTEMPT_FIELD]) if isinstance(mark, dict) else mark
            sent[row["operation"], what] += 1
    assert {operation for operation, _ in sent} == set(CREATIONS)
    assert [what for what, times in sent.items() if times > 1] == []
