"""When a failure is one document's, and when it is everybody's."""

from __future__ import annotations

import errno
from typing import NoReturn

from agent_tasks.errors import (
    AgentTasksError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DocumentError,
    EmbeddedServiceError,
    EmptyAnswerError,
    JournalError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RunCancelledError,
    RunFailedError,
    RunIncompleteError,
    ServiceError,
    ToolError,
    TransportError,
)

_ALWAYS_STOP = (
    ConfigurationError,
    AuthenticationError,
    PermissionDeniedError,
    JournalError,
    EmbeddedServiceError,
)
_ITS_OWN = (
    DocumentError,
    ToolError,
    RunIncompleteError,
    RunCancelledError,
    EmptyAnswerError,
    BadRequestError,
    PayloadTooLargeError,
)
"""What a document brings upon itself: by what it is, says, or has an agent do."""
_MACHINE_FAILURES = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO)
)
_DEPLOYMENT_CODES = frozenset(
    {"invalid_engine_error", "DeploymentNotFound", "deployment_not_found", "model_not_found", "unknown_model"}
)
"""Codes of runs and answers that say that the model deployment is missing (recorded and documented ones)."""


class BatchStoppedError(AgentTasksError):
    """The batch was stopped: more documents would have failed in the same way, one after the other."""


class BudgetReachedError(BatchStoppedError):
    """The next turn may cost more than is left of the pipeline's budget."""

    spent: str
    """What is spent, of what, for people."""


class CircuitBreaker:
    """Decides which failures stop a batch, and remembers the decision.

    Args:
        limit: Failures of one kind in a row, without a success between them, that stop it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kind: str | None = None
        self._count = 0
        self.reason: AgentTasksError | None = None
        """What stopped the batch."""

    def check(self) -> None:
        """Raise what stopped the batch, if it is stopped."""
        if self.reason is not None:
            raise self.reason

    def succeeded(self) -> None:
        """A turn went well: failures before it were not everybody's."""
        self._kind, self._count = None, 0

    def failed(self, error: Exception) -> None:
        """Note a failure.

        Raises:
            AgentTasksError: The error itself if it concerns everybody, or `BatchStoppedError` after too many.
        """
        if isinstance(error, (*_ALWAYS_STOP, BatchStoppedError)):
            self.stop(error)
        if _names_missing_deployment(error):
            self.stop(
                ConfigurationError(
                    f"the model deployment cannot be used: {error}. Name an existing one in the pipeline "
                    "file or in MODEL_DEPLOYMENT_NAME.",
                    setting="MODEL_DEPLOYMENT_NAME",
                )
            )
        if not _is_shared(error):
            return
        kind = f"{type(error).__name__} {getattr(error, 'code', '') or ''}".strip()
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        if self._count >= self._limit:
            self.stop(
                BatchStoppedError(
                    f"stopped after {self._count} failures of the same kind in a row ({kind}); the last: "
                    f"{error}. What is done is kept: fix the cause and run the same command again.",
                    retryable=bool(getattr(error, "retryable", False)),
                )
            )

    def go_on(self) -> None:
        """What stopped the batch has passed."""
        self.reason = None
        self.succeeded()

    def stop(self, error: AgentTasksError) -> NoReturn:
        """Stop the batch for this reason; a reason given before stays. Always raises the reason."""
        self.reason = self.reason or error
        raise self.reason


def _names_missing_deployment(error: Exception) -> bool:
    return isinstance(error, RunFailedError | ServiceError) and error.code in _DEPLOYMENT_CODES


def _is_shared(error: Exception) -> bool:
    """Whether a failure may come from something that all documents share."""
    if isinstance(error, _ITS_OWN):
        return False
    if isinstance(error, OSError):
        return error.errno in _MACHINE_FAILURES
    return isinstance(error, TransportError | ServiceError | RunFailedError | MemoryError)
