"""What waits for a person: documents that need review, and those with a step that asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_tasks.batch.context import review_key
from agent_tasks.batch.records import DocumentRow, DocumentStatus
from agent_tasks.display import one_line
from agent_tasks.documents.grounding import GroundingStatus
from agent_tasks.errors import UnknownReviewError
from agent_tasks.journal import (
    BatchRecord,
    DecisionRecord,
    DecisionState,
    DocumentRecord,
    Lease,
    Review,
    ReviewKind,
    row_hash,
)
from agent_tasks.review.desk import Desk

__all__ = ["Filter", "Item", "as_json", "find_item", "history", "item_key", "list_items"]

_WAITS = (DocumentStatus.NEEDS_REVIEW, DocumentStatus.WAITING)
_NOT_ANSWERED = (DecisionState.WAITING, DecisionState.WITHDRAWN)


def item_key(batch: str, document: str) -> str:
    """The id of a document at the desk; also the key of the lease under which somebody looks at it."""
    return review_key(batch, document)


@dataclass(frozen=True)
class Item:
    """A document that waits for a person."""

    key: str
    batch: BatchRecord
    record: DocumentRecord
    row: DocumentRow
    questions: tuple[DecisionRecord, ...] = ()
    """What steps ask about it."""
    holder: Lease | None = None
    """Who looks at it now."""
    answered: tuple[DecisionRecord, ...] = ()
    """What steps have asked about it and is decided, by people or by a time limit; the next run goes on."""

    @property
    def document(self) -> str:
        """Its name."""
        return self.row.document

    @property
    def seen(self) -> str:
        """The hash of what there is to look at: a decision is about that."""
        return row_hash(self.record.body)

    @property
    def is_sent_back(self) -> bool:
        """Whether a step is done anew by the next run, so that there is nothing to decide now."""
        return self.row.decision is not None and self.row.decision.kind is ReviewKind.SEND_BACK

    @property
    def is_decided(self) -> bool:
        """Whether nothing waits for a person here."""
        if self.row.status is DocumentStatus.WAITING:
            return not self.questions
        return self.row.status is not DocumentStatus.NEEDS_REVIEW or self.is_sent_back

    @property
    def since(self) -> float:
        """Since when it waits (seconds since the epoch)."""
        return min((one.asked_at for one in self.questions), default=self.record.updated_at)

    @property
    def doubtful(self) -> list[str]:
        """Paths of the values that were not found in the document, or are doubtful there."""
        return [
            entry.path
            for entry in self.row.grounding
            if entry.status is GroundingStatus.NOT_FOUND or entry.note
        ]

    @property
    def steps(self) -> list[str]:
        """The steps that it can be sent back to: those that have asked an agent."""
        asked = (record.step for record in self.row.steps.values() if record.turns)
        return list(dict.fromkeys(asked))


@dataclass(frozen=True)
class Filter:
    """Which documents are wanted; what is not given is not looked at."""

    pipeline: str | None = None
    reason: str | None = None
    """A part of a reason, or of a question."""
    field: str | None = None
    """The path of a doubtful value, or how it begins."""
    older_than: float | None = None
    """Seconds that it waits at least."""

    def takes(self, item: Item, now: float) -> bool:
        """Whether a document is wanted."""
        if self.pipeline and item.batch.pipeline != self.pipeline:
            return False
        said = [*item.row.reasons, *(one.question for one in item.questions)]
        if self.reason and not any(self.reason.casefold() in text.casefold() for text in said):
            return False
        if self.field and not any(path.startswith(self.field) for path in item.doubtful):
            return False
        return self.older_than is None or now - item.since >= self.older_than

    def takes_question(self, question: DecisionRecord, now: float) -> bool:
        """Whether a question is wanted that is no document's: it has no pipeline and no values."""
        if self.pipeline or self.field:
            return False
        if self.reason and self.reason.casefold() not in question.question.casefold():
            return False
        return self.older_than is None or now - question.asked_at >= self.older_than


async def list_items(desk: Desk, *, everything: bool = False) -> list[Item]:
    """The documents that wait for a person, those that wait longest first.

    Args:
        desk: Where.
        everything: Also those that the next run works on: sent back, or with a question that is decided.

    Raises:
        JournalError: The journal can't be read.
    """
    batches = await desk.journal.batches.of(desk.scope)
    found = await desk.journal.documents.in_states(desk.scope, [status.value for status in _WAITS])
    asked = await desk.journal.decisions.of(desk.scope, is_taken=False)
    questions = {one.key: one for one in asked}
    holders = await desk.journal.reviews.holders(desk.scope)
    items = [
        _item(desk, batches[batch], record, questions, holders) for batch, record in found if batch in batches
    ]
    return sorted(
        (item for item in items if everything or not item.is_decided),
        key=lambda item: (item.since, item.document),
    )


def _item(
    desk: Desk,
    batch: BatchRecord,
    record: DocumentRecord,
    questions: dict[str, DecisionRecord],
    holders: dict[str, Lease],
) -> Item:
    row = desk.row_of(batch.key, record)
    key = item_key(batch.key, record.name)
    known = [questions[one.key] for one in row.waiting if one.key in questions]
    asked = tuple(one for one in known if one.state is DecisionState.WAITING)
    answered = tuple(one for one in known if one.state not in _NOT_ANSWERED)
    return Item(key, batch, record, row, asked, holders.get(key), answered)


async def find_item(desk: Desk, key: str) -> Item:
    """The document with this id, or the only one whose id begins with it or whose name it is.

    One that was decided can be found by its decision: to see it, or to take that back.

    Raises:
        UnknownReviewError: there is none, or there are several.
    """
    wanted = key.strip()
    items = await list_items(desk, everything=True)
    found = [item for item in items if item.document == wanted]
    if not found and wanted:
        found = [item for item in items if item.key.startswith(wanted.lower())]
    if not found and wanted:
        found = await _decided(desk, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownReviewError(
            f"No document that waits for a person has the id or name {one_line(key)!r}. "
            "`agent-tasks review list` shows those that there are.",
            key=key,
        )
    some = ", ".join(f"{item.key[:12]} ({item.document})" for item in found[:5])
    raise UnknownReviewError(f"{len(found)} documents are meant by {one_line(key)!r}: {some}.", key=key)


async def _decided(desk: Desk, wanted: str) -> list[Item]:
    """Documents that were decided on."""
    reviews = await desk.journal.reviews.find(desk.scope)
    meant = dict.fromkeys(
        (review.batch, review.document)
        for review in reviews
        if review.document == wanted or item_key(review.batch, review.document).startswith(wanted.lower())
    )
    batches = await desk.journal.batches.of(desk.scope)
    found = []
    for batch, document in meant:
        record = await desk.journal.documents.get(desk.scope, batch, document)
        if record is not None and batch in batches:
            found.append(_item(desk, batches[batch], record, {}, {}))
    return found


async def history(desk: Desk, item: Item) -> Sequence[Review]:
    """The decisions about a document, the first one first."""
    return await desk.journal.reviews.of(desk.scope, item.batch.key, item.document)


def as_json(item: Item) -> dict[str, Any]:
    """A document for programs; times are seconds since the epoch."""
    return {
        "id": item.key,
        "document": item.document,
        "pipeline": item.batch.pipeline,
        "status": item.row.status.value,
        "since": item.since,
        "seen": item.seen,
        "reasons": item.row.reasons,
        "doubtful": item.doubtful,
        "questions": [
            {"id": one.key, "question": one.question, "step": one.step, "shown": one.shown}
            for one in item.questions
        ],
        "answered": [
            {"id": one.key, "question": one.question, "state": one.state.value, "by": one.decided_by}
            for one in item.answered
        ],
        "held_by": item.holder.owner if item.holder is not None else None,
        "steps": item.steps,
        "row": item.row.model_dump(mode="json"),
    }
