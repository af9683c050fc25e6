"""MCP tools: a server spoken to over streamable HTTP by the official client library.

The server's tools are listed once a run, as a step of its own (recorded). Each call opens a connection of its
own. Headers given with a run are secrets: they live in memory only, so a run that needs them does not outlive
the service; it fails and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from agent_tasks.bounded import ACCEPT_ENCODING
from agent_tasks.redaction import REDACTED
from agents_emulator.ids import new_id
from agents_emulator.models.base import ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.base import (
    CallContext,
    Tool,
    ToolCallResult,
    ToolError,
    ToolServices,
    ToolSetupError,
    error_output,
    json_arguments,
    shortened,
)

if TYPE_CHECKING:
    from mcp import Client

MAX_TOOLS = 256


def secret_headers(*resources: Any) -> dict[str, dict[str, str]]:
    """Return the headers of MCP servers in tool resources, by server label; later ones win."""
    headers: dict[str, dict[str, str]] = {}
    for resource in resources:
        servers = resource.get("mcp") if isinstance(resource, dict) else None
        for server in servers if isinstance(servers, list) else ():
            if isinstance(server.get("headers"), dict):
                headers[str(server.get("server_label"))] = dict(server["headers"])
    return headers


def without_secrets(resources: Any) -> Any:
    """Return tool resources with the headers of MCP servers redacted, as they come back (recorded)."""
    if not isinstance(resources, dict) or not isinstance(resources.get("mcp"), list):
        return resources
    servers = [
        {**server, "headers": dict.fromkeys(server["headers"], REDACTED)} if server.get("headers") else server
        for server in resources["mcp"]
    ]
    return {**resources, "mcp": servers}


class McpServer(Tool):
    """`mcp`: the tools of one server, under their own names."""

    type = "mcp"
    delta_kind = "mcp"

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        super().__init__(definition, run, services)
        self._label: str = definition["server_label"]
        self._tools: Record = {}
        self._approval: Any = "always"
        self._needs_headers = False
        for resources in (run["agent_tool_resources"], run["tool_resources"]):
            for server in (resources or {}).get("mcp") or []:
                if server.get("server_label") == self._label:
                    self._approval = server.get("require_approval") or "always"
                    self._needs_headers = bool(server.get("headers"))

    @override
    async def prepare(self, steps: Sequence[Record]) -> list[Record]:
        for step in steps:
            for activity in step["step_details"].get("activities", []):
                if activity["server_label"] == self._label:
                    self._tools = activity["tools"]
                    return []
        if self._needs_headers and self._label not in self.services.secrets.get(self.run["id"], {}):
            raise ToolSetupError(
                "tool_user_error",
                f"The headers of the MCP server '{self._label}' were lost when the service was restarted.",
            )
        try:
            self._tools = await self._list_tools()
        except ToolError as error:
            raise ToolSetupError(
                "tool_user_error",
                f"Error retrieving tool list from MCP server: '{self._label}'. {error}",
            ) from error
        activity = {
            "id": new_id("activity"),
            "type": "mcp_list_tools",
            "server_label": self._label,
            "tools": self._tools,
        }
        return [activity]

    async def _list_tools(self) -> Record:
        allowed = self.definition.get("allowed_tools")
        tools: Record = {}
        async with self._client(None) as client:
            cursor: str | None = None
            while len(tools) < MAX_TOOLS:
                page = await client.list_tools(cursor=cursor)
                for tool in page.tools:
                    if not allowed or tool.name in allowed:
                        tools[tool.name] = {
                            "description": tool.description or "",
                            "parameters": tool.input_schema,
                        }
                cursor = page.next_cursor
                if cursor is None:
                    break
        return tools

    @override
    def specs(self) -> list[ToolSpec]:
        return [ToolSpec(name, tool["description"], tool["parameters"]) for name, tool in self._tools.items()]

    @override
    def waits_for(self, name: str) -> str | None:
        if isinstance(self._approval, dict):
            never = (self._approval.get("never") or {}).get("tool_names") or []
            return None if name in never else "approval"
        return None if self._approval == "never" else "approval"

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        return {
            "id": call_id,
            "type": self.type,
            "arguments": arguments,
            "name": name,
            "server_label": self._label,
            "output": "",
        }

    @override
    def deltas(self, body: Record) -> list[Record]:
        return [{key: body[key] for key in ("id", "type", "arguments")}]

    @override
    def required(self, body: Record) -> Record:
        return {key: value for key, value in body.items() if key != "output"}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        arguments = json_arguments(call)
        async with self._client(call.call_id) as client:
            result = await client.call_tool(call.name, arguments)
        output = shortened("\n".join(_content_text(item) for item in result.content))
        if result.is_error:
            output = error_output(output)
        return ToolCallResult(output, {**call.body, "output": output})

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        output = error_output(message)
        return ToolCallResult(output, {**body, "output": output})

    @asynccontextmanager
    async def _client(self, call_id: str | None) -> AsyncIterator[Client]:
        """Connect to the server, with the headers of the call's approval or of the run.

        Raises `ToolError` for whatever goes wrong within.
        """
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        from agents_emulator.tools.mcp_transport import bounded_transport

        url = str(self.definition.get("server_url") or "")
        if not url.startswith(("http://", "https://")):
            raise ToolError(f"The address '{url}' of the MCP server is neither http nor https.")
        vault = self.services.secrets.get(self.run["id"], {})
        headers = vault.get(call_id or "") or vault.get(self._label) or {}
        seconds = self.services.settings.request_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                httpx2.AsyncClient(
                    headers={"accept-encoding": ACCEPT_ENCODING, **headers},
                    timeout=seconds,
                    transport=bounded_transport(self.services.settings.response_bytes),
                    trust_env=False,
                ) as http,
                Client(streamable_http_client(url, http_client=http), read_timeout_seconds=seconds) as client,
            ):
                yield client
        except (ToolError, asyncio.CancelledError):
            raise
        except TimeoutError as error:
            raise ToolError(f"The MCP server gave no answer in {seconds:g} s.") from error
        except Exception as error:
            raise ToolError(f"The MCP server failed: {_innermost(error)}") from error


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _content_text(item: Any) -> str:
    """Return a part of an MCP result as text; pictures and sounds are named, not passed on."""
    if item.type == "text":
        return str(item.text)
    if item.type == "resource" and getattr(item.resource, "text", None) is not None:
        return str(item.resource.text)
    if item.type == "resource_link":
        return f"{item.name}: {item.uri}"
    return f"[{item.type} of type {getattr(item, 'mime_type', 'unknown')}]"
