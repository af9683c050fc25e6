"""One batch, several workers: who leads, who works on which documents, and when the batch is at its end.

With a journal on PostgreSQL any number of processes may run the same pipeline over the same folder. The
first one is the leader: it does once what is to be done once (questions, results, cleaning up). All of them
claim documents in the journal, a portion at a time, each in an order of its own. Claims are leases, and so is
leadership: what a dead worker held goes to a living one. With SQLite one worker has the batch for itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

from agent_tasks.batch.context import Batch
from agent_tasks.batch.processing import process_documents, settle_known
from agent_tasks.batch.records import BatchSummary, RunRecord
from agent_tasks.crashpoints import crash_point
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import JournalError, LeaseLostError
from agent_tasks.journal import Claim, Operation, OperationState
from agent_tasks.logs import get_logger
from agent_tasks.operations import Workspace, operation_key
from agent_tasks.operations.cleanup import EXCLUSIVE, exclusive_key
from agent_tasks.pauses import Pauses

logger = get_logger("agent_tasks.batch.workers")

Work: TypeAlias = Callable[[], Awaitable[object]]
"""What a step has to do."""

Process: TypeAlias = Callable[[Work, str], Awaitable[Any]]
"""How a chunk of documents is worked on: what is to be done, and how it is called."""

_CLAIM = "document"  # kind of the claims of documents
_MEMBER = "member"  # kind of the claims by which workers are known that take part
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
    async with ws.alone(exclusive_key(name)):
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
        self.key = exclusive_key(name)
        """The key of the leader's lease."""
        self._lead: Operation | None = None
        self._member = _members_of(name) + operation_key("member", worker=ws.journal.worker)

    @property
    def leads(self) -> bool:
        """Whether this worker does what is to be done once."""
        return self._lead is not None

    async def keep(self) -> None:
        """Make sure, before anything is deleted, that this worker still leads.

        Raises:
            LeaseLostError: another worker leads now; what it uses must not be touched.
        """
        if self._lead is not None:
            await self.ws.journal.make_sure(self.ws.scope, self.key)

    async def join(self) -> None:
        """Begin a run, or join the one that is under way."""
        before = await self.ws.journal.operation(self.ws.scope, self.key)
        operation, claim = await self._claim()
        is_shared = self.ws.journal.is_shared
        if not self.leads and not is_shared:
            raise JournalError(
                f"The batch {self.name} is held by worker {operation.worker}, which is alive. Wait for it, "
                "or end it and try again. Several workers can share a batch if its journal is on PostgreSQL "
                "(AGENT_TASKS_JOURNAL_URL)."
            )
        if claim is Claim.ORPHAN:
            # A run that nobody has carried on for a while is over: this is a new one, which tries failures
            # again.
            silent = time.time() - (before.lease_until if before is not None else 0.0)
            if not is_shared or silent > 2 * self.ws.journal.lease_seconds:
                operation = await self.ws.journal.next_attempt(self.ws.scope, self.key)
        self.started = operation.intended_at
        if is_shared:
            # Also between two documents, or waiting for the others' last ones, it needs what was made.
            await self.ws.journal.claims.take(self.ws.scope, _MEMBER, {self._member: {"owner": self.name}})

    async def take_the_lead(self) -> bool:
        """Lead if nobody else does; returns whether this worker leads."""
        if not self.leads:
            found = await self.ws.journal.operation(self.ws.scope, self.key)
            if found is None or (_result(found) is None and not self.ws.journal.is_held(found)):
                await self._claim()
                if self.leads:
                    logger.info("This worker leads %s from now on", self.name)
        return self.leads

    async def is_overtaken(self) -> bool:
        """Whether another worker leads now, and this one does not any more."""
        if not self.ws.journal.is_shared:
            return False
        found = await self.ws.journal.operation(self.ws.scope, self.key)
        if found is None or found.worker == self.ws.journal.worker:
            return False
        self._lead = None
        return True

    async def wait_for_the_end(self) -> BatchSummary | None:
        """Wait until the run is at its end; None: its leader is gone, and this worker leads now."""
        async for _ in Pauses(_FIRST_PAUSE, _LONGEST_PAUSE):
            found = await self.ws.journal.operation(self.ws.scope, self.key)
            result = _result(found) if found is not None else None
            if result is not None:
                return RunRecord.model_validate(result).summary
            if await self.take_the_lead():
                return None
        raise AssertionError("the pauses have no end")

    async def end(self, record: RunRecord) -> None:
        """Commit that the run is at its end, for the workers that wait for it, and for those who fork it."""
        journal, scope = self.ws.journal, self.ws.scope
        await self.keep()
        await journal.claims.clear(scope, _CLAIM, _claims_of(self.name), held=self.key)
        await journal.claims.clear(scope, _MEMBER, _members_of(self.name), held=self.key)
        await journal.finish(scope, self.key, record.model_dump(mode="json"))
        self._lead = None
        crash_point("batch.ended")
        await journal.release(scope, self.key)

    async def leave(self) -> None:
        """Release the leader's lease if the run is not at its end: another worker, or run, resumes it."""
        if self.ws.journal.is_shared:
            await self.ws.journal.claims.give_up(self.ws.scope, {self._member})
        if self.leads:
            self._lead = None
            try:
                await self.ws.journal.finish(self.ws.scope, self.key, None)
                await self.ws.journal.release(self.ws.scope, self.key)
            except LeaseLostError:
                logger.info("Another worker leads %s already", self.name)

    async def _claim(self) -> tuple[Operation, Claim]:
        while True:
            claimed = await self.ws.journal.claim(self.ws.scope, self.key, EXCLUSIVE, {"name": self.name})
            if claimed.claim is not Claim.DONE:
                self._lead = claimed.operation if claimed.claim is not Claim.BUSY else None
                return claimed.operation, claimed.claim
            # A worker died between the two commits of its end.
            await self.ws.journal.release(self.ws.scope, self.key)


def _result(operation: Operation) -> Any:
    """The summary of a run that is at its end; None of one that is running, or whose leader gave up."""
    return operation.result if operation.state in (OperationState.DONE, OperationState.RELEASED) else None


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
    left = files
    batch.guard = lambda name: _claim_key(batch, name)
    pauses = Pauses(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        starts = list(range(0, len(left), size))
        order.shuffle(starts)
        held = await _Pass(batch, (left[start : start + size] for start in starts), size).carry_out(process)
        if not held:
            return
        await run.take_the_lead()
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
        outcomes = await asyncio.gather(*(lane() for _ in range(lanes)), return_exceptions=True)
        batch.breaker.check()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
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
            wanted = {_claim_key(batch, file.name): file for file in await settle_known(batch, portion)}
            claims = {key: {"document": file.name, "owner": batch.owner} for key, file in wanted.items()}
            free = await journal.claims.take(scope, _CLAIM, claims)
            self._held += [file for key, file in wanted.items() if key not in free]
            if free:
                crash_point("batch.claimed")
                return {key: file for key, file in wanted.items() if key in free}
        return {}

    async def _give_up(self, claimed: dict[str, DocumentFile]) -> None:
        await self._batch.ws.journal.claims.give_up(self._batch.ws.scope, claimed)


def _claims_of(name: str) -> str:
    """How the keys of a batch's claims begin."""
    return operation_key("documents", batch=name)[:24]


def _members_of(name: str) -> str:
    """How the keys of a batch's members begin."""
    return operation_key("members", batch=name)[:24]


def _claim_key(batch: Batch, name: str) -> str:
    return _claims_of(batch.owner) + operation_key("document", name=name)
