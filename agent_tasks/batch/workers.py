"""One batch, several workers: who leads, who works on which documents, and when the batch is at its end.

With a journal on PostgreSQL any number of processes may run the same pipeline over the same folder. The
first one is the leader: it does once what is to be done once (questions, results, cleaning up). All of them
claim documents in the journal, a portion at a time, each in an order of its own. Claims are leases, and so is
leadership: what a dead worker held goes to a living one. With SQLite one worker has the batch for itself.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from agent_tasks.batch.context import Batch
from agent_tasks.batch.processing import process_documents
from agent_tasks.batch.records import BatchSummary, RunRecord
from agent_tasks.batch.unchanged import settle_known, unsettled
from agent_tasks.crashpoints import crash_point
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import JournalError
from agent_tasks.journal import LeaseKind, NewLease, Run
from agent_tasks.logs import get_logger
from agent_tasks.operations import Workspace, operation_key
from agent_tasks.operations.cleanup import name_lease
from agent_tasks.pauses import Pauses

logger = get_logger("agent_tasks.batch.workers")

Work: TypeAlias = Callable[[], Awaitable[object]]
"""What a step has to do."""

Process: TypeAlias = Callable[[Work, str], Awaitable[Any]]
"""How a chunk of documents is worked on: what is to be done, and how it is called."""

_LANES = 2  # portions under way at a time: while the last documents of one are done, the next has begun
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between looks at what other workers hold


@asynccontextmanager
async def joined(ws: Workspace, name: str) -> AsyncIterator[SharedRun]:
    """Take part in the run of a batch; within a process, one after the other.

    Args:
        ws: The service and the journal.
        name: What the batch is: its owner in the ledger.

    Raises:
        JournalError: The journal is not shared, and another process has the batch.
    """
    async with ws.alone(name_lease(name).key):
        run = SharedRun(ws, name)
        await run.join()
        try:
            yield run
        finally:
            await run.leave()


class SharedRun:
    """One run of a batch: it begins when its first worker comes and ends with its results."""

    def __init__(self, ws: Workspace, name: str) -> None:
        self.ws = ws
        self.name = name
        self.started = 0.0
        """When the run began (seconds since the epoch); a document settled since then is not tried again."""
        self._lease = name_lease(name)
        self.key = self._lease.key
        """The key of the leader's lease."""
        self.leads = False
        """Whether this worker does what is to be done once."""
        self._run = Run(name, 0, ws.journal.worker, 0.0)
        member = _key("members", name) + operation_key("member", worker=ws.journal.worker)
        self._member = NewLease(member, LeaseKind.MEMBER, name)

    async def keep(self) -> None:
        """Make sure, before anything is deleted, that this worker still leads.

        Raises:
            LeaseLostError: another worker leads now; what it uses must not be touched.
        """
        if self.leads:
            await self.ws.journal.leases.held.make_sure(self.ws.scope, self.key)

    async def join(self) -> None:
        """Begin a run, or join the one that is under way."""
        journal = self.ws.journal
        # A run that nobody has carried on for a while is over, and always so if the journal is not shared:
        # this is a new one then, which tries failures again.
        patience = 2 * journal.lease_seconds if journal.is_shared else float("-inf")
        joined = await journal.runs.join(self.ws.scope, self._lease, resume_within=patience)
        self.leads, self._run = joined.hold.is_mine, joined.run
        if not self.leads and not journal.is_shared:
            raise JournalError(
                f"The batch {self.name} is held by worker {joined.hold.lease.worker}, which is alive. Wait "
                "for it, or end it and try again. Several workers can share a batch if its journal is on "
                "PostgreSQL (AGENT_TASKS_JOURNAL_URL)."
            )
        self.started = joined.run.started_at
        if journal.is_shared:
            # Also between two documents, or waiting for the others' last ones, it needs what was made.
            await journal.leases.take(self.ws.scope, [self._member])

    async def become_leader(self) -> bool:
        """Lead if nobody else does; returns whether this worker leads."""
        if not self.leads and not await self._is_led():
            run = await self.ws.journal.runs.lead(self.ws.scope, self._lease, self._run)
            if run is not None:
                self.leads, self._run = True, run
                logger.info("This worker leads %s from now on", self.name)
        return self.leads

    async def _is_led(self) -> bool:
        """Whether a living worker leads, or the run is at its end."""
        lease = await self.ws.journal.leases.get(self.ws.scope, self.key)
        if lease is not None and self.ws.journal.leases.is_held(lease):
            return True
        return self._is_over(await self.ws.journal.runs.get(self.ws.scope, self.name))

    def _is_over(self, last: Run | None) -> bool:
        return last is not None and last.number >= self._run.number and last.ended_at is not None

    async def is_overtaken(self) -> bool:
        """Whether another worker leads now, or has led, and this one does not any more."""
        if not self.ws.journal.is_shared:
            return False
        lease = await self.ws.journal.leases.get(self.ws.scope, self.key)
        if lease is not None and lease.worker == self.ws.journal.worker:
            return False
        self.leads = False
        return True

    async def wait_for_the_end(self) -> BatchSummary | None:
        """Wait until the run is at its end; None: its leader is gone, and this worker leads now."""
        async for _ in Pauses(_FIRST_PAUSE, _LONGEST_PAUSE):
            last = await self.ws.journal.runs.get(self.ws.scope, self.name)
            if last is not None and self._is_over(last):
                return last.read(RunRecord).summary
            if await self.become_leader():
                return None
        raise AssertionError("the pauses have no end")

    async def end(self, record: RunRecord) -> None:
        """Commit that the run is at its end, for the workers that wait for it, and for those who fork it."""
        await self.keep()
        await self.ws.journal.runs.end(
            self.ws.scope,
            self._lease,
            self._run,
            record.model_dump(mode="json"),
            in_short=record.in_short().model_dump(mode="json"),
        )
        self.leads = False
        crash_point("batch.ended")

    async def leave(self) -> None:
        """Release the leader's lease if the run is not at its end: another worker, or run, resumes it."""
        held = [self.key] if self.leads else []
        if self.ws.journal.is_shared:
            held.append(self._member.key)
        self.leads = False
        if held:
            await self.ws.journal.leases.give_up(self.ws.scope, held)


async def share_documents(
    run: SharedRun, batch: Batch, files: Sequence[DocumentFile], process: Process
) -> None:
    """Bring all documents to their states, together with the other workers of the run.

    Returns when each document has its state, whoever worked on it.

    Raises:
        AgentTasksError: The reason why the whole batch stops.
    """
    limits = batch.pipeline.limits
    size = max(1, min(limits.chunk_size, limits.concurrency))
    order = random.Random(batch.ws.journal.worker)  # noqa: S311 - workers should not meet, that is all
    # What has not changed needs no lease; what nobody has settled is looked at again when it is taken.
    left = [file async for part in unsettled(batch, files) for file in part]
    batch.guard = lambda name: _document_lease(batch, name).key
    pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        starts = list(range(0, len(left), size))
        order.shuffle(starts)
        held = await _Pass(batch, (left[start : start + size] for start in starts), size).carry_out(process)
        if not held:
            return
        await run.become_leader()
        if len(held) == len(left):
            await pauses.wait()
        left = sorted(held, key=lambda file: file.name)


class _Pass:
    """One walk through the portions of documents that are not settled.

    Args:
        batch: The batch.
        portions: Documents that are claimed together.
        size: How many these are at most.
    """

    def __init__(self, batch: Batch, portions: Iterator[Sequence[DocumentFile]], size: int) -> None:
        self._batch = batch
        self._portions = portions
        self._size = size
        self._held: list[DocumentFile] = []

    async def carry_out(self, process: Process) -> list[DocumentFile]:
        """Work on whatever is free; returns the documents that other workers hold.

        Portions of a chunk are one call of `process`, which is made when there is something to work on.
        """

        async def lane() -> None:
            while first := await self._claim():
                try:
                    await process(partial(self._work_on, first), f"from {next(iter(first.values())).name}")
                finally:
                    await self._give_up(first)

        batch = self._batch
        lanes = max(_LANES, batch.pipeline.limits.concurrency // self._size + 1)
        batch.results_of(await asyncio.gather(*(lane() for _ in range(lanes)), return_exceptions=True))
        return self._held

    async def _work_on(self, claimed: dict[str, DocumentFile]) -> None:
        """Work on a portion, and on further ones as long as they fit into the chunk."""
        worked_on = 0
        while claimed:
            worked_on += len(claimed)
            try:
                await process_documents(self._batch, list(claimed.values()))
            finally:
                await self._give_up(claimed)
            lost = {file.name for file in claimed.values()} & self._batch.lost
            self._batch.lost -= lost
            self._held += [file for file in claimed.values() if file.name in lost]
            if worked_on + self._size > self._batch.pipeline.limits.chunk_size:
                return
            claimed = await self._claim()

    async def _claim(self) -> dict[str, DocumentFile]:
        """The next documents that are free, by the keys of their claims; empty: no portion is left."""
        batch = self._batch
        journal, scope = batch.ws.journal, batch.ws.scope
        for portion in self._portions:
            batch.breaker.check()
            left = await settle_known(batch, portion)
            leases = [_document_lease(batch, file.name) for file in left]
            wanted = {lease.key: file for lease, file in zip(leases, left, strict=True)}
            free = await journal.leases.take(scope, leases)
            self._held += [file for key, file in wanted.items() if key not in free]
            if free:
                crash_point("batch.claimed")
                return {key: file for key, file in wanted.items() if key in free}
        return {}

    async def _give_up(self, claimed: dict[str, DocumentFile]) -> None:
        await self._batch.ws.journal.leases.give_up(self._batch.ws.scope, claimed)


def _key(kind: str, batch: str) -> str:
    """How the keys of a batch's leases begin."""
    return operation_key(kind, batch=batch)[:24]


def _document_lease(batch: Batch, name: str) -> NewLease:
    """The lease of a document of a batch."""
    key = _key("documents", batch.owner) + operation_key("document", name=name)
    return NewLease(key, LeaseKind.DOCUMENT, batch.owner, name)
