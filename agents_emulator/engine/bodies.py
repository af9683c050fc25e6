"""Bodies of runs, run steps and messages, in the recorded key order.

The same object looks a little different in a plain answer and in a stream (recorded: docs/wire.md,
"Messages and steps" and "Runs"): messages carry their status only in a stream, a completed step keeps its
expiry only there, and a run's `tool_resources` is `{}` in answers and an empty code interpreter resource in
streams.
"""

from __future__ import annotations

import copy
from typing import Any

from agents_emulator.assets import shown_attachment
from agents_emulator.store import Record

RESULT_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"

_RUN_KEYS = (
    *("id", "object", "created_at", "assistant_id", "thread_id", "status", "started_at", "expires_at"),
    *("cancelled_at", "failed_at", "completed_at", "required_action", "last_error", "model", "instructions"),
    *("tools", "tool_resources", "metadata", "temperature", "top_p", "max_completion_tokens"),
    *("max_prompt_tokens", "truncation_strategy", "incomplete_details", "usage", "response_format"),
    *("tool_choice", "parallel_tool_calls"),
)
_STEP_KEYS = (
    *("id", "object", "created_at", "run_id", "assistant_id", "thread_id", "type", "status", "cancelled_at"),
    *("completed_at", "expires_at", "failed_at", "last_error", "step_details", "usage"),
)
_MESSAGE_HEAD = ("id", "object", "created_at", "assistant_id", "thread_id", "run_id")
_MESSAGE_STATE = ("status", "incomplete_details", "incomplete_at", "completed_at")
_MESSAGE_TAIL = ("role", "content", "attachments", "metadata")


def usage_body(prompt_tokens: int, completion_tokens: int) -> Record:
    """Return a usage object; the recorded one has `prompt_token_details`, which the spec lacks."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_token_details": {"cached_tokens": 0},
    }


def run_body(run: Record, *, streamed: bool = False) -> Record:
    """Return a run as answered, or as sent in a stream."""
    body = {key: run[key] for key in _RUN_KEYS}
    if streamed and not body["tool_resources"]:
        body["tool_resources"] = {"code_interpreter": {"file_ids": []}}
    return body


def message_body(message: Record, *, streamed: bool = False) -> Record:
    """Return a message as answered, or as sent in a stream."""
    state = _MESSAGE_STATE if streamed else ()
    body = {key: message[key] for key in (*_MESSAGE_HEAD, *state, *_MESSAGE_TAIL)}
    body["content"] = [_shown_block(block) for block in body["content"]]
    body["attachments"] = [shown_attachment(attachment) for attachment in body["attachments"]]
    return body


def _shown_block(block: Record) -> Record:
    """Return a content block as published: the level of detail of an image file is not shown."""
    return image_block(block["image_file"]["file_id"]) if block["type"] == "image_file" else block


def step_body(step: Record, *, include: list[str], streamed: bool = False) -> Record:
    """Return a run step; contents of file search results only where `include` asks for them."""
    body: Record = {key: step[key] for key in _STEP_KEYS}
    if body["status"] == "completed" and not streamed:
        body["expires_at"] = None
    if body["status"] == "in_progress":
        body["usage"] = None
    if RESULT_CONTENT not in include and body["type"] == "tool_calls":
        body["step_details"] = _without_content(body["step_details"])
    return body


def _without_content(details: Record) -> Record:
    stripped: Record = copy.deepcopy(details)
    for call in stripped["tool_calls"]:
        for result in call.get("file_search", {}).get("results", []):
            result.pop("content", None)
    return stripped


def text_block(value: str, annotations: list[Record]) -> Record:
    """Return a text content block of a message."""
    return {"type": "text", "text": {"value": value, "annotations": annotations}}


def image_block(file_id: str) -> Record:
    """Return an image block of a message."""
    return {"type": "image_file", "image_file": {"file_id": file_id}}


def message_delta(message_id: str, block: Record) -> Record:
    """Return a message delta about one content block (its `index` first)."""
    return {"id": message_id, "object": "thread.message.delta", "delta": {"content": [block]}}


def text_delta(message_id: str, text: str, annotations: list[Record] | None, *, index: int = 0) -> Record:
    """Return a delta of a text; only the first one of a message carries `annotations: []` (recorded)."""
    content: dict[str, Any] = {"value": text}
    if annotations is not None:
        content["annotations"] = annotations
    return message_delta(message_id, {"index": index, "type": "text", "text": content})


def step_delta(step_id: str, tool_call: Record, kind: str = "tool_calls") -> Record:
    """Return a run step delta about one tool call (its `index` first)."""
    return {
        "id": step_id,
        "object": "thread.run.step.delta",
        "delta": {"step_details": {"type": kind, "tool_calls": [tool_call]}},
    }
