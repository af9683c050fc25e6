"""Several workers in one batch, seen from close by: who leads, what is tried again, who writes what."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from typing import Any

import pytest

from agent_tasks.batch import processing as documents_module
from agent_tasks.batch import workers as sharing
from agent_tasks.batch.context import Batch, batch_owner
from agent_tasks.batch.records import BatchSummary
from agent_tasks.batch.run import PLAIN_STEPS, Steps, run_batch
from agent_tasks.batch.workers import Work
from agent_tasks.errors import JournalError, LeaseLostError
from agent_tasks.journal import DocumentRecord
from agent_tasks.operations import Workspace
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.operations.cleanup import name_lease
from agent_tasks.operations.ownership import release_unused
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import RULES, Bench
from tests.support.waiting import eventually

BROKEN: dict[str, Any] = {
    "name": "a service in trouble",
    "when": {"schema": "paper", "message": "trouble"},
    "reply": {"error": {"code": "server_error", "message": "Sorry."}},
}
SLOW_ANSWER: dict[str, Any] = {"reply": {"text": "The sum is 42."}, "delay": 2.0}


class Shared:
    """A bench whose journal is shared."""

    def __init__(self, bench: Bench, address: str) -> None:
        self.bench = bench
        self.address = address
        bench.pipeline_file.write_text(bench.pipeline)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Workspace]:
        endpoint = self.bench.service.endpoint
        async with Workspace.open(endpoint, None, self.address, scope="test", lease_seconds=6) as ws:
            yield ws

    async def run(self, out: str = "out") -> BatchSummary:
        async with self.worker() as ws:
            plan = load_pipeline(self.bench.pipeline_file)
            return await run_batch(ws, plan, self.bench.documents, self.bench.folder / out)

    async def leader(self) -> str | None:
        """The worker that leads now."""
        async with self.worker() as ws:
            key = name_lease(batch_owner("papers", self.bench.documents)).key
            found = await ws.journal.leases.get(ws.scope, key)
        return found.worker if found is not None else None


@pytest.fixture
def shared(bench: Callable[..., Bench], postgresql_address: str) -> Callable[..., Shared]:
    def make(*rules: dict[str, Any], default: dict[str, Any] | None = None, documents: int = 6) -> Shared:
        played = {"rules": [*rules, *RULES["rules"]], "default": default or RULES["default"]}
        made = bench(rules=played)
        for number in range(documents):
            made.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total {number}.5")
        return Shared(made, postgresql_address)

    return make


async def test_workers_share_a_batch_and_write_the_same_results_each_where_it_was_told(
    shared: Callable[..., Shared],
) -> None:
    batch = shared()
    summaries = await asyncio.gather(batch.run("one"), batch.run("two"))
    assert sum(summary.turns for summary in summaries) == batch.bench.turns() == 13
    assert [summary.done for summary in summaries] == [6, 6]
    assert summaries[0].answers == summaries[1].answers
    for name in ("results.jsonl", "report.md"):
        one, two = (batch.bench.folder / out / name for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert batch.bench.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    async with batch.worker() as ws:
        assert await ws.journal.operations.unsettled(ws.scope) == []
        assert await ws.journal.leases.of(ws.scope) == []
    later = await batch.run("three")
    assert (later.turns, later.reused) == (0, 6)


async def test_a_failure_that_may_pass_is_tried_once_in_a_run_and_again_in_the_next(
    shared: Callable[..., Shared],
) -> None:
    batch = shared(BROKEN, documents=3)
    batch.bench.write("bad.txt", "trouble")
    summaries = await asyncio.gather(batch.run("one"), batch.run("two"))
    assert [summary.failed for summary in summaries] == [1, 1]
    attempts = batch.bench.turns() - (3 * 2 + 1)
    assert attempts == 3  # one document, with the attempts that the operation makes by itself
    again = await batch.run()
    assert again.failed == 1
    assert batch.bench.turns() - (3 * 2 + 1) == 2 * attempts


async def test_another_worker_goes_on_when_the_leader_leaves_before_the_end(
    shared: Callable[..., Shared],
) -> None:
    batch = shared(default=SLOW_ANSWER)
    leader = asyncio.create_task(batch.run("one"))
    while await batch.leader() is None:
        await asyncio.sleep(0.05)
    follower = asyncio.create_task(batch.run("two"))
    async with asyncio.timeout(60):
        while await asyncio.to_thread(batch.bench.turns) < 13:
            await asyncio.sleep(0.1)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    summary = await follower
    assert (summary.done, len(summary.answers)) == (6, 1)
    assert summary.answers[0].error is None
    assert not (batch.bench.folder / "one" / "results.jsonl").exists()
    assert batch.bench.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}


@pytest.mark.parametrize("where", ["upload_file", "create_store", "start_turn", "results", "delete"])
async def test_a_leader_that_is_overtaken_follows_whoever_has_overtaken_it(
    shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It stands still in the middle of what is done once, until another worker has finished the batch."""
    batch = shared(documents=2)
    plan = load_pipeline(batch.bench.pipeline_file)
    stands_still = asyncio.Event()
    other: asyncio.Task[BatchSummary] | None = None

    async def until_the_other_is_done() -> None:
        nonlocal other
        if other is None:
            stands_still.set()
            # Another process: it is not inside what this one holds.
            other = asyncio.create_task(batch.run("two"), context=Context())
            await asyncio.wait([other])

    def still(method: Any) -> Any:
        async def later(*args: Any) -> Any:
            await until_the_other_is_done()
            return await method(*args)

        async def updates(*args: Any) -> Any:
            if "sum" in str(args[0].prompt):  # the question, not a document
                await until_the_other_is_done()
            async for update in method(*args):
                yield update

        return updates if where == "start_turn" else later

    async def publish(worker: Batch, summary: BatchSummary) -> BatchSummary:
        if where == "results":
            await until_the_other_is_done()
        summary = await PLAIN_STEPS.publish(worker, summary)
        if where == "delete":
            monkeypatch.setattr(ws.backend, "delete", still(ws.backend.delete))
        return summary

    endpoint = batch.bench.service.endpoint
    async with Workspace.open(endpoint, None, batch.address, scope="test", lease_seconds=2) as ws:
        monkeypatch.setattr(ws.journal, "renew_leases", _nothing)
        if where not in ("results", "delete"):
            monkeypatch.setattr(ws.backend, where, still(getattr(ws.backend, where)))
        steps = Steps(PLAIN_STEPS.process, PLAIN_STEPS.answer, publish)
        out = batch.bench.folder / "one"
        summary = await run_batch(ws, plan, batch.bench.documents, out, steps=steps)
    assert stands_still.is_set()
    assert other is not None
    theirs = await other
    assert (summary.done, summary.failed) == (theirs.done, theirs.failed) == (2, 0)
    assert summary.answers == theirs.answers
    assert [answer.error for answer in summary.answers] == [None]
    for name in ("results.jsonl", "report.md"):
        one, two = (batch.bench.folder / out / name for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    async with batch.worker() as ws:
        assert [one for one in await ws.journal.operations.unsettled(ws.scope) if one.kind != "turn"] == []
        assert await ws.journal.leases.of(ws.scope) == []


async def _nothing() -> int:
    return 0


async def test_unchanged_documents_cost_no_task_run_and_a_task_run_takes_a_chunk(
    shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With portions of 2, a chunk of 4 and 11 documents; then unchanged; then one of them changed."""
    batch = shared(documents=11)
    batch.bench.pipeline_file.write_text(batch.bench.pipeline.replace("chunk_size: 2", "chunk_size: 4"))
    task_runs: list[int] = []
    in_task: ContextVar[int] = ContextVar("in_task")
    worked_on: Counter[int] = Counter()

    async def process(work: Work, label: str) -> None:
        task_runs.append(len(task_runs))
        in_task.set(task_runs[-1])
        await work()

    known = documents_module._DocumentWork.known

    async def counted(self: Any) -> Any:
        worked_on[in_task.get()] += 1
        return await known(self)

    monkeypatch.setattr(documents_module._DocumentWork, "known", counted)
    steps = Steps(process, PLAIN_STEPS.answer, PLAIN_STEPS.publish)

    async def run() -> BatchSummary:
        async with batch.worker() as ws:
            plan = load_pipeline(batch.bench.pipeline_file)
            return await run_batch(ws, plan, batch.bench.documents, batch.bench.out, steps=steps)

    first = await run()
    assert (first.done, first.reused, first.by_others) == (11, 0, 0)
    assert sum(worked_on.values()) == 11
    assert max(worked_on.values()) == 4
    assert len(task_runs) <= 4
    task_runs.clear()
    worked_on.clear()
    again = await run()
    assert (again.done, again.reused, again.turns, task_runs) == (11, 11, 0, [])
    batch.bench.write("3.txt", "Paper P-33 of 2026-03-01, total 33.5")
    changed = await run()
    assert (changed.done, changed.reused, dict(worked_on)) == (11, 10, {0: 1})


async def test_what_another_worker_did_in_this_run_is_not_called_unchanged(
    shared: Callable[..., Shared],
) -> None:
    batch = shared(documents=8)
    summaries = await asyncio.gather(batch.run("one"), batch.run("two"))
    assert [summary.reused for summary in summaries] == [0, 0]
    assert sum(summary.by_others for summary in summaries) == 8
    assert [summary.turns_reused for summary in summaries] == [0, 0]
    some = max(summaries, key=lambda summary: summary.by_others)
    assert some.provenance() == f"{some.by_others} by other workers"
    again = await batch.run()
    assert (again.provenance(), again.turns_reused) == ("8 unchanged", 17)


async def test_what_a_waiting_worker_needs_stays_when_another_is_cancelled(
    shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leader holds the last documents; the other one has nothing to do for the moment."""
    monkeypatch.setattr(sharing, "_FIRST_PAUSE", 3.0)
    slow = [{**rule, "delay": 3.0} for rule in RULES["rules"] if rule["name"] in ("extract", "approve")]
    batch = shared(*slow, documents=2)
    owner = batch_owner("papers", batch.bench.documents)
    leader = asyncio.create_task(batch.run("one"))
    await eventually(lambda: batch.bench.turns() >= 2)
    follower = asyncio.create_task(batch.run("two"))
    async with batch.worker() as ws, asyncio.timeout(30):
        while len([one for one in await ws.journal.leases.of(ws.scope) if one.kind == "member"]) < 2:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)  # it has looked, and waits
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    async with batch.worker() as ws:  # what is done for a run that was cancelled
        await cancel_owner(ws, owner)
        assert await release_unused(ws, owner) is None
    summary = await follower
    assert (summary.done, summary.failed) == (2, 0)
    assert batch.bench.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    async with batch.worker() as ws:
        assert await ws.journal.operations.unsettled(ws.scope) == []
        assert await ws.journal.leases.of(ws.scope) == []


async def test_a_document_that_was_taken_over_is_not_the_end_of_its_worker(
    shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = shared(documents=3)
    async with batch.worker() as ws:
        put, lost = ws.journal.documents.put, []

        async def silent_once(
            scope: str,
            key: str,
            record: DocumentRecord,
            *,
            held: str | None = None,
            before: float | None = None,
        ) -> bool:
            if record.name == "1.txt" and not lost:
                lost.append(record.name)
                raise LeaseLostError("Another worker has taken over.")
            return await put(scope, key, record, held=held, before=before)

        monkeypatch.setattr(ws.journal.documents, "put", silent_once)
        plan = load_pipeline(batch.bench.pipeline_file)
        summary = await run_batch(ws, plan, batch.bench.documents, batch.bench.out)
    assert lost == ["1.txt"]
    assert summary.done == 3
    assert batch.bench.turns() == 7


async def test_a_journal_in_a_file_is_one_workers_at_a_time(bench: Callable[..., Bench]) -> None:
    batch = bench(rules={**RULES, "default": SLOW_ANSWER})
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    batch.pipeline_file.write_text(batch.pipeline)
    first = asyncio.create_task(batch.run())
    await eventually(lambda: batch.turns() >= 3)
    with pytest.raises(JournalError, match="PostgreSQL"):
        await batch.run()
    assert (await first).done == 1


def test_the_leases_of_a_batch_fit_the_journal() -> None:
    from agent_tasks.batch.workers import _key

    assert len(_key("documents", "papers:" + "0" * 12)) + 40 <= 64
