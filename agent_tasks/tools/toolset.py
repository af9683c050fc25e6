"""All tools of one agent: what the service is told of them, and the calls that are carried out here."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from agent_tasks.backends.base import ServerAccess
from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.base import CallableTool, Tool, ToolContext
from agent_tasks.tools.execution import execute
from agent_tasks.tools.function import FunctionTool
from agent_tasks.tools.mcp import AskPerson, McpTool
from agent_tasks.wire import RequiredMcpToolCall

MAX_TOOLS = 128
"""Tools of an agent (docs/wire.md, "Limits")."""

# The model calls these by a name, which must be the only one of its kind; an MCP server has its label.
_NAMED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "function": lambda body: body["function"]["name"],
    "azure_function": lambda body: body["azure_function"]["function"]["name"],
    "openapi": lambda body: body["openapi"]["name"],
    "connected_agent": lambda body: body["connected_agent"]["name"],
    "mcp": lambda body: f"MCP server {body['server_label']}",
}


class ToolSet:
    """Immutable set of tools, in the order given; hand `definitions` and `resources` to the service.

    Functions and Logic Apps are carried out here (`functions`, `call`), all others by the service.

    Args:
        tools: Tools of this package, or plain functions that `FunctionTool.from_callable` can describe.

    Raises:
        ConfigurationError: Two tools clash (two code interpreters, two functions of one name, two MCP servers
            of one label), there are more than 128, or something is not a tool.
    """

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] = ()) -> None:
        self._tools: tuple[Tool, ...] = tuple(_as_tool(tool) for tool in tools)
        self._definitions = [definition for tool in self._tools for definition in tool.definitions]
        _check(self._definitions)
        functions = {tool.name: tool for tool in self._tools if isinstance(tool, CallableTool)}
        self.functions: Mapping[str, CallableTool] = MappingProxyType(functions)
        """What is carried out here, by name."""
        servers = [tool for tool in self._tools if isinstance(tool, McpTool)]
        self._asking = {tool.server_label: tool for tool in servers if isinstance(tool.approve, AskPerson)}
        self._approving = {
            tool.server_label: tool
            for tool in servers
            if tool.approve is not None and tool.server_label not in self._asking
        }

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"ToolSet({', '.join(_label(definition) for definition in self._definitions)})"

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The `tools` of an agent or a run, as on the wire."""
        return [dict(definition) for definition in self._definitions]

    @property
    def resources(self) -> dict[str, Any]:
        """The `tool_resources` of an agent, a thread or a run, as on the wire.

        May hold secrets (headers of an MCP server): hand it to the client, never to a log.
        """
        merged: dict[str, Any] = {}
        for tool in self._tools:
            for kind, resource in tool.resources.items():
                # Only MCP servers may be several, and they are a list; `_check` refused all other pairs.
                merged[kind] = [*merged.get(kind, []), *resource] if isinstance(resource, list) else resource
        return merged

    async def call(
        self,
        name: str,
        arguments: str,
        *,
        call_id: str = "",
        turn_id: str = "",
        idempotency_key: str | None = None,
    ) -> str:
        """Carry out one call of the model; every failure becomes an output that tells of it.

        Args:
            name: The function that the model called.
            arguments: Its arguments as the model wrote them: a JSON object.
            call_id: Id of the tool call.
            turn_id: Id of the run.
            idempotency_key: For the function's `ToolContext`; by default the ids of run and call.

        Returns:
            The output, or ``{"error": {"type": ..., "message": ...}}``.
        """
        context = ToolContext(call_id, turn_id, idempotency_key or f"{turn_id}:{call_id}")
        return (await execute(self.functions, name, arguments, context)).output

    def decides(self, server_label: str) -> bool:
        """Whether calls of this MCP server are decided here: its tool has an `approve` that is called."""
        return server_label in self._approving

    def asks(self, server_label: str) -> AskPerson | None:
        """How a person is asked about calls of this MCP server; None: nobody is."""
        tool = self._asking.get(server_label)
        return tool.approve if tool is not None and isinstance(tool.approve, AskPerson) else None

    @property
    def servers(self) -> tuple[ServerAccess, ...]:
        """What each turn says of the MCP servers among them; may hold secrets."""
        return tuple(tool.access for tool in self._tools if isinstance(tool, McpTool))

    def headers(self, server_label: str) -> dict[str, str]:
        """The headers for a server that is decided on, here or by a person. Raises KeyError for another."""
        return dict((self._approving | self._asking)[server_label].access.headers)

    async def decide(self, *, call_id: str, server: str, name: str, arguments: str) -> bool:
        """Whether a call of an MCP server is approved, as its tool says. Raises what `approve` raises."""
        asked = RequiredMcpToolCall(id=call_id, name=name, arguments=arguments, server_label=server)
        return bool((await self.approval(asked))["approve"])

    async def approval(self, call: RequiredMcpToolCall) -> dict[str, Any]:
        """The decision of the server's tool on a call, with the tool's headers, as on the wire.

        A blocking `approve` is called in a thread. Raises what it raises; KeyError for another server.
        """
        tool = self._approving[call.server_label or ""]
        approve = tool.approve
        if approve is None or isinstance(approve, AskPerson):
            raise KeyError(tool.server_label)
        if inspect.iscoroutinefunction(approve):
            decision = await approve(call)
        else:
            decision = await asyncio.to_thread(approve, call)
            decision = await decision if inspect.isawaitable(decision) else decision
        return tool.approval(call.id, approve=decision is True)

    def decision(self, server_label: str, call_id: str, *, approve: bool) -> dict[str, Any]:
        """A decision that was made before, with the headers of the server's tool, as on the wire.

        Raises KeyError for a server that is not decided on here.
        """
        return self._approving[server_label].approval(call_id, approve=approve)


def _as_tool(given: Tool | Callable[..., Any]) -> Tool:
    if isinstance(given, type):
        raise ConfigurationError(f"{given.__name__} is a class; make a tool of it: {given.__name__}(...)")
    if isinstance(given, Tool):
        return given
    if callable(given):
        return FunctionTool.from_callable(given)
    raise ConfigurationError(f"{type(given).__name__} is not a tool: it has no definitions and resources")


def _label(definition: Mapping[str, Any]) -> str:
    naming = _NAMED.get(definition["type"])
    return naming(definition) if naming else str(definition["type"])


def _check(definitions: list[dict[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for definition in definitions:
        kind, label = definition["type"], _label(definition)
        if label in seen:
            raise ConfigurationError(
                f"two tools are named {label} ({seen[label]} and {kind}); give one of them another name"
                if kind in _NAMED
                else f"an agent has one {kind} tool at most; put the options of both into one"
            )
        seen[label] = kind
    if len(definitions) > MAX_TOOLS:
        raise ConfigurationError(
            f"an agent has at most {MAX_TOOLS} tools, not {len(definitions)} (a limit of the service)"
        )
