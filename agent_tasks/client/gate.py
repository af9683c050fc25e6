"""The gate: what is asked right before a request that changes something leaves, also when it is sent again.

The client sends by itself what was refused (429, an expired token), minutes later perhaps. Whoever may have
lost the right to it meanwhile puts a gate up around its calls. It holds for everything that is sent inside,
in this task and in those that it starts. Without one everything may leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Protocol


class Gate(Protocol):
    """Says whether what is done inside may still be done."""

    def is_open(self) -> bool:
        """Whether that is sure without asking anybody."""
        ...

    async def enter(self) -> None:
        """Ask if need be. Raises what then reaches whoever made the call; nothing is sent."""
        ...

    def enter_blocking(self) -> None:
        """The same for the blocking client, in a thread of its own."""
        ...


_gate: ContextVar[Gate | None] = ContextVar("agent_tasks_gate", default=None)


def current_gate() -> Gate | None:
    """The gate that is up here."""
    return _gate.get()


@contextmanager
def guarded_by(gate: Gate) -> Iterator[None]:
    """Put a gate up for the block, in place of one that is up already: the new one has to ask that."""
    before = _gate.set(gate)
    try:
        yield
    finally:
        with suppress(ValueError):  # ended in another context than it began in, where it was not up
            _gate.reset(before)
