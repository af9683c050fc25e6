"""Answers of the service with a status of 400 or more."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class ServiceError(AgentTasksError):
    """An answer with status >= 400, in the service's shape or in its gateway's.

    `message` is the service's own, and may be empty.
    """

    status: int
    """The HTTP status."""
    code: str | None = None
    """The service's own word for what happened."""
    type: str | None = None
    """The service's own word for its kind."""
    param: str | None = None
    """Which parameter is wrong."""
    request_id: str | None = None
    """What support asks for."""
    method: str | None = None
    """Of the request."""
    path: str | None = None
    """Of the request, below the project's address."""

    def text(self) -> str:
        """One sentence: request, status, the service's words."""
        what = f"{self.method} {self.path}" if self.method and self.path else "the service"
        text = f"{what} answered {self.status}"
        if self.code or self.type:
            text += f" {self.code or self.type}"
        text += f": {self.message}" if self.message else " without a message"
        if self.param:
            text += f" (parameter {self.param})"
        if self.request_id:
            text += f" [request id {self.request_id}]"
        return text


class BadRequestError(ServiceError):
    """400 or 422: the request is not valid as it stands."""


class ConversationBusyError(BadRequestError):
    """400: a turn is active in the conversation: no other can start there, and no message be added."""

    retryable: bool = True


class AuthenticationError(ServiceError):
    """401: the token is missing, expired or for another audience. Sign in again."""


class PermissionDeniedError(ServiceError):
    """403: the identity lacks a role on the project (Azure AI User is the usual one)."""


class NotFoundError(ServiceError):
    """404: there is no such thing, or no longer."""


class ConflictError(ServiceError):
    """409: the state of the resource does not allow it now."""


class PayloadTooLargeError(ServiceError):
    """413: the request exceeds the service's size limit."""


class RateLimitedError(ServiceError):
    """429: too many requests; nothing was done."""

    retryable: bool = True


class ServerError(ServiceError):
    """5xx: the service failed."""

    retryable: bool = True

    outcome_unknown: bool = False
    """Whether the request may have had its effect: look the effect up before you repeat it."""


class GatewayTimeoutError(ServerError):
    """408 to a request that creates something: the gateway gave up waiting, and the work may go on."""
