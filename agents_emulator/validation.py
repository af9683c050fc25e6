"""Checks of request values against the published limits of api-version `v1` (counts, lengths)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.store import Record

MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512
MAX_TOOLS = 128
MAX_CODE_INTERPRETER_FILES = 20
MAX_BATCH_FILES = 500
MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS, DEFAULT_CHUNK_TOKENS, DEFAULT_OVERLAP_TOKENS = 100, 4096, 800, 400


def require(body: Mapping[str, Any], name: str) -> Any:
    """Return a required body parameter; 400 if it is absent or null."""
    value = body.get(name)
    if value is None:
        raise missing_parameter(name)
    return value


def check_metadata(metadata: Any) -> Record:
    """Return the metadata (null becomes `{}`): up to 16 pairs, keys of 64 and values of 512 characters."""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise bad_request(
            "Invalid type for 'metadata': expected an object.", param="metadata", code="invalid_type"
        )
    if len(metadata) > MAX_METADATA_PAIRS:
        raise bad_request(
            f"Invalid 'metadata': too many properties. Expected at most {MAX_METADATA_PAIRS}, "
            f"but got {len(metadata)}.",
            param="metadata",
            code="object_above_max_properties",
        )
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise bad_request(
                f"Invalid type for 'metadata.{key[:MAX_METADATA_KEY]}': expected a string.",
                param="metadata",
                code="invalid_type",
            )
        if len(key) > MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE:
            raise bad_request(
                f"Invalid 'metadata': a key may have {MAX_METADATA_KEY} characters and a value "
                f"{MAX_METADATA_VALUE}; '{key[:MAX_METADATA_KEY]}' has {len(key)} and {len(value)}.",
                param="metadata",
                code="string_above_max_length",
            )
    return metadata


def check_tools(tools: Any) -> list[Record]:
    """Return at most 128 tools as the service echoes them.

    Recorded: a function gains `strict: false`, empty `parameters` become an empty object schema, an MCP tool
    gains `allowed_tools: null`. Tool types this service does not know are kept as they are.
    """
    if tools is None:
        return []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) and tool.get("type") for tool in tools):
        raise bad_request(
            "Invalid 'tools': expected a list of tools with a type.", param="tools", code="invalid_type"
        )
    if len(tools) > MAX_TOOLS:
        raise bad_request(
            f"Invalid 'tools': array too long. Expected at most {MAX_TOOLS}, but got {len(tools)}.",
            param="tools",
            code="array_above_max_length",
        )
    return [_echoed_tool(tool, index) for index, tool in enumerate(tools)]


def _echoed_tool(tool: Record, index: int) -> Record:
    if tool["type"] == "function":
        function = tool.get("function")
        if not isinstance(function, dict) or not function.get("name"):
            raise missing_parameter(f"tools[{index}].function.name")
        echoed = dict(function)
        if "parameters" in echoed and not echoed["parameters"]:
            echoed["parameters"] = {"type": "object", "properties": {}}
        echoed.setdefault("strict", False)
        return {**tool, "function": echoed}
    if tool["type"] == "mcp":
        return {"allowed_tools": None} | tool if "allowed_tools" in tool else {**tool, "allowed_tools": None}
    return tool


def check_number(body: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    """Return a number between `low` and `high`, or None if it is absent."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise bad_request(
            f"Invalid '{name}': expected a number from {low:g} to {high:g}.", param=name, code="invalid_value"
        )
    return float(value)


def check_count(body: Mapping[str, Any], name: str, low: int = 1) -> int | None:
    """Return an integer of at least `low`, or None if it is absent."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise bad_request(
            f"Invalid '{name}': expected an integer >= {low}.", param=name, code="invalid_value"
        )
    return value


def check_response_format(value: Any) -> Any:
    """Return `auto`, `text`, `json_object` or a `json_schema` format as given; null becomes "auto".

    A description that is null is none: answers have a text there, or nothing.
    """
    if value is None:
        return "auto"
    kind = value.get("type") if isinstance(value, dict) else value
    named = {"auto"} if isinstance(value, str) else {"text", "json_object", "json_schema"}
    if kind not in named:
        raise bad_request("Invalid 'response_format'.", param="response_format", code="invalid_value")
    if kind == "json_schema":
        described = value.get("json_schema")
        if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
            raise missing_parameter("response_format.json_schema.schema")
        if not isinstance(described.get("name"), str):
            raise missing_parameter("response_format.json_schema.name")
        if described.get("description", "") is None:
            told = {name: one for name, one in described.items() if name != "description"}
            return {**value, "json_schema": told}
    return value


def check_tool_choice(value: Any, tools: list[Record]) -> Any:
    """Return the tool choice as given; a forced function must be one of `tools`."""
    if value is None:
        return "auto"
    if isinstance(value, str) and value in ("auto", "none", "required"):
        return value
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        if value["type"] == "function":
            function = value.get("function")
            name = function.get("name") if isinstance(function, dict) else None
            if name not in [tool["function"]["name"] for tool in tools if tool["type"] == "function"]:
                raise bad_request(
                    f"Invalid 'tool_choice': the agent has no function named '{name}'.",
                    param="tool_choice",
                    code="invalid_value",
                )
        elif value["type"] not in [tool["type"] for tool in tools]:
            raise bad_request(
                f"Invalid 'tool_choice': the agent has no tool of type '{value['type']}'.",
                param="tool_choice",
                code="invalid_value",
            )
        return value
    raise bad_request("Invalid 'tool_choice'.", param="tool_choice", code="invalid_value")


def check_chunking(value: Any) -> Record:
    """Return a chunking strategy as the service echoes it: `auto` becomes static 800/400 (recorded)."""
    sizes = (DEFAULT_CHUNK_TOKENS, DEFAULT_OVERLAP_TOKENS)
    if isinstance(value, dict) and value.get("type") == "static":
        static = value.get("static")
        if not isinstance(static, dict):
            raise missing_parameter("chunking_strategy.static")
        size = check_count(static, "max_chunk_size_tokens")
        overlap = check_count(static, "chunk_overlap_tokens", 0)
        if size is None or overlap is None:
            raise missing_parameter("chunking_strategy.static.max_chunk_size_tokens, chunk_overlap_tokens")
        if not MIN_CHUNK_TOKENS <= size <= MAX_CHUNK_TOKENS or overlap > size // 2:
            raise bad_request(
                f"Invalid 'chunking_strategy': max_chunk_size_tokens goes from {MIN_CHUNK_TOKENS} to "
                f"{MAX_CHUNK_TOKENS}, chunk_overlap_tokens up to half of it; got {size} and {overlap}.",
                param="chunking_strategy",
                code="invalid_value",
            )
        sizes = (size, overlap)
    elif value is not None and not (isinstance(value, dict) and value.get("type") == "auto"):
        raise bad_request("Invalid 'chunking_strategy'.", param="chunking_strategy", code="invalid_value")
    return {"type": "static", "static": {"max_chunk_size_tokens": sizes[0], "chunk_overlap_tokens": sizes[1]}}


def without_nulls(value: Any) -> Any:
    """Return a value without the keys whose value is null, however deep: null means left out in requests."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def or_default(value: float | None, default: float) -> float:
    """Return `value`, or the service's default where the request says null."""
    return default if value is None else value
