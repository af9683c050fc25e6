"""Every error this library raises, as one tree.

AgentTasksError
├─ ConfigurationError                  a setting is missing or wrong; names the setting and the remedy
│  ├─ InsecureEndpointError            a token would travel over plain http to another machine
│  ├─ NotInstalledError                a part that this needs is not installed; names the command
│  └─ CredentialError                  the credential gave no token
├─ TransportError                      no usable answer came back
│  ├─ InvalidAnswerError               an answer came that is not one of the service
│  ├─ StreamBrokenError                a stream of events ended before `done`
│  └─ NotReadyError                    something was not ready within the time that the caller gave
├─ ServiceError                        an answer with status >= 400
│  ├─ BadRequestError                  400, 422
│  │  └─ ConversationBusyError         a turn is active in the conversation, so no other can start
│  ├─ AuthenticationError              401
│  ├─ PermissionDeniedError            403
│  ├─ NotFoundError                    404
│  ├─ ConflictError                    409
│  ├─ PayloadTooLargeError             413
│  ├─ RateLimitedError                 429
│  └─ ServerError                      5xx
├─ RunFailedError                      a run ended without the answer that was asked for
│  ├─ RunThrottledError                the model's quota was used up; carries the wait
│  ├─ RunServerError                   the service failed while it worked on the run
│  ├─ RunExpiredError                  the run reached its expiry, or the deadline of the caller
│  ├─ RunCancelledError                somebody cancelled the run
│  ├─ RunIncompleteError               the answer was cut off (token limit, content filter)
│  │  └─ RunContentFilteredError       the content filter cut it off, or refused it
│  └─ EmptyAnswerError                 the run completed without an answer
├─ AnswerFormatError                   the answer is not the JSON that was asked for
├─ ToolError                           a function tool gave no result
│  ├─ UnknownToolError                 the agent called a tool that is not there
│  ├─ ToolArgumentsError               the arguments do not fit the tool's schema
│  ├─ ToolTimeoutError                 the tool took longer than it may
│  ├─ ToolOutputError                  the result is too long, or cannot be written as JSON
│  ├─ ToolOutcomeUnknownError          the tool was cut off in the middle; it may have had its effect
│  └─ ApprovalNeededError              the turn waits for an approval that no tool decides on
├─ QueueError                          a storage queue did not do what it was asked
│  ├─ QueueNotFoundError               there is no such queue
│  ├─ QueuePermissionError             the identity, key or signature does not allow it
│  ├─ QueueMessageTooLargeError        a message exceeds what a queue takes
│  ├─ QueueAnswerError                 an answer cannot be read, or its value is not where it says
│  ├─ QueueAnswerTimeoutError          no answer came within the time the caller gave
│  └─ StorageUnreachableError          the storage account does not answer
├─ JournalError                        the durable memory refused
│  ├─ JournalUnreadableError           it cannot be read: never taken as "safe to repeat"
│  ├─ JournalVersionError              it was written by an incompatible version
│  └─ LeaseLostError                   another worker has taken over what this one was doing
├─ DocumentError                       a document cannot be worked on
│  ├─ UnsupportedDocumentError         its format is not supported
│  ├─ UnreadableDocumentError          it is damaged, encrypted or not what its name says
│  ├─ EmptyDocumentError               there is no text in it
│  └─ DocumentTooLongError             it exceeds a limit
├─ PipelineError                       a pipeline file is invalid; carries path, line, field and remedy
├─ FunctionsHostError                  the Function App cannot be run on this machine
└─ EmbeddedServiceError                a local server did not start or died; names its log file

Each carries `retryable` (whether the same call may succeed later, unchanged) and `retry_after` (seconds to
wait before that, where it is known). All survive pickling, since Prefect pickles the errors of tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from agent_tasks.redaction import redacted

__all__ = [
    "AgentTasksError",
    "AnswerFormatError",
    "ApprovalNeededError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConversationBusyError",
    "CredentialError",
    "DocumentError",
    "DocumentTooLongError",
    "EmbeddedServiceError",
    "EmptyAnswerError",
    "EmptyDocumentError",
    "FunctionsHostError",
    "InsecureEndpointError",
    "InvalidAnswerError",
    "JournalError",
    "JournalUnreadableError",
    "JournalVersionError",
    "LeaseLostError",
    "NotFoundError",
    "NotInstalledError",
    "NotReadyError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PipelineError",
    "QueueAnswerError",
    "QueueAnswerTimeoutError",
    "QueueError",
    "QueueMessageTooLargeError",
    "QueueNotFoundError",
    "QueuePermissionError",
    "RateLimitedError",
    "RunCancelledError",
    "RunContentFilteredError",
    "RunExpiredError",
    "RunFailedError",
    "RunIncompleteError",
    "RunServerError",
    "RunThrottledError",
    "ServerError",
    "ServiceError",
    "StorageUnreachableError",
    "StreamBrokenError",
    "ToolArgumentsError",
    "ToolError",
    "ToolOutcomeUnknownError",
    "ToolOutputError",
    "ToolTimeoutError",
    "TransportError",
    "UnknownToolError",
    "UnreadableDocumentError",
    "UnsupportedDocumentError",
]


def _rebuild(cls: type[AgentTasksError], args: tuple[Any, ...], state: dict[str, Any]) -> AgentTasksError:
    """Makes an error again from its pickled parts, past `__init__` with its keyword-only arguments."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class AgentTasksError(Exception):
    """Base of every error of this library.

    `message` says what failed and what to do; secrets in it are left out. `retryable` overrides what the
    class says.
    """

    default_retryable: ClassVar[bool] = False

    retryable: bool
    """Whether the same call may succeed later without any change."""
    retry_after: float | None
    """Seconds to wait before that, where the other side said so."""

    def __init__(
        self, message: str, *, retryable: bool | None = None, retry_after: float | None = None
    ) -> None:
        message = redacted(message)
        super().__init__(message)
        self.message = message
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


# --- configuration ---------------------------------------------------------------------------------------


class ConfigurationError(AgentTasksError):
    """A setting is missing or wrong. `setting` is its name, as the person would write it."""

    def __init__(self, message: str, *, setting: str | None = None) -> None:
        super().__init__(message)
        self.setting = setting


class InsecureEndpointError(ConfigurationError):
    """A bearer token would travel over plain http to an address that is not loopback."""


class NotInstalledError(ConfigurationError):
    """A part that this needs is not installed; the message has the command that installs it."""


class CredentialError(ConfigurationError):
    """The credential gave no token: nobody is signed in, or the identity may not have one."""


# --- transport -------------------------------------------------------------------------------------------


class TransportError(AgentTasksError):
    """No usable answer came back: the connection failed, or a timeout passed.

    `outcome_unknown` is true when the request may have had its effect: look the effect up before you
    repeat it.
    """

    default_retryable = True

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        path: str | None = None,
        outcome_unknown: bool = False,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retryable=retryable, retry_after=retry_after)
        self.method = method
        self.path = path
        self.outcome_unknown = outcome_unknown


class InvalidAnswerError(TransportError):
    """An answer came that is not one of the service: no JSON, another shape, a redirect elsewhere."""


class StreamBrokenError(TransportError):
    """A stream of events ended before `done`. The run goes on without its listener.

    `thread_id` and `run_id` are the last ones seen in the stream, if any: follow the run by reading it.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        path: str | None = None,
        outcome_unknown: bool = True,
        thread_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        super().__init__(message, method=method, path=path, outcome_unknown=outcome_unknown)
        self.thread_id = thread_id
        self.run_id = run_id


class NotReadyError(TransportError):
    """A file, a vector store or a batch was still being worked on at the caller's deadline; it goes on."""


# --- answers of the service ------------------------------------------------------------------------------


class ServiceError(AgentTasksError):
    """An answer with status >= 400, in the service's shape or in its gateway's.

    `message`, `code`, `type` and `param` are the service's own words, each of which may be missing.
    """

    def __init__(
        self,
        message: str | None,
        *,
        status: int,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        method: str | None = None,
        path: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        what = f"{method} {path}" if method and path else "the service"
        text = f"{what} answered {status}"
        if code or type:
            text += f" {code or type}"
        text += f": {message}" if message else " without a message"
        if param:
            text += f" (parameter {param})"
        if request_id:
            text += f" [request id {request_id}]"
        super().__init__(text, retryable=retryable, retry_after=retry_after)
        self.message = redacted(message or "")
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.request_id = request_id
        self.method = method
        self.path = path


class BadRequestError(ServiceError):
    """400 or 422: the request is not valid as it stands."""


class ConversationBusyError(BadRequestError):
    """400: a turn is active in the conversation: no other can start there, and no message be added."""

    default_retryable = True


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

    default_retryable = True


class ServerError(ServiceError):
    """5xx: the service failed.

    `outcome_unknown` is true when the request may have had its effect: look the effect up before you
    repeat it.
    """

    default_retryable = True

    def __init__(
        self,
        message: str | None,
        *,
        status: int,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        method: str | None = None,
        path: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(
            message,
            status=status,
            code=code,
            type=type,
            param=param,
            request_id=request_id,
            method=method,
            path=path,
            retryable=retryable,
            retry_after=retry_after,
        )
        self.outcome_unknown = outcome_unknown


# --- runs ------------------------------------------------------------------------------------------------


class RunFailedError(AgentTasksError):
    """A run ended without the answer that was asked for. `code` is the service's (`last_error.code`)."""

    def __init__(
        self,
        message: str,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        code: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retryable=retryable, retry_after=retry_after)
        self.run_id = run_id
        self.thread_id = thread_id
        self.code = code


class RunThrottledError(RunFailedError):
    """The model's quota was used up; `retry_after` is the wait (seconds) read from the run's error text."""

    default_retryable = True


class RunServerError(RunFailedError):
    """The service failed while it worked on the run; a new run may succeed."""

    default_retryable = True


class RunExpiredError(RunFailedError):
    """The run reached its own expiry or the caller's deadline before it ended."""

    default_retryable = True


class RunCancelledError(RunFailedError):
    """Somebody cancelled the run."""


class RunIncompleteError(RunFailedError):
    """The answer was cut off. `reason` is the service's: `max_completion_tokens`, `content_filter`, ..."""

    def __init__(
        self,
        message: str,
        *,
        run_id: str | None = None,
        thread_id: str | None = None,
        code: str | None = None,
        reason: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            run_id=run_id,
            thread_id=thread_id,
            code=code,
            retryable=retryable,
            retry_after=retry_after,
        )
        self.reason = reason


class RunContentFilteredError(RunIncompleteError):
    """The content filter of the model cut the answer off, or refused the prompt."""


class EmptyAnswerError(RunFailedError):
    """The run completed without a new message of the agent, or with one without content."""

    default_retryable = True


class AnswerFormatError(AgentTasksError):
    """The answer is not the JSON that was asked for. `problems` lists what is wrong, and where."""

    default_retryable = True

    def __init__(self, message: str, *, model: str, problems: list[str]) -> None:
        super().__init__(message)
        self.model = model
        self.problems = problems


# --- tools -----------------------------------------------------------------------------------------------


class ToolError(AgentTasksError):
    """A function tool gave no result. `tool` is its name, `call_id` the call of the agent."""

    def __init__(
        self,
        message: str,
        *,
        tool: str | None = None,
        call_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, retryable=retryable)
        self.tool = tool
        self.call_id = call_id


class UnknownToolError(ToolError):
    """The agent called a tool that is not there."""


class ToolArgumentsError(ToolError):
    """The arguments are not JSON or do not fit the tool's schema."""


class ToolTimeoutError(ToolError):
    """The tool took longer than its time limit."""

    default_retryable = True


class ToolOutputError(ToolError):
    """The tool's result is longer than it may be, or cannot be written as JSON."""


class ToolOutcomeUnknownError(ToolError):
    """A call that is not idempotent was cut off in the middle: it may have had its effect."""


class ApprovalNeededError(ToolError):
    """A call of an MCP server waits for approval, and no tool of the turn decides on it.

    The turn goes on waiting: call again with an `McpTool` of that server that has `approve`.
    """


# --- queues ----------------------------------------------------------------------------------------------


class QueueError(AgentTasksError):
    """A storage queue did not do what it was asked. `queue` is its name, `code` the storage service's word.

    `correlation_id` is that of the call at hand, where there is one.
    """

    def __init__(
        self,
        message: str,
        *,
        queue: str | None = None,
        correlation_id: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.queue = queue
        self.correlation_id = correlation_id
        self.code = code


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

    default_retryable = True


class StorageUnreachableError(QueueError):
    """The storage account does not answer, or not as it should; it may later."""

    default_retryable = True


# --- journal ---------------------------------------------------------------------------------------------


class JournalError(AgentTasksError):
    """The durable memory refused. `key` is the operation key at hand, if there is one."""

    def __init__(self, message: str, *, key: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message, retryable=retryable)
        self.key = key


class JournalUnreadableError(JournalError):
    """The journal cannot be read. That never means that an effect is safe to repeat."""


class JournalVersionError(JournalError):
    """The journal was written by a version of this library that this one cannot read."""


class LeaseLostError(JournalError):
    """Another worker has taken over what this one was doing; leave it alone."""


# --- documents, pipelines, local servers -----------------------------------------------------------------


class DocumentError(AgentTasksError):
    """A document cannot be worked on. `document` is its name."""

    def __init__(self, message: str, *, document: str | None = None) -> None:
        super().__init__(message)
        self.document = document


class UnsupportedDocumentError(DocumentError):
    """The format of the document is not supported."""


class UnreadableDocumentError(DocumentError):
    """The document is damaged, encrypted or not what its name says."""


class EmptyDocumentError(DocumentError):
    """There is no text in the document."""


class DocumentTooLongError(DocumentError):
    """The document exceeds a limit on its size."""


class PipelineError(AgentTasksError):
    """A pipeline file is invalid.

    The text reads `PATH:LINE: FIELD: what is wrong. Remedy.`

    `problems` are all that were found, by line; the text has a line for each.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
        problems: Sequence[PipelineError] = (),
    ) -> None:
        where = ":".join(str(part) for part in (path, line) if part is not None)
        text = ": ".join(part for part in (where, field, message) if part)
        super().__init__(f"{text} {remedy}" if remedy else text)
        self.message = redacted(message)
        self.path = path
        self.line = line
        self.field = field
        self.remedy = remedy
        self.problems = tuple(problems)


class FunctionsHostError(AgentTasksError):
    """The Function App cannot be run on this machine; the message has its traceback."""


class EmbeddedServiceError(AgentTasksError):
    """A local server did not start, or died. `log_file` is where it wrote why."""

    def __init__(self, message: str, *, log_file: str | None = None) -> None:
        super().__init__(f"{message} (see its log: {log_file})" if log_file else message)
        self.message = redacted(message)
        self.log_file = log_file
