"""Durable multi-agent pipelines on Azure AI agents, as a Prefect integration.

Everything public is importable from here. A name loads its module when it is first used, so that importing
one part does not load the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent_tasks.logs import guard_logs

if TYPE_CHECKING:
    from agent_tasks.client import (
        AgentEventHandler,
        AgentsClient,
        AsyncAgentEventHandler,
        AsyncAgentsClient,
        RetryPolicy,
        StreamEvent,
        Timeouts,
    )
    from agent_tasks.errors import (
        AgentTasksError,
        AnswerFormatError,
        ApprovalNeededError,
        AuthenticationError,
        BadRequestError,
        ConfigurationError,
        ConflictError,
        ConversationBusyError,
        CredentialError,
        DocumentError,
        DocumentTooLongError,
        EmbeddedServiceError,
        EmptyAnswerError,
        EmptyDocumentError,
        FunctionsHostError,
        InsecureEndpointError,
        InvalidAnswerError,
        JournalError,
        JournalUnreadableError,
        JournalVersionError,
        LeaseLostError,
        NotFoundError,
        NotInstalledError,
        NotReadyError,
        PayloadTooLargeError,
        PermissionDeniedError,
        PipelineError,
        QueueAnswerError,
        QueueAnswerTimeoutError,
        QueueError,
        QueueMessageTooLargeError,
        QueueNotFoundError,
        QueuePermissionError,
        RateLimitedError,
        RunCancelledError,
        RunContentFilteredError,
        RunExpiredError,
        RunFailedError,
        RunIncompleteError,
        RunServerError,
        RunThrottledError,
        ServerError,
        ServiceError,
        StorageUnreachableError,
        StreamBrokenError,
        ToolArgumentsError,
        ToolError,
        ToolOutcomeUnknownError,
        ToolOutputError,
        ToolTimeoutError,
        TransportError,
        UnknownToolError,
        UnreadableDocumentError,
        UnsupportedDocumentError,
    )
    from agent_tasks.operations import (
        AgentSpec,
        Citation,
        RemoteAgent,
        RemoteFile,
        RemoteStore,
        TurnResult,
        TurnSpec,
        Usage,
        Workspace,
        build_vector_store,
        delete_conversation,
        delete_resource,
        ensure_agent,
        release_owner,
        run_turn,
        upload_file,
    )
    from agent_tasks.prefect.blocks import AgentsProject
    from agent_tasks.settings import Settings
    from agent_tasks.tools import (
        FunctionTool,
        QueueFunctionTool,
        ToolContext,
        ToolSet,
        WhenUnknown,
        function_tool,
        queue_tools,
    )

    __version__: str

__all__ = [
    "AgentEventHandler",
    "AgentSpec",
    "AgentTasksError",
    "AgentsClient",
    "AgentsProject",
    "AnswerFormatError",
    "ApprovalNeededError",
    "AsyncAgentEventHandler",
    "AsyncAgentsClient",
    "AuthenticationError",
    "BadRequestError",
    "Citation",
    "ConfigurationError",
    "ConflictError",
    "ConversationBusyError",
    "CredentialError",
    "DocumentError",
    "DocumentTooLongError",
    "EmbeddedServiceError",
    "EmptyAnswerError",
    "EmptyDocumentError",
    "FunctionTool",
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
    "QueueFunctionTool",
    "QueueMessageTooLargeError",
    "QueueNotFoundError",
    "QueuePermissionError",
    "RateLimitedError",
    "RemoteAgent",
    "RemoteFile",
    "RemoteStore",
    "RetryPolicy",
    "RunCancelledError",
    "RunContentFilteredError",
    "RunExpiredError",
    "RunFailedError",
    "RunIncompleteError",
    "RunServerError",
    "RunThrottledError",
    "ServerError",
    "ServiceError",
    "Settings",
    "StorageUnreachableError",
    "StreamBrokenError",
    "StreamEvent",
    "Timeouts",
    "ToolArgumentsError",
    "ToolContext",
    "ToolError",
    "ToolOutcomeUnknownError",
    "ToolOutputError",
    "ToolSet",
    "ToolTimeoutError",
    "TransportError",
    "TurnResult",
    "TurnSpec",
    "UnknownToolError",
    "UnreadableDocumentError",
    "UnsupportedDocumentError",
    "Usage",
    "WhenUnknown",
    "Workspace",
    "__version__",
    "build_vector_store",
    "delete_conversation",
    "delete_resource",
    "ensure_agent",
    "function_tool",
    "queue_tools",
    "release_owner",
    "run_turn",
    "upload_file",
]

# Names by their module; every name that is not listed is an error class.
_MODULES: dict[str, str] = {
    name: module
    for module, names in {
        "agent_tasks.prefect.blocks": ("AgentsProject",),
        "agent_tasks.client": (
            "AgentEventHandler",
            "AgentsClient",
            "AsyncAgentEventHandler",
            "AsyncAgentsClient",
            "RetryPolicy",
            "StreamEvent",
            "Timeouts",
        ),
        "agent_tasks.operations": (
            "AgentSpec",
            "Citation",
            "RemoteAgent",
            "RemoteFile",
            "RemoteStore",
            "TurnResult",
            "TurnSpec",
            "Usage",
            "Workspace",
            "build_vector_store",
            "delete_conversation",
            "delete_resource",
            "ensure_agent",
            "release_owner",
            "run_turn",
            "upload_file",
        ),
        "agent_tasks.settings": ("Settings",),
        "agent_tasks.tools": (
            "FunctionTool",
            "QueueFunctionTool",
            "ToolContext",
            "ToolSet",
            "WhenUnknown",
            "function_tool",
            "queue_tools",
        ),
    }.items()
    for name in names
}


guard_logs()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("prefect-azure-agents")
    elif name in __all__:
        value = getattr(import_module(_MODULES.get(name, "agent_tasks.errors")), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
