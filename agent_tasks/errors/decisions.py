"""Decisions of people: awaited, missed, made before."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class DecisionError(AgentTasksError):
    """A question to a person has no decision, or not the one that was wanted."""

    key: str | None = None
    """The question's id, as `agent-tasks approvals` knows it."""


class WaitingForPersonError(DecisionError):
    """A step waits for a person: not a failure, and nothing is held meanwhile.

    Call the step again when the question is decided, or its time limit is over: it resumes with the decision.
    """

    question: str = ""
    """What is asked, as people see it."""
    step: str = ""
    """The step that waits."""
    asked_at: float = 0.0
    """Seconds since the epoch."""
    expires_at: float | None = None
    """When its time limit is over (seconds since the epoch); None: never."""
    also: tuple[WaitingForPersonError, ...] = ()
    """Other questions that the same step waits for."""


class DecisionExpiredError(DecisionError):
    """Nobody decided within the time limit, and its policy is to fail."""


class UnknownReviewError(DecisionError):
    """No document that needs a person has this id or name, or several have."""


class DocumentHeldError(DecisionError):
    """Somebody else looks at the document."""

    holder: str = ""
    """Who."""


class DecisionGoneOnError(DecisionError):
    """A decision can't be taken back: a run has begun with it, or the document is another one."""


class CorrectionError(DecisionError):
    """Values of a person that can't be put into the document's row."""

    problems: tuple[str, ...] = ()
    """What is wrong, one sentence each, with the place of the value."""


class AlreadyDecidedError(DecisionError):
    """Somebody else has decided, the time limit has, or nobody is asked any more."""


class UnknownQuestionError(DecisionError):
    """No question has this id, or several begin with it."""
