"""The values of workflows: JSON, with Power Fx's rules of what becomes what.

Blank is None, a record is a mapping, a table a list of records. A list of plain values is a table with one
column, `Value`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agents_emulator.workflows.errors import WorkflowError

Value = Any
Table = list[dict[str, Value]]
COLUMN = "Value"
_EXACT = 1e15  # whole numbers up to here are written without a decimal point


def kind_of(value: Value) -> str:
    """Return the kind of a value, for messages."""
    if value is None:
        return "blank"
    kinds = {bool: "a boolean", str: "a text", dict: "a record", list: "a table"}
    return kinds.get(type(value), "a number")


def as_text(value: Value) -> str:
    """Return a value as text; blank is the empty one."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case dict() | list():
            raise WorkflowError(f"{kind_of(value)} where a text is expected: take a field of it, or JSON()")
        case _:
            return repr(number(value))


def shown(value: Value) -> str:
    """Return a value as a template shows it: records as the text of a message, or as JSON."""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return as_text(value)


def as_number(value: Value) -> float:
    """Return a value as a number; blank is 0, a text is read."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            return number(float(value.strip().replace(",", "")))
        except ValueError:
            raise WorkflowError(f"the text {value[:40]!r} is no number") from None
    raise WorkflowError(f"{kind_of(value)} where a number is expected")


def number(value: float) -> float:
    """Return a number as it is kept: whole ones as integers. Raises for what is none, or infinite."""
    if value != value or value in (float("inf"), float("-inf")):
        raise WorkflowError("a number that is too large, or none")
    return int(value) if abs(value) < _EXACT and value == int(value) else float(value)


def as_boolean(value: Value) -> bool:
    """Return a value as true or false; blank is false."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise WorkflowError(f"{kind_of(value)} where true or false is expected")


def as_table(value: Value) -> Table:
    """Return a value as a table; blank is an empty one, a record one of a row."""
    if value is None:
        return []
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return value
    raise WorkflowError(f"{kind_of(value)} where a table is expected")


def row(value: Value) -> dict[str, Value]:
    """Return a value as a row of a table."""
    return value if isinstance(value, dict) else {COLUMN: value}


def unwrapped(record: dict[str, Value]) -> Value:
    """Return what a row stands for: the plain value of a row of the one column `Value`."""
    return record[COLUMN] if set(record) == {COLUMN} else record


def from_json(value: Any) -> Value:
    """Return parsed JSON as a value: lists become tables."""
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [row(from_json(item)) for item in value]
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def field_of(value: Value, name: str) -> Value:
    """Return a field: of a record, or of each row of a table (a table with this one column)."""
    if value is None:
        return None
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list):
        return [{name: item.get(name)} for item in value]
    raise WorkflowError(f"{kind_of(value)} has no field '{name[:80]}'")


def equal(one: Value, other: Value) -> bool:
    """Whether two values are equal; a text and a number never are."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


# -- messages


def message(role: str, text: str, identifier: str | None = None) -> dict[str, Value]:
    """Return a message as expressions see it."""
    content = [{"Type": "Text", "Value": text}]
    return {"Id": identifier, "Role": role, "Text": text, "Content": content}


def messages(value: Value) -> list[dict[str, Value]]:
    """Return what `messages` of an action says: a message, a table of them, or the text of the user's."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [message("user", value)]
    found = as_table(value)
    if any(not isinstance(item.get("Text"), str) for item in found):
        raise WorkflowError("expected messages: a text, UserMessage(...), or what an agent has said")
    return found


def message_text(value: Value) -> str:
    """Return the text of a message, or of all in a table, a line each."""
    if isinstance(value, str):
        return value
    texts = [as_text(item.get("Text")).strip() for item in as_table(value)]
    return "\n".join(text for text in texts if text)


def size_of(variables: Mapping[str, Value]) -> int:
    """Return how many characters variables hold."""
    return len(json.dumps(variables))
