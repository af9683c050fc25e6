"""The expressions of pipeline files: `router.kind == "lease" and len(clauses) > 2`.

A small part of Python's syntax, parsed by Python and carried out here, node by node: names, fields, items,
literals, comparisons, `and or not in`, arithmetic, `a if b else c`, comprehensions over one list, and the
functions of `FUNCTIONS`. Nothing of Python's objects can be reached: values are JSON, a field is a key of a
mapping, and names that begin with `_` are refused. `true`, `false` and `null` are written as in YAML.

An expression is checked when the file is loaded (`Expression.parse`): unknown names and fields, comparisons
that can never be true, wrong types. The field of null is null, so that the answer of a step that did not run
may be asked about.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_tasks.errors import ExpressionError
from agent_tasks.known_names import did_you_mean
from agent_tasks.steps.file.types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    TEXT,
    ValueType,
    join,
    list_of,
)

MAX_CHARACTERS = 1000
_MAX_NODES = 200
_MAX_WORK = (
    200_000  # nodes that one evaluation may visit; what is gone through counts too, a list by its items
)
_TEXT_A_NODE = 500  # characters of a text that count as a node: so what is made stays below 100 MB
_MAX_TEXT = 100_000  # characters of a text that an expression may make

_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_ORDERING = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": len,
    "any": any,
    "all": all,
    "min": min,
    "max": max,
    "sum": sum,
    "lower": str.lower,
}
"""What may be called; each takes one value."""


@dataclass(frozen=True)
class Expression:
    """A checked expression."""

    source: str
    type: ValueType
    """What it gives."""
    reads: frozenset[str]
    """Names that it asks for."""
    constant: bool
    """Whether it gives the same whatever the document: it reads nothing."""
    _tree: ast.expr

    @classmethod
    def parse(cls, source: str, scope: Mapping[str, ValueType]) -> Expression:
        """Check an expression.

        Args:
            source: as it stands in the file.
            scope: the names that it may use, with their types.

        Raises:
            ExpressionError: it is not one, or asks for what is not there.
        """
        if len(source) > MAX_CHARACTERS:
            raise ExpressionError(
                f"the expression has {len(source):,} characters; at most {MAX_CHARACTERS:,} are allowed"
            )
        try:
            tree = ast.parse(source.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            said = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ExpressionError(f"{source!r} is no expression: {said}") from error
        if sum(1 for _ in ast.walk(tree)) > _MAX_NODES:
            raise ExpressionError("the expression is too long; make it of shorter ones, or ask an agent")
        checker = _Checker(scope)
        found = checker.type_of(tree, {})
        return cls(source, found, frozenset(checker.reads), not checker.reads, tree)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """What it gives for these values.

        Raises:
            ExpressionError: it cannot be carried out on them, such as a comparison of text with a number.
        """
        try:
            return _Evaluation(values).value(self._tree, {})
        except RecursionError as error:
            raise ExpressionError(
                f"{self.source!r} cannot be worked out: its values nest too deeply"
            ) from error
        except (TypeError, LookupError, ArithmeticError, ValueError) as error:
            raise ExpressionError(f"{self.source!r} cannot be worked out: {error}") from error


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


class _Checker:
    """Finds the type of each part of an expression."""

    def __init__(self, scope: Mapping[str, ValueType]) -> None:
        self._scope = scope
        self.reads: set[str] = set()

    def type_of(self, node: ast.expr, local: Mapping[str, ValueType]) -> ValueType:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise ExpressionError(f"{_text(node)!r} is not possible in an expression")
        found: ValueType = method(node, local)
        return found

    def _constant(self, node: ast.Constant, local: Mapping[str, ValueType]) -> ValueType:
        if isinstance(node.value, str):
            return ValueType("string", enum=(node.value,))
        for kind, found in ((bool, BOOLEAN), (int, INTEGER), (float, NUMBER)):
            if isinstance(node.value, kind):
                return found
        if node.value is None:
            return NULL
        raise ExpressionError(f"{_text(node)!r} is not possible in an expression")

    def _name(self, node: ast.Name, local: Mapping[str, ValueType]) -> ValueType:
        if node.id in local:
            return local[node.id]
        if node.id in _CONSTANTS:
            return BOOLEAN if _CONSTANTS[node.id] is not None else NULL
        if node.id not in self._scope:
            raise ExpressionError(f"{node.id!r} is not known here. {did_you_mean(node.id, [*self._scope])}")
        self.reads.add(node.id)
        return self._scope[node.id]

    def _attribute(self, node: ast.Attribute, local: Mapping[str, ValueType]) -> ValueType:
        if node.attr.startswith("_"):
            raise ExpressionError(f"{node.attr!r} is not possible: names of fields begin with a letter")
        try:
            return self.type_of(node.value, local).attribute(node.attr, _text(node.value))
        except LookupError as error:
            raise ExpressionError(str(error.args[0])) from None

    def _subscript(self, node: ast.Subscript, local: Mapping[str, ValueType]) -> ValueType:
        of, place = self.type_of(node.value, local), self.type_of(node.slice, local)
        shown = _text(node.value)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) and of.name == "object":
            try:
                return of.attribute(node.slice.value, shown)
            except LookupError as error:
                raise ExpressionError(str(error.args[0])) from None
        if of.name not in ("list", "object", "any"):
            raise ExpressionError(f"{shown} is {of.words}: it has no items")
        if of.name == "list" and place.name not in ("integer", "any"):
            raise ExpressionError(f"the items of {shown} are asked for by number, not by {place.words}")
        return (of.item or ANY).or_null() if of.name == "list" else ANY

    def _boolop(self, node: ast.BoolOp, local: Mapping[str, ValueType]) -> ValueType:
        for value in node.values:
            self.condition(value, local)
        return BOOLEAN

    def condition(self, node: ast.expr, local: Mapping[str, ValueType]) -> None:
        """Check that a value may decide something."""
        found = self.type_of(node, local)
        if found.name in ("boolean", "any", "null"):
            return
        if found.nullable:
            return  # is it there at all?
        shown = _text(node)
        hint = {"list": f"len({shown}) > 0", "string": f'{shown} == "..."', "object": f"{shown}.FIELD"}
        advice = hint.get(found.name, f"{shown} > 0")
        raise ExpressionError(f"{shown} is {found.words} and cannot decide anything; write {advice}")

    def _unaryop(self, node: ast.UnaryOp, local: Mapping[str, ValueType]) -> ValueType:
        if isinstance(node.op, ast.Not):
            self.condition(node.operand, local)
            return BOOLEAN
        found = self.type_of(node.operand, local)
        if not isinstance(node.op, ast.USub) or not (found.is_number or found.name == "any"):
            raise ExpressionError(f"{_text(node)!r} is not possible: {found.words} has no sign")
        return found

    def _binop(self, node: ast.BinOp, local: Mapping[str, ValueType]) -> ValueType:
        one, other = self.type_of(node.left, local), self.type_of(node.right, local)
        known = type(node.op) in _ARITHMETIC
        numbers = all(side.is_number or side.name == "any" for side in (one, other))
        texts = isinstance(node.op, ast.Add) and all(side.name in ("string", "any") for side in (one, other))
        if not known or not (numbers or texts):
            raise ExpressionError(f"{_text(node)!r} is not possible with {one.words} and {other.words}")
        if texts and not numbers:
            return TEXT
        if "any" in (one.name, other.name):
            return ANY
        whole = one.name == other.name == "integer" and not isinstance(node.op, ast.Div)
        return INTEGER if whole else NUMBER

    def _compare(self, node: ast.Compare, local: Mapping[str, ValueType]) -> ValueType:
        sides = [node.left, *node.comparators]
        types = [self.type_of(side, local) for side in sides]
        for position, sign in enumerate(node.ops):
            self._comparison(node, sign, types[position], types[position + 1], sides[position])
        return BOOLEAN

    def _comparison(
        self, node: ast.Compare, sign: ast.cmpop, one: ValueType, other: ValueType, left: ast.expr
    ) -> None:
        if isinstance(sign, ast.Is | ast.IsNot):
            raise ExpressionError(f"{_text(node)!r} is not possible; compare by == and !=")
        shown = _text(node)
        if isinstance(sign, ast.In | ast.NotIn):
            if other.name == "list":
                other = other.item or ANY
            elif other.name == "string" and one.name in ("string", "any"):
                return
            elif other.name != "any":
                raise ExpressionError(f"{shown!r} is not possible: {other.words} has no items")
        elif isinstance(sign, _ORDERING):
            comparable = (one.is_number and other.is_number) or (one.name == other.name == "string")
            if not comparable and "any" not in (one.name, other.name):
                raise ExpressionError(
                    f"{shown!r} is not possible: {one.words} and {other.words} have no order"
                )
            return
        if not _may_be_equal(one, other):
            words = f"never {other.words}" if one.name != other.name else _never(one, other)
            raise ExpressionError(f"{shown!r}: {_text(left)} is {words}")

    def _ifexp(self, node: ast.IfExp, local: Mapping[str, ValueType]) -> ValueType:
        self.condition(node.test, local)
        return join(self.type_of(node.body, local), self.type_of(node.orelse, local))

    def _list(self, node: ast.List, local: Mapping[str, ValueType]) -> ValueType:
        items = [self.type_of(item, local) for item in node.elts]
        joined = items[0] if items else ANY
        for item in items[1:]:
            joined = join(joined, item)
        return list_of(joined)

    _tuple = _list

    def _listcomp(self, node: ast.ListComp | ast.GeneratorExp, local: Mapping[str, ValueType]) -> ValueType:
        generator = node.generators[0]
        if len(node.generators) > 1 or not isinstance(generator.target, ast.Name) or generator.is_async:
            raise ExpressionError(f"{_text(node)!r} is not possible: go through one list, by one name")
        name = generator.target.id
        if name.startswith("_") or name in self._scope or name in _CONSTANTS:
            raise ExpressionError(f"the name {name!r} is taken; use another one in {_text(node)!r}")
        found = self.type_of(generator.iter, local)
        if found.name not in ("list", "any"):
            raise ExpressionError(f"{_text(generator.iter)} is {found.words}, not a list")
        inner = {**local, name: found.item or ANY}
        for condition in generator.ifs:
            self.condition(condition, inner)
        return list_of(self.type_of(node.elt, inner))

    _generatorexp = _listcomp

    def _call(self, node: ast.Call, local: Mapping[str, ValueType]) -> ValueType:
        name = node.func.id if isinstance(node.func, ast.Name) else _text(node.func)
        if name not in FUNCTIONS or not isinstance(node.func, ast.Name):
            raise ExpressionError(f"there is no function {name!r}; there are {', '.join(FUNCTIONS)}")
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            raise ExpressionError(f"{name}(...) takes one value")
        given, shown = self.type_of(node.args[0], local), _text(node.args[0])
        if name == "lower":
            if given.name not in ("string", "any"):
                raise ExpressionError(f"lower(...) takes text, and {shown} is {given.words}")
            return TEXT
        takes = ("list", "any", "string", "object") if name == "len" else ("list", "any")
        if given.name not in takes:
            raise ExpressionError(f"{name}(...) takes a list, and {shown} is {given.words}")
        if name in ("any", "all"):
            if given.item is not None and given.item.name not in ("boolean", "any", "null"):
                raise ExpressionError(
                    f"{name}(...) takes a list of true and false; write {name}(x.FIELD for x in {shown})"
                )
            return BOOLEAN
        if name == "len":
            return INTEGER
        return given.item or ANY


def _may_be_equal(one: ValueType, other: ValueType) -> bool:
    if one.enum and other.enum:
        return bool(set(one.enum) & set(other.enum))
    if "any" in (one.name, other.name) or (one.is_number and other.is_number):
        return True
    if "null" in (one.name, other.name):
        return one.nullable or other.nullable or one.name == other.name
    return one.name == other.name


def _never(one: ValueType, other: ValueType) -> str:
    said, known = ", ".join(other.enum or ()), ", ".join(one.enum or ())
    return f"never {said!r}; it is one of: {known}"


class _Evaluation:
    """Carries an expression out on values."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._work = 0

    def _charge(self, *values: Any) -> None:
        """Count the work of going through values: what is compared, searched, added up or made."""
        self._work += sum(map(_size, values))
        if self._work > _MAX_WORK:
            raise ValueError("it takes too many steps; make its list or texts shorter")

    def value(self, node: ast.expr, local: Mapping[str, Any]) -> Any:
        self._work += 1
        self._charge()
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._named(node.id, local)
            case ast.Attribute():
                return _field(self.value(node.value, local), node.attr, _text(node.value))
            case ast.Subscript():
                return _item(self.value(node.value, local), self.value(node.slice, local), _text(node))
            case ast.BoolOp():
                wanted = isinstance(node.op, ast.Or)
                for part in node.values:
                    if bool(self.value(part, local)) is wanted:
                        return wanted
                return not wanted
            case ast.UnaryOp():
                found = self.value(node.operand, local)
                return not found if isinstance(node.op, ast.Not) else -_number(found)
            case ast.BinOp():
                return self._calculated(node, local)
            case ast.Compare():
                return self._compare(node, local)
            case ast.IfExp():
                return self.value(node.body if self.value(node.test, local) else node.orelse, local)
            case ast.List() | ast.Tuple():
                return [self.value(item, local) for item in node.elts]
            case ast.ListComp() | ast.GeneratorExp():
                return self._comprehension(node, local)
            case ast.Call(func=ast.Name(id=name)):
                given = self.value(node.args[0], local)
                if name != "len":
                    self._charge(given)
                return _called(name, given)
        raise TypeError(f"{_text(node)!r} is not possible")

    def _named(self, name: str, local: Mapping[str, Any]) -> Any:
        if name in local:
            return local[name]
        return _CONSTANTS[name] if name in _CONSTANTS else self._values[name]

    def _compare(self, node: ast.Compare, local: Mapping[str, Any]) -> bool:
        left = self.value(node.left, local)
        for sign, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator, local)
            self._charge(left, right)
            if not _holds(sign, left, right):
                return False
            left = right
        return True

    def _calculated(self, node: ast.BinOp, local: Mapping[str, Any]) -> Any:
        made = _calculated(node.op, self.value(node.left, local), self.value(node.right, local))
        self._charge(made)
        return made

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp, local: Mapping[str, Any]) -> list[Any]:
        generator = node.generators[0]
        name = generator.target.id  # type: ignore[attr-defined]  # checked by `_Checker`
        found = self.value(generator.iter, local)
        if found is None:
            return []
        if not isinstance(found, list):
            raise TypeError(f"{_text(generator.iter)} is not a list")
        made = []
        for item in found:
            inner = {**local, name: item}
            if all(self.value(condition, inner) for condition in generator.ifs):
                made.append(self.value(node.elt, inner))
        return made


def _size(value: Any) -> int:
    """How long it takes to go through a value, in nodes; of one that is too large as much as tells so."""
    size, found = 0, [value]
    while found and size <= _MAX_WORK:
        one = found.pop()
        if isinstance(one, str):
            size += len(one) // _TEXT_A_NODE
        elif isinstance(one, list | Mapping):
            size += len(one)
            found += one.values() if isinstance(one, Mapping) else one
    return size


def _holds(sign: ast.cmpop, one: Any, other: Any) -> bool:
    if isinstance(sign, ast.Eq | ast.NotEq):
        same = one == other and isinstance(one, bool) == isinstance(other, bool)  # 1 is not true
        return same is isinstance(sign, ast.Eq)
    # What is not there is neither more nor less than anything, and holds nothing.
    if isinstance(sign, _ORDERING) and (one is None or other is None):
        return False
    if other is None:
        other = []
    return _COMPARISONS[type(sign)](one, other)


def _field(of: Any, name: str, shown: str) -> Any:
    if of is None:
        return None
    if not isinstance(of, Mapping) or name not in of:
        raise LookupError(f"{shown} has no field {name!r}")
    return of[name]


def _item(of: Any, place: Any, shown: str) -> Any:
    if of is None:
        return None
    if isinstance(of, list) and isinstance(place, int) and not isinstance(place, bool):
        return of[place] if -len(of) <= place < len(of) else None
    if isinstance(of, Mapping) and isinstance(place, str):
        return of.get(place)
    raise TypeError(f"{shown} asks for an item of what has none")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value


def _calculated(sign: ast.operator, one: Any, other: Any) -> Any:
    if isinstance(sign, ast.Add) and isinstance(one, str) and isinstance(other, str):
        if len(one) + len(other) > _MAX_TEXT:
            raise ValueError("the text gets too long")
        return one + other
    return _ARITHMETIC[type(sign)](_number(one), _number(other))


def _called(name: str, value: Any) -> Any:
    if value is None:
        return {"len": 0, "any": False, "all": True, "sum": 0}.get(name)
    if name in ("min", "max") and not value:
        return None
    return FUNCTIONS[name](value)
