"""The journal: what one worker remembers, in one SQL database, noun by noun."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from agent_tasks.errors import JournalError
from agent_tasks.journal.answers import Answers
from agent_tasks.journal.batches import Batches
from agent_tasks.journal.calls import ToolCalls
from agent_tasks.journal.databases import database_at
from agent_tasks.journal.decisions import Decisions
from agent_tasks.journal.documents import Documents
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.operations import Operations
from agent_tasks.journal.pruning import Pruning
from agent_tasks.journal.resources import Resources
from agent_tasks.journal.reviews import Reviews
from agent_tasks.journal.runs import FlowRuns, Runs
from agent_tasks.journal.transcripts import Transcripts
from agent_tasks.journal.turn_spending import TurnSpending
from agent_tasks.journal.workers import Worker, WorkerPresence, shared_folder, worker_name
from agent_tasks.logs import get_logger

logger = get_logger("agent_tasks.journal")

LEASE_SECONDS = 60.0
"""How long a worker's claim holds without renewal; workers renew at a third of it."""


class Journal:
    """The durable memory of one worker. Open it with `async with Journal(url)`.

    Every method of its parts is one transaction.

    Args:
        url: `sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://...`.
        lease_seconds: how long a claim holds without renewal.
        clock: seconds since the epoch; tests pass their own.
    """

    def __init__(
        self, url: str, *, lease_seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database_at(url)
        path = self._database.path
        name = worker_name()
        if path is None:
            self._presence = WorkerPresence(shared_folder(), name, everybody=False)
        else:
            self._presence = WorkerPresence(Path(f"{path}.workers"), name)
        worker = Worker(name, lease_seconds, clock, self._presence)
        self._identity = worker
        self.worker = name
        self.lease_seconds = lease_seconds
        self.operations = Operations(self._database, worker)
        """Effects on the service, with their intents and outcomes."""
        self.calls = ToolCalls(self._database, worker)
        """Tool calls, one by one."""
        self.decisions = Decisions(self._database, worker)
        """What people are asked, and what they decided."""
        self.resources = Resources(self._database, worker)
        """The ledger of what was made."""
        self.leases = Leases(self._database, worker)
        """Names, documents and places in batches that workers hold."""
        self.runs = Runs(self._database, worker, self.leases)
        """Runs of batches."""
        self.flow_runs = FlowRuns(self._database, worker)
        """For whom flow runs of Prefect work."""
        self.documents = Documents(self._database, worker, self.leases)
        """The latest outcomes of documents."""
        self.answers = Answers(self._database, worker, self.leases)
        """The latest answers to questions about all documents of a batch."""

        self.transcripts = Transcripts(self._database, worker)
        """What was said in turns, for a time."""
        self.turn_spending = TurnSpending(self._database, worker)
        """What turns have cost."""
        self.pruning = Pruning(self._database)
        """Forgetting what is old."""
        self.batches = Batches(self._database, worker)
        """Where batches lie."""
        self.reviews = Reviews(self._database, worker)
        """What people decided about documents."""

    @property
    def is_shared(self) -> bool:
        """Whether workers on several machines may use it together: PostgreSQL."""
        return self._database.is_shared

    async def __aenter__(self) -> Self:
        try:
            await self._database.open(
                was_there=self._presence.has_been_used, is_alive=self._identity.is_alive
            )
            self._presence.announce()
        except BaseException:
            await self._database.close()  # a refused journal keeps neither a thread nor a connection
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._database.write(self._hand_over, patient=False)
        except JournalError as refused:
            logger.warning("The leases of worker %s end by themselves: %s", self.worker, refused)
        finally:
            await self._database.close()
            self._presence.leave()

    def _hand_over(self, connection: sa.Connection) -> None:
        """End this worker's leases: whoever takes over what it held need not wait for them."""
        self.operations.hand_over(connection)
        self.leases.hand_over(connection)

    async def renew_leases(self) -> int:
        """Prolong all that this worker holds and carries out; returns how much there is."""
        return await self.operations.held.renew() + await self.leases.held.renew()
