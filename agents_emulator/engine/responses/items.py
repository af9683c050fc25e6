"""Items that a client posts: the input of responses, and what it puts into conversations.

An item is stored as `{id, body, engine}`: as it is on the wire, and (`engine`, where there is any) what the
engine has to know besides when the model is shown it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agents_emulator.engine.responses.ids import posted_id
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.store import Record

MAX_POSTED_ITEMS = 20
"""Of one request that makes a conversation or adds to one."""
MAX_TEXT_CHARACTERS = 1_500_000
ROLES = ("user", "assistant", "system", "developer")
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "computer_call_output": "cuo",
    "mcp_approval_response": "mcpa",
    "item_reference": "ref",
}
_REQUIRED = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "computer_call_output": ("call_id", "output"),
    "mcp_approval_response": ("approval_request_id", "approve"),
}
_GIVEN_BACK = re.compile(
    r"reasoning|workflow_action|mcp_list_tools|mcp_approval_request|[a-z0-9_]+_call(_output)?"
)
"""Items of earlier answers that a client may send along: the history of one that keeps it itself."""
_PARTS = ("input_text", "input_image", "output_text", "refusal")


def text_item(text: str, partition: str) -> Record:
    """Return the user message that a plain `input` text stands for."""
    return checked_item({"type": "message", "role": "user", "content": text}, partition, "input")


def checked_items(items: Any, partition: str, param: str) -> list[Record]:
    """Return posted items, to be stored. Raises the service's 400 for what is none."""
    if not isinstance(items, list):
        raise bad_request(
            f"Invalid type for '{param}': expected an array of items.", param=param, code="invalid_type"
        )
    return [checked_item(item, partition, f"{param}[{index}]") for index, item in enumerate(items)]


def checked_item(item: Any, partition: str, where: str) -> Record:
    """Return one posted item, to be stored."""
    if not isinstance(item, dict):
        raise bad_request(
            f"Invalid type for '{where}': expected an object.", param=where, code="invalid_type"
        )
    kind = item.get("type")
    if not isinstance(kind, str):
        # Stricter than OpenAI, where it may be left out of messages (reported).
        raise missing_parameter(f"{where}.type")
    if kind not in _REQUIRED and _GIVEN_BACK.fullmatch(str(kind)):
        identifier = posted_id("item", partition)
        return {"id": identifier, "body": {"id": identifier, **item}}
    if kind not in _REQUIRED:
        raise bad_request(
            f"Invalid value: '{str(kind)[:80]}'. Supported values are: "
            f"{', '.join(repr(name) for name in _REQUIRED)}.",
            param=f"{where}.type",
            code="invalid_value",
        )
    for name in _REQUIRED[kind]:
        if item.get(name) is None:
            raise missing_parameter(f"{where}.{name}")
    identifier = posted_id(_PREFIXES[kind], partition)
    body = {"type": kind, "id": identifier, **_fields(item, where), "status": "completed"}
    return {"id": identifier, "body": body}


def _fields(item: Record, where: str) -> Record:
    kind = item["type"]
    if kind == "message":
        if item["role"] not in ROLES:
            raise bad_request(
                f"Invalid value: '{str(item['role'])[:80]}'. Supported values are: "
                f"{', '.join(repr(role) for role in ROLES)}.",
                param=f"{where}.role",
                code="invalid_value",
            )
        return {"role": item["role"], "content": _content(item, f"{where}.content")}
    if kind == "mcp_approval_response":
        if not isinstance(item["approve"], bool):
            raise _wrong_type(f"{where}.approve", "a boolean")
        keys: Sequence[str] = ("approve", "approval_request_id", "reason")
        return {key: item[key] for key in keys if item.get(key) is not None}
    fields = {key: item[key] for key in _REQUIRED[kind]}
    texts = [key for key in fields if key != "output"]
    if kind == "function_call_output":
        fields["output"] = _output(item["output"], f"{where}.output")
    elif kind == "computer_call_output" and not isinstance(item["output"], dict):
        raise _wrong_type(f"{where}.output", "an object")
    for key in texts:
        if not isinstance(fields[key], str):
            raise _wrong_type(f"{where}.{key}", "a string")
    if item.get("acknowledged_safety_checks"):
        fields["acknowledged_safety_checks"] = item["acknowledged_safety_checks"]
    return fields


def _wrong_type(where: str, expected: str) -> Exception:
    return bad_request(f"Invalid type for '{where}': expected {expected}.", param=where, code="invalid_type")


def _output(output: Any, where: str) -> Any:
    """Return the output of a function: a text, or texts as content parts."""
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        for index, part in enumerate(output):
            if not isinstance(part, dict) or not isinstance(part.get("text"), str):
                raise _wrong_type(f"{where}[{index}]", "a content part of text")
        return output
    raise _wrong_type(where, "a string")


def output_text(output: Any) -> str:
    """Return the output of a function as the model reads it."""
    return output if isinstance(output, str) else "\n".join(part["text"] for part in output)


def _content(item: Record, where: str) -> list[Record]:
    content = item["content"]
    if isinstance(content, str):
        kind = "output_text" if item["role"] == "assistant" else "input_text"
        annotations: Record = {"annotations": []} if kind == "output_text" else {}
        content = [{"type": kind, "text": content, **annotations}]
    if not isinstance(content, list) or not content:
        raise _wrong_type(where, "a string or an array of content parts")
    return [_part(part, f"{where}[{index}]") for index, part in enumerate(content)]


def _part(part: Any, where: str) -> Record:
    if not isinstance(part, dict):
        raise _wrong_type(where, "an object")
    kind = part.get("type")
    if kind not in _PARTS:
        raise bad_request(
            f"Invalid value: '{str(kind)[:80]}'. The local service takes: "
            f"{', '.join(repr(name) for name in _PARTS)}.",
            param=f"{where}.type",
            code="invalid_value",
        )
    if kind == "input_image":
        if not isinstance(part.get("image_url") or part.get("file_id"), str):
            raise missing_parameter(f"{where}.image_url")
        return part
    text = part.get("refusal" if kind == "refusal" else "text")
    if not isinstance(text, str):
        raise missing_parameter(f"{where}.text")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise bad_request(
            f"Invalid '{where}.text': string too long. Expected at most {MAX_TEXT_CHARACTERS} characters, "
            f"but got {len(text)}.",
            param=f"{where}.text",
            code="string_above_max_length",
        )
    if kind == "output_text" and not isinstance(part.get("annotations"), list):
        raise missing_parameter(f"{where}.annotations")
    return part


def check_posted(items: Sequence[Any], param: str) -> None:
    """Refuse more items than a request may post into a conversation."""
    if len(items) > MAX_POSTED_ITEMS:
        raise bad_request(
            f"Invalid '{param}': array too long. Expected at most {MAX_POSTED_ITEMS}, but got {len(items)}.",
            param=param,
            code="array_above_max_length",
        )
