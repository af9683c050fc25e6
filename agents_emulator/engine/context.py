"""From a thread and a run to the question that the model is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agents_emulator.engine.lifecycle import UNUSABLE
from agents_emulator.engine.responses.history import engine_history, items_before
from agents_emulator.models.base import (
    FORCED_TOOL_PREFIX,
    ChatMessage,
    ChatRequest,
    ImagePart,
    ToolCall,
    ToolSpec,
)
from agents_emulator.store import MESSAGES, RUN_STEPS, Record
from agents_emulator.tools.toolbox import Toolbox


@dataclass(frozen=True)
class Conversation:
    """What a run sees: the thread's messages before it, and its own steps so far.

    What was said before a response also has calls, as records of the role `calls`; `earlier` are the steps
    before it that say which MCP tools are known.
    """

    history: tuple[Record, ...]
    own_messages: dict[str, Record]
    steps: tuple[Record, ...]
    earlier: tuple[Record, ...] = ()

    @property
    def last_user_text(self) -> str:
        """Text of the newest user message, the query of file search."""
        return next((message_text(m) for m in reversed(self.history) if m["role"] == "user"), "")

    @property
    def called(self) -> set[str]:
        """Names of the functions that the model has already called in this run."""
        return {item["name"] for item in self.work}

    @property
    def work(self) -> list[Record]:
        """The engine's records of all calls of this run; see `toolwork`."""
        return [item for step in self.steps for item in step.get("work", [])]

    @property
    def unseen_images(self) -> list[str]:
        """Images made by tools of this run that no message of it shows."""
        shown = {
            block["image_file"]["file_id"]
            for message in self.own_messages.values()
            for block in message["content"]
            if block["type"] == "image_file"
        }
        made = [image for item in self.work for image in item.get("images", [])]
        return [image for image in made if image not in shown]

    @property
    def sources(self) -> list[Record]:
        """Texts found by tools of this run that an answer may cite."""
        return [source for item in self.work for source in item.get("sources", [])]

    @property
    def pictured(self) -> list[Record]:
        """Records of calls whose outcome is a picture, in this run and before it."""
        before = [item for record in self.history for item in record.get("work", [])]
        return [item for item in (*before, *self.work) if item.get("picture")]

    @property
    def has_searched(self) -> bool:
        """Whether this run has already searched files."""
        return any(call["type"] == "file_search" for call in self._tool_calls())

    @property
    def has_images(self) -> bool:
        """Whether a message of a person holds an image."""
        return any(
            block["type"] != "text"
            for message in self.history
            if message["role"] == "user"
            for block in message["content"]
        )

    def _tool_calls(self) -> list[Record]:
        return [call for step in self.steps for call in step["step_details"].get("tool_calls", [])]


def load_conversation(db: sqlite3.Connection, run: Record) -> Conversation:
    """Read the conversation of a run; messages that earlier runs left unusable are not part of it."""
    if "response" in run:
        return _before_response(db, run)
    messages = MESSAGES.select(db, run["thread_id"])
    history = [
        m for m in messages if m["run_id"] != run["id"] and not _is_unusable(m) and not m.get("interim")
    ]
    last = (run["truncation_strategy"] or {}).get("last_messages")
    if last:
        history = history[-last:]
    return Conversation(
        history=tuple(history),
        own_messages={m["id"]: m for m in messages if m["run_id"] == run["id"]},
        steps=tuple(RUN_STEPS.select(db, run["id"])),
    )


def _before_response(db: sqlite3.Connection, run: Record) -> Conversation:
    history, earlier = engine_history(items_before(db, run))
    own = MESSAGES.select(db, run["thread_id"], {"run_id": run["id"]})
    steps = tuple(RUN_STEPS.select(db, run["id"]))
    return Conversation(tuple(history), {message["id"]: message for message in own}, steps, tuple(earlier))


def _is_unusable(message: Record) -> bool:
    details = message["incomplete_details"]
    return details is not None and details["reason"] in UNUSABLE


def message_text(message: Record) -> str:
    """Return the text blocks of a message, joined by line ends."""
    return "\n".join(block["text"]["value"] for block in message["content"] if block["type"] == "text")


def build_request(
    run: Record,
    conversation: Conversation,
    sources: Sequence[str],
    toolbox: Toolbox,
    images: Mapping[str, tuple[ImagePart, ...]],
) -> ChatRequest:
    """Return the model's question for the next turn of a run.

    `sources` are passages found by file search; they go into the system text, numbered. `images` are those
    of messages and tool calls, by their id.
    """
    schema, schema_name = _response_schema(run["response_format"])
    choice, tools = _tool_choice(run["tool_choice"], conversation, toolbox)
    limit = run["max_completion_tokens"]
    return ChatRequest(
        model=run["model"],
        messages=tuple(_messages(run, conversation, sources, images)),
        tools=tools,
        tool_choice=choice,
        response_schema=schema,
        schema_name=schema_name,
        max_tokens=None if limit is None else limit - run["spent"]["completion_tokens"],
        temperature=run["temperature"],
        top_p=run["top_p"],
        parallel_tool_calls=run["parallel_tool_calls"],
    )


def _messages(
    run: Record,
    conversation: Conversation,
    sources: Sequence[str],
    images: Mapping[str, tuple[ImagePart, ...]],
) -> list[ChatMessage]:
    messages: list[ChatMessage] = []
    if run["instructions"]:
        messages.append(ChatMessage("system", run["instructions"]))
    if sources:
        numbered = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(sources, 1))
        messages.append(ChatMessage("system", f"Sources found in the uploaded files:\n\n{numbered}"))
    for message in conversation.history:
        if message["role"] == "calls":
            messages += _call_messages(message["work"], images)
            continue
        text = message_text(message)
        role: Literal["assistant", "system", "user"] = (
            message["role"] if message["role"] in ("assistant", "system") else "user"
        )
        messages.append(ChatMessage(role, text, images=images.get(message["id"], ())))
    for step in conversation.steps:
        messages += _step_messages(step, conversation, images)
    return messages


def _step_messages(
    step: Record, conversation: Conversation, images: Mapping[str, tuple[ImagePart, ...]]
) -> list[ChatMessage]:
    details = step["step_details"]
    if step["type"] == "message_creation":
        own = conversation.own_messages.get(details["message_creation"]["message_id"])
        if own is None or own.get("interim"):
            return []
        return [ChatMessage("assistant", message_text(own))]
    work = step.get("work", [])
    return _call_messages(work, images) if work else []


def _call_messages(work: Sequence[Record], images: Mapping[str, tuple[ImagePart, ...]]) -> list[ChatMessage]:
    asked = tuple(ToolCall(item["id"], item["name"], item["arguments"]) for item in work)
    answers = [
        ChatMessage(
            "tool",
            item.get("output") or "",
            tool_call_id=item["id"],
            name=item["name"],
            images=images.get(item["id"], ()),
        )
        for item in work
    ]
    return [ChatMessage("assistant", "", tool_calls=asked), *answers]


def _tool_choice(
    choice: Any, conversation: Conversation, toolbox: Toolbox
) -> tuple[str, tuple[ToolSpec, ...]]:
    """Return choice and tools for the next turn: what is forced or required holds until it was called."""
    tools = toolbox.specs
    if not tools or choice == "none":
        return "none", tools
    if isinstance(choice, dict) and choice["type"] != "file_search":
        is_function = choice["type"] == "function"
        names = [choice["function"]["name"]] if is_function else toolbox.names_of(choice["type"])
        if conversation.called:
            return "none", tools
        if not names:
            return "auto", tools
        if len(names) == 1:
            return f"{FORCED_TOOL_PREFIX}{names[0]}", tools
        return "required", tuple(spec for spec in tools if spec.name in names)
    if choice == "required" and not conversation.called:
        return "required", tools
    return "auto", tools


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
