"""Tools of the successor's wire (flat, ids inside) as the engine has them (nested, ids in tool resources)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_tasks.redaction import REDACTED
from agents_emulator import validation
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.store import Record

_NAMES = {
    "bing_custom_search_preview": "bing_custom_search",
    "browser_automation_preview": "browser_automation",
    "fabric_dataagent_preview": "fabric_dataagent",
    "sharepoint_grounding_preview": "sharepoint_grounding",
    "web_search_preview": "web_search",
}
"""Types that the engine knows by another name."""


@dataclass
class EngineTools:
    """Tools for the engine.

    Attributes:
        tools: definitions, each at the place of the tool that it was made of.
        resources: what they work on.
        headers: secret headers of MCP servers, by label.
        container: of the code interpreter: an id, or `{type: "auto", ...}`; None if there is no interpreter.
    """

    tools: list[Record] = field(default_factory=list)
    resources: Record = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    container: Any = None


def engine_tools(tools: Sequence[Record]) -> EngineTools:
    """Return tools as the engine has them. Raises the service's 400 for one that lacks what it needs."""
    made = EngineTools()
    for index, tool in enumerate(tools):
        kind = tool["type"]
        convert = _CONVERSIONS.get(kind)
        if convert is not None:
            made.tools.append(convert(tool, made, f"tools[{index}]"))
        else:
            made.tools.append(_nested(tool, made))
    made.tools = validation.check_tools(made.tools)
    return made


def _function(tool: Record, made: EngineTools, where: str) -> Record:
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        raise missing_parameter(f"{where}.name")
    keys = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {key: tool[key] for key in keys if tool.get(key) is not None}}


def _file_search(tool: Record, made: EngineTools, where: str) -> Record:
    store_ids = tool.get("vector_store_ids")
    if not isinstance(store_ids, list) or not store_ids:
        raise missing_parameter(f"{where}.vector_store_ids")
    if tool.get("filters"):
        raise bad_request(
            "The local service does not filter file search by attributes. Leave 'filters' out.",
            param=f"{where}.filters",
            code="unsupported_parameter",
        )
    search = made.resources.setdefault("file_search", {"vector_store_ids": []})
    search["vector_store_ids"] += [store for store in store_ids if store not in search["vector_store_ids"]]
    keys = ("max_num_results", "ranking_options")
    return {
        "type": "file_search",
        "file_search": {key: tool[key] for key in keys if tool.get(key) is not None},
    }


def _code_interpreter(tool: Record, made: EngineTools, where: str) -> Record:
    container = tool.get("container") or {"type": "auto"}
    if isinstance(container, dict):
        file_ids = container.get("file_ids") or []
        if len(file_ids) > validation.MAX_CODE_INTERPRETER_FILES:
            raise bad_request(
                f"A container may have {validation.MAX_CODE_INTERPRETER_FILES} files, but got "
                f"{len(file_ids)}.",
                param=f"{where}.container.file_ids",
                code="array_above_max_length",
            )
        made.resources["code_interpreter"] = {"file_ids": list(file_ids)}
    made.container = container
    return {"type": "code_interpreter"}


def _mcp(tool: Record, made: EngineTools, where: str) -> Record:
    label = tool.get("server_label")
    if not isinstance(label, str) or not label:
        raise missing_parameter(f"{where}.server_label")
    headers = dict(tool.get("headers") or {})
    if tool.get("authorization"):
        headers["Authorization"] = f"Bearer {tool['authorization']}"
    if headers:
        made.headers[label] = headers
    server = {
        "server_label": label,
        "headers": dict.fromkeys(headers, REDACTED),
        "require_approval": tool.get("require_approval") or "always",
    }
    made.resources.setdefault("mcp", []).append(server)
    allowed = tool.get("allowed_tools")
    names = allowed.get("tool_names") if isinstance(allowed, dict) else allowed
    return {
        "type": "mcp",
        "server_label": label,
        "server_url": tool.get("server_url") or "",
        "allowed_tools": names,
    }


def _agent_to_agent(tool: Record, made: EngineTools, where: str) -> Record:
    keys = ("base_url", "agent_card_path", "project_connection_id", "send_credentials_for_agent_card")
    for key in keys[:3]:
        if not isinstance(tool.get(key, ""), str):
            name = f"{where}.{key}"
            raise bad_request(f"Invalid '{name}': expected a string.", param=name, code="invalid_type")
    if not tool.get("base_url") and not tool.get("project_connection_id"):
        raise missing_parameter(f"{where}.base_url")
    return {"type": tool["type"], tool["type"]: {key: tool[key] for key in keys if key in tool}}


def _nested(tool: Record, made: EngineTools) -> Record:
    """Return a tool that is nested in both wires."""
    kind = _NAMES.get(tool["type"], tool["type"])
    details = tool.get(tool["type"])
    if kind == "azure_ai_search":
        made.resources["azure_ai_search"] = details or {}
        return {"type": kind}
    if kind == "computer_use_preview":
        keys = ("environment", "display_width", "display_height")
        details = {key: tool.get(key) for key in keys}
    return {"type": kind} if details is None else {"type": kind, str(kind): details}


_CONVERSIONS = {
    "function": _function,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "mcp": _mcp,
    "a2a": _agent_to_agent,
    "a2a_preview": _agent_to_agent,
}


def check_flat_tools(tools: Any, param: str = "tools") -> list[Record]:
    """Return tools of a request, with nothing in them checked but their number and types."""
    if tools is None:
        return []
    if not isinstance(tools, list) or not all(
        isinstance(tool, dict) and isinstance(tool.get("type"), str) for tool in tools
    ):
        raise bad_request(
            f"Invalid '{param}': expected a list of tools with a type.", param=param, code="invalid_type"
        )
    if len(tools) > validation.MAX_TOOLS:
        raise bad_request(
            f"Invalid '{param}': array too long. Expected at most {validation.MAX_TOOLS}, but got "
            f"{len(tools)}.",
            param=param,
            code="array_above_max_length",
        )
    return [validation.without_nulls(tool) for tool in tools]


def shown_tools(tools: Sequence[Record]) -> list[Record]:
    """Return tools as a response shows them: with defaults (recorded), without secrets."""
    return [_shown(tool) for tool in tools]


def _shown(tool: Record) -> Record:
    if tool["type"] == "file_search":
        defaults = {"max_num_results": 20, "ranking_options": {"ranker": "auto", "score_threshold": 0}}
        return {**tool, **{key: tool.get(key, value) for key, value in defaults.items()}}
    if tool["type"] == "mcp":
        hidden: Record = {key: tool[key] for key in ("headers", "authorization") if key in tool}
        if "headers" in hidden:
            hidden["headers"] = dict.fromkeys(hidden["headers"], REDACTED)
        if "authorization" in hidden:
            hidden["authorization"] = REDACTED
        head = {"type": "mcp", "server_description": None}
        return {**head, **tool, **hidden}
    return tool


def engine_format(text: Any) -> Any:
    """Return `text` of a request or a definition as the engine's response format."""
    described = (text or {}).get("format") if isinstance(text, dict) else None
    if described is None or (isinstance(described, dict) and described.get("type") == "text"):
        return "auto"
    if not isinstance(described, dict):
        raise bad_request("Invalid 'text.format'.", param="text.format", code="invalid_value")
    if described.get("type") == "json_schema":
        for key in ("name", "schema"):
            if not described.get(key):
                raise missing_parameter(f"text.format.{key}")
        keys = ("name", "description", "schema", "strict")
        schema = {key: described[key] for key in keys if described.get(key) is not None}
        return validation.check_response_format({"type": "json_schema", "json_schema": schema})
    if described.get("type") == "json_object":
        return {"type": "json_object"}
    raise bad_request(
        f"Invalid value: '{described.get('type')}'. Supported values are: 'json_object', 'json_schema', and "
        "'text'.",
        param="text.format.type",
        code="invalid_value",
    )


def engine_choice(choice: Any, tools: list[Record]) -> Any:
    """Return a tool choice as the engine has it; `tools` are the engine's."""
    if isinstance(choice, dict):
        kind = _NAMES.get(str(choice.get("type")), choice.get("type"))
        named: Record = {"type": kind}
        if kind == "function":
            named["function"] = {"name": choice.get("name")}
        choice = named
    return validation.check_tool_choice(choice, tools)
