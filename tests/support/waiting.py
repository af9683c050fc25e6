"""Wait for what must become true, with a deadline that a loaded machine keeps too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SECONDS = 60.0


async def eventually(condition: Callable[[], object], *, seconds: float = SECONDS) -> None:
    """Let others work until `condition` holds.

    Raises:
        AssertionError: it does not hold after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds:g} s"
        await asyncio.sleep(0.01)
