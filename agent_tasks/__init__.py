"""Durable multi-agent pipelines on Azure AI agents, as a Prefect integration.

Here is what most programs need; the rest is importable from its module (`agent_tasks.tools`, `.errors`,
`.wire`, ...). A name loads its module when it is first used: importing one part does not load the others.
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
        Timeouts,
    )
    from agent_tasks.errors import (
        AgentTasksError,
        ConfigurationError,
        DocumentError,
        JournalError,
        PipelineError,
        RunFailedError,
        ServiceError,
        ToolError,
        TransportError,
    )
    from agent_tasks.operations import (
        AgentSpec,
        TurnResult,
        TurnSpec,
        Workspace,
        build_vector_store,
        ensure_agent,
        release_owner,
        run_turn,
        upload_file,
    )
    from agent_tasks.prefect.blocks import AgentsProject
    from agent_tasks.prefect.sessions import session
    from agent_tasks.settings import Settings
    from agent_tasks.steps import (
        Agent,
        Answer,
        CodeInterpreter,
        FileSearch,
        Session,
        approve,
        each,
        hand_off,
        parallel,
        repeat,
        vote,
    )
    from agent_tasks.tools import FunctionTool, ToolContext, ToolSet, function_tool, queue_tools

    __version__: str

__all__ = [
    "Agent",
    "AgentEventHandler",
    "AgentSpec",
    "AgentTasksError",
    "AgentsClient",
    "AgentsProject",
    "Answer",
    "AsyncAgentEventHandler",
    "AsyncAgentsClient",
    "CodeInterpreter",
    "ConfigurationError",
    "DocumentError",
    "FileSearch",
    "FunctionTool",
    "JournalError",
    "PipelineError",
    "RetryPolicy",
    "RunFailedError",
    "ServiceError",
    "Session",
    "Settings",
    "Timeouts",
    "ToolContext",
    "ToolError",
    "ToolSet",
    "TransportError",
    "TurnResult",
    "TurnSpec",
    "Workspace",
    "__version__",
    "approve",
    "build_vector_store",
    "each",
    "ensure_agent",
    "function_tool",
    "hand_off",
    "parallel",
    "queue_tools",
    "release_owner",
    "repeat",
    "run_turn",
    "session",
    "upload_file",
    "vote",
]

# Names by their module; what is not listed is an error.
_MODULES: dict[str, str] = {
    name: f"agent_tasks.{module}"
    for module, names in {
        "client": (
            *("AgentEventHandler", "AgentsClient", "AsyncAgentEventHandler", "AsyncAgentsClient"),
            *("RetryPolicy", "Timeouts"),
        ),
        "operations": (
            *("AgentSpec", "TurnResult", "TurnSpec", "Workspace", "build_vector_store", "ensure_agent"),
            *("release_owner", "run_turn", "upload_file"),
        ),
        "prefect.blocks": ("AgentsProject",),
        "prefect.sessions": ("session",),
        "settings": ("Settings",),
        "steps": (
            *("Agent", "Answer", "CodeInterpreter", "FileSearch", "Session"),
            *("approve", "each", "hand_off", "parallel", "repeat", "vote"),
        ),
        "tools": ("FunctionTool", "ToolContext", "ToolSet", "function_tool", "queue_tools"),
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
