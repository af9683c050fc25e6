"""Functions of others, which may be blocking or async: one way to call them from an event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["call_any", "run_function"]


async def call_any(function: Callable[..., Any], *args: Any, seconds: float) -> Any:
    """Call a blocking function in a thread, or an async one here; TimeoutError after so many seconds."""
    async with asyncio.timeout(seconds):
        if inspect.iscoroutinefunction(function):
            return await function(*args)
        result = await asyncio.to_thread(function, *args)
        return await result if inspect.isawaitable(result) else result


async def run_function(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a function of the caller: an async one here, a blocking one in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **named)
    result = await asyncio.to_thread(function, *args, **named)
    return await result if inspect.isawaitable(result) else result
