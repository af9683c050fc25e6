"""From a thread and a run to the question that the model is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents_emulator.engine.lifecycle import UNUSABLE
from agents_emulator.models.base import FORCED_TOOL_PREFIX, ChatMessage, ChatRequest, ToolCall, ToolSpec
from agents_emulator.store import MESSAGES, RUN_STEPS, Record


@dataclass(frozen=True)
class Conversation:
    """What a run sees: the thread's messages before it, and its own steps so far."""

    history: tuple[Record, ...]
    own_messages: dict[str, Record]
    steps: tuple[Record, ...]

    @property
    def last_user_text(self) -> str:
        """Text of the newest user message, the query of file search."""
        return next((message_text(m) for m in reversed(self.history) if m["role"] == "user"), "")

    @property
    def has_called_function(self) -> bool:
        """Whether this run has already asked for a function."""
        return any(call["type"] == "function" for call in self._tool_calls())

    @property
    def has_searched(self) -> bool:
        """Whether this run has already searched files."""
        return any(call["type"] == "file_search" for call in self._tool_calls())

    @property
    def has_images(self) -> bool:
        """Whether a message holds anything but text."""
        return any(block["type"] != "text" for message in self.history for block in message["content"])

    def _tool_calls(self) -> list[Record]:
        return [call for step in self.steps for call in step["step_details"].get("tool_calls", [])]


def load_conversation(db: sqlite3.Connection, run: Record) -> Conversation:
    """Read the conversation of a run; messages that earlier runs left unusable are not part of it."""
    messages = MESSAGES.select(db, run["thread_id"])
    history = [m for m in messages if m["run_id"] != run["id"] and not _is_unusable(m)]
    last = (run["truncation_strategy"] or {}).get("last_messages")
    if last:
        history = history[-last:]
    return Conversation(
        history=tuple(history),
        own_messages={m["id"]: m for m in messages if m["run_id"] == run["id"]},
        steps=tuple(RUN_STEPS.select(db, run["id"])),
    )


def _is_unusable(message: Record) -> bool:
    details = message["incomplete_details"]
    return details is not None and details["reason"] in UNUSABLE


def message_text(message: Record) -> str:
    """Return the text blocks of a message, joined by line ends."""
    return "\n".join(block["text"]["value"] for block in message["content"] if block["type"] == "text")


def build_request(run: Record, conversation: Conversation, sources: Sequence[str]) -> ChatRequest:
    """Return the model's question for the next turn of a run.

    `sources` are passages found by file search; they go into the system text, numbered.
    """
    schema, schema_name = _response_schema(run["response_format"])
    tools = tuple(_tool_spec(tool["function"]) for tool in run["tools"] if tool["type"] == "function")
    limit = run["max_completion_tokens"]
    return ChatRequest(
        model=run["model"],
        messages=tuple(_messages(run, conversation, sources)),
        tools=tools,
        tool_choice=_tool_choice(run["tool_choice"], conversation, tools),
        response_schema=schema,
        schema_name=schema_name,
        max_tokens=None if limit is None else limit - run["spent"]["completion_tokens"],
        temperature=run["temperature"],
        top_p=run["top_p"],
        parallel_tool_calls=run["parallel_tool_calls"],
    )


def _messages(run: Record, conversation: Conversation, sources: Sequence[str]) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    if run["instructions"]:
        messages.append(ChatMessage("system", run["instructions"]))
    if sources:
        numbered = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(sources, 1))
        messages.append(ChatMessage("system", f"Sources found in the uploaded files:\n\n{numbered}"))
    for message in conversation.history:
        text = message_text(message)
        messages.append(ChatMessage("assistant" if message["role"] == "assistant" else "user", text))
    for step in conversation.steps:
        messages += _step_messages(step, conversation)
    return messages


def _step_messages(step: Record, conversation: Conversation) -> list[ChatMessage]:
    details = step["step_details"]
    if step["type"] == "message_creation":
        own = conversation.own_messages.get(details["message_creation"]["message_id"])
        return [ChatMessage("assistant", message_text(own))] if own is not None else []
    calls = [call for call in details["tool_calls"] if call["type"] == "function"]
    if not calls:
        return []
    asked = tuple(ToolCall(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls)
    answers = [
        ChatMessage("tool", c["function"]["output"] or "", tool_call_id=c["id"], name=c["function"]["name"])
        for c in calls
    ]
    return [ChatMessage("assistant", "", tool_calls=asked), *answers]


def _tool_spec(function: Record) -> ToolSpec:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return ToolSpec(function["name"], function.get("description") or "", parameters)


def _tool_choice(choice: Any, conversation: Conversation, tools: Sequence[ToolSpec]) -> str:
    """Return the choice for the next turn: what is forced or required holds until a function was called."""
    if not tools or choice == "none":
        return "none"
    forced = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    if conversation.has_called_function:
        return "none" if forced else "auto"
    if forced:
        return f"{FORCED_TOOL_PREFIX}{forced}"
    return "required" if choice == "required" else "auto"


def _response_schema(response_format: Any) -> tuple[dict[str, Any] | None, str | None]:
    """Return the schema that the answer must follow (`{}`: any JSON object) and its name."""
    if not isinstance(response_format, dict):
        return None, None
    if response_format["type"] == "json_object":
        return {}, None
    if response_format["type"] == "json_schema":
        described = response_format["json_schema"]
        return described["schema"], described["name"]
    return None, None
