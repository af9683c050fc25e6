"""Asking a person: asked once, decided once, and nothing is held while it waits.

    decision = await ask_person(ws, owner="contracts/a.pdf", step="release", question="Send?", shown=draft)

raises `WaitingForPersonError` until somebody decides (`agent-tasks approvals`), or the time limit does.
Called again after that, it returns what was decided.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from agent_tasks.crashpoints import crash_point
from agent_tasks.display import moment, one_line
from agent_tasks.errors import (
    AlreadyDecidedError,
    ConfigurationError,
    DecisionExpiredError,
    JournalError,
    UnknownQuestionError,
    WaitingForPersonError,
)
from agent_tasks.journal import AtLimit, DecisionRecord, DecisionState, Journal, Question
from agent_tasks.operations.keys import content_hash, operation_key
from agent_tasks.operations.models import Decision
from agent_tasks.operations.workspace import Workspace
from agent_tasks.redaction import redacted

__all__ = [
    "Questions",
    "ask_person",
    "decide",
    "decision_key",
    "find_question",
    "list_questions",
    "named_person",
    "owners_that_wait",
    "said_by_person",
    "withdraw_questions",
]

MAX_SHOWN = 20_000
"""Characters of what a person is shown that the journal keeps."""

MAX_QUESTION = 2_000
MAX_NOTE = 2_000
MAX_NAME = 200

KEPT_WITHOUT_LIMIT = timedelta(days=30)
"""How long conversations live for a question without a time limit; one that is gone then is told anew."""

KEPT_AFTER_LIMIT = timedelta(days=2)
"""How much longer than a time limit they live: until a run has taken the decision on."""


@dataclass(frozen=True)
class Questions:
    """The questions about one service in a journal: what people need who decide, without the service."""

    journal: Journal
    scope: str


def decision_key(*, owner: str, step: str, question: str, shown: Any = None, run: str = "") -> str:
    """The operation key of a question: all that a decision depends on, and whose it is."""
    seen = content_hash(_text(shown))
    return operation_key("decision", owner=owner, step=step, question=_clean(question), shown=seen, run=run)


async def ask_person(
    ws: Workspace,
    *,
    owner: str,
    step: str,
    question: str,
    shown: Any = None,
    time_limit: timedelta | None = None,
    at_limit: AtLimit | str = AtLimit.FAIL,
    run: str = "",
    keeper: str | None = None,
) -> Decision:
    """Ask a person, and give the decision if there is one.

    The question is asked once, however often this is called; what is asked or shown otherwise is another
    question. Conversations of the owner and its parts (or of the `keeper`) live on while it waits.

    Args:
        ws: where to work.
        owner: what waits, such as a document of a batch.
        step: the step that waits. With owner, run, question and what is shown it is what is decided on.
        question: a sentence for the person.
        shown: what they are to look at: a text, or values that can be written as JSON.
        time_limit: how long it waits; None: for ever.
        at_limit: what counts as decided when that is over: `approve`, `reject`, or `fail`.
        run: in which run it is asked, if another run shall ask again.
        keeper: whose the conversations are that live on, with those of its parts; the owner's if not given.

    Raises:
        WaitingForPersonError: it is not decided yet; nothing is held.
        DecisionExpiredError: nobody decided in time, and `at_limit` says to fail then.
        LeaseLostError: what it is asked for has been taken over by another worker.
        ConfigurationError: the question is empty, or the time limit is no time.
    """
    key = decision_key(owner=owner, step=step, question=question, shown=shown, run=run)
    wanted = _question(key, keeper or owner, step, question, _text(shown), time_limit, at_limit)
    await ws.make_sure()  # nobody is asked for what is no longer this worker's
    lives = KEPT_WITHOUT_LIMIT if time_limit is None else time_limit + KEPT_AFTER_LIMIT
    found = await ws.journal.decisions.ask(ws.scope, wanted, keep=lives.total_seconds())
    if found.state is DecisionState.WAITING:
        crash_point("decision.asked")
        raise _waiting(found)
    if found.taken_at is None:
        await ws.journal.decisions.take(ws.scope, found.key)
        crash_point("decision.taken")
    if found.state is DecisionState.EXPIRED:
        raise DecisionExpiredError(
            f"Nobody decided on {found.question!r} ({found.key[:8]}, step {found.step} of {found.owner}) "
            f"until {moment(found.expires_at)}, and then it fails. Give it more time (a longer time limit "
            "counts from when it was asked), or ask again from that step on (`agent-tasks fork`).",
            key=found.key,
        )
    return Decision(
        key=found.key,
        approved=found.state is DecisionState.APPROVED,
        by=found.decided_by,
        note=found.note or "",
        decided_at=found.decided_at or 0.0,
        seen=found.shown_hash,
    )


async def decide(
    ws: Workspace | Questions, key: str, *, approved: bool, by: str, note: str = "", seen: str | None = None
) -> DecisionRecord:
    """Commit what a person decided; the first decision counts, and is never changed.

    The same decision of the same person again, such as after a crash, is the one that was made.

    Args:
        ws: where it was asked.
        key: the question's id, or how it begins.
        approved: what they decided.
        by: who they are.
        note: what they say about it; the steps that follow can read it.
        seen: the hash of what they were shown, if something else is to be refused.

    Returns:
        The question with its decision.

    Raises:
        UnknownQuestionError: no question has this id, or several begin with it.
        AlreadyDecidedError: somebody else was first, the time limit was, or nobody is asked any more.
        ConfigurationError: it is not said who decides.
    """
    name = named_person(by)
    question = await find_question(ws, key)
    if seen is not None and seen != question.shown_hash:
        raise AlreadyDecidedError(
            f"What {question.key[:8]} shows is not what was decided on. Look at it again.", key=question.key
        )
    said = said_by_person(note)
    crash_point("decision.seen")
    state = DecisionState.APPROVED if approved else DecisionState.REJECTED
    found, counts = await ws.journal.decisions.decide(ws.scope, question.key, state, by=name, note=said)
    crash_point("decision.decided")
    if found is None:
        raise JournalError(f"The question {question.key} is gone from the journal.", key=question.key)
    if counts or (found.state, found.decided_by, found.note) == (state, name, said):
        return found
    raise AlreadyDecidedError(_told(found), key=found.key)


def named_person(by: str) -> str:
    """Who decides, as the journal keeps it. Raises ConfigurationError where it is nobody."""
    name = redacted(one_line(_clean(by)))[:MAX_NAME].strip()
    if not name:
        raise ConfigurationError("It is not said who decides. Give their name.")
    return name


def said_by_person(note: str) -> str | None:
    """What they say about it, as the journal keeps it; None: nothing."""
    return redacted(_clean(note).strip())[:MAX_NOTE] or None


async def find_question(ws: Workspace | Questions, key: str) -> DecisionRecord:
    """The question of this id, or the only one that begins with it.

    Raises:
        UnknownQuestionError: there is none, or there are several.
    """
    start = key.strip().lower()
    found = await ws.journal.decisions.of(ws.scope, key_start=start) if start else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise UnknownQuestionError(
            f"No question to a person has the id {one_line(key)!r}. `agent-tasks approvals list --all` shows "
            "those that there are.",
            key=key,
        )
    some = ", ".join(one.key[:12] for one in found[:5])
    raise UnknownQuestionError(
        f"{len(found)} questions begin with {start!r}: {some}. Give more of it.", key=key
    )


async def list_questions(
    ws: Workspace | Questions, *, states: Collection[DecisionState] = (DecisionState.WAITING,)
) -> list[DecisionRecord]:
    """The questions in these states (none named: all), the oldest first."""
    return await ws.journal.decisions.of(ws.scope, states=states)


async def withdraw_questions(
    ws: Workspace, owner: str, *, keep: Collection[str] = (), parts: bool = False
) -> int:
    """Ask no more what an owner's questions ask that wait; returns how many those were.

    For work that came to its end without them, such as a document that has changed. One that is asked again
    waits again.

    Args:
        ws: where to work.
        owner: for whom they were asked.
        keep: ids of those that still are.
        parts: also those of the owner's parts.
    """
    return await ws.journal.decisions.withdraw(ws.scope, owner, keep=keep, parts=parts)


async def owners_that_wait(ws: Workspace, owner: str) -> set[str]:
    """The owner and those of its parts that wait for a person, or have not resumed with the decision yet.

    What is theirs on the service stays when the rest is released.
    """
    return await ws.journal.decisions.open_owners(ws.scope, owner)


def _question(
    key: str,
    owner: str,
    step: str,
    question: str,
    shown: str,
    time_limit: timedelta | None,
    at_limit: AtLimit | str,
) -> Question:
    if not question.strip():
        raise ConfigurationError(f"The step {step} asks a person nothing. Give it a question.")
    if time_limit is not None and time_limit <= timedelta():
        raise ConfigurationError(
            f"The time limit of step {step} is {time_limit}. Give a time above 0, or none to wait for ever."
        )
    if at_limit not in list(AtLimit):
        raise ConfigurationError(
            f"Step {step}: at_limit={at_limit!r} is unknown. Give one of {', '.join(AtLimit)}."
        )
    return Question(
        key=key,
        owner=owner,
        step=step[:500],
        question=_bounded(redacted(one_line(_clean(question))), MAX_QUESTION),
        shown=_bounded(redacted(shown), MAX_SHOWN),
        shown_hash=content_hash(shown),
        time_limit=None if time_limit is None else time_limit.total_seconds(),
        at_limit=AtLimit(at_limit),
    )


def _text(shown: Any) -> str:
    """What is shown, as a text that every journal holds."""
    if shown is None:
        return ""
    return _clean(shown if isinstance(shown, str) else json.dumps(shown, indent=2, ensure_ascii=False))


def _clean(text: str) -> str:
    """A text without what PostgreSQL's texts do not hold: NUL, and halves of characters."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _bounded(text: str, at_most: int) -> str:
    more = len(text) - at_most
    return text if more <= 0 else f"{text[:at_most]} ... ({more:,} more characters)"


def _waiting(found: DecisionRecord) -> WaitingForPersonError:
    until = f" until {moment(found.expires_at)}" if found.expires_at is not None else ""
    return WaitingForPersonError(
        f"{found.question} A person has to decide{until}: `agent-tasks approvals show {found.key[:8]}`.",
        key=found.key,
        question=found.question,
        step=found.step,
        asked_at=found.asked_at,
        expires_at=found.expires_at,
    )


def _told(found: DecisionRecord) -> str:
    """Why a decision does not count."""
    what = f"{found.question!r} ({found.key[:8]})"
    if found.state is DecisionState.WITHDRAWN:
        return f"{what} is not asked any more: what it was asked for has changed or ended."
    if found.state is DecisionState.EXPIRED:
        return f"{what} had to be decided until {moment(found.expires_at)}; nobody did, and it failed then."
    if found.decided_by is None:
        return (
            f"{what} had to be decided until {moment(found.expires_at)}; nobody did, so it is {found.state} "
            "by its time limit. Your decision is not committed."
        )
    return (
        f"{what} was {found.state} by {found.decided_by} at {moment(found.decided_at)}. Your decision is "
        "not committed."
    )
