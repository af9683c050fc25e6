"""What automatic function calls need to know: the functions there are, and the calls of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from agent_tasks.wire import (
    RequiredFunctionToolCall,
    RequiredMcpToolCall,
    RunStatus,
    SubmitToolApprovalAction,
    SubmitToolOutputsAction,
    ThreadRun,
)

DEFAULT_MAX_ROUNDS = 10
"""Times that a run may ask for functions before it is given up."""

MAX_CALLS_AT_ONCE = 16
"""Parallel calls of one round that run at the same time; the others wait."""


class CallableTools(Protocol):
    """The tools of an agent, of which functions run here: `agent_tasks.tools.ToolSet` is one."""

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The `tools` of a run, as on the wire."""
        ...

    @property
    def resources(self) -> dict[str, Any]:
        """The `tool_resources` of a run, as on the wire."""
        ...

    async def call(self, name: str, arguments: str, *, call_id: str = "", turn_id: str = "") -> str:
        """Runs a function with the model's arguments (JSON text); returns its output.

        What it raises is told to the agent.
        """
        ...


@runtime_checkable
class ApprovingTools(Protocol):
    """Tools that also decide which calls of MCP servers are made: `agent_tasks.tools.ToolSet` is one."""

    def decides(self, server_label: str) -> bool:
        """Whether calls of this server are decided here."""
        ...

    async def approval(self, call: RequiredMcpToolCall) -> Mapping[str, Any]:
        """The decision on a call, as on the wire (`ToolApproval`). What it raises refuses the call."""
        ...


@dataclass(slots=True)
class AutoFunctionCalls:
    """The functions that runs of a client call by themselves, unless a call names others."""

    toolset: CallableTools | None = None
    max_rounds: int = DEFAULT_MAX_ROUNDS


def function_calls(run: ThreadRun) -> list[RequiredFunctionToolCall]:
    """The calls that a run waits for, if functions are all that it waits for; else none."""
    action = run.required_action
    if run.status != RunStatus.REQUIRES_ACTION or not isinstance(action, SubmitToolOutputsAction):
        return []
    calls = action.submit_tool_outputs.tool_calls
    functions = [call for call in calls if isinstance(call, RequiredFunctionToolCall)]
    return functions if len(functions) == len(calls) else []


def approval_calls(run: ThreadRun, toolset: object) -> list[RequiredMcpToolCall]:
    """The calls of MCP servers that a run waits for, if the toolset decides them all; else none."""
    action = run.required_action
    if run.status != RunStatus.REQUIRES_ACTION or not isinstance(action, SubmitToolApprovalAction):
        return []
    if not isinstance(toolset, ApprovingTools):
        return []
    calls = action.submit_tool_approval.tool_calls
    named = [call for call in calls if isinstance(call, RequiredMcpToolCall)]
    decided = [call for call in named if toolset.decides(call.server_label or "")]
    return decided if len(decided) == len(calls) else []


def error_output(error: Exception) -> str:
    """A failed call as the agent is told of it."""
    told = {"type": type(error).__name__, "message": str(error)[:1000]}
    return json.dumps({"error": told}, ensure_ascii=False)


def with_toolset(fields: dict[str, Any], toolset: CallableTools | None) -> dict[str, Any]:
    """The fields of an agent or a run, with the tools of a toolset unless the caller names others."""
    if toolset is None:
        return fields
    given: dict[str, Any] = {"tools": toolset.definitions}
    if toolset.resources:
        given["tool_resources"] = toolset.resources
    return {**given, **fields}
