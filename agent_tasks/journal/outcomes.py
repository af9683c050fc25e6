"""Outcomes within a batch, of which the latest counts: what `Documents` and `Answers` have in common."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa

from agent_tasks.journal.bodies import as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.leases import Leases, taken_over
from agent_tasks.journal.records import AnswerRecord, DocumentRecord
from agent_tasks.journal.workers import Worker

__all__ = ["Outcomes"]


class Outcomes:
    """A table of outcomes."""

    def __init__(self, database: Database, worker: Worker, held: Leases) -> None:
        self._database = database
        self._worker = worker
        self._leases = held

    async def _put(
        self,
        table: sa.Table,
        scope: str,
        batch: str,
        record: DocumentRecord | AnswerRecord,
        held: str | None,
        *,
        before: float | None = None,
        **own: str,
    ) -> bool:
        """Commit an outcome in place of the one before, if the lease `held` (None: none) is this worker's.

        Returns:
            False, and nothing is committed, if the one before is not that of the time `before` (None: any).
        """
        now = self._worker.clock()
        values = {
            "scope": scope, "batch": batch, **own, "fingerprint": record.fingerprint, "status": record.status,
            "body": record.body, "updated_at": now, **as_written(),
        }  # fmt: skip

        if before is None and held is not None:
            put = self._database.statements.put_held(table, values, held, self._worker.name)
            if not await self._database.write(put, alone=True):
                raise taken_over(held)
            return True

        def work(connection: sa.Connection) -> bool:
            if held is not None:
                self._leases.require(connection, scope, held)
            # What is there at this very time was committed by this call, and the answer to that was lost.
            if before is not None and self._time_of(connection, table, values) not in (before, now):
                return False
            self._database.statements.put(connection, table, values)
            return True

        return await self._database.write(work, alone=held is None and before is None)

    def _time_of(self, connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> float | None:
        """When the outcome was committed that is there; it stays until the transaction ends."""
        key = {column.name: values[column.name] for column in table.primary_key}
        rows = self._database.statements.carry_out(connection, _time(table), key).rows
        return rows[0]["updated_at"] if rows else None


@cache
def _time(table: sa.Table) -> sa.Select[Any]:
    key = (column == sa.bindparam(column.name) for column in table.primary_key)
    return sa.select(table.c.updated_at).where(*key).with_for_update()
