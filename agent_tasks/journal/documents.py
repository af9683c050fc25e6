"""Documents of batches: the latest outcome of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from functools import partial

import sqlalchemy as sa

from agent_tasks.ahead import one_ahead
from agent_tasks.journal.database import Database
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.outcomes import Outcomes
from agent_tasks.journal.records import DocumentRecord, StoredDocument
from agent_tasks.journal.rows import document_of, stored_document_of
from agent_tasks.journal.schema import documents, reviews
from agent_tasks.journal.workers import Worker

__all__ = ["Documents"]

_AS_STORED = sa.select(
    documents.c.name,
    documents.c.content_hash,
    documents.c.fingerprint,
    documents.c.status,
    sa.cast(documents.c.body, sa.Text).label("body"),
    documents.c.updated_at,
    documents.c.format,
    documents.c.version,
)


class Documents(Outcomes):
    """The documents of batches; reached as `Journal.documents`."""

    def __init__(self, database: Database, worker: Worker, held: Leases) -> None:
        super().__init__(database, worker, held)
        here = documents.c.scope == sa.bindparam("scope"), documents.c.batch == sa.bindparam("batch")
        one_of = database.statements.one_of
        self._get = documents.select().where(*here, documents.c.name == sa.bindparam("name"))
        self._named = _AS_STORED.where(*here, one_of(documents.c.name, "names"))
        self._known = sa.union_all(
            sa.select(documents.c.name).where(*here, one_of(documents.c.name, "names")),
            sa.select(reviews.c.document).where(
                reviews.c.scope == sa.bindparam("scope"),
                reviews.c.batch == sa.bindparam("batch"),
                one_of(reviews.c.document, "names"),
            ),
        )

    async def get(self, scope: str, batch: str, name: str) -> DocumentRecord | None:
        """The latest outcome of a document of a batch, or None."""
        given = {"scope": scope, "batch": batch, "name": name}
        found = await self._database.rows_of(self._get, given, document_of)
        return found[0] if found else None

    async def named(self, scope: str, batch: str, names: Collection[str]) -> list[StoredDocument]:
        """Those of the named documents that have an outcome, in no order."""
        given = {"scope": scope, "batch": batch, "names": list(names)}
        return await self._database.rows_of(self._named, given, stored_document_of)

    async def known(self, scope: str, batch: str, names: Collection[str]) -> set[str]:
        """Those of the named documents that have an outcome, or a person has ever decided about."""
        given = {"scope": scope, "batch": batch, "names": list(names)}
        return set(await self._database.rows_of(self._known, given, lambda row, _: str(row["name"])))

    async def put(
        self,
        scope: str,
        batch: str,
        record: DocumentRecord,
        *,
        held: str | None = None,
        before: float | None = None,
    ) -> bool:
        """Commit a document's outcome in place of the one before.

        Args:
            scope: the service.
            batch: the batch.
            record: the outcome.
            held: the key of a lease that this worker must still hold; None: of none.
            before: when the outcome was committed that this one is in place of; None: whatever is there.

        Returns:
            False, and nothing is committed, if another outcome is there now: a person has decided meanwhile.

        Raises:
            LeaseLostError: another worker has taken it over; nothing is committed.
        """
        own = {"name": record.name, "content_hash": record.content_hash}
        return await self._put(documents, scope, batch, record, held, before=before, **own)

    async def in_states(self, scope: str, states: Collection[str]) -> list[tuple[str, DocumentRecord]]:
        """The documents of all batches in these states, with their batches' keys; the oldest first."""
        query = documents.select().where(documents.c.scope == scope, documents.c.status.in_(states))
        address = self._database.address

        def work(connection: sa.Connection) -> list[tuple[str, DocumentRecord]]:
            found = connection.execute(query.order_by(documents.c.updated_at, documents.c.name)).mappings()
            return [(row["batch"], document_of(row, address)) for row in found]

        return await self._database.read(work)

    async def drop(self, scope: str, batch: str, name: str) -> None:
        """Forget a document that is no longer part of its batch."""
        query = documents.delete().where(*_key(scope, batch, name))
        await self._database.write(lambda connection: connection.execute(query), alone=True)

    async def of(self, scope: str, batch: str, *, page_size: int = 500) -> AsyncIterator[StoredDocument]:
        """The documents of a batch by name, in the order of its characters' numbers.

        Their rows are read in pages, the next while one is used: of all of them only the names are held. A
        server that sorts by a language would have to sort them anew for each page.
        """
        names = sorted(await self.names(scope, batch))
        starts = range(0, len(names), page_size)
        pages = (partial(self.named, scope, batch, names[start : start + page_size]) for start in starts)
        async for page in one_ahead(pages):
            for record in sorted(page, key=lambda record: record.name):
                yield record

    async def names(self, scope: str, batch: str, *, before: float | None = None) -> list[str]:
        """The names of a batch's documents; with `before`, whose outcome was committed earlier."""
        query = sa.select(documents.c.name).where(
            documents.c.scope == scope,
            documents.c.batch == batch,
            documents.c.updated_at < before if before is not None else sa.true(),
        )
        return await self._database.read(lambda connection: list(connection.execute(query).scalars()))

    async def counts(self, scope: str, batch: str) -> dict[str, int]:
        """How many documents of a batch are in which status."""
        query = (
            sa.select(documents.c.status, sa.func.count().label("documents"))
            .where(documents.c.scope == scope, documents.c.batch == batch)
            .group_by(documents.c.status)
        )
        return await self._database.read(
            lambda connection: {row.status: row.documents for row in connection.execute(query)}
        )


def _key(scope: str, batch: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return documents.c.scope == scope, documents.c.batch == batch, documents.c.name == name
