"""Leases: what a worker holds while it works, and gives up: names, documents, its place in a batch.

The lease of an operation stands in the operation's own row, so that a claim is one statement.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal.database import Database
from agent_tasks.journal.held import Held, prolonging
from agent_tasks.journal.records import Hold, Lease, NewLease
from agent_tasks.journal.rows import lease_of
from agent_tasks.journal.schema import leases
from agent_tasks.journal.statements import LOCKED_LEASE
from agent_tasks.journal.workers import Worker

__all__ = ["Leases", "taken_over"]


def taken_over(key: str) -> LeaseLostError:
    """The error of a worker whose lease is another one's now."""
    return LeaseLostError(
        f"Another worker has taken over {key}; what this one did is not committed. "
        "It was silent for longer than its lease."
    )


class Leases:
    """The leases of one worker; reached as `Journal.leases`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker
        self.held = Held(database, worker, prolonging(database.statements, leases, among=sa.true()))
        """What this worker holds, as far as it knows without asking."""
        # With rows beside it, and not in it: the statement is compiled once, whatever their number.
        self._taking = database.statements.insert(leases).on_conflict_do_nothing().returning(leases.c.key)
        self._giving_up = leases.delete().where(
            leases.c.scope == sa.bindparam("its_scope"),
            database.statements.one_of(leases.c.key, "keys"),
            leases.c.worker == sa.bindparam("its_worker"),
        )

    async def hold(self, scope: str, wanted: NewLease) -> Hold:
        """Take one lease, unless a living worker has it; the answer says who."""
        since = self.held.moment()
        hold = await self._database.write(
            lambda connection: self.hold_within(connection, scope, wanted, since.wall)
        )
        if hold.is_mine:
            self.held.note(scope, [wanted.key], since)
        return hold

    def hold_within(self, connection: sa.Connection, scope: str, wanted: NewLease, now: float) -> Hold:
        """Take one lease within a transaction, which waits for those that want the same."""
        values = self._values(scope, wanted, now)
        while not self._database.statements.insert_new(connection, leases, values):
            before = self._locked(connection, scope, wanted.key)
            if before is None:
                continue  # it has just been given up
            if not self._worker.may_take(before.worker, before.lease_until, now):
                return Hold(before, is_mine=False)
            connection.execute(
                leases.update().where(leases.c.scope == scope, leases.c.key == wanted.key).values(values)
            )
            return Hold(lease_of(values), is_mine=True, before=before)
        return Hold(lease_of(values), is_mine=True)

    async def take(self, scope: str, wanted: Collection[NewLease]) -> set[str]:
        """Take what no living worker holds, in one transaction; what others hold is passed over.

        Args:
            scope: the service.
            wanted: a few hundred at a time.

        Returns:
            The keys that this worker holds now.
        """
        if not wanted:
            return set()
        since = self.held.moment()
        now = since.wall
        # Sorted, so that two workers who want the same keys lock them in the same order.
        rows = [self._values(scope, one, now) for one in sorted(wanted, key=lambda one: one.key)]
        keys = {one.key for one in wanted}

        def work(connection: sa.Connection) -> set[str]:
            new = set(connection.execute(self._taking, rows).scalars())
            return new | self._take_over(connection, scope, keys - new, now) if new != keys else new

        mine = await self._database.write(work)
        self.held.note(scope, mine, since)
        return mine

    def _take_over(self, connection: sa.Connection, scope: str, keys: set[str], now: float) -> set[str]:
        """Take those of the leases that are there, and that no living worker holds."""
        there = connection.execute(
            sa.select(leases.c.key, leases.c.worker, leases.c.lease_until)
            .where(leases.c.scope == scope, leases.c.key.in_(keys))
            .order_by(leases.c.key)
            .with_for_update(skip_locked=True)  # locked: another worker is just taking it
        )
        free = {row.key for row in there if self._worker.may_take(row.worker, row.lease_until, now)}
        connection.execute(
            leases.update()
            .where(leases.c.scope == scope, leases.c.key.in_(free))
            .values(worker=self._worker.name, lease_until=now + self._worker.lease_seconds, taken_at=now)
        )
        return free

    async def give_up(self, scope: str, keys: Collection[str]) -> None:
        """Give leases up that this worker still holds."""
        self.held.drop(scope, keys)
        statements = self._database.statements
        given = {"its_scope": scope, "keys": list(keys), "its_worker": self._worker.name}
        await self._database.write(
            lambda connection: statements.carry_out(connection, self._giving_up, given), alone=True
        )

    async def get(self, scope: str, key: str) -> Lease | None:
        """The row of a lease, or None: nobody holds it."""
        found = await self._database.rows(
            leases.select().where(leases.c.scope == scope, leases.c.key == key), lease_of
        )
        return found[0] if found else None

    async def of(self, scope: str) -> list[Lease]:
        """All leases of a service, whoever holds or held them, the oldest first."""
        return await self._database.rows(
            leases.select().where(leases.c.scope == scope).order_by(leases.c.taken_at, leases.c.key), lease_of
        )

    def is_held(self, lease: Lease) -> bool:
        """Whether a lease belongs to a living worker, this one included."""
        return self._worker.is_alive(lease.worker, lease.lease_until)

    # --- inside a transaction --------------------------------------------------------------------------

    def require(self, connection: sa.Connection, scope: str, key: str) -> None:
        """Make sure that a lease is this worker's; it stays so until the transaction ends.

        Raises:
            LeaseLostError: it is not.
        """
        if not self.is_mine(connection, scope, key):
            raise taken_over(key)

    def is_mine(self, connection: sa.Connection, scope: str, key: str) -> bool:
        """Whether a lease is this worker's; it stays so until the transaction ends."""
        found = self._locked(connection, scope, key)
        return found is not None and found.worker == self._worker.name

    def hand_over(self, connection: sa.Connection) -> None:
        """End all of this worker's leases: whoever wants them next need not wait."""
        connection.execute(
            leases.update()
            .where(leases.c.worker == self._worker.name)
            .values(lease_until=self._worker.clock())
        )

    def _locked(self, connection: sa.Connection, scope: str, key: str) -> Lease | None:
        statements = self._database.statements
        rows = statements.carry_out(connection, LOCKED_LEASE, {"its_scope": scope, "its_key": key}).rows
        return lease_of(rows[0]) if rows else None

    def _values(self, scope: str, wanted: NewLease, now: float) -> dict[str, Any]:
        return {
            "scope": scope, "key": wanted.key, "kind": wanted.kind, "owner": wanted.owner,
            "document": wanted.document, "worker": self._worker.name,
            "lease_until": now + self._worker.lease_seconds, "taken_at": now,
        }  # fmt: skip
