"""How often the client has sent requests again by itself: what it waits out is seen nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

__all__ = ["Resent", "count_resent", "counting_resent"]


@dataclass
class Resent:
    """Requests that were sent again inside a block, in its task and in those that it starts."""

    requests: int = 0
    """How many."""
    throttled: int = 0
    """How many of them because too much was asked of the service (429)."""
    seconds: float = 0.0
    """How long was waited before them, all together; waits at the same time are all in it."""
    around: Resent | None = field(default=None, repr=False)
    """Who counts the same, around this block."""


_counting: ContextVar[Resent | None] = ContextVar("agent_tasks_resent", default=None)


@contextmanager
def counting_resent() -> Iterator[Resent]:
    """Count what is sent again in the block; whoever counts around it counts it too."""
    counted = Resent(around=_counting.get())
    token = _counting.set(counted)
    try:
        yield counted
    finally:
        _counting.reset(token)


def count_resent(pause: float, *, throttled: bool) -> None:
    """A request is to be sent again.

    Args:
        pause: seconds until then.
        throttled: whether it was refused since too much was asked.
    """
    counted = _counting.get()
    while counted is not None:
        counted.requests += 1
        counted.throttled += throttled
        counted.seconds += pause
        counted = counted.around
