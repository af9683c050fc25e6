"""Answers to questions about all documents of a batch: the latest to each."""

from __future__ import annotations

from agent_tasks.journal.outcomes import Outcomes
from agent_tasks.journal.records import AnswerRecord
from agent_tasks.journal.rows import answer_of
from agent_tasks.journal.schema import answers

__all__ = ["Answers"]


class Answers(Outcomes):
    """The answers about batches; reached as `Journal.answers`."""

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
        await self._put(answers, scope, batch, record, held, question=record.question, corpus=record.corpus)

    async def of(self, scope: str, batch: str) -> list[AnswerRecord]:
        """All answers about a batch, by the ids of their questions."""
        return await self._database.rows(
            answers.select()
            .where(answers.c.scope == scope, answers.c.batch == batch)
            .order_by(answers.c.question),
            answer_of,
        )
