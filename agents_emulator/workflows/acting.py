"""What the actions of a workflow do that wait for nobody: variables, messages, conversations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from agents_emulator.workflows.actions import role_of
from agents_emulator.workflows.conversations import (
    add_conversation,
    add_items,
    as_items,
    as_messages,
    id_of,
    items_in,
)
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.program import Action
from agents_emulator.workflows.progress import Progress
from agents_emulator.workflows.values import (
    Value,
    as_boolean,
    as_number,
    as_table,
    as_text,
    from_json,
    kind_of,
    message,
)

Act = Callable[[sqlite3.Connection, Progress, dict[str, Any]], None]


def act(db: sqlite3.Connection, progress: Progress, action: Action) -> None:
    """Carry an action out. Raises `WorkflowError` where that is not possible."""
    _ACTIONS[action.kind](db, progress, action.properties)


def _set_variable(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    progress.assign(said["variable"], progress.value(said.get("value")))


def _set_several(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    for assignment in said["assignments"]:
        _set_variable(db, progress, assignment)


def _reset(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    progress.assign(said["variable"], None)


def _clear(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    if said.get("variables") == "ConversationHistory":
        raise WorkflowError("the history of a conversation cannot be cleared here")
    progress.state["variables"] = {"Local": {}, "Global": {}}


def _parse(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    progress.assign(said["variable"], parsed(progress.value(said["value"]), said["valueType"]))


def parsed(value: Value, kind: str) -> Value:
    """Return a value as another kind: what `ParseValue` gives. Raises `WorkflowError`."""
    if value is None:
        return None
    if kind in ("Record", "Table"):
        if isinstance(value, str):
            try:
                value = from_json(json.loads(value))
            except (ValueError, RecursionError):
                raise WorkflowError("the text is no JSON") from None
        if kind == "Table":
            return as_table(value)
        if not isinstance(value, dict):
            raise WorkflowError(f"{kind_of(value)} where a record is expected")
        return value
    return {"Boolean": as_boolean, "Number": as_number, "String": as_text}[kind](value)


def _send(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    progress.say_text(progress.value(said["activity"]))


def _create_conversation(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    progress.assign(said["conversationId"], add_conversation(db))


def _conversation(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> tuple[str, Any]:
    identifier = id_of(progress, said["conversationId"])
    if identifier is None:
        raise WorkflowError("`conversationId` is blank")
    return identifier, items_in(db, progress, identifier)


def _add_message(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    identifier, _ = _conversation(db, progress, said)
    text = "\n".join(progress.value(part["value"]) for part in said["content"])
    items = as_items(message(role_of(said.get("role")), text), identifier, [])
    add_items(db, progress, identifier, items)
    progress.assign(said.get("message"), as_messages(items)[0])


def _copy_messages(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    identifier, known = _conversation(db, progress, said)
    add_items(db, progress, identifier, as_items(progress.value(said["messages"]), identifier, known))


def _retrieve_message(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    identifier, known = _conversation(db, progress, said)
    wanted = as_text(progress.value(said["messageId"]))
    found = [item for item in as_messages(known) if item["Id"] == wanted]
    if not found:
        raise WorkflowError(f"there is no message {wanted[:80]!r} in the conversation {identifier}")
    progress.assign(said["message"], found[0])


def _retrieve_messages(db: sqlite3.Connection, progress: Progress, said: dict[str, Any]) -> None:
    _, known = _conversation(db, progress, said)
    progress.assign(said["messages"], as_messages(known))


_ACTIONS: dict[str, Act] = {
    "AddConversationMessage": _add_message,
    "ClearAllVariables": _clear,
    "CopyConversationMessages": _copy_messages,
    "CreateConversation": _create_conversation,
    "ParseValue": _parse,
    "ResetVariable": _reset,
    "RetrieveConversationMessage": _retrieve_message,
    "RetrieveConversationMessages": _retrieve_messages,
    "SendActivity": _send,
    "SetMultipleVariables": _set_several,
    "SetTextVariable": _set_variable,
    "SetVariable": _set_variable,
}
