"""What people decided about documents that had to be looked at: each decision once, together with its row.

A decision, the row that it leaves and the question that it answers are one transaction: whoever is killed
leaves all of it, or nothing. Who decides says which row they saw; another one is there: nothing is changed.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from agent_tasks.journal.bodies import as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.decisions import Decisions
from agent_tasks.journal.records import (
    DecisionState,
    DocumentRecord,
    Lease,
    LeaseKind,
    NewReview,
    Review,
    ReviewKind,
)
from agent_tasks.journal.rows import document_of, lease_of, review_of
from agent_tasks.journal.schema import batches, documents, leases, reviews, runs
from agent_tasks.journal.workers import Worker

__all__ = ["ReviewOutcome", "Reviewed", "Reviews", "row_hash"]

_ANSWERS = {ReviewKind.APPROVE: DecisionState.APPROVED, ReviewKind.REJECT: DecisionState.REJECTED}


def row_hash(body: Mapping[str, Any]) -> str:
    """What identifies a document's row as somebody saw it."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


class ReviewOutcome(enum.StrEnum):
    """What came of a decision, or of undoing one."""

    COMMITTED = "committed"
    """Now, or before by the very same decision."""
    GONE = "gone"
    """The document, or the decision, is not there."""
    CHANGED = "changed"
    """The row is another one than was seen, or than the decision has left."""
    HELD = "held"
    """Somebody else looks at the document."""
    ANSWERED = "answered"
    """The question of its step is decided, or not asked any more."""
    GONE_ON = "gone on"
    """A run has begun with it."""


@dataclass(frozen=True)
class Reviewed:
    """The answer to somebody who decides, or undoes."""

    outcome: ReviewOutcome
    review: Review | None = None
    """The decision; where it was refused the one that counts, if there is one."""
    holder: Lease | None = None
    """Who looks at the document."""


class Reviews:
    """The decisions about documents; reached as `Journal.reviews`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker
        self._decisions = Decisions(database, worker)

    async def commit(
        self,
        scope: str,
        wanted: NewReview,
        row: DocumentRecord | None,
        *,
        hold: str,
        withdraw: Collection[str] = (),
    ) -> Reviewed:
        """Commit a decision and the row that it leaves.

        Args:
            scope: the service.
            wanted: the decision. The same one of the same person again, such as after a crash, is the one
                that was made.
            row: the document's row from now on; None: it stays as it is.
            hold: the key of the lease under which people look at the document; it is given up.
            withdraw: keys of questions that are not asked any more.
        """
        now = self._worker.clock()

        def work(connection: sa.Connection) -> Reviewed:
            there = self._locked(connection, scope, wanted.batch, wanted.document)
            known = self._of(connection, scope, wanted.batch, wanted.document)
            last = next((one for one in reversed(known) if one.undone_at is None), None)
            if last is not None and _is_same(last, wanted):
                return Reviewed(ReviewOutcome.COMMITTED, last)
            if there is None:
                return Reviewed(ReviewOutcome.GONE, last)
            if row_hash(there.body) != wanted.seen:
                return Reviewed(ReviewOutcome.CHANGED, last)
            holder = self._holder(connection, scope, hold, wanted.by, now)
            if holder is not None:
                return Reviewed(ReviewOutcome.HELD, last, holder)
            if wanted.question is not None and not self._answer(connection, scope, wanted, now):
                return Reviewed(ReviewOutcome.ANSWERED, last)
            self._decisions.withdraw_within(connection, scope, withdraw)
            made = self._made(scope, wanted, len(known) + 1, there, row or there, withdraw, now)
            connection.execute(reviews.insert().values(made))
            if row is not None:
                self._put_row(connection, scope, wanted.batch, row, now)
            connection.execute(leases.delete().where(leases.c.scope == scope, leases.c.key == hold))
            return Reviewed(ReviewOutcome.COMMITTED, review_of(made, self._database.address))

        return await self._database.write(work)

    async def undo(self, scope: str, key: str, *, by: str) -> Reviewed:
        """Take a decision back: the row is as it was, and its question is asked again.

        Args:
            scope: the service.
            key: the decision's key.
            by: who takes it back.
        """
        now = self._worker.clock()

        def work(connection: sa.Connection) -> Reviewed:
            found = self._get(connection, scope, key)
            if found is None:
                return Reviewed(ReviewOutcome.GONE)
            if found.undone_at is not None:
                return Reviewed(ReviewOutcome.COMMITTED, found)
            there = self._locked(connection, scope, found.batch, found.document)
            if self._began_after(connection, scope, found.batch, found.decided_at):
                return Reviewed(ReviewOutcome.GONE_ON, found)
            if there is None or row_hash(there.body) != found.left:
                return Reviewed(ReviewOutcome.CHANGED, found)
            later = [one for one in self._of(connection, scope, found.batch, found.document)
                     if one.number > found.number and one.undone_at is None]  # fmt: skip
            if later:
                return Reviewed(ReviewOutcome.CHANGED, later[-1])
            asked = [*([found.question] if found.question else []), *found.before["withdrawn"]]
            if not self._decisions.reopen_within(connection, scope, asked):
                return Reviewed(ReviewOutcome.GONE_ON, found)
            if found.left != found.seen:
                self._put_row(connection, scope, found.batch, _row_before(found), now)
            connection.execute(
                reviews.update()
                .where(reviews.c.scope == scope, reviews.c.key == key)
                .values(undone_at=now, undone_by=by)
            )
            return Reviewed(ReviewOutcome.COMMITTED, self._get(connection, scope, key))

        return await self._database.write(work)

    async def of(self, scope: str, batch: str, document: str) -> list[Review]:
        """The decisions about a document, the first one first, those that were undone too."""
        return await self._database.read(lambda connection: self._of(connection, scope, batch, document))

    async def find(self, scope: str, *, key_start: str = "", latest: int | None = None) -> list[Review]:
        """The decisions, the last one first.

        Args:
            scope: the service.
            key_start: only those whose key begins like this.
            latest: at most so many.
        """
        query = reviews.select().where(reviews.c.scope == scope)
        if key_start:
            query = query.where(sa.func.substr(reviews.c.key, 1, len(key_start)) == key_start)
        query = query.order_by(reviews.c.decided_at.desc(), reviews.c.number.desc(), reviews.c.key)
        return await self._database.rows(query.limit(latest) if latest is not None else query, review_of)

    # --- who looks at what ----------------------------------------------------------------------------

    async def hold(self, scope: str, key: str, *, person: str, document: str, seconds: float) -> Lease | None:
        """Keep others off a document for a while; returns who does so already, or None: this person now."""
        now = self._worker.clock()
        values = {
            "scope": scope, "key": key, "kind": LeaseKind.REVIEW, "owner": person, "document": document,
            "worker": self._worker.name, "lease_until": now + seconds, "taken_at": now,
        }  # fmt: skip

        def work(connection: sa.Connection) -> Lease | None:
            if self._database.statements.insert_new(connection, leases, values):
                return None
            holder = self._holder(connection, scope, key, person, now)
            if holder is None:
                self._database.statements.put(connection, leases, values)
            return holder

        return await self._database.write(work)

    async def give_up(self, scope: str, key: str, *, person: str) -> None:
        """Let others look at a document that this person holds."""
        query = leases.delete().where(leases.c.scope == scope, leases.c.key == key, leases.c.owner == person)
        await self._database.write(lambda connection: connection.execute(query), alone=True)

    async def holders(self, scope: str) -> dict[str, Lease]:
        """Who looks at documents now, by the keys of the leases."""
        query = leases.select().where(leases.c.scope == scope, leases.c.kind == LeaseKind.REVIEW)
        now = self._worker.clock()
        found = await self._database.rows(query, lease_of)
        return {lease.key: lease for lease in found if not self._is_over(lease, now)}

    # --- inside a transaction --------------------------------------------------------------------------

    def _is_over(self, lease: Lease, now: float) -> bool:
        return now >= lease.lease_until or self._worker.presence.is_dead(lease.worker)

    def _holder(
        self, connection: sa.Connection, scope: str, key: str, person: str, now: float
    ) -> Lease | None:
        """Somebody else who looks at a document."""
        query = leases.select().where(leases.c.scope == scope, leases.c.key == key).with_for_update()
        row = connection.execute(query).mappings().one_or_none()
        lease = lease_of(row) if row is not None else None
        return (
            lease if lease is not None and lease.owner != person and not self._is_over(lease, now) else None
        )

    def _answer(self, connection: sa.Connection, scope: str, wanted: NewReview, now: float) -> bool:
        _, counts = self._decisions.decide_within(
            connection, scope, wanted.question or "", _ANSWERS[wanted.kind],
            by=wanted.by, note=wanted.note, now=now,
        )  # fmt: skip
        return counts

    def _locked(
        self, connection: sa.Connection, scope: str, batch: str, document: str
    ) -> DocumentRecord | None:
        here = (documents.c.scope == scope, documents.c.batch == batch, documents.c.name == document)
        row = connection.execute(documents.select().where(*here).with_for_update()).mappings().one_or_none()
        return document_of(row, self._database.address) if row is not None else None

    def _of(self, connection: sa.Connection, scope: str, batch: str, document: str) -> list[Review]:
        here = (reviews.c.scope == scope, reviews.c.batch == batch, reviews.c.document == document)
        found = connection.execute(reviews.select().where(*here).order_by(reviews.c.number)).mappings()
        return [review_of(row, self._database.address) for row in found]

    def _get(self, connection: sa.Connection, scope: str, key: str) -> Review | None:
        query = reviews.select().where(reviews.c.scope == scope, reviews.c.key == key).with_for_update()
        row = connection.execute(query).mappings().one_or_none()
        return review_of(row, self._database.address) if row is not None else None

    def _began_after(self, connection: sa.Connection, scope: str, batch: str, moment: float) -> bool:
        """Whether a run of a batch has begun since."""
        query = (
            sa.select(runs.c.started_at)
            .join(batches, sa.and_(batches.c.scope == runs.c.scope, batches.c.owner == runs.c.owner))
            .where(runs.c.scope == scope, batches.c.key == batch)
        )
        started = connection.execute(query).scalar_one_or_none()
        return started is not None and started > moment

    def _put_row(
        self, connection: sa.Connection, scope: str, batch: str, row: DocumentRecord, now: float
    ) -> None:
        values = {
            "scope": scope, "batch": batch, "name": row.name, "content_hash": row.content_hash,
            "fingerprint": row.fingerprint, "status": row.status, "body": row.body, "updated_at": now,
            **as_written(),
        }  # fmt: skip
        self._database.statements.put(connection, documents, values)

    def _made(
        self,
        scope: str,
        wanted: NewReview,
        number: int,
        there: DocumentRecord,
        row: DocumentRecord,
        withdraw: Collection[str],
        now: float,
    ) -> dict[str, Any]:
        values = asdict(wanted)
        values["decided_by"] = values.pop("by")
        made = f"{scope}\0{wanted.batch}\0{wanted.document}\0{number}"
        before = {
            "content_hash": there.content_hash, "fingerprint": there.fingerprint, "status": there.status,
            "body": there.body, "withdrawn": sorted(withdraw),
        }  # fmt: skip
        return {
            "scope": scope, "key": hashlib.sha256(made.encode("utf-8", "replace")).hexdigest()[:40],
            **values, "number": number, "left": row_hash(row.body), "before": before, "decided_at": now,
            "undone_at": None, "undone_by": None, **as_written(),
        }  # fmt: skip


def _is_same(made: Review, wanted: NewReview) -> bool:
    what = ("kind", "by", "seen", "note", "step", "question", "body")
    return all(getattr(made, name) == getattr(wanted, name) for name in what)


def _row_before(review: Review) -> DocumentRecord:
    before = review.before
    return DocumentRecord(
        review.document, before["content_hash"], before["fingerprint"], before["status"], before["body"]
    )
