"""Every error this library raises, as one tree.

AgentTasksError
├─ ConfigurationError                  a setting is missing or wrong; names the setting and the remedy
│  ├─ InsecureEndpointError            a token would travel over plain http to another machine
│  ├─ NotInstalledError                a part that this needs is not installed; names the command
│  ├─ NotAwaitedError                  a durable call was taken for its result without `await`
│  ├─ OtherServiceError                something is of another service than the one that is set
│  ├─ PriceUnknownError                a budget in money can't be kept: a model's price is not known
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
│     └─ GatewayTimeoutError           a gateway gave up waiting, the work may go on
├─ RunFailedError                      a run ended without the answer that was asked for
│  ├─ RunThrottledError                the model's quota was used up; carries the wait
│  ├─ RunServerError                   the service failed while it worked on the run
│  ├─ RunExpiredError                  the run reached its expiry, or the deadline of the caller
│  ├─ RunCancelledError                somebody cancelled the run
│  ├─ RunIncompleteError               the answer was cut off (token limit, content filter)
│  │  └─ RunContentFilteredError       the content filter cut it off, or refused it
│  └─ EmptyAnswerError                 the run completed without an answer
├─ AnswerFormatError                   the answer is not the JSON that was asked for
│  └─ AnswerInvalidError               nor after the agent was shown what is wrong
├─ ToolError                           a function tool gave no result
│  ├─ UnknownToolError                 the agent called a tool that is not there
│  ├─ ToolArgumentsError               the arguments do not fit the tool's schema
│  ├─ ToolTimeoutError                 the tool took longer than it may
│  ├─ ToolOutputError                  the result is too long, or cannot be written as JSON
│  ├─ ToolOutcomeUnknownError          the tool was interrupted; it may have had its effect
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
├─ DecisionError                       a question to a person has no decision, or another one
│  ├─ WaitingForPersonError            a step waits for a person: not a failure
│  ├─ DecisionExpiredError             nobody decided within the time limit, which says to fail then
│  ├─ UnknownReviewError               no document that needs a person has this id, or several have
│  ├─ DocumentHeldError                somebody else looks at the document
│  ├─ DecisionGoneOnError              it can't be taken back: a run has begun with it
│  ├─ CorrectionError                  values of a person that do not fit; carries what is wrong
│  ├─ AlreadyDecidedError              somebody else has decided, or nobody is asked any more
│  └─ UnknownQuestionError             no question has this id, or several begin with it
├─ DocumentError                       a document cannot be worked on
│  ├─ UnsupportedDocumentError         its format is not supported
│  ├─ UnreadableDocumentError          it is damaged, encrypted or not what its name says
│  ├─ EmptyDocumentError               there is no text in it
│  └─ DocumentTooLongError             it exceeds a limit
├─ ResultsError                        a file of results cannot be written; carries its path
├─ PipelineError                       a pipeline file is invalid; carries path, line, field and remedy
├─ ExpressionError                     an expression of a pipeline file cannot be worked out
├─ StepStoppedError                    a step has found that a person has to look at the document
├─ FunctionsHostError                  the Function App cannot be run on this machine
└─ EmbeddedServiceError                a local server did not start or died; names its log file

A class declares what it carries as attributes (`agent_tasks.errors.base`). The modules of this package hold
them by kind, and all are importable from here. Each carries `retryable` (whether the same call may succeed
later, unchanged) and `retry_after` (seconds to wait before that, where it is known). All survive pickling,
since Prefect pickles the errors of tasks.
"""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError
from agent_tasks.errors.configuration import (
    ConfigurationError,
    CredentialError,
    InsecureEndpointError,
    NotAwaitedError,
    NotInstalledError,
    OtherServiceError,
    PriceUnknownError,
)
from agent_tasks.errors.decisions import (
    AlreadyDecidedError,
    CorrectionError,
    DecisionError,
    DecisionExpiredError,
    DecisionGoneOnError,
    DocumentHeldError,
    UnknownQuestionError,
    UnknownReviewError,
    WaitingForPersonError,
)
from agent_tasks.errors.documents import (
    DocumentError,
    DocumentTooLongError,
    EmptyDocumentError,
    ExpressionError,
    PipelineError,
    ResultsError,
    StepStoppedError,
    UnreadableDocumentError,
    UnsupportedDocumentError,
)
from agent_tasks.errors.journal import (
    JournalError,
    JournalUnreadableError,
    JournalVersionError,
    LeaseLostError,
)
from agent_tasks.errors.local import EmbeddedServiceError, FunctionsHostError
from agent_tasks.errors.queues import (
    QueueAnswerError,
    QueueAnswerTimeoutError,
    QueueError,
    QueueMessageTooLargeError,
    QueueNotFoundError,
    QueuePermissionError,
    StorageUnreachableError,
)
from agent_tasks.errors.runs import (
    AnswerFormatError,
    AnswerInvalidError,
    EmptyAnswerError,
    RunCancelledError,
    RunContentFilteredError,
    RunExpiredError,
    RunFailedError,
    RunIncompleteError,
    RunServerError,
    RunThrottledError,
)
from agent_tasks.errors.service import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConversationBusyError,
    GatewayTimeoutError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceError,
)
from agent_tasks.errors.tools import (
    ApprovalNeededError,
    ToolArgumentsError,
    ToolError,
    ToolOutcomeUnknownError,
    ToolOutputError,
    ToolTimeoutError,
    UnknownToolError,
)
from agent_tasks.errors.transport import InvalidAnswerError, NotReadyError, StreamBrokenError, TransportError

__all__ = [
    "AgentTasksError",
    "AlreadyDecidedError",
    "AnswerFormatError",
    "AnswerInvalidError",
    "ApprovalNeededError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConversationBusyError",
    "CorrectionError",
    "CredentialError",
    "DecisionError",
    "DecisionExpiredError",
    "DecisionGoneOnError",
    "DocumentError",
    "DocumentHeldError",
    "DocumentTooLongError",
    "EmbeddedServiceError",
    "EmptyAnswerError",
    "EmptyDocumentError",
    "ExpressionError",
    "FunctionsHostError",
    "GatewayTimeoutError",
    "InsecureEndpointError",
    "InvalidAnswerError",
    "JournalError",
    "JournalUnreadableError",
    "JournalVersionError",
    "LeaseLostError",
    "NotAwaitedError",
    "NotFoundError",
    "NotInstalledError",
    "NotReadyError",
    "OtherServiceError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PipelineError",
    "PriceUnknownError",
    "QueueAnswerError",
    "QueueAnswerTimeoutError",
    "QueueError",
    "QueueMessageTooLargeError",
    "QueueNotFoundError",
    "QueuePermissionError",
    "RateLimitedError",
    "ResultsError",
    "RunCancelledError",
    "RunContentFilteredError",
    "RunExpiredError",
    "RunFailedError",
    "RunIncompleteError",
    "RunServerError",
    "RunThrottledError",
    "ServerError",
    "ServiceError",
    "StepStoppedError",
    "StorageUnreachableError",
    "StreamBrokenError",
    "ToolArgumentsError",
    "ToolError",
    "ToolOutcomeUnknownError",
    "ToolOutputError",
    "ToolTimeoutError",
    "TransportError",
    "UnknownQuestionError",
    "UnknownReviewError",
    "UnknownToolError",
    "UnreadableDocumentError",
    "UnsupportedDocumentError",
    "WaitingForPersonError",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # the one name of an error, in traces, logs and pickles
