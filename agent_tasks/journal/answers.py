"""Answers to questions about all documents of a batch: the latest to each."""

from __future__ import annotations

import sqlalchemy as sa

from agent_tasks.journal.bodies import as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.records import AnswerRecord
from agent_tasks.journal.rows import answer_of
from agent_tasks.journal.schema import answers
from agent_tasks.journal.workers import Worker

__all__ = ["Answers"]


class Answers:
    """The answers about batches; reached as `Journal.answers`."""

    def __init__(self, database: Database, worker: Worker, held: Leases) -> None:
        self._database = database
        self._worker = worker
        self._leases = held

    async def get(self, scope: str, batch: str, question: str) -> AnswerRecord | None:
        """The latest answer to a question about a batch, or None."""
        found = await self._database.rows(
            answers.select().where(
                answers.c.scope == scope, answers.c.batch == batch, answers.c.question == question
            ),
            answer_of,
        )
        return found[0] if found else None

    async def put(self, scope: str, batch: str, record: AnswerRecord, *, held: str | None = None) -> None:
        """Commit an answer in place of the one before.

        Args:
            scope: the service.
            batch: the batch.
            record: the answer.
            held: the key of a lease that this worker must still hold; None: of none.

        Raises:
            LeaseLostError: another worker has taken it over; nothing is committed.
        """
        values = {
            "scope": scope, "batch": batch, "question": record.question, "corpus": record.corpus,
            "fingerprint": record.fingerprint, "status": record.status, "body": record.body,
            "updated_at": self._worker.clock(), **as_written(),
        }  # fmt: skip

        def work(connection: sa.Connection) -> None:
            if held is not None:
                self._leases.require(connection, scope, held)
            self._database.statements.put(connection, answers, values)

        await self._database.write(work, alone=held is None)

    async def of(self, scope: str, batch: str) -> list[AnswerRecord]:
        """All answers about a batch, by the ids of their questions."""
        return await self._database.rows(
            answers.select()
            .where(answers.c.scope == scope, answers.c.batch == batch)
            .order_by(answers.c.question),
            answer_of,
        )
