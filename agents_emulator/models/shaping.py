"""Prompts and output schemas for a model that knows neither tool calls nor schemas.

Tools are described in the system text, and the output is held to a JSON schema while it is decoded: the
arguments of a forced tool, or a union of calls, or a union of calls and an answer. :func:`shape` prepares
a request, :meth:`Shaped.decode` reads the output.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from agents_emulator.models.base import ChatMessage, ChatRequest, ModelError, ToolCall, ToolSpec, new_call_id
from agents_emulator.models.grammar import build_grammar

DEFAULT_SYSTEM = "You are a helpful assistant."
"""Where there are no instructions: the model's own default makes it answer in riddles."""
MAX_STRING = 160
"""Longest string in constrained output, in characters: a small model repeats itself until it is stopped."""
MAX_ANSWER = 800
"""The same for the answer beside tools."""
MAX_ITEMS = 8
"""Longest array in constrained output."""

# fmt: off
_ANNOTATIONS = frozenset((  # but not descriptions: the grammar reads them
    "title", "default", "examples", "deprecated", "readOnly", "writeOnly", "$schema", "$id", "$comment",
))
_UNSUPPORTED = frozenset((
    "not", "if", "then", "else", "uniqueItems", "contains", "minContains", "maxContains", "propertyNames",
    "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "contentEncoding",
))
# fmt: on
_MAPS_OF_SCHEMAS = frozenset(("properties", "$defs", "definitions", "patternProperties"))


@dataclass(frozen=True)
class Shaped:
    """A request as the small model gets it.

    ``messages`` in the chat API's form; ``grammar`` to hold the output to, or None for free text;
    ``streams``: whether the output is the answer itself, so that it can be passed on while it grows.
    """

    messages: list[dict[str, str]]
    grammar: str | None
    streams: bool
    forced: str | None
    structured_answer: bool

    def decode(self, output: str, *, complete: bool = True) -> tuple[str, tuple[ToolCall, ...]]:
        """The answer (empty if a tool is called) and the calls.

        ``complete`` is false where the limit on tokens ended the output. Raises :class:`ModelError` if a call
        was cut off, or if a complete output is not the JSON that it was held to.
        """
        if self.streams and not (self.structured_answer and complete):
            return output, ()
        try:
            value = json.loads(output)
        except ValueError as error:
            # The decoder silently lets go of a schema that it does not understand.
            why = (
                f"it could not be held to the schema and wrote {output[:80]!r}; simplify the schema"
                if complete
                else f"its tool call was cut off after {len(output)} characters; allow more tokens"
            )
            raise ModelError("server_error", f"the local model failed: {why}") from error
        if self.streams:
            return output, ()
        if self.forced is not None:
            return "", (ToolCall(new_call_id(), self.forced, json.dumps(value, ensure_ascii=False)),)
        if "tool" in value:
            arguments = json.dumps(value["arguments"], ensure_ascii=False)
            return "", (ToolCall(new_call_id(), value["tool"], arguments),)
        answer = value["answer"]
        return (json.dumps(answer, ensure_ascii=False) if self.structured_answer else answer), ()


def shape(request: ChatRequest) -> Shaped:
    """Prompt and output schema for a request."""
    tools = _offered(request)
    forced = request.forced_tool
    if forced is None and request.tool_choice == "required" and len(tools) == 1:
        forced = tools[0].name
    parts = [request.instructions] if request.instructions else []
    if tools:
        parts.append(_describe_tools(tools, forced))
    if request.response_schema and forced is None:
        parts.append("Answer with JSON:\n" + describe_schema(request.response_schema))

    answer: dict[str, Any] | None = None
    if request.response_schema is not None:
        answer = prepare_schema(request.response_schema or {"type": "object"})
    if forced is not None:
        schema: dict[str, Any] | None = prepare_schema(tools[0].parameters)
    elif tools:
        options = [_call_schema(tool) for tool in tools]
        if request.tool_choice != "required":
            options.append(_object({"answer": answer or {"type": "string", "maxLength": MAX_ANSWER}}))
        schema = {"anyOf": options}
    else:
        schema = answer
    return Shaped(
        messages=_messages(request, "\n\n".join(parts)),
        grammar=None if schema is None else build_grammar(schema, _sources(request)),
        streams=not tools,
        forced=forced,
        structured_answer=answer is not None,
    )


def _sources(request: ChatRequest) -> str:
    """What people and tools have said: where values may be copied from."""
    return "\n".join(message.content for message in request.messages if message.role in ("user", "tool"))


def _offered(request: ChatRequest) -> tuple[ToolSpec, ...]:
    if request.tool_choice == "none":
        return ()
    name = request.forced_tool
    if name is None and request.tool_choice == "auto":
        called = _called(request)  # a model of this size would call it again and again
        return tuple(tool for tool in request.tools if tool.name not in called)
    if name is None:
        return request.tools
    found = tuple(tool for tool in request.tools if tool.name == name)
    if not found:
        raise ModelError(
            "invalid_request", f"tool_choice asks for the function {name!r}, which the agent does not have"
        )
    return found


def _called(request: ChatRequest) -> set[str]:
    """Names of the tools that were called since the newest message of a person."""
    newest = max((place for place, one in enumerate(request.messages) if one.role == "user"), default=0)
    return {call.name for message in request.messages[newest:] for call in message.tool_calls}


def _messages(request: ChatRequest, system: str) -> list[dict[str, str]]:
    """The conversation in the three roles that the model was trained on."""
    messages = [{"role": "system", "content": system or DEFAULT_SYSTEM}]
    for message in request.messages:
        if message.role == "system":
            continue
        role, content = _plain(message)
        if messages[-1]["role"] == role:
            messages[-1]["content"] += "\n\n" + content
        else:
            messages.append({"role": role, "content": content})
    return messages


def _plain(message: ChatMessage) -> tuple[str, str]:
    if message.role == "tool":
        return "user", f"Result of {message.name or 'the tool'}: {message.content}"
    if message.tool_calls:
        calls = "\n".join(
            f'{{"tool": "{call.name}", "arguments": {call.arguments}}}' for call in message.tool_calls
        )
        return "assistant", f"{message.content}\n{calls}" if message.content else calls
    return message.role, message.content


def _describe_tools(tools: tuple[ToolSpec, ...], forced: str | None) -> str:
    lines = [f"{tool.name}: {tool.description}\n{describe_schema(tool.parameters)}".strip() for tool in tools]
    if forced is not None:
        return f"Write the arguments of this function as JSON.\n{lines[0]}"
    return "You can call these functions, as JSON:\n" + "\n".join(lines)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _call_schema(tool: ToolSpec) -> dict[str, Any]:
    return _object({"tool": {"const": tool.name}, "arguments": prepare_schema(tool.parameters)})


def describe_schema(schema: dict[str, Any]) -> str:
    """The fields of an object schema in few tokens, one a line: name, kind or choices, description."""
    definitions = {**schema.get("definitions", {}), **schema.get("$defs", {})}
    return "\n".join(_field_lines(_resolved(schema, definitions), definitions, ""))


def _field_lines(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> list[str]:
    lines: list[str] = []
    for name, raw in schema.get("properties", {}).items():
        field = _resolved(raw, definitions)
        kind, description = (
            _kind(field, definitions),
            field.get("description", "").replace(", as written", ""),
        )
        text = f"{description} ({kind})" if description and kind else description or kind
        lines.append(f"{prefix}{name}: {text}".rstrip())
        nested = _resolved(field.get("items", field), definitions)
        if nested.get("properties") and prefix.count(".") < 3:
            lines.extend(_field_lines(nested, definitions, f"{prefix}{name}."))
    return lines


def _kind(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A field's type in a word or two; a described string needs none."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        kinds = (_kind(_resolved(option, definitions), definitions) for option in options)
        return " or ".join(kind for kind in dict.fromkeys(kinds) if kind != "text")
    if "enum" in schema:
        return " or ".join("null" if value is None else str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("format") == "date":
        return "YYYY-MM-DD"
    kind = schema.get("type", "")
    if isinstance(kind, list):
        return " or ".join("text" if item == "string" else item for item in kind)
    if kind == "array":
        inner = _kind(_resolved(schema.get("items", {}), definitions), definitions)
        return f"list of {inner or 'text'}"
    if kind == "object":
        return ""
    if kind == "string":
        return "" if schema.get("description") else "text"
    return str(kind)


def _resolved(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema, with a reference to a definition replaced by it; own keywords win."""
    if not isinstance(schema, dict):
        return {}
    reference = schema.get("$ref", "")
    target = definitions.get(reference.rpartition("/")[2])
    return {**target, **{k: v for k, v in schema.items() if k != "$ref"}} if target else schema


def _is_plain_regex(pattern: str) -> bool:
    """Whether the decoder can follow it: a regular expression without look-around and back references."""
    try:
        re.compile(pattern)
    except re.error:
        return False
    return re.search(r"\(\?(?!:)|\\[1-9bBAZ]", pattern) is None


def prepare_schema(schema: Any) -> Any:
    """A schema for the decoder: same fields in the same order, only what can be enforced, nothing endless.

    Annotations and keywords that cannot be enforced while decoding are left out, dates get a pattern,
    strings and arrays without a limit get one.
    """
    if not isinstance(schema, dict):
        return schema
    prepared: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _ANNOTATIONS or key in _UNSUPPORTED or key.startswith("x-"):
            continue
        if key in _MAPS_OF_SCHEMAS and isinstance(value, dict):
            prepared[key] = {name: prepare_schema(item) for name, item in value.items()}
        elif key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            # one of the options is what a decoder can hold to; that exactly one fits, it cannot
            prepared["anyOf" if key == "oneOf" else key] = [prepare_schema(item) for item in value]
        elif key in ("items", "additionalProperties"):
            prepared[key] = prepare_schema(value)
        elif key == "pattern" and not _is_plain_regex(value):
            continue
        else:
            prepared[key] = value
    kinds = prepared.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if "enum" not in prepared and "const" not in prepared:
        if "string" in kinds and "pattern" not in prepared and "format" not in prepared:
            prepared.setdefault("maxLength", MAX_STRING)
        if "array" in kinds:
            prepared.setdefault("maxItems", max(MAX_ITEMS, prepared.get("minItems", 0)))
        if "object" in kinds and "properties" in prepared:
            prepared.setdefault("additionalProperties", False)
    return prepared
