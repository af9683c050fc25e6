"""Deciding about a document: approve, correct, reject, send back, leave; and taking that back.

The decision and the row that it leaves are one transaction of the journal. It is about what was seen: if the
row is another one meanwhile, or somebody else has the document open, it is refused and nothing is changed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from agent_tasks.batch.records import DocumentRow, DocumentStatus, PersonDecision
from agent_tasks.confidence import leaves
from agent_tasks.crashpoints import crash_point
from agent_tasks.display import moment, one_line
from agent_tasks.errors import (
    AlreadyDecidedError,
    ConfigurationError,
    DecisionGoneOnError,
    DocumentHeldError,
    UnknownReviewError,
)
from agent_tasks.journal import DocumentRecord, Lease, NewReview, Review, ReviewKind, ReviewOutcome
from agent_tasks.journal.reviews import Reviewed
from agent_tasks.operations.decisions import named_person, said_by_person
from agent_tasks.review.desk import Desk
from agent_tasks.review.items import Item, history
from agent_tasks.review.values import corrected, shape_of

__all__ = ["HOLD_SECONDS", "approve", "correct", "hold", "leave", "reject", "release", "send_back", "undo"]

HOLD_SECONDS = 300.0
"""How long a document is kept for a person who was last heard of then."""

MAX_TOLD_VALUE = 4_000
"""Characters of an earlier answer that the agent is shown again."""

_SAID = {
    ReviewKind.APPROVE: "approved",
    ReviewKind.CORRECT: "corrected",
    ReviewKind.REJECT: "rejected",
    ReviewKind.SEND_BACK: "sent back",
    ReviewKind.LEAVE: "left",
}


async def approve(desk: Desk, item: Item, *, by: str, note: str = "", seen: str | None = None) -> Review:
    """Decide that a document is right as it is; where a step asks, that it may go on.

    Args:
        desk: Where.
        item: The document, as it was looked at.
        by: Who decides.
        note: What they say about it.
        seen: The hash of what they saw; the item's if not given.

    Returns:
        The decision, as it is in the journal.

    Raises:
        AlreadyDecidedError: it is another one meanwhile, or was decided.
        DocumentHeldError: somebody else looks at it.
        ConfigurationError: there is nothing to approve, or it is not said who decides.
    """
    decision = _decision(item, ReviewKind.APPROVE, by, note)
    if (made := await _made_before(desk, item, decision)) is not None:
        return made
    if item.questions:
        return await _answer(desk, item, decision, seen)
    if item.row.fields is None and item.row.answer is not None:
        raise ConfigurationError(
            f"Nothing valid was extracted from {item.document}, so there is nothing to approve. Correct it, "
            "reject it, or send it back."
        )
    changed = {"status": DocumentStatus.DONE, "reasons": [], "decision": decision}
    return await _commit(desk, item, decision, item.row.model_copy(update=changed), seen)


async def reject(desk: Desk, item: Item, *, by: str, note: str = "", seen: str | None = None) -> Review:
    """Decide that a document is not to be used; where a step asks, that it must not go on.

    Args and errors are those of `approve`.
    """
    decision = _decision(item, ReviewKind.REJECT, by, note)
    if (made := await _made_before(desk, item, decision)) is not None:
        return made
    if item.questions:
        return await _answer(desk, item, decision, seen)
    why = f"{decision.by} rejected it{f': {decision.note}' if decision.note else ''}"
    changed = {"status": DocumentStatus.REJECTED, "reasons": [why], "decision": decision}
    return await _commit(desk, item, decision, item.row.model_copy(update=changed), seen)


async def correct(
    desk: Desk, item: Item, values: Mapping[str, Any], *, by: str, note: str = "", seen: str | None = None
) -> Review:
    """Put a person's values in place of the agent's: the document is done with them.

    They are checked by the pipeline's schema and looked up in the document; what is not found there stands
    by the person's word, and is marked as theirs like the others.

    Args:
        desk: Where.
        item: The document.
        values: By path, such as `total` or `items[0].amount`; a text is read as the field's type says.
        by: Who decides.
        note: What they say.
        seen: The hash of what they saw.

    Raises:
        CorrectionError: the values do not fit, or are those that are there.
        DocumentError: the document can't be read, or has changed.
        ConfigurationError: the pipeline is another one meanwhile, or the document waits at a step.
        AlreadyDecidedError, DocumentHeldError: as for `approve`.
    """
    decision = _decision(item, ReviewKind.CORRECT, by, note)
    body = {"values": {path: values[path] for path in sorted(values)}}
    if (before := await _made_before(desk, item, decision, body)) is not None:
        return before
    if item.questions:
        raise ConfigurationError(
            f"{item.document} waits at the step {item.questions[0].step}, and its values have been used by "
            "the steps before. Approve or reject, or send it back to the step that gave the values."
        )
    shape = shape_of(await desk.pipeline(item.batch), item.row)
    content = await desk.read(item.batch, item.row)
    made = await asyncio.to_thread(corrected, shape, item.row, values, content)
    decision = decision.model_copy(update={"corrected": made.paths})
    changed = {
        "status": DocumentStatus.DONE, "reasons": [], "decision": decision, "fields": made.fields,
        "grounding": made.grounding, "confidence": _still_sure(item.row, made.fields),
    }  # fmt: skip
    return await _commit(desk, item, decision, item.row.model_copy(update=changed), seen, body=body)


async def send_back(
    desk: Desk, item: Item, step: str, *, by: str, note: str, seen: str | None = None
) -> Review:
    """Have a step done anew by the next run: its agent is shown its answer again, and what the person says.

    What the step gave is forgotten, and so is what followed from it; steps before it cost nothing again.

    Args:
        desk: Where.
        item: The document.
        step: One of `item.steps`.
        by: Who decides.
        note: What the agent is told.
        seen: The hash of what they saw.

    Raises:
        ConfigurationError: the step asks no agent, or there is no note.
        AlreadyDecidedError, DocumentHeldError: as for `approve`.
    """
    decision = _decision(item, ReviewKind.SEND_BACK, by, note, step=step)
    if (made := await _made_before(desk, item, decision)) is not None:
        return made
    if step not in item.steps:
        raise ConfigurationError(
            f"{item.document} can't be sent back to {one_line(step)!r}. The steps that asked an agent are: "
            f"{', '.join(item.steps) or 'none'}."
        )
    said = said_by_person(note)
    if said is None:
        raise ConfigurationError("Say in a note what the agent should do otherwise.")
    changed = {
        "status": DocumentStatus.NEEDS_REVIEW, "waiting": [], "decision": decision,
        "reasons": [f"{decision.by} sent it back to {step}: {said}"],
    }  # fmt: skip
    told = _told(item.row, step, said)
    asked = [one.key for one in item.questions]
    row = item.row.model_copy(update=changed)
    return await _commit(desk, item, decision, row, seen, body={"told": told}, withdraw=asked)


async def leave(desk: Desk, item: Item, *, by: str, note: str = "", seen: str | None = None) -> Review | None:
    """Let others look at a document; with a note they can read why. Returns the note's row in the journal."""
    who = named_person(by)
    said = said_by_person(note)
    if said is None:
        await release(desk, item, by=who)
        return None
    return await _commit(desk, item, _decision(item, ReviewKind.LEAVE, by, note), None, seen)


async def undo(desk: Desk, review: Review, *, by: str) -> Review:
    """Take a decision back, as long as no run has begun with it: the document waits as before.

    Raises:
        DecisionGoneOnError: a run has begun, or there is a later decision.
        UnknownReviewError: the decision is not in the journal.
    """
    who = named_person(by)
    crash_point("review.undoing")
    answer = await desk.journal.reviews.undo(desk.scope, review.key, by=who)
    crash_point("review.undone")
    if answer.outcome is ReviewOutcome.COMMITTED and answer.review is not None:
        return answer.review
    if answer.outcome is ReviewOutcome.GONE:
        raise UnknownReviewError(f"The decision {review.key} is not in the journal.", key=review.key)
    why = (
        "a run has begun with it. Decide on what comes of it"
        if answer.outcome is ReviewOutcome.GONE_ON
        else "the document is another one meanwhile, or was decided on again. Look at it"
    )
    raise DecisionGoneOnError(
        f"What was decided about {review.document} can't be taken back: {why}.", key=review.key
    )


async def hold(desk: Desk, item: Item, *, by: str) -> Lease | None:
    """Keep others off a document while a person looks at it; returns who does already, or None.

    It is kept for `HOLD_SECONDS`, or until a decision; called again it is kept for that long from then on.
    """
    return await desk.journal.reviews.hold(
        desk.scope, item.key, person=named_person(by), document=item.document, seconds=HOLD_SECONDS
    )


async def release(desk: Desk, item: Item, *, by: str) -> None:
    """Let others look at a document that this person has looked at."""
    await desk.journal.reviews.give_up(desk.scope, item.key, person=named_person(by))


def _decision(item: Item, kind: ReviewKind, by: str, note: str, *, step: str | None = None) -> PersonDecision:
    return PersonDecision(
        kind=kind,
        by=named_person(by),
        note=said_by_person(note),
        step=step,
        reasons=item.row.reasons,
    )


def _still_sure(row: DocumentRow, fields: dict[str, Any]) -> dict[str, float]:
    """The confidence of values that a person has left as they were; that of others is about what is gone."""
    before, after = dict(leaves(row.fields or {})), dict(leaves(fields))
    is_same = {path for path, value in after.items() if path in before and before[path] == value}
    return {path: sure for path, sure in row.confidence.items() if path in is_same}


def _told(row: DocumentRow, step: str, said: str) -> str:
    """What the agent of a step is told when it is asked again."""
    values = [record.value for record in row.steps.values() if record.step == step]
    value = values[0] if len(values) == 1 and values[0] is not None else row.fields
    shown = json.dumps(value, ensure_ascii=False) if value is not None else (row.answer or "")
    earlier = f"\nYour earlier answer was:\n{shown[:MAX_TOLD_VALUE]}" if shown else ""
    return f"A person has looked at your earlier answer and sent it back.{earlier}\nThey say: {said}"


async def _made_before(
    desk: Desk, item: Item, decision: PersonDecision, body: dict[str, Any] | None = None
) -> Review | None:
    """The decision, if it was made before, such as by a process that was killed then; None: it is to be made.

    Raises:
        AlreadyDecidedError: another one was made.
    """
    if not item.is_decided:
        return None
    made = [one for one in await history(desk, item) if one.undone_at is None]
    last = made[-1] if made else None
    wanted = (decision.kind, decision.by, decision.note, decision.step)
    is_it = last is not None and (last.kind, last.by, last.note, last.step) == wanted
    if last is not None and is_it and last.left == item.seen and body in (None, last.body):
        return last
    raise _refused(item, Reviewed(ReviewOutcome.CHANGED, last))


async def _answer(desk: Desk, item: Item, decision: PersonDecision, seen: str | None) -> Review:
    """Decide the question that was asked first; the document goes on with the next run."""
    question = item.questions[0]
    return await _commit(desk, item, decision, None, seen, question=question.key)


async def _commit(
    desk: Desk,
    item: Item,
    decision: PersonDecision,
    row: DocumentRow | None,
    seen: str | None,
    *,
    body: dict[str, Any] | None = None,
    question: str | None = None,
    withdraw: list[str] | None = None,
) -> Review:
    wanted = NewReview(
        batch=item.batch.key,
        document=item.document,
        kind=decision.kind,
        by=decision.by,
        seen=seen or item.seen,
        note=decision.note,
        step=decision.step,
        question=question,
        body=body or {},
    )
    record = None
    if row is not None:
        record = DocumentRecord(
            name=item.document,
            content_hash=item.record.content_hash,
            fingerprint=item.batch.fingerprint,
            status=row.status.value,
            body=row.model_dump(mode="json"),
        )
    crash_point("review.deciding")
    answer = await desk.journal.reviews.commit(
        desk.scope, wanted, record, hold=item.key, withdraw=withdraw or []
    )
    crash_point("review.decided")
    if answer.outcome is ReviewOutcome.COMMITTED and answer.review is not None:
        return answer.review
    raise _refused(item, answer)


def _refused(item: Item, answer: Reviewed) -> Exception:
    name = one_line(item.document)
    nothing = "Your decision is not committed."
    if answer.holder is not None:
        return DocumentHeldError(
            f"{answer.holder.owner} looks at {name} until {moment(answer.holder.lease_until)} or a decision. "
            f"{nothing}",
            key=item.key,
            holder=answer.holder.owner,
        )
    last = answer.review
    if last is not None:
        return AlreadyDecidedError(
            f"{name} was {_SAID[last.kind]} by {last.by} at {moment(last.decided_at)}. {nothing} Look at it "
            "again.",
            key=item.key,
        )
    if answer.outcome is ReviewOutcome.GONE:
        return AlreadyDecidedError(f"{name} is not in its batch any more. {nothing}", key=item.key)
    return AlreadyDecidedError(
        f"{name} is not what you saw any more, or was decided elsewhere. {nothing} Look at it again.",
        key=item.key,
    )
