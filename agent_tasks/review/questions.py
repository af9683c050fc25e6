"""Questions that are no document's: of steps and calls in flows and sessions of one's own.

    for question in await list_questions(desk):
        await answer(desk, question, approved=True, by="Ann Lee")

Those of a document of a batch are shown with it (`Item.questions`).
"""

from __future__ import annotations

from agent_tasks.batch.records import DocumentStatus
from agent_tasks.display import moment, one_line
from agent_tasks.errors import DocumentHeldError, UnknownQuestionError, UnknownReviewError
from agent_tasks.journal import DecisionRecord, DecisionState, Lease
from agent_tasks.operations import decide
from agent_tasks.operations import find_question as _find
from agent_tasks.operations.decisions import Questions, named_person
from agent_tasks.review.decisions import HOLD_SECONDS
from agent_tasks.review.desk import Desk
from agent_tasks.review.items import Item, find_item

__all__ = ["answer", "decided_questions", "find", "find_question", "hold_question", "list_questions"]


async def list_questions(desk: Desk) -> list[DecisionRecord]:
    """The questions that wait and are no document's, the oldest first.

    Raises:
        JournalError: The journal can't be read.
    """
    asked = await desk.journal.decisions.of(desk.scope, states=[DecisionState.WAITING])
    if not asked:
        return []
    found = await desk.journal.documents.in_states(desk.scope, [DocumentStatus.WAITING.value])
    shown = {one.key for batch, record in found for one in desk.row_of(batch, record).waiting}
    return [one for one in asked if one.key not in shown]


async def decided_questions(desk: Desk) -> list[DecisionRecord]:
    """The questions that are decided, by people or time limits, and that nothing has resumed with."""
    asked = await desk.journal.decisions.of(desk.scope, is_taken=False)
    return [one for one in asked if one.state not in (DecisionState.WAITING, DecisionState.WITHDRAWN)]


async def find_question(desk: Desk, key: str) -> DecisionRecord:
    """The question of this id, or the only one that begins with it. Raises UnknownQuestionError."""
    return await _find(Questions(desk.journal, desk.scope), key)


async def find(desk: Desk, key: str) -> Item | DecisionRecord:
    """The document of this id or name, or the question of this id.

    Raises:
        UnknownReviewError: there is neither, or there are several.
    """
    try:
        return await find_item(desk, key)
    except UnknownReviewError as error:
        try:
            return await find_question(desk, key)
        except UnknownQuestionError:
            raise error from None


async def answer(
    desk: Desk, question: DecisionRecord, *, approved: bool, by: str, note: str = "", seen: str | None = None
) -> DecisionRecord:
    """Answer a question; the first answer counts, and what waits goes on with it when it is run again.

    Args:
        desk: Where.
        question: The question, as it was looked at.
        approved: What is decided.
        by: Who decides.
        note: What they say about it; the agents may read it.
        seen: The hash of what they saw; the question's if not given.

    Returns:
        The question with its answer.

    Raises:
        AlreadyDecidedError: somebody else was first, the time limit was, or nobody is asked any more.
        DocumentHeldError: somebody else looks at it.
        ConfigurationError: it is not said who decides.
    """
    who = named_person(by)
    holder = (await desk.journal.reviews.holders(desk.scope)).get(question.key)
    if holder is not None and holder.owner != who:
        raise DocumentHeldError(
            f"{holder.owner} looks at {one_line(question.question)!r} until {moment(holder.lease_until)} or "
            "an answer. Your decision is not committed.",
            key=question.key,
            holder=holder.owner,
        )
    where = Questions(desk.journal, desk.scope)
    answered = await decide(
        where, question.key, approved=approved, by=who, note=note, seen=seen or question.shown_hash
    )
    await desk.journal.reviews.give_up(desk.scope, question.key, person=who)
    return answered


async def hold_question(desk: Desk, question: DecisionRecord, *, by: str) -> Lease | None:
    """Keep others off a question while a person looks at it; returns who does already, or None."""
    return await desk.journal.reviews.hold(
        desk.scope, question.key, person=named_person(by), document=question.owner, seconds=HOLD_SECONDS
    )
