"""What a template may make of one document: so many rounds of its loops, and so much text.

A template is its author's, but how often its loops go round, and how long a text becomes, is up to what an
agent answered: two loops over one list of ten thousand items are a hundred million rounds, in which a worker
does nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["MAX_CHARACTERS", "MAX_ROUNDS", "BoundedEnvironment", "PromptTooLargeError", "bounded"]

MAX_ROUNDS = 200_000
"""Rounds of all loops, and calls of macros, for one text."""
MAX_CHARACTERS = 10_000_000
"""Of what is put into one text. A thousand pages are about three million; no model reads as much."""


class PromptTooLargeError(ValueError):
    """The text of a template takes more than it may."""


@dataclass
class _Left:
    rounds: int
    characters: int

    def take(self, characters: int) -> None:
        self.characters -= characters
        if self.characters < 0:
            raise PromptTooLargeError(f"its text becomes longer than {MAX_CHARACTERS:,} characters")


_ROUND = "_round_begins"
_left: ContextVar[_Left | None] = ContextVar("left of a template's bounds", default=None)


@contextmanager
def bounded() -> Iterator[None]:
    """Count what a template makes in this block; PromptTooLargeError comes out of it."""
    token = _left.set(_Left(MAX_ROUNDS, MAX_CHARACTERS))
    try:
        yield
    finally:
        _left.reset(token)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox; what its templates make within `bounded` is counted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=_put_out, **options)
        # A filter, since those are called straight away, and functions by way of the sandbox.
        self.filters[_ROUND] = _round_begins

    def counted(self, tree: nodes.Template) -> nodes.Template:
        """Return a parsed template, changed so that each round of its loops and macros is counted."""
        repeated: list[nodes.For | nodes.Macro | nodes.CallBlock] = [*tree.find_all(nodes.For)]
        repeated += [*tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]
        for node in repeated:
            literal = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
            counting = nodes.Filter(nodes.Const(literal), _ROUND, [], [], None, None)
            node.body.insert(0, nodes.ExprStmt(counting, lineno=node.lineno))
        tree.set_environment(self)
        return tree


@pass_context
def _round_begins(_context: object, characters: int) -> None:
    """Count a round, and the characters that it puts out whatever the values are."""
    if (left := _left.get()) is None:
        return
    left.rounds -= 1
    if left.rounds < 0:
        raise PromptTooLargeError(f"its loops go round more than {MAX_ROUNDS:,} times")
    left.take(characters)


def _put_out(value: Any) -> str:
    text = str(value)
    if (left := _left.get()) is not None:
        left.take(len(text))
    return text
