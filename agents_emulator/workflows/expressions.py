"""Expressions and templates of workflows: checked when a version is made, evaluated within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.functions import FUNCTIONS, LAZY, OVER_ROWS, checked_function
from agents_emulator.workflows.parsing import Node, parse, template_parts
from agents_emulator.workflows.values import (
    Value,
    as_boolean,
    as_number,
    as_table,
    as_text,
    equal,
    field_of,
    number,
    row,
    shown,
)

MAX_TEXT = 1_000_000
"""Characters of a text that an expression may make."""
_MAX_WORK = 500_000  # nodes that one evaluation may visit; a value counts by what it holds
_TEXT_A_NODE = 500  # characters
SYSTEM = frozenset(
    [
        "Activity",
        "Bot",
        "Conversation",
        "ConversationId",
        "InternalId",
        "LastMessage",
        "LastMessageId",
        "LastMessageText",
        "Recognizer",
        "User",
        "UserLanguage",
    ]
)
"""What there is below `System`."""
SCOPES = ("Local", "Global", "System")
Variables = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class Expression:
    """A formula: what stands behind `=`."""

    source: str
    tree: Node = field(repr=False)

    @classmethod
    def of(cls, source: str) -> Expression:
        """Check a formula. Raises `WorkflowError`."""
        tree = parse(source)
        _check(tree, in_row=False)
        return cls(source, tree)

    def evaluate(self, variables: Variables) -> Value:
        """Return its value. Raises `WorkflowError`."""
        return _Evaluation(variables).value(self.tree)


@dataclass(frozen=True)
class Template:
    """A text with formulas in braces."""

    parts: tuple[str | Node, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Check a template. Raises `WorkflowError`."""
        parts = template_parts(text)
        for part in parts:
            if not isinstance(part, str):
                _check(part, in_row=False)
        return cls(tuple(parts))

    def evaluate(self, variables: Variables) -> str:
        """Return the text. Raises `WorkflowError`."""
        at = _Evaluation(variables)
        return at.joined([part if isinstance(part, str) else shown(at.value(part)) for part in self.parts])


@dataclass(frozen=True)
class Literal:
    """What a YAML says where a formula may stand, formulas within it included."""

    value: Any

    def evaluate(self, variables: Variables) -> Value:
        """Return its value. Raises `WorkflowError`."""
        return _literal(self.value, variables)


Formula = Expression | Literal


def formula(value: Any) -> Formula:
    """Return what evaluates a property: a text that begins with `=` is an expression."""
    if isinstance(value, str) and value.startswith("="):
        return Expression.of(value[1:].strip())
    return Literal(_prepared(value, 0))


def _prepared(value: Any, depth: int) -> Any:
    if depth > 20:
        raise WorkflowError("a value is nested 20 times at most")
    if isinstance(value, str) and value.startswith("="):
        return Expression.of(value[1:].strip())
    if isinstance(value, dict):
        return {str(key): _prepared(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_prepared(item, depth + 1) for item in value]
    if value is None or isinstance(value, str | bool):
        return value
    return number(value) if isinstance(value, int | float) else str(value)  # a date is a text


def _literal(value: Any, variables: Variables) -> Value:
    if isinstance(value, Expression):
        return value.evaluate(variables)
    if isinstance(value, dict):
        return {key: _literal(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [row(_literal(item, variables)) for item in value]
    return value


# -- checking


def _check(node: Node, *, in_row: bool) -> None:
    match node:
        case ("name", str(name)):
            _check_name(name, in_row)
        case ("field", ("name", "System"), str(name)) if name not in SYSTEM:
            raise WorkflowError(f"there is no System.{name[:80]}; there are {', '.join(sorted(SYSTEM))}")
        case ("field", inner, _):
            _check(inner, in_row=in_row)
        case ("call", str(name), tuple(arguments)):
            checked_function(name, len(arguments))
            for place, argument in enumerate(arguments):
                _check(argument, in_row=in_row or (name in OVER_ROWS and place > 0))
        case ("record", tuple(entries)):
            for _, entry in entries:
                _check(entry, in_row=in_row)
        case ("value", _):
            pass
        case _:
            for part in _children(node):
                _check(part, in_row=in_row)


def _children(node: Node) -> list[Node]:
    parts = node[1] if node[0] in ("table", "template") else node[1:]
    return [part for part in parts if isinstance(part, tuple)]


def _check_name(name: str, in_row: bool) -> None:
    if not in_row and name not in (*SCOPES, "Topic"):
        raise WorkflowError(f"the name {name[:80]} is not known: a variable is Local.{name[:80]}")


# -- evaluating


class _Evaluation:
    """One evaluation, and what is left of its bounds."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._rows: list[dict[str, Value]] = []
        self._left = _MAX_WORK

    def value(self, node: Node) -> Value:
        """Evaluate a node."""
        self._spend(1)
        operation, *parts = node
        match operation:
            case "value":
                return parts[0] if isinstance(parts[0], str | bool) else number(parts[0])
            case "name":
                return self._named(parts[0])
            case "field":
                return self._made(field_of(self.value(parts[0]), parts[1]))
            case "call":
                return self._called(parts[0], parts[1])
            case "binary":
                return self._binary(parts[0], parts[1], parts[2])
            case "unary":
                inner = self.value(parts[1])
                return not as_boolean(inner) if parts[0] == "!" else number(-as_number(inner))
            case "percent":
                return number(as_number(self.value(parts[0])) / 100)
            case "record":
                return self._made({name: self.value(entry) for name, entry in parts[0]})
            case "table":
                return self._made([row(self.value(entry)) for entry in parts[0]])
            case _:  # template
                texts = [
                    piece if isinstance(piece, str) else as_text(self.value(piece)) for piece in parts[0]
                ]
                return self.joined(texts)

    def for_row(self, node: Node, record: dict[str, Value]) -> Value:
        """Evaluate a node with the fields of a row by their names."""
        self._rows.append(record)
        try:
            return self.value(node)
        finally:
            self._rows.pop()

    def joined(self, texts: list[str], between: str = "") -> str:
        """Join texts, within the bounds."""
        if sum(map(len, texts)) + len(between) * len(texts) > MAX_TEXT:
            raise WorkflowError(f"a text of more than {MAX_TEXT} characters")
        text = between.join(texts)
        self._spend(len(text) // _TEXT_A_NODE)
        return text

    def _spend(self, work: int) -> None:
        self._left -= work
        if self._left < 0:
            raise WorkflowError("an expression that takes too much work")

    def _named(self, name: str) -> Value:
        for record in reversed(self._rows):
            if name == "ThisRecord":
                return record
            if name in record:
                return record[name]
        if name in (*SCOPES, "Topic"):
            return dict(self._variables["Local" if name == "Topic" else name])
        return None

    def _called(self, name: str, arguments: tuple[Node, ...]) -> Value:
        if name in LAZY:
            result = LAZY[name].call(self, *arguments)
        else:
            values = [self.value(argument) for argument in arguments]
            for value in values:
                self._made(value)
            self._refuse_growth(name, values)
            result = FUNCTIONS[name].call(*values)
        return self._made(result)

    def _made(self, value: Value) -> Value:
        """Count what a value holds as work, all the way in: so none becomes too large to be written."""
        waiting = [value]
        while waiting:
            held = waiting.pop()
            if isinstance(held, str):
                self._spend(len(held) // _TEXT_A_NODE)
            elif isinstance(held, list | dict):
                self._spend(len(held))
                waiting += held.values() if isinstance(held, dict) else held
        return value

    def _refuse_growth(self, name: str, values: list[Value]) -> None:
        """Refuse a call whose text would be too long before it is made."""
        if name == "Substitute":
            sought, new = as_text(values[1]), as_text(values[2])
            times = as_text(values[0]).count(sought) if sought else 0
            if times * len(new) > MAX_TEXT:
                raise WorkflowError(f"a text of more than {MAX_TEXT} characters")

    def _binary(self, sign: str, left: Node, right: Node) -> Value:
        one = self.value(left)
        if sign in ("&&", "||"):
            decided = as_boolean(one)
            return decided if decided == (sign == "||") else as_boolean(self.value(right))
        other = self.value(right)
        self._made([one, other])
        match sign:
            case "&":
                return self.joined([as_text(one), as_text(other)])
            case "=":
                return equal(one, other)
            case "<>":
                return not equal(one, other)
            case "in" | "exactin":
                return _contains(one, other, exact=sign == "exactin")
            case "<" | "<=" | ">" | ">=":
                return _ordered(sign, as_number(one), as_number(other))
            case _:
                return _computed(sign, as_number(one), as_number(other))


def _contains(one: Value, other: Value, *, exact: bool) -> bool:
    if isinstance(other, list):
        wanted = row(one)
        return any(equal(wanted, item) for item in as_table(other))
    sought, within = as_text(one), as_text(other)
    return sought in within if exact else sought.lower() in within.lower()


def _ordered(sign: str, one: float, other: float) -> bool:
    if sign in ("<", "<="):
        return one < other or (sign == "<=" and one == other)
    return one > other or (sign == ">=" and one == other)


def _computed(sign: str, one: float, other: float) -> Value:
    try:
        match sign:
            case "+":
                return number(one + other)
            case "-":
                return number(one - other)
            case "*":
                return number(float(one) * other)
            case "/":
                return number(one / other)
            case _:
                result = float(one) ** other
                if isinstance(result, complex):
                    raise WorkflowError("a power that is no number")
                return number(result)
    except ZeroDivisionError:
        raise WorkflowError("a division by zero") from None
    except OverflowError:
        raise WorkflowError("a number that is too large") from None
