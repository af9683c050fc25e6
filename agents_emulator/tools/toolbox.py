"""The tools of one run, put together: which function of the model belongs to which tool."""

from __future__ import annotations

from collections.abc import Sequence

from agents_emulator.models.base import ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.agent_to_agent import AgentToAgent, AgentToAgentPreview
from agents_emulator.tools.azure_function import AzureFunction
from agents_emulator.tools.base import Tool, ToolServices, ToolSetupError
from agents_emulator.tools.browser import BrowserAutomation
from agents_emulator.tools.code_interpreter import CodeInterpreter
from agents_emulator.tools.computer_use import ComputerUse
from agents_emulator.tools.connected_agent import ConnectedAgent
from agents_emulator.tools.mcp import McpServer
from agents_emulator.tools.openapi import OpenApi
from agents_emulator.tools.research import DeepResearch
from agents_emulator.tools.search import (
    AzureAISearch,
    BingCustomSearch,
    BingGrounding,
    Fabric,
    Sharepoint,
    WebSearch,
)

TOOLS: dict[str, type[Tool]] = {
    tool.type: tool
    for tool in (
        *(CodeInterpreter, OpenApi, ConnectedAgent, AzureFunction, McpServer, ComputerUse, BrowserAutomation),
        *(AzureAISearch, BingGrounding, BingCustomSearch, Sharepoint, Fabric, DeepResearch, WebSearch),
        *(AgentToAgent, AgentToAgentPreview),
    )
}
"""Tools that the service executes, or (computer use) asks for in their own way."""

SERVED_ELSEWHERE = ("function", "file_search")
"""Tools that the engine itself takes care of."""


_DETAILED = (OpenApi.type, ConnectedAgent.type)


class Toolbox:
    """The tools of a run.

    Raises `ToolSetupError` (`unsupported_tool`) for a tool that the local service does not have.
    """

    def __init__(self, run: Record, services: ToolServices) -> None:
        self._tools: list[Tool | None] = []
        self._functions = [tool["function"] for tool in run["tools"] if tool["type"] == "function"]
        self._owners: dict[str, int] = {}
        self._specs: list[ToolSpec] = []
        for definition in run["tools"]:
            kind = definition["type"]
            if kind not in TOOLS and kind not in SERVED_ELSEWHERE:
                raise ToolSetupError(
                    "unsupported_tool",
                    f"The local service does not execute the tool '{kind}'; it serves "
                    f"{', '.join((*SERVED_ELSEWHERE, *TOOLS))}. "
                    "Remove it from the agent or use an Azure endpoint.",
                )
            self._tools.append(_tool(definition, run, services) if kind in TOOLS else None)

    async def prepare(self, steps: Sequence[Record]) -> list[Record]:
        """Get every tool ready; returns activities to show. Afterwards `specs` is complete."""
        activities: list[Record] = []
        for tool in self._tools:
            if tool is not None:
                activities += await tool.prepare(steps)
        self._specs = [_function_spec(function) for function in self._functions]
        taken = {spec.name for spec in self._specs}
        self._owners = {}
        for index, tool in enumerate(self._tools):
            for spec in tool.specs() if tool is not None else ():
                if spec.name in taken:
                    raise ToolSetupError("invalid_tools", f"Two tools of the agent are called '{spec.name}'.")
                taken.add(spec.name)
                self._specs.append(spec)
                self._owners[spec.name] = index
        return activities

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """All functions that the model may call."""
        return tuple(self._specs)

    def names_of(self, kind: str) -> list[str]:
        """Return the functions of all tools of a type."""
        return [name for name, index in self._owners.items() if self.at(index).type == kind]

    def owner(self, name: str) -> int | None:
        """Return the place of the tool that a function belongs to; None for functions of the client."""
        return self._owners.get(name)

    def at(self, index: int) -> Tool:
        """Return the tool at a place of the run's list."""
        tool = self._tools[index]
        assert tool is not None  # noqa: S101 - places come from `owner`
        return tool


def _tool(definition: Record, run: Record, services: ToolServices) -> Tool:
    """Make a tool; a definition that a service without validation let in may lack anything."""
    kind = definition["type"]
    if kind in _DETAILED and not isinstance((definition.get(kind) or {}).get("name"), str):
        raise ToolSetupError("invalid_tools", f"The tool '{kind}' has no '{kind}.name'.")
    if kind == McpServer.type and not isinstance(definition.get("server_label"), str):
        raise ToolSetupError("invalid_tools", "The tool 'mcp' has no 'server_label'.")
    return TOOLS[kind](definition, run, services)


def _function_spec(function: Record) -> ToolSpec:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(function["name"], function.get("description") or "", parameters)
