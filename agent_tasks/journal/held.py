"""What this worker surely holds, known without asking the journal, and made sure of where it is not.

A lease that was committed a moment ago is this worker's whatever happens to the journal meanwhile. How long
ago that was is read from a clock that goes on while the process is stopped and while the machine sleeps, and
from the wall clock, by which the others judge: either of them ends the certainty.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_tasks.errors import JournalUnreadableError, LeaseLostError
from agent_tasks.journal.database import RECONNECT_SECONDS, Database
from agent_tasks.journal.statements import Statements
from agent_tasks.journal.workers import Worker

LOOK_SECONDS = RECONNECT_SECONDS
"""How long a request that is about to leave waits for the journal to say that it may."""

_SURE = 2 / 3
"""The part of a lease for which nothing is asked. Workers renew at a third; what is left is for clocks that
differ, and for a request on its way."""

_AT_ONCE = 500  # leases that one statement renews

# Linux counts a machine's sleep in BOOTTIME only, macOS in MONOTONIC (`time.monotonic` is another one there).
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def prolonging(statements: Statements, table: sa.Table, *, among: sa.ColumnElement[bool]) -> sa.UpdateBase:
    """What prolongs a worker's leases in a scope, by their keys, until a time, if they are among these rows.

    It returns the keys of those that are still this worker's.
    """
    return (
        table.update()
        .where(table.c.scope == sa.bindparam("its_scope"), statements.one_of(table.c.key, "keys"))
        .where(table.c.worker == sa.bindparam("its_worker"), among)
        .values(lease_until=sa.bindparam("until"))
        .returning(table.c.key)
    )


def steady() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the process or the machine stands still."""
    return time.clock_gettime(_CLOCK)


def retrieve_error(task: asyncio.Task[Any]) -> None:
    """Look at a task's error, so that one that nobody waits for any more is not complained of."""
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True)
class Moment:
    """When a transaction began, by both clocks."""

    wall: float
    """Seconds since the epoch: what the journal keeps and the others see."""
    steady: float


class Held:
    """What one worker holds in one table, each with the time until which nobody else can have it.

    Args:
        database: The journal's database.
        worker: Whose leases these are.
        prolong: What prolongs them (`prolonging`).
    """

    def __init__(self, database: Database, worker: Worker, prolong: sa.UpdateBase) -> None:
        self._database = database
        self._worker = worker
        self._prolonging = prolong
        self._since: dict[tuple[str, str], Moment] = {}

    def moment(self) -> Moment:
        """Now: to be read before the transaction that commits a lease."""
        return Moment(self._worker.clock(), steady())

    def note(self, scope: str, keys: Iterable[str], since: Moment) -> None:
        """Note what was committed as this worker's, from that moment on."""
        for key in keys:
            self._since[scope, key] = since

    def drop(self, scope: str, keys: Iterable[str]) -> None:
        """Forget what is no longer this worker's, or what it does not need any more."""
        for key in keys:
            self._since.pop((scope, key), None)

    def is_sure(self, scope: str, key: str) -> bool:
        """Whether nobody else can have it now. False means that the journal has to be asked."""
        since = self._since.get((scope, key))
        if since is None:
            return False
        passed = max(steady() - since.steady, self._worker.clock() - since.wall)
        return passed < _SURE * self._worker.lease_seconds

    async def make_sure(self, scope: str, key: str) -> None:
        """Make sure, right before a request leaves, that this is still this worker's.

        Costs nothing while a lease that was committed a moment ago holds. After that (a worker that stood
        still, or whose journal does not answer) it is prolonged, unless another worker has taken it over.

        Raises:
            LeaseLostError: another worker has it, or had it; nothing may be sent.
            JournalUnreadableError: the journal did not tell within `LOOK_SECONDS`; nothing may be sent.
        """
        if self.is_sure(scope, key):
            return
        looking = asyncio.create_task(self._prolong_until_sure(scope, key))
        # A server that stands still would hold up a cancelled query too: it is left behind, not waited for.
        looking.add_done_callback(retrieve_error)
        try:
            done, _ = await asyncio.wait({looking}, timeout=LOOK_SECONDS)
        finally:
            looking.cancel()
        if not done:
            raise JournalUnreadableError(
                f"The journal {self._database.address} did not say within {LOOK_SECONDS:g} s whether "
                f"{key} is still this worker's, so nothing was sent for it. Check the server and the "
                "connection to it, and start again."
            )
        looking.result()

    async def _prolong_until_sure(self, scope: str, key: str) -> None:
        """Prolong it; an answer that took longer than the lease says nothing, so then once more."""
        while not self.is_sure(scope, key):
            if not await self._prolong(scope, [key]):
                raise LeaseLostError(
                    f"Another worker has taken over {key}, so nothing is sent for it any more. This worker "
                    "was silent for longer than its lease.",
                    key=key,
                )

    async def _prolong(self, scope: str, keys: Sequence[str]) -> int:
        """Prolong those leases that are still this worker's; returns how many."""
        since = self.moment()
        given = {
            "its_scope": scope, "keys": list(keys), "its_worker": self._worker.name,
            "until": since.wall + self._worker.lease_seconds,
        }  # fmt: skip
        done = await self._database.write(
            lambda connection: self._database.statements.carry_out(connection, self._prolonging, given),
            alone=True,
        )
        kept = {row["key"] for row in done.rows}
        self.drop(scope, set(keys) - kept)
        self.note(scope, kept, since)
        return len(kept)

    async def renew(self) -> int:
        """Prolong everything that this worker holds; returns how many there are."""
        by_scope: dict[str, list[str]] = {}
        for scope, key in sorted(self._since):
            by_scope.setdefault(scope, []).append(key)
        return sum(
            [
                await self._prolong(scope, keys[start : start + _AT_ONCE])
                for scope, keys in by_scope.items()
                for start in range(0, len(keys), _AT_ONCE)
            ]
        )
