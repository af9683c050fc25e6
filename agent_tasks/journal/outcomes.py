"""Outcomes within a batch, of which the latest counts: what `Documents` and `Answers` have in common."""

from __future__ import annotations

import sqlalchemy as sa

from agent_tasks.journal.bodies import as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.leases import Leases
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
        **own: str,
    ) -> None:
        """Commit an outcome in place of the one before, if the lease `held` (None: none) is this worker's."""
        values = {
            "scope": scope, "batch": batch, **own, "fingerprint": record.fingerprint, "status": record.status,
            "body": record.body, "updated_at": self._worker.clock(), **as_written(),
        }  # fmt: skip

        def work(connection: sa.Connection) -> None:
            if held is not None:
                self._leases.require(connection, scope, held)
            self._database.statements.put(connection, table, values)

        await self._database.write(work, alone=held is None)
