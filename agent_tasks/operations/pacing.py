"""Few at a time go on when the service has answered many, each as far as its next request.

Two hundred turns that end together would otherwise do each step side by side, and have their next requests
ready together, when the time for all of them has passed; and so again after each answer. One after the other,
the first has its request ready at once, and from then on they end apart.

A place is kept for a moment at most, so nobody waits long for one who waits for something else in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Pace", "go_on", "step_aside"]

_AT_ONCE = 24  # enough for the processor to have work while some wait for a commit
_LONGEST = 0.25  # seconds that a place is kept


class Pace:
    """Those who take their places by turns, in the order in which they came.

    Args:
        at_once: how many places there are.
        longest: seconds for which one is kept, whatever its holder waits for.
    """

    def __init__(self, at_once: int = _AT_ONCE, longest: float = _LONGEST) -> None:
        self.free = asyncio.Semaphore(at_once)
        self.longest = longest

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the pace inside, with one place for all that is done there."""
        place = _Place(self)
        before = _place.set(place)
        try:
            yield
        finally:
            place.leave()
            _place.reset(before)


class _Place:
    """The place of one who keeps the pace, taken or not."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._until: asyncio.TimerHandle | None = None

    async def take(self) -> None:
        if self._until is None:
            await self._pace.free.acquire()
            self.leave()  # one that came by another way meanwhile
            loop = asyncio.get_running_loop()
            self._until = loop.call_later(self._pace.longest, self.leave)

    def leave(self) -> None:
        if self._until is not None:
            self._until.cancel()
            self._until = None
            self._pace.free.release()


_place: ContextVar[_Place | None] = ContextVar("agent_tasks_place", default=None)


async def go_on() -> None:
    """Wait for a place, where a pace is kept, and take it: there is something to do here."""
    place = _place.get()
    if place is not None:
        await place.take()


def step_aside() -> None:
    """Leave the place to others: what comes next is up to the service."""
    place = _place.get()
    if place is not None:
        place.leave()
