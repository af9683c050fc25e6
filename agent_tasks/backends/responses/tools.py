"""Tools in the flat shapes of the Responses wire: ids stand in the tools, there are no resources beside them.

Shapes: docs/wire.md, "The successor".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_tasks.backends.base import AgentSpec, JsonObject, ServerAccess
from agent_tasks.errors import ConfigurationError

_Make = Callable[[JsonObject, AgentSpec], JsonObject]

_NO_COUNTERPART = {
    "connected_agent": "Let the pipeline hand over between agents (`hand_off`), or ask the other agent in a "
    "step of its own.",
    "deep_research": "Use an agent with Bing grounding, or stay on the classic service.",
}

_RENAMED = {
    "bing_custom_search": "bing_custom_search_preview",
    "sharepoint_grounding": "sharepoint_grounding_preview",
    "fabric_dataagent": "fabric_dataagent_preview",
    "browser_automation": "browser_automation_preview",
}
"""Types that the successor has under another name, with their parameters under it as well."""

_CONNECTIONS = {"connection_id": "project_connection_id", "index_connection_id": "project_connection_id"}


def flat_tools(
    spec: AgentSpec, servers: Sequence[ServerAccess] = (), *, with_headers: bool = False
) -> list[JsonObject]:
    """The tools of an agent as the Responses wire has them.

    Args:
        spec: the agent.
        servers: what the turn says of its MCP servers; where it says nothing, the agent's `approvals` hold.
        with_headers: whether headers of MCP servers may stand in the tools: in a request, never in an agent.

    Raises:
        ConfigurationError: a tool has no counterpart there.
    """
    if spec.connected:
        raise _no_counterpart(spec, "connected_agent")
    access = {server.label: server for server in servers}
    made = []
    for tool in spec.tools:
        kind = str(tool.get("type"))
        if kind in _NO_COUNTERPART:
            raise _no_counterpart(spec, kind)
        if kind == "mcp":
            made.append(_mcp(tool, spec, access, with_headers))
        else:
            made.append(_MAKERS.get(kind, _other)(tool, spec))
    return made


def _no_counterpart(spec: AgentSpec, kind: str) -> ConfigurationError:
    return ConfigurationError(
        f"The agent {spec.name} has a {kind} tool, which this service does not have. {_NO_COUNTERPART[kind]}",
        setting="tools",
    )


def _function(tool: JsonObject, _spec: AgentSpec) -> JsonObject:
    # Without the word the service would hold the schema to what strict mode allows.
    return {"type": "function", "strict": False, **tool["function"]}


def _file_search(tool: JsonObject, spec: AgentSpec) -> JsonObject:
    own = spec.tool_resources.get("file_search", {})
    if own.get("vector_stores"):
        raise ConfigurationError(
            f"The agent {spec.name} searches in data sources, from which this service builds no store. "
            "Upload the files and name their store.",
            setting="data_sources",
        )
    stores = [*own.get("vector_store_ids", []), *(store.id for store in spec.stores)]
    return {"type": "file_search", "vector_store_ids": stores, **tool.get("file_search", {})}


def _code_interpreter(_tool: JsonObject, spec: AgentSpec) -> JsonObject:
    own = spec.tool_resources.get("code_interpreter", {})
    files = [*own.get("file_ids", []), *(file.id for file in spec.files)]
    return {"type": "code_interpreter", "container": {"type": "auto", "file_ids": files}}


def _ai_search(_tool: JsonObject, spec: AgentSpec) -> JsonObject:
    resource = spec.tool_resources.get("azure_ai_search", {})
    return {"type": "azure_ai_search", "azure_ai_search": _connected(resource)}


def _browser(tool: JsonObject, _spec: AgentSpec) -> JsonObject:
    connection: str = tool["browser_automation"]["connection"]["id"]
    name = _RENAMED["browser_automation"]
    return {"type": name, name: {"connection": {"project_connection_id": connection}}}


def _connections(tool: JsonObject, _spec: AgentSpec) -> JsonObject:
    kind = str(tool["type"])
    name = _RENAMED.get(kind, kind)
    body = _connected(tool[kind])
    if "connections" in body:
        body["project_connections"] = body.pop("connections")
    return {"type": name, name: body}


def _computer(tool: JsonObject, _spec: AgentSpec) -> JsonObject:
    return {"type": "computer_use_preview", **tool["computer_use_preview"]}


def _other(tool: JsonObject, _spec: AgentSpec) -> JsonObject:
    """One whose shape is the same, or that this version does not know."""
    return dict(tool)


def _connected(value: Any) -> Any:
    """The same with connections of the project under their name of today."""
    if isinstance(value, Mapping):
        return {_CONNECTIONS.get(str(key), str(key)): _connected(inner) for key, inner in value.items()}
    return [_connected(inner) for inner in value] if isinstance(value, list) else value


def _mcp(
    tool: JsonObject, spec: AgentSpec, access: Mapping[str, ServerAccess], with_headers: bool
) -> JsonObject:
    label = tool["server_label"]
    server = access.get(label)
    needed = server.require_approval if server is not None else None
    needed = needed if needed is not None else spec.approvals.get(label, "always")
    made = {**tool, "require_approval": needed}
    if server is not None and server.headers and with_headers:
        made["headers"] = dict(server.headers)
    return made


_MAKERS: dict[str, _Make] = {
    "function": _function,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "azure_ai_search": _ai_search,
    "browser_automation": _browser,
    "bing_grounding": _connections,
    "bing_custom_search": _connections,
    "sharepoint_grounding": _connections,
    "fabric_dataagent": _connections,
    "computer_use_preview": _computer,
}
