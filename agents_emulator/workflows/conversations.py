"""The conversations of a workflow: that of its response, and those that it makes."""

from __future__ import annotations

import sqlite3
from typing import Any

from agents_emulator.engine.lifecycle import now
from agents_emulator.engine.responses.ids import (
    is_conversation_id,
    new_conversation_id,
    partition_of,
    posted_id,
)
from agents_emulator.store import CONVERSATION_ITEMS, CONVERSATIONS, Record
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.progress import Progress
from agents_emulator.workflows.values import Value, as_text, message, messages


def add_conversation(db: sqlite3.Connection) -> str:
    """Make a conversation, as a client would; returns its id. Nobody but the client deletes it."""
    identifier, moment = new_conversation_id(), now()
    record = {"id": identifier, "metadata": {}, "created_at": moment, "agent_name": None, "listed_at": moment}
    CONVERSATIONS.insert(db, record)
    return identifier


def id_of(progress: Progress, formula: Any) -> str | None:
    """Return the conversation that an action is about; None where it names none."""
    return as_text(progress.value(formula)) or None


def items_in(db: sqlite3.Connection, progress: Progress, identifier: str) -> list[Record]:
    """Return what was said in a conversation, oldest first. Raises `WorkflowError` if there is none."""
    if identifier == progress.conversation:
        return progress.spoken
    if not is_conversation_id(identifier) or CONVERSATIONS.find(db, identifier) is None:
        raise WorkflowError(f"there is no conversation {identifier[:80]!r}")
    return CONVERSATION_ITEMS.select(db, identifier)


def add_items(db: sqlite3.Connection, progress: Progress, identifier: str, items: list[Record]) -> None:
    """Add items to a conversation; to the response's own they go at once, too."""
    if identifier == progress.conversation:
        progress.state["said"] += items
        identifier = progress.run["response"]["conversation"] or ""
    if identifier and items:
        CONVERSATION_ITEMS.insert_all(db, items, identifier)


def as_items(value: Value, conversation: str, known: list[Record]) -> list[Record]:
    """Return messages as items to be added to a conversation; those that are in it already are left out."""
    present = {item["id"] for item in known}
    return [
        _item(said, partition_of(conversation))
        for said in messages(value)
        if said.get("Id") is None or said["Id"] not in present
    ]


def _item(said: dict[str, Value], partition: str) -> Record:
    role = "assistant" if said.get("Role") in ("assistant", "agent") else "user"
    kind: Record = {"type": "input_text", "text": said["Text"]}
    if role == "assistant":
        kind = {"type": "output_text", "text": said["Text"], "annotations": []}
    identifier = posted_id("msg", partition)
    body = {"type": "message", "id": identifier, "role": role, "content": [kind], "status": "completed"}
    return {"id": identifier, "body": body}


def as_messages(items: list[Record]) -> list[dict[str, Value]]:
    """Return the messages among items as expressions see them."""
    return [
        message(
            item["body"]["role"],
            "\n".join(part["text"] for part in item["body"]["content"] if part.get("text")),
            item["id"],
        )
        for item in items
        if item["body"]["type"] == "message"
    ]
