"""Forgetting what is old: batches that have ended long ago, operations that nobody came back to, transcripts.

Nothing goes that belongs to a run under way, that waits for a person, or that still has something on the
service. What is forgotten is done anew, and paid for again, if somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from agent_tasks.journal.database import Database
from agent_tasks.journal.records import UNSETTLED, DecisionState
from agent_tasks.journal.schema import (
    answers,
    batches,
    decisions,
    documents,
    flow_runs,
    leases,
    operations,
    past_runs,
    resources,
    reviews,
    runs,
    tool_calls,
    transcripts,
)

__all__ = ["Pruned", "Pruning"]

_CHUNK = 400  # keys in one statement

_FOR_PEOPLE = ("waiting", "needs_review")  # states of documents that somebody has to look at


@dataclass
class Pruned:
    """How much is forgotten, or would be."""

    batches: int = 0
    documents: int = 0
    operations: int = 0
    transcripts: int = 0
    kept_for_people: int = 0
    """Old batches that stay, since documents of theirs wait for a person."""


@dataclass(frozen=True)
class _Batch:
    scope: str
    owner: str
    key: str | None


class Pruning:
    """What is old in a journal, whatever service it speaks about; reached as `Journal.pruning`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def prune(self, before: float, *, dry_run: bool) -> Pruned:
        """Forget what has ended before a moment.

        Each batch, and each few hundred operations, are one transaction: what a killed process leaves is for
        the next time.

        Args:
            before: the moment (seconds since the epoch).
            dry_run: only say how much there is.
        """
        done = Pruned()
        old = await self._database.read(lambda connection: self._old_batches(connection, before))
        for batch in old:

            def forget(connection: sa.Connection, batch: _Batch = batch) -> tuple[bool, int]:
                return self._forget_batch(connection, batch, before, dry_run=dry_run)

            stays, count = await (self._database.read(forget) if dry_run else self._database.write(forget))
            done.kept_for_people += stays
            done.batches += not stays
            done.documents += count
        # Of a dry run the batches are there still.
        gone = {(batch.scope, batch.owner) for batch in old} if dry_run else set()
        for scope, keys in (
            await self._database.read(lambda connection: self._old_operations(connection, before, gone))
        ).items():
            done.operations += len(keys)
            for start in range(0, 0 if dry_run else len(keys), _CHUNK):
                part = keys[start : start + _CHUNK]

                def drop(connection: sa.Connection, scope: str = scope, part: list[str] = part) -> None:
                    self._forget_operations(connection, scope, part, before)

                await self._database.write(drop)
        done.transcripts = await self._transcripts(before, dry_run=dry_run)
        if not dry_run:
            await self._database.write(lambda connection: self._forget_rest(connection, before))
        return done

    async def _transcripts(self, before: float, *, dry_run: bool) -> int:
        old = transcripts.c.kept_at < before
        if dry_run:
            query = sa.select(sa.func.count()).select_from(transcripts).where(old)
            return await self._database.read(lambda connection: int(connection.execute(query).scalar_one()))
        deletion = transcripts.delete().where(old)
        return await self._database.write(
            lambda connection: int(connection.execute(deletion).rowcount), alone=True
        )

    # --- inside a transaction --------------------------------------------------------------------------

    def _old_batches(self, connection: sa.Connection, before: float) -> list[_Batch]:
        """Batches whose last run has ended before a moment, and that nothing on the service belongs to."""
        in_body = runs.c.body["batch"].as_string()  # of batches from before schema 0005
        query = (
            sa.select(runs.c.scope, runs.c.owner, sa.func.coalesce(batches.c.key, in_body))
            .outerjoin(batches, sa.and_(batches.c.scope == runs.c.scope, batches.c.owner == runs.c.owner))
            .where(runs.c.ended_at < before)
        )
        found = [_Batch(*row) for row in connection.execute(query)]
        busy = set(self._busy_owners(connection))
        return [batch for batch in found if not _is_of(busy, batch.scope, batch.owner)]

    def _busy_owners(self, connection: sa.Connection) -> Iterable[tuple[str, str]]:
        """Who has something on the service, holds a lease, or waits for a decision."""
        for table, busy in (
            (resources, resources.c.state == "live"),
            (leases, sa.true()),
            (decisions, decisions.c.state == DecisionState.WAITING),
        ):
            query = sa.select(table.c.scope, table.c.owner).where(busy).distinct()
            for row in connection.execute(query):
                yield row[0], row[1]

    def _forget_batch(
        self, connection: sa.Connection, batch: _Batch, before: float, *, dry_run: bool
    ) -> tuple[bool, int]:
        """Forget a batch, unless a run of it has begun since; returns whether it stays for people."""
        here = (runs.c.scope == batch.scope, runs.c.owner == batch.owner, runs.c.ended_at < before)
        query = runs.select().where(*here)
        if connection.execute(query if dry_run else query.with_for_update()).first() is None:
            return True, 0
        mine = (documents.c.scope == batch.scope, documents.c.batch == batch.key)
        waits = sa.select(documents.c.name).where(*mine, documents.c.status.in_(_FOR_PEOPLE)).limit(1)
        if connection.execute(waits).first() is not None:
            return True, 0
        count = connection.execute(
            sa.select(sa.func.count()).select_from(documents).where(*mine)
        ).scalar_one()
        if dry_run:
            return False, int(count)
        for table in (documents, answers, reviews):
            connection.execute(table.delete().where(table.c.scope == batch.scope, table.c.batch == batch.key))
        for table in (runs, past_runs, batches):
            connection.execute(
                table.delete().where(table.c.scope == batch.scope, table.c.owner == batch.owner)
            )
        start = f"{batch.owner}/"
        is_part = sa.func.substr(decisions.c.owner, 1, len(start)) == start
        connection.execute(
            decisions.delete().where(
                decisions.c.scope == batch.scope, sa.or_(decisions.c.owner == batch.owner, is_part)
            )
        )
        return False, int(count)

    def _old_operations(
        self, connection: sa.Connection, before: float, gone: set[tuple[str, str]]
    ) -> dict[str, list[str]]:
        """Operations of owners all of whose operations are old and settled, and whose batch is not kept."""
        kept = set(self._busy_owners(connection))
        for table in (batches, runs):
            query = sa.select(table.c.scope, table.c.owner)
            kept |= {(row[0], row[1]) for row in connection.execute(query)} - gone
        columns = (operations.c.scope, operations.c.fingerprint["owner"].as_string().label("owner"))
        fresh = sa.select(*columns).where(
            sa.or_(operations.c.updated_at >= before, operations.c.state.in_(UNSETTLED))
        )
        kept |= {(row[0], row[1] or "") for row in connection.execute(fresh)}
        old = sa.select(*columns, operations.c.key).where(operations.c.updated_at < before)
        found: dict[str, list[str]] = {}
        for scope, owner, key in connection.execute(old):
            name = owner or ""
            if (scope, name) not in kept and not _is_part_of(kept, scope, name):
                found.setdefault(scope, []).append(key)
        return found

    def _forget_operations(
        self, connection: sa.Connection, scope: str, keys: list[str], before: float
    ) -> None:
        still = (
            operations.c.scope == scope, operations.c.key.in_(keys), operations.c.updated_at < before,
            operations.c.state.not_in(UNSETTLED),
        )  # fmt: skip
        gone = (
            connection.execute(operations.delete().where(*still).returning(operations.c.key)).scalars().all()
        )
        connection.execute(
            tool_calls.delete().where(tool_calls.c.scope == scope, tool_calls.c.operation_key.in_(gone))
        )

    def _forget_rest(self, connection: sa.Connection, before: float) -> None:
        connection.execute(
            resources.delete().where(resources.c.state != "live", resources.c.deleted_at < before)
        )
        connection.execute(flow_runs.delete().where(flow_runs.c.noted_at < before))
        connection.execute(past_runs.delete().where(past_runs.c.ended_at < before))


def _is_of(busy: set[tuple[str, str]], scope: str, owner: str) -> bool:
    """Whether an owner or a part of it is busy."""
    return any(one == scope and (name == owner or name.startswith(f"{owner}/")) for one, name in busy)


def _is_part_of(kept: set[tuple[str, str]], scope: str, owner: str) -> bool:
    """Whether an owner is a part of one that is kept, such as `papers/a.txt` of `papers`."""
    start = owner
    while "/" in start:
        start = start.rpartition("/")[0]
        if (scope, start) in kept:
            return True
    return False
