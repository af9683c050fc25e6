"""Wait for what must become true, with a deadline that a loaded machine keeps too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SECONDS = 60.0


def pause(looked: float, *, shortest: float = 0.01) -> float:
    """Seconds until the next look: longer after one that took long, which keeps others from their work.

    Args:
        looked: seconds that the last look has taken.
        shortest: the pause after a look that took no time.
    """
    return max(shortest, min(4 * looked, 0.25))


async def eventually(condition: Callable[[], object], *, seconds: float = SECONDS) -> None:
    """Let others work until `condition` holds.

    Raises:
        AssertionError: it does not hold after `seconds`.
    """
    deadline = time.monotonic() + seconds
    began = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < deadline, f"not so after {seconds:g} s"
        await asyncio.sleep(pause(now - began))
        began = time.monotonic()
