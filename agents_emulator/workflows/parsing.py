"""Power Fx, as far as workflows use it: a text becomes a tree of nodes.

A node is a tuple: its operation, then what that takes. Nothing is evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from agents_emulator.workflows.errors import WorkflowError

Node = tuple[Any, ...]
MAX_CHARACTERS = 10_000
_MAX_NODES = 1000
_MAX_DEPTH = 40
_MAX_LEVELS = 200
_MAX_TEMPLATE = 30_000  # characters

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)
      | (?P<text>"(?:[^"]|"")*")
      | (?P<template>\$")
      | (?P<name>[A-Za-z_]\w*|'(?:[^']|'')+')
      | (?P<sign>&&|\|\||<>|<=|>=|[-+*/^&=<>!%(){}\[\],;:.])""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"And": "&&", "Or": "||", "Not": "!", "in": "in", "exactin": "exactin"}
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("in", "exactin"),
    ("=", "<>", "<", "<=", ">", ">="),
    ("&",),
    ("+", "-"),
    ("*", "/"),
    ("^",),
)
"""Operators of two sides, those that bind least first."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def parse(source: str) -> Node:
    """Return the tree of an expression (without its `=`). Raises `WorkflowError`."""
    if len(source) > MAX_CHARACTERS:
        raise WorkflowError(f"an expression has {MAX_CHARACTERS} characters at most")
    reader = _Reader(source)
    node = reader.whole(0)
    if reader.token is not None:
        raise reader.wrong()
    _check_depth(node)
    return node


def _check_depth(node: Node) -> None:
    """Refuse a tree that is too deep to be gone through, such as a sum of many hundreds."""
    level: list[Any] = [node]
    for _ in range(_MAX_LEVELS):
        level = [part for parts in level for part in parts if isinstance(part, tuple)]
        if not level:
            return
    raise WorkflowError(f"an expression has {_MAX_LEVELS} levels at most")


def template_parts(text: str) -> list[str | Node]:
    """Return the pieces of a template: plain texts, and trees of what stands in braces."""
    if len(text) > _MAX_TEMPLATE:
        raise WorkflowError(f"a template has {_MAX_TEMPLATE} characters at most")
    parts: list[str | Node] = []
    place = 0
    while (opened := text.find("{", place)) >= 0:
        if opened > place:
            parts.append(text[place:opened])
        reader = _Reader(text[opened + 1 :])
        node = reader.whole(0)
        _check_depth(node)
        parts.append(node)
        if reader.token is None or reader.token.text != "}":
            raise reader.wrong("'}'")
        place = opened + 1 + reader.token.end
    if text[place:]:
        parts.append(text[place:])
    return parts


class _Reader:
    """Reads one expression, a token ahead."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._nodes = 0
        self._place = 0
        self.token: _Token | None = None
        self._advance()

    def _advance(self) -> None:
        while True:
            if self._place >= len(self._source):
                self.token = None
                return
            found = _TOKEN.match(self._source, self._place)
            if found is None:
                self.token = _Token("unknown", self._source[self._place], self._place, self._place + 1)
                return
            kind = str(found.lastgroup)
            self._place = found.end()
            if kind != "space":
                self.token = _Token(kind, found[0], found.start(), found.end())
                return

    def wrong(self, expected: str = "an end or an operator") -> WorkflowError:
        """Return what is wrong at the present place."""
        if self.token is None:
            return WorkflowError(f"expected {expected}, but the expression ends")
        return WorkflowError(f"expected {expected} at {self._source[self.token.start :][:30]!r}")

    def _is(self, *signs: str) -> bool:
        return self.token is not None and self.token.kind == "sign" and self.token.text in signs

    def _take(self, sign: str) -> None:
        if not self._is(sign):
            raise self.wrong(f"'{sign}'")
        self._advance()

    def _node(self, *parts: Any) -> Node:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise WorkflowError(f"an expression has {_MAX_NODES} parts at most")
        return parts

    def whole(self, depth: int) -> Node:
        """Read an expression."""
        if depth > _MAX_DEPTH:
            raise WorkflowError(f"an expression is nested {_MAX_DEPTH} times at most")
        return self._sides(0, depth)

    def _sides(self, level: int, depth: int) -> Node:
        if level == len(_LEVELS):
            return self._unary(depth)
        node = self._sides(level + 1, depth)
        while (sign := self._operator()) in _LEVELS[level]:
            self._advance()
            node = self._node("binary", sign, node, self._sides(level + 1, depth))
        return node

    def _operator(self) -> str | None:
        if self.token is None:
            return None
        if self.token.kind == "name":
            return _WORDS.get(self.token.text)
        return self.token.text if self.token.kind == "sign" else None

    def _unary(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise WorkflowError(f"an expression is nested {_MAX_DEPTH} times at most")
        sign = self._operator()
        if sign in ("-", "!"):
            self._advance()
            return self._node("unary", sign, self._unary(depth + 1))
        node = self._primary(depth)
        while self._is(".", "%"):
            is_field = self._is(".")
            self._advance()
            node = self._node("field", node, self._name()) if is_field else self._node("percent", node)
        return node

    def _name(self) -> str:
        token = self.token
        if token is None or token.kind != "name":
            raise self.wrong("a name")
        self._advance()
        return token.text[1:-1].replace("''", "'") if token.text.startswith("'") else token.text

    def _primary(self, depth: int) -> Node:
        token = self.token
        if token is None:
            raise self.wrong("a value")
        match token.kind, token.text:
            case "number", text:
                self._advance()
                return self._node("value", float(text))
            case "text", text:
                self._advance()
                return self._node("value", text[1:-1].replace('""', '"'))
            case "template", _:
                return self._template(depth)
            case "name", _:
                return self._named(depth)
            case "sign", "(":
                self._advance()
                node = self.whole(depth + 1)
                self._take(")")
                return node
            case "sign", "[":
                return self._node("table", self._listed("[", "]", lambda: self.whole(depth + 1)))
            case "sign", "{":
                return self._node("record", self._listed("{", "}", lambda: self._entry(depth)))
            case _:
                raise self.wrong("a value")

    def _named(self, depth: int) -> Node:
        name = self._name()
        if name in ("true", "false"):
            return self._node("value", name == "true")
        if self._is("("):
            return self._node("call", name, self._listed("(", ")", lambda: self.whole(depth + 1)))
        return self._node("name", name)

    def _entry(self, depth: int) -> tuple[str, Node]:
        name = self._name()
        self._take(":")
        return name, self.whole(depth + 1)

    def _listed(self, opening: str, closing: str, read: Callable[[], Any]) -> tuple[Any, ...]:
        self._take(opening)
        found: list[Any] = []
        while not self._is(closing):
            if found:
                self._take(",")
            found.append(read())
        self._advance()
        return tuple(found)

    def _template(self, depth: int) -> Node:
        """Read `$"text {expression} text"`; a quotation mark or a brace in the text is written twice."""
        pieces: list[str | Node] = []
        text = ""
        assert self.token is not None  # noqa: S101 - the caller has looked
        place = self.token.end
        while True:
            sign = self._source[place : place + 1]
            if not sign:
                raise WorkflowError("expected '\"', but the expression ends")
            if sign in '"{}' and self._source[place + 1 : place + 2] == sign:
                text, place = text + sign, place + 2
            elif sign == '"':
                break
            elif sign == "{":
                pieces.append(text)
                self._place = place + 1
                self._advance()
                pieces.append(self.whole(depth + 1))
                if not self._is("}"):
                    raise self.wrong("'}'")
                text, place = "", self.token.end
            else:
                text, place = text + sign, place + 1
        self._place = place + 1
        self._advance()
        return self._node("template", (*pieces, text))
