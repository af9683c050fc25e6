"""Growing pauses between looks at something, or between tries: one way, by one clock that tests can set.

    async for _ in Pauses(0.2, 5.0, within=60):
        if await is_there():
            return

The first look comes at once. Without `within` and `times` there is no end.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

__all__ = ["Clock", "JumpingClock", "Pauses", "block", "clock_of", "sleep"]


class Clock:
    """The time that passes, and waiting for it to pass; in seconds."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without holding up the event loop."""
        await asyncio.sleep(seconds)

    async def until(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for an event, at most so long; whether it came."""
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False

    def block(self, seconds: float) -> None:
        """Wait in this thread."""
        time.sleep(seconds)


class JumpingClock(Clock):
    """For tests: a wait is over at once, and the time has jumped by as much."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        """All waits, in order."""

    def now(self) -> float:
        """The time that passed, and all waits."""
        return super().now() + sum(self.waited)

    async def sleep(self, seconds: float) -> None:
        """Let others run, and jump."""
        self.waited.append(seconds)
        await asyncio.sleep(0)

    async def until(self, event: asyncio.Event, seconds: float) -> bool:
        """Let others run, and jump."""
        await self.sleep(seconds)
        return event.is_set()

    def block(self, seconds: float) -> None:
        """Jump."""
        self.waited.append(seconds)


_clock = Clock()


@contextmanager
def clock_of(clock: Clock) -> Iterator[Clock]:
    """Have all pauses of this process, in all threads, go by another clock inside the block."""
    global _clock
    before, _clock = _clock, clock
    try:
        yield clock
    finally:
        _clock = before


async def sleep(seconds: float) -> None:
    """Wait, by the clock that is set."""
    await _clock.sleep(seconds)


def block(seconds: float) -> None:
    """Wait in this thread, by the clock that is set."""
    _clock.block(seconds)


class Pauses:
    """Pauses that grow from `first` to `longest` seconds, to be iterated over or taken one by one.

    Args:
        first: seconds.
        longest: seconds; None: all are as long as the first.
        growth: how much longer the next one is.
        within: seconds from now after which there is none any more; the last one ends there.
        times: how many there are; None: as many as fit.
        jitter: by what share each is longer or shorter by chance, so that many do not look all at once.
    """

    def __init__(
        self,
        first: float,
        longest: float | None = None,
        *,
        growth: float = 1.5,
        within: float | None = None,
        times: int | None = None,
        jitter: float = 0.0,
    ) -> None:
        self._first = self._pause = first
        self._longest = first if longest is None else longest
        self._growth = growth
        self._within = within
        self._left = times
        self._jitter = jitter
        self._began = _clock.now()
        self._taken = 0.0
        self._has_looked = False

    @property
    def coming(self) -> float:
        """Seconds of the next pause, if no limit makes it shorter."""
        return min(self._pause, self._longest)

    def next(self, within: float | None = None) -> float | None:
        """Seconds to pause now; None: there is no further pause.

        Args:
            within: seconds since the beginning, in place of the object's own, which may be learned late.
        """
        pause = self.coming
        limit = self._within if within is None else within
        if limit is not None:
            left = limit - max(self._taken, _clock.now() - self._began)
            if left <= 0:
                return None
            pause = min(pause, left)
        if self._left is not None:
            if self._left <= 0:
                return None
            self._left -= 1
        if self._jitter:
            pause *= random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311 - no secret
        self._pause = min(self._pause * self._growth, self._longest)
        self._taken += pause
        return pause

    async def wait(self, within: float | None = None) -> bool:
        """Pause; False, and at once: there is no further pause."""
        pause = self.next(within)
        if pause is None:
            return False
        await sleep(pause)
        return True

    async def until(self, event: asyncio.Event) -> bool:
        """Pause, but no longer than until an event comes; whether it came."""
        pause = self.next()
        return event.is_set() if pause is None else await _clock.until(event, pause)

    def restart(self) -> None:
        """Begin with short pauses again, since something has happened; the limits count on."""
        self._pause = self._first

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> None:
        if self._has_looked and not await self.wait():
            raise StopAsyncIteration
        self._has_looked = True
