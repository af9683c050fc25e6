"""Claims of many things at once: rows of `operations` that are held and given up, and have no result."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from agent_tasks.journal.database import Database, retried
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.records import OperationState
from agent_tasks.journal.schema import operations
from agent_tasks.journal.statements import require_held
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

    @retried
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
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        async with self._database.write() as connection:
            new = await connection.execute(
                insert(operations).values(rows).on_conflict_do_nothing().returning(operations.c.key)
            )
            held = set(new.scalars())
            there = await connection.execute(
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
            await connection.execute(
                operations.update()
                .where(operations.c.scope == scope, operations.c.key.in_(free))
                .values(worker=self._worker, lease_until=until, updated_at=now)
            )
        self._leases.note(scope, held | free, since)
        return held | free

    @retried
    async def give_up(self, scope: str, keys: Collection[str]) -> None:
        """Give claims up that this worker still holds."""
        self._leases.drop(scope, keys)
        async with self._database.write() as connection:
            await connection.execute(
                operations.delete().where(
                    operations.c.scope == scope,
                    operations.c.key.in_(keys),
                    operations.c.worker == self._worker,
                )
            )

    @retried
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
        async with self._database.write() as connection:
            if held is not None:
                await require_held(connection, scope, held, self._worker)
            await connection.execute(
                operations.delete().where(
                    operations.c.scope == scope,
                    operations.c.kind == kind,
                    operations.c.key.startswith(key_start, autoescape=True),
                )
            )
