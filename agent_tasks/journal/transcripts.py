"""What was said in turns: kept beside their results, and for a time only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel

from agent_tasks.journal.bodies import Row, Written, as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.schema import transcripts
from agent_tasks.journal.workers import Worker

__all__ = ["NewTranscript", "Transcript", "Transcripts"]

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class NewTranscript:
    """What is to be kept of a turn."""

    key: str
    """The turn's operation key."""
    owner: str
    """For whom it was, such as a document of a batch."""
    step: str
    agent: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Transcript(NewTranscript):
    """A row of `transcripts`."""

    kept_at: float = 0.0
    """Seconds since the epoch."""
    written: Written = field(default_factory=lambda: Written("a transcript", "(none)"), compare=False)

    def read(self, model: type[_Model]) -> _Model:
        """The body as a model. Raises JournalVersionError where it is not one."""
        return self.written.read(model, self.body)


class Transcripts:
    """Transcripts of turns; reached as `Journal.transcripts`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    def put_within(self, connection: sa.Connection, scope: str, new: NewTranscript) -> None:
        """Keep a transcript, in place of one of the same turn, inside a transaction."""
        values = {
            "scope": scope, "key": new.key, "owner": new.owner[:300], "step": new.step[:500],
            "agent": new.agent[:300], "body": new.body, "kept_at": self._worker.clock(), **as_written(),
        }  # fmt: skip
        self._database.statements.put(connection, transcripts, values)

    async def put(self, scope: str, new: NewTranscript) -> None:
        """Keep a transcript, in place of one of the same turn."""
        await self._database.write(lambda connection: self.put_within(connection, scope, new), alone=True)

    async def get(self, scope: str, key_start: str) -> list[Transcript]:
        """The transcripts whose key begins like this; at most two."""
        query = (
            transcripts.select()
            .where(transcripts.c.scope == scope, transcripts.c.key.startswith(key_start, autoescape=True))
            .limit(2)
        )
        return await self._database.rows(query, _transcript_of)

    async def of(self, scope: str, owner: str | None = None, *, limit: int = 500) -> list[Transcript]:
        """The latest transcripts, the newest first.

        Args:
            scope: the service.
            owner: of this owner and its parts, such as `papers/a.txt` of `papers`; None: of all.
            limit: how many at most.
        """
        query = transcripts.select().where(transcripts.c.scope == scope)
        if owner is not None:
            start = f"{owner}/"
            is_part = sa.func.substr(transcripts.c.owner, 1, len(start)) == start
            query = query.where(sa.or_(transcripts.c.owner == owner, is_part))
        latest = query.order_by(transcripts.c.kept_at.desc(), transcripts.c.key).limit(limit)
        return await self._database.rows(latest, _transcript_of)

    async def prune(self, before: float) -> int:
        """Delete those that were kept before a moment, of all services; returns how many."""
        query = transcripts.delete().where(transcripts.c.kept_at < before)
        return await self._database.write(
            lambda connection: int(connection.execute(query).rowcount), alone=True
        )


def _transcript_of(row: Row, address: str) -> Transcript:
    return Transcript(
        row["key"], row["owner"], row["step"], row["agent"], row["body"], row["kept_at"],
        Written.of(row, f"the transcript of the turn {row['key']}", address),
    )  # fmt: skip
