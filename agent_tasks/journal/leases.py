"""What this worker surely holds, known without asking the journal.

A lease that was committed a moment ago is this worker's whatever happens to the journal meanwhile. How long
ago that was is read from a clock that goes on while the process is stopped and while the machine sleeps, and
from the wall clock, by which the others judge: either of them ends the certainty.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_SURE = 2 / 3
"""The part of a lease for which nothing is asked. Workers renew at a third; what is left is for clocks that
differ, and for a request on its way."""

# Linux counts a machine's sleep in BOOTTIME only, macOS in MONOTONIC (`time.monotonic` is another one there).
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the process or the machine stands still."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True)
class Moment:
    """When a transaction began, by both clocks."""

    wall: float
    """Seconds since the epoch: what the journal keeps and the others see."""
    steady: float


class Leases:
    """The claims of one worker, each with the time until which nobody else can have it.

    Args:
        seconds: how long a claim holds without renewal.
        clock: seconds since the epoch.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._since: dict[tuple[str, str], Moment] = {}

    def moment(self) -> Moment:
        """Now: to be read before the transaction that commits a lease."""
        return Moment(self._clock(), steady())

    def note(self, scope: str, keys: Iterable[str], since: Moment) -> None:
        """These were committed as this worker's, from that moment on."""
        for key in keys:
            self._since[scope, key] = since

    def drop(self, scope: str, keys: Iterable[str]) -> None:
        """These are no longer this worker's, or it does not need them any more."""
        for key in keys:
            self._since.pop((scope, key), None)

    def is_sure(self, scope: str, key: str) -> bool:
        """Whether nobody else can have it now. False means that the journal has to be asked."""
        since = self._since.get((scope, key))
        if since is None:
            return False
        passed = max(steady() - since.steady, self._clock() - since.wall)
        return passed < _SURE * self.seconds

    def held(self) -> dict[str, list[str]]:
        """The keys by scope, sorted."""
        found: dict[str, list[str]] = {}
        for scope, key in sorted(self._since):
            found.setdefault(scope, []).append(key)
        return found
