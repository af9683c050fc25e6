"""Claims of many things at once: rows of `operations` that are held and given up, and have no result."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from agent_tasks.journal.database import Database
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.records import OperationState
from agent_tasks.journal.schema import operations
from agent_tasks.journal.workers import WorkerPresence


class Claims:
    """The claims of one worker; reached as `Journal.claims`."""

    def __init__(
        self,
        database: Database,
        presence: WorkerPresence,
        worker: str,
        leases: Leases,
    ) -> None:
        self._database = database
        self._presence = presence
        self._worker = worker
        self._leases = leases

    async def take(self, scope: str, kind: str, wanted: Mapping[str, dict[str, Any]]) -> set[str]:
        """Claim what no living worker holds, in one transaction; what others hold is passed over.

        Leases as for `Journal.claim`, which renews them too.

        Args:
            scope: the service.
            kind: the kind of what is claimed.
            wanted: key to fingerprint; a few hundred at a time.

        Returns:
            The keys that this worker holds now.
        """
        since = self._leases.moment()
        now = since.wall
        until = now + self._leases.seconds
        common = {
            "scope": scope, "kind": kind, "state": OperationState.INTENDED, "attempt": 1,
            "worker": self._worker, "lease_until": until, "remote": {},
            "intended_at": now, "updated_at": now,
        }  # fmt: skip
        # Sorted, so that two workers who want the same keys lock them in the same order.
        rows = [{**common, "key": key, "fingerprint": wanted[key]} for key in sorted(wanted)]
        if not rows:
            return set()
        insert = self._database.statements.insert(operations).values(rows).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> set[str]:
            held = set(connection.execute(insert.returning(operations.c.key)).scalars())
            there = connection.execute(
                sa.select(operations.c.key, operations.c.worker, operations.c.lease_until)
                .where(operations.c.scope == scope, operations.c.key.in_(set(wanted) - held))
                .order_by(operations.c.key)
                .with_for_update(skip_locked=True)  # locked: another worker is just claiming it
            )
            free = {
                row.key
                for row in there
                if row.worker == self._worker or row.lease_until <= now or self._presence.is_dead(row.worker)
            }
            connection.execute(
                operations.update()
                .where(operations.c.scope == scope, operations.c.key.in_(free))
                .values(worker=self._worker, lease_until=until, updated_at=now)
            )
            return held | free

        mine = await self._database.write(work)
        self._leases.note(scope, mine, since)
        return mine

    async def give_up(self, scope: str, keys: Collection[str]) -> None:
        """Give claims up that this worker still holds."""
        self._leases.drop(scope, keys)
        query = operations.delete().where(
            operations.c.scope == scope,
            operations.c.key.in_(keys),
            operations.c.worker == self._worker,
        )
        await self._database.write(lambda connection: connection.execute(query), alone=True)

    async def clear(self, scope: str, kind: str, key_start: str, *, held: str | None = None) -> None:
        """Remove all claims of a kind whose keys begin like this, whoever held them: nobody needs them.

        Args:
            scope: the service.
            kind: the kind of what was claimed.
            key_start: how the keys begin.
            held: the key of an operation that this worker must still hold; None: of none.

        Raises:
            LeaseLostError: another worker has taken that over; nothing is removed.
        """
        query = operations.delete().where(
            operations.c.scope == scope,
            operations.c.kind == kind,
            operations.c.key.startswith(key_start, autoescape=True),
        )

        def work(connection: sa.Connection) -> None:
            if held is not None:
                self._database.statements.require_held(connection, scope, held, self._worker)
            connection.execute(query)

        await self._database.write(work)
