"""Requests without a usable answer."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class TransportError(AgentTasksError):
    """No usable answer came back: the connection failed, or a timeout passed."""

    retryable: bool = True

    method: str | None = None
    """Of the request."""
    path: str | None = None
    """Of the request, below the project's address."""
    outcome_unknown: bool = False
    """Whether the request may have had its effect: look the effect up before you repeat it."""


class InvalidAnswerError(TransportError):
    """An answer came that is not one of the service: no JSON, another shape, a redirect elsewhere."""


class StreamBrokenError(TransportError):
    """A stream of events ended before `done`. The run goes on without its listener."""

    outcome_unknown: bool = True
    """A run may have been made."""
    thread_id: str | None = None
    """The last one seen in the stream."""
    run_id: str | None = None
    """The last one seen in the stream: follow the run by reading it."""


class NotReadyError(TransportError):
    """A file, a vector store or a batch was still being worked on at the caller's deadline; it goes on."""
