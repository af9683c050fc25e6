"""Calls in a row, of which the next one is under way while what the last one gave is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["one_ahead"]

T = TypeVar("T")


async def one_ahead(
    calls: Iterable[Callable[[], Coroutine[Any, Any, T]]],
) -> AsyncGenerator[T, None]:
    """Yield what the calls give, in their order; each begins before the one before it is used.

    Args:
        calls: What to call. One that raises ends it; the next one, begun already, is cancelled.
    """
    following: asyncio.Task[T] | None = None
    try:
        for call in calls:
            current, following = following, asyncio.create_task(call())
            await asyncio.sleep(0)  # it begins, even if whoever uses what is there waits for nothing
            if current is not None:
                yield await current
        if following is not None:
            yield await following
    finally:
        if following is not None and not following.done():
            following.cancel()
        if following is not None:
            await asyncio.gather(following, return_exceptions=True)
