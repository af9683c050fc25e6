"""Storage queues that did not do what they were asked."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class QueueError(AgentTasksError):
    """A storage queue did not do what it was asked."""

    queue: str | None = None
    """The queue's name."""
    correlation_id: str | None = None
    """Of the call at hand, where there is one."""
    code: str | None = None
    """The storage service's word."""


class QueueNotFoundError(QueueError):
    """There is no such queue. Create it: neither the service nor the Functions host does."""


class QueuePermissionError(QueueError):
    """The identity, key or signature does not allow it (role: Storage Queue Data Contributor)."""


class QueueMessageTooLargeError(QueueError):
    """A message exceeds what a queue takes: 64 KiB, of which base64 leaves 48."""


class QueueAnswerError(QueueError):
    """An answer cannot be read, or its value is not where it says."""


class QueueAnswerTimeoutError(QueueError):
    """No answer came within the time the caller gave. The function may still be at work."""

    retryable: bool = True


class StorageUnreachableError(QueueError):
    """The storage account does not answer, or not as it should; it may later."""

    retryable: bool = True
