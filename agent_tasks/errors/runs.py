"""Runs that gave no answer, and answers of another shape."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class RunFailedError(AgentTasksError):
    """A run ended without the answer that was asked for."""

    run_id: str | None = None
    """The run."""
    thread_id: str | None = None
    """Its thread."""
    code: str | None = None
    """The service's (`last_error.code`)."""


class RunThrottledError(RunFailedError):
    """The model's quota was used up; `retry_after` is the wait (seconds) read from the run's error text."""

    retryable: bool = True


class RunServerError(RunFailedError):
    """The service failed while it worked on the run; a new run may succeed."""

    retryable: bool = True


class RunExpiredError(RunFailedError):
    """The run reached its own expiry or the caller's deadline before it ended."""

    retryable: bool = True


class RunCancelledError(RunFailedError):
    """Somebody cancelled the run."""


class RunIncompleteError(RunFailedError):
    """The answer was cut off."""

    reason: str | None = None
    """The service's: `max_completion_tokens`, `content_filter`, ..."""


class RunContentFilteredError(RunIncompleteError):
    """The content filter of the model cut the answer off, or refused the prompt."""


class EmptyAnswerError(RunFailedError):
    """The run completed without a new message of the agent, or with one without content."""

    retryable: bool = True


class AnswerFormatError(AgentTasksError):
    """The answer is not the JSON that was asked for."""

    retryable: bool = True

    model: str
    """The pydantic model that the answer was to fit."""
    problems: list[str]
    """What is wrong, and where."""


class AnswerInvalidError(AnswerFormatError):
    """An agent's answer does not fit its type, also after it was shown what is wrong.

    The last answer is in `answer`; it was paid for, so the same question is not asked again in this run.
    """

    retryable: bool = False

    agent: str
    """The agent's name."""
    answer: str
    """Its last answer, as it wrote it."""
