"""The functions of Power Fx that workflows may call, by name; any other is refused when a version is made.

Those of `FUNCTIONS` take values; those of `LAZY` decide themselves which of their arguments are evaluated,
and for which rows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from agent_tasks.known_names import did_you_mean
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.parsing import Node
from agents_emulator.workflows.values import (
    COLUMN,
    Value,
    as_boolean,
    as_number,
    as_table,
    as_text,
    equal,
    from_json,
    message,
    message_text,
    number,
    row,
)

_MANY = 100
_UNBOUNDED = 10_000  # arguments: more than an expression has


class Evaluating(Protocol):
    """What functions that evaluate their arguments by themselves need."""

    def value(self, node: Node) -> Value:
        """Evaluate an argument."""
        ...

    def for_row(self, node: Node, record: dict[str, Value]) -> Value:
        """Evaluate an argument with the fields of a row by their names."""
        ...

    def joined(self, texts: list[str], between: str = "") -> str:
        """Join texts, unless what comes of them is too long."""
        ...


@dataclass(frozen=True)
class Function:
    """What carries a call out, and how many arguments it takes."""

    call: Callable[..., Value]
    least: int
    most: int


def _text(convert: Callable[[str], Value]) -> Function:
    return Function(lambda value: convert(as_text(value)), 1, 1)


def _find(sought: Value, within: Value, start: Value = 1) -> Value:
    first = int(as_number(start))
    if first < 1:
        raise WorkflowError("Find begins at 1 or later")
    place = as_text(within).find(as_text(sought), first - 1)
    return None if place < 0 else place + 1


def _count(value: Value) -> int:
    return max(0, int(as_number(value)))


def _mid(text: Value, start: Value, count: Value = math.inf) -> str:
    first = int(as_number(start)) - 1
    if first < 0:
        raise WorkflowError("Mid begins at 1 or later")
    rest = as_text(text)[first:]
    return rest if count == math.inf else rest[: _count(count)]


def _right(text: Value, count: Value) -> str:
    whole, wanted = as_text(text), _count(count)
    return whole[-wanted:] if wanted else ""


def _replace(text: Value, start: Value, count: Value, new: Value) -> str:
    whole, first = as_text(text), int(as_number(start)) - 1
    if first < 0:
        raise WorkflowError("Replace begins at 1 or later")
    return whole[:first] + as_text(new) + whole[first + _count(count) :]


def _substitute(text: Value, old: Value, new: Value, which: Value = None) -> str:
    whole, sought = as_text(text), as_text(old)
    if not sought:
        return whole
    if which is None:
        return whole.replace(sought, as_text(new))
    pieces = whole.split(sought)
    at = int(as_number(which))
    if not 0 < at < len(pieces):
        return whole
    return sought.join(pieces[:at]) + as_text(new) + sought.join(pieces[at:])


def _rounded(way: Callable[[float], float]) -> Function:
    def call(value: Value, digits: Value = 0) -> Value:
        places = int(as_number(digits))
        if abs(places) > _MANY:
            raise WorkflowError(f"{_MANY} digits at most")
        scale = 10.0**places
        return number(way(as_number(value) * scale) / scale)

    return Function(call, 1, 2)


def _half_up(value: float) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _away(value: float) -> float:
    return math.copysign(math.ceil(abs(value)), value)


def _mod(value: Value, divisor: Value) -> Value:
    by = as_number(divisor)
    if by == 0:
        raise WorkflowError("a division by zero")
    return number(as_number(value) % by)


def _numbers(combine: Callable[[list[float]], float]) -> Function:
    return Function(lambda *values: number(combine([as_number(value) for value in values])), 1, _UNBOUNDED)


def _value(value: Value) -> Value:
    return None if value is None or value == "" else as_number(value)


def _coalesce(*values: Value) -> Value:
    return next((value for value in values if value is not None and value != ""), None)


def _index(table: Value, place: Value) -> Value:
    rows, at = as_table(table), int(as_number(place))
    if not 1 <= at <= len(rows):
        raise WorkflowError(f"Index {at} of a table with {len(rows)} rows")
    return rows[at - 1]


def _first(table: Value) -> Value:
    rows = as_table(table)
    return rows[0] if rows else None


def _last(table: Value) -> Value:
    rows = as_table(table)
    return rows[-1] if rows else None


def _last_n(table: Value, count: Value = 1) -> Value:
    rows, wanted = as_table(table), _count(count)
    return rows[-wanted:] if wanted else []


def _split(text: Value, separator: Value) -> Value:
    by, whole = as_text(separator), as_text(text)
    return [{COLUMN: piece} for piece in (whole.split(by) if by else list(whole))]


def _parse_json(text: Value) -> Value:
    try:
        return from_json(json.loads(as_text(text)))
    except (ValueError, RecursionError):
        raise WorkflowError("ParseJSON was given a text that is no JSON") from None


def _message_of(role: str) -> Function:
    def call(text: Value) -> Value:
        said = as_text(text)
        return message(role, said) if said else None

    return Function(call, 1, 1)


FUNCTIONS: dict[str, Function] = {
    "Abs": Function(lambda value: number(abs(as_number(value))), 1, 1),
    "AgentMessage": _message_of("assistant"),
    "Blank": Function(lambda: None, 0, 0),
    "Boolean": Function(as_boolean, 1, 1),
    "Char": Function(lambda code: chr(max(1, min(255, int(as_number(code))))), 1, 1),
    "Coalesce": Function(_coalesce, 1, _UNBOUNDED),
    "Concatenate": Function(lambda *texts: "".join(map(as_text, texts)), 1, _UNBOUNDED),
    "CountRows": Function(lambda table: len(as_table(table)), 1, 1),
    "EndsWith": Function(lambda text, end: as_text(text).lower().endswith(as_text(end).lower()), 2, 2),
    "Find": Function(_find, 2, 3),
    "First": Function(_first, 1, 1),
    "FirstN": Function(lambda table, count=1: as_table(table)[: _count(count)], 1, 2),
    "Index": Function(_index, 2, 2),
    "Int": Function(lambda value: number(math.floor(as_number(value))), 1, 1),
    "IsBlank": Function(lambda value: value is None or value == "", 1, 1),
    "IsEmpty": Function(lambda table: not as_table(table), 1, 1),
    "JSON": Function(lambda value, _=None: json.dumps(value, ensure_ascii=False), 1, 2),
    "Last": Function(_last, 1, 1),
    "LastN": Function(_last_n, 1, 2),
    "Left": Function(lambda text, count: as_text(text)[: _count(count)], 2, 2),
    "Len": _text(len),
    "Lower": _text(str.lower),
    "Max": _numbers(max),
    "MessageText": Function(message_text, 1, 1),
    "Mid": Function(_mid, 2, 3),
    "Min": _numbers(min),
    "Mod": Function(_mod, 2, 2),
    "Not": Function(lambda value: not as_boolean(value), 1, 1),
    "ParseJSON": Function(_parse_json, 1, 1),
    "Proper": _text(str.title),
    "Replace": Function(_replace, 4, 4),
    "Right": Function(_right, 2, 2),
    "Round": _rounded(_half_up),
    "RoundDown": _rounded(math.trunc),
    "RoundUp": _rounded(_away),
    "Split": Function(_split, 2, 2),
    "StartsWith": Function(
        lambda text, start: as_text(text).lower().startswith(as_text(start).lower()), 2, 2
    ),
    "Substitute": Function(_substitute, 3, 4),
    "Sum": _numbers(sum),
    "Table": Function(lambda *rows: [row(item) for item in rows], 0, _UNBOUNDED),
    "Text": Function(as_text, 1, 1),
    "Trim": _text(lambda text: " ".join(text.split())),
    "TrimEnds": _text(str.strip),
    "Trunc": _rounded(math.trunc),
    "Upper": _text(str.upper),
    "UserMessage": _message_of("user"),
    "Value": Function(_value, 1, 1),
}


def _if(at: Evaluating, *arguments: Node) -> Value:
    pairs, rest = divmod(len(arguments), 2)
    for pair in range(pairs):
        if as_boolean(at.value(arguments[2 * pair])):
            return at.value(arguments[2 * pair + 1])
    return at.value(arguments[-1]) if rest else None


def _switch(at: Evaluating, sought: Node, *arguments: Node) -> Value:
    value = at.value(sought)
    pairs, rest = divmod(len(arguments), 2)
    for pair in range(pairs):
        if equal(value, at.value(arguments[2 * pair])):
            return at.value(arguments[2 * pair + 1])
    return at.value(arguments[-1]) if rest else None


def _and(at: Evaluating, *arguments: Node) -> Value:
    return all(as_boolean(at.value(argument)) for argument in arguments)


def _or(at: Evaluating, *arguments: Node) -> Value:
    return any(as_boolean(at.value(argument)) for argument in arguments)


def _matching(at: Evaluating, table: Node, conditions: tuple[Node, ...]) -> Iterator[dict[str, Value]]:
    for record in as_table(at.value(table)):
        if all(as_boolean(at.for_row(condition, record)) for condition in conditions):
            yield record


def _for_all(at: Evaluating, table: Node, formula: Node) -> Value:
    return [row(at.for_row(formula, record)) for record in as_table(at.value(table))]


def _concat(at: Evaluating, table: Node, formula: Node, separator: Node | None = None) -> Value:
    between = "" if separator is None else as_text(at.value(separator))
    return at.joined([as_text(at.for_row(formula, record)) for record in as_table(at.value(table))], between)


def _filter(at: Evaluating, table: Node, *conditions: Node) -> Value:
    return list(_matching(at, table, conditions))


def _count_if(at: Evaluating, table: Node, *conditions: Node) -> Value:
    return sum(1 for _ in _matching(at, table, conditions))


def _look_up(at: Evaluating, table: Node, condition: Node, formula: Node | None = None) -> Value:
    found = next(_matching(at, table, (condition,)), None)
    return found if found is None or formula is None else at.for_row(formula, found)


LAZY: dict[str, Function] = {
    "And": Function(_and, 1, _UNBOUNDED),
    "Concat": Function(_concat, 2, 3),
    "CountIf": Function(_count_if, 2, _UNBOUNDED),
    "Filter": Function(_filter, 2, _UNBOUNDED),
    "ForAll": Function(_for_all, 2, 2),
    "If": Function(_if, 2, _UNBOUNDED),
    "LookUp": Function(_look_up, 2, 3),
    "Or": Function(_or, 1, _UNBOUNDED),
    "Switch": Function(_switch, 3, _UNBOUNDED),
}
OVER_ROWS = frozenset(("Concat", "CountIf", "Filter", "ForAll", "LookUp"))
"""Functions whose arguments after the first see the fields of a row."""


def checked_function(name: str, count: int) -> Function:
    """Return a function that takes so many arguments. Raises `WorkflowError` for one that is not known."""
    found: Any = FUNCTIONS.get(name) or LAZY.get(name)
    if found is None:
        hint = did_you_mean(name[:80], [*FUNCTIONS, *LAZY])
        raise WorkflowError(f"the function {name[:80]}() is not known here. {hint}".rstrip())
    function: Function = found
    if not function.least <= count <= function.most:
        raise WorkflowError(f"{name}() does not take {count} arguments")
    return function
