"""A batch that is cancelled leaves no active run, and no resource that nobody knows of."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agent_tasks.backends.base import TurnUpdate
from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.batch.context import batch_owner
from agent_tasks.journal import Journal
from agent_tasks.operations import Workspace
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.prefect.batch_hooks import cancel_and_release, cancel_turns, remember_run
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.document_batch import document_batch
from tests.batch.support import Bench
from tests.support.waiting import eventually

SLOW: dict[str, Any] = {"default": {"reply": {"text": "Too late."}, "delay": 60}}


def _active(batch: Bench) -> list[str]:
    return [
        run["status"]
        for run in batch.service.runs()
        if run["status"] in ("queued", "in_progress", "requires_action")
    ]


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_flow_that_is_cancelled_mid_batch_leaves_no_active_run(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, is_heard: bool
) -> None:
    batch = bench(rules=SLOW)
    if not is_heard:  # the service runs the turn, its first event has not come yet
        start_turn = AgentsBackend.start_turn

        async def slow_to_answer(*args: Any) -> AsyncIterator[TurnUpdate]:
            async for update in start_turn(*args):
                await asyncio.sleep(60)
                yield update

        monkeypatch.setattr(AgentsBackend, "start_turn", slow_to_answer)
    for number in range(4):
        batch.write(f"{number}.txt", f"Paper {number}")
    batch.pipeline_file.write_text(batch.pipeline)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    project = AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )
    running = asyncio.create_task(
        document_batch(str(batch.documents), str(batch.pipeline_file), str(batch.out), project)
    )
    await eventually(lambda: len(_active(batch)) == 2)
    cancelled = time.monotonic()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await eventually(lambda: not _active(batch), seconds=30)
    assert time.monotonic() - cancelled < 30  # and not when the answer comes, after 60 s
    async with Journal(batch.journal_url) as journal:
        assert await journal.operations.unsettled(batch.service.endpoint) == []
        known = {one.remote_id for one in await journal.resources.live(batch.service.endpoint)}
    with batch.service.http() as http:
        left = [one["id"] for path in ("/assistants", "/threads") for one in http.get(path).json()["data"]]
    assert set(left) <= known


@pytest.mark.parametrize("file", ["deleted", "edited", "needs a setting"])
async def test_hooks_end_what_a_killed_process_left_running(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """As the runner does it: the flow's process is gone; the hook has the flow run's id and parameters, and a
    pipeline file that can't be loaded any more, or not by this process."""
    batch = bench(rules=SLOW)
    owner = batch_owner("papers", batch.documents)
    await _leave_running(batch, owner)
    assert _active(batch)
    if file == "edited":
        batch.pipeline_file.write_text("name: others\nagents: {extractor: [")
    elif file == "needs a setting":
        monkeypatch.delenv("STORAGE", raising=False)
        queues = "queue_tools: {definitions: queue_tools.json, connection: STORAGE}\n"
        (batch.folder / "queue_tools.json").write_text("[]")
        batch.pipeline_file.write_text(queues + batch.pipeline)
    monkeypatch.setenv("PROJECT_ENDPOINT", batch.service.endpoint)
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", batch.journal_url)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    given = {"documents": "documents", "pipeline": str(batch.pipeline_file), "project": None}
    await cancel_and_release(None, SimpleNamespace(id="gone", parameters=given), None)  # type: ignore[arg-type]
    await eventually(lambda: not _active(batch), seconds=30)
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}


async def test_a_hook_of_a_run_that_made_nothing_says_nothing(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in the pipeline file, seen in the flow's process and in another one."""
    batch = bench(rules=SLOW)
    monkeypatch.setenv("PROJECT_ENDPOINT", batch.service.endpoint)
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", batch.journal_url)
    given = {"documents": str(batch.documents), "pipeline": "nowhere.yaml", "project": None}
    for here in (True, False):
        run_id = f"run-{here}"
        if here:
            remember_run(run_id)
        run = SimpleNamespace(id=run_id, parameters=given, run_count=1)
        await cancel_turns(None, run, None)  # type: ignore[arg-type]
        assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []


async def test_the_owner_of_a_run_is_kept_and_may_change(
    bench: Callable[..., Bench],
) -> None:
    batch = bench()
    async with Journal(batch.journal_url) as journal:
        assert await journal.flow_runs.owner("run") is None
        for owner in ("papers:1", "papers:1", "letters:2"):
            await journal.flow_runs.note("run", owner)
            assert await journal.flow_runs.owner("run") == owner
        assert await journal.flow_runs.owner("other") is None


async def test_turns_of_a_living_worker_and_of_other_owners_go_on(bench: Callable[..., Bench]) -> None:
    batch = bench(rules=SLOW)
    async with (
        Workspace.open(batch.service.endpoint, None, batch.journal_url) as ours,
        Journal(batch.journal_url) as other,
    ):
        await other.operations.claim(ours.scope, "theirs", "turn", {"owner": "papers:1/a", "step": "s"})
        await ours.journal.operations.claim(
            ours.scope, "neighbours", "turn", {"owner": "papers:12/a", "step": "s"}
        )
        assert await cancel_owner(ours, "papers:1") == 0
        assert len(await ours.journal.operations.unsettled(ours.scope)) == 2


async def _leave_running(batch: Bench, owner: str) -> None:
    """What a killed worker leaves: an agent in the ledger, a run on the service, an intent without an end."""
    from agent_tasks.backends.base import Mark, TurnRequest, TurnStarted
    from agent_tasks.operations import AgentSpec, ensure_agent

    async with Workspace.open(batch.service.endpoint, None, batch.journal_url) as ws:
        await ws.journal.flow_runs.note("gone", owner)
        spec = AgentSpec(name="a", model="test-model", instructions="Answer.")
        agent = await ensure_agent(ws, spec, owner=owner)
        fingerprint = {"owner": f"{owner}/a.txt", "step": "extract"}
        await ws.journal.operations.claim(ws.scope, "key", "turn", fingerprint)
        updates = ws.backend.start_turn(TurnRequest(agent_id=agent.id, prompt="Go."), Mark("key", 1))
        async for update in updates:
            assert isinstance(update, TurnStarted)
            break
        await updates.aclose()  # type: ignore[attr-defined]
