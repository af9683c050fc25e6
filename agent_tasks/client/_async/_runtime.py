"""All that is particular to asyncio; the blocking client has plain counterparts in a module of this name."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

AsyncLock = asyncio.Lock


async def async_sleep(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)


async def call_any(function: Callable[..., Any], *args: Any, seconds: float) -> Any:
    """Calls a blocking function in a thread, or an async one here; TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        if inspect.iscoroutinefunction(function):
            return await function(*args)
        result = await asyncio.to_thread(function, *args)
        return await result if inspect.isawaitable(result) else result
