"""Where batches lie: for people who look at their documents without running them."""

from __future__ import annotations

from dataclasses import asdict

from agent_tasks.journal.database import Database
from agent_tasks.journal.records import BatchRecord
from agent_tasks.journal.rows import batch_of
from agent_tasks.journal.schema import batches
from agent_tasks.journal.workers import Worker

__all__ = ["Batches"]


class Batches:
    """The batches that have begun; reached as `Journal.batches`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    async def note(self, scope: str, batch: BatchRecord) -> None:
        """Commit where a batch lies; a later run may say anew."""
        values = {"scope": scope, **asdict(batch), "noted_at": self._worker.clock()}
        await self._database.write(
            lambda connection: self._database.statements.put(connection, batches, values), alone=True
        )

    async def of(self, scope: str) -> dict[str, BatchRecord]:
        """The batches of a service, by their keys."""
        found = await self._database.rows(batches.select().where(batches.c.scope == scope), batch_of)
        return {batch.key: batch for batch in found}

    async def get(self, scope: str, key: str) -> BatchRecord | None:
        """A batch, or None: no run of it was begun by a version that notes them."""
        query = batches.select().where(batches.c.scope == scope, batches.c.key == key)
        found = await self._database.rows(query, batch_of)
        return found[0] if found else None
