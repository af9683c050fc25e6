"""Open things (accounts, workspaces), shared while they are used and closed after their last user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["Pool"]

T = TypeVar("T")


class _Open(Generic[T]):
    """One thing, and who uses it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.stack = AsyncExitStack()
        self.values: list[T] = []
        """The thing, once it is open."""
        self.users = 0
        self.closing: asyncio.Task[None] | None = None


class Pool(Generic[T]):
    """Things by a key, each opened once for all who use it at the same time in one event loop.

    Args:
        name: of the tasks that close what is idle.
        idle: seconds that a thing stays open after its last user; 0: it is closed before the user goes on.
    """

    def __init__(self, name: str, *, idle: float = 0.0) -> None:
        self._name = name
        self._idle = idle
        # Connections and tasks belong to a loop.
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Open[T]]] = (
            WeakKeyDictionary()
        )

    def here(self) -> list[T]:
        """What is open in this event loop."""
        known = self._loops.get(asyncio.get_running_loop(), {})
        return [value for one in known.values() for value in one.values]

    @asynccontextmanager
    async def use(
        self, key: Hashable, opened: Callable[[], AbstractAsyncContextManager[T]]
    ) -> AsyncIterator[T]:
        """The thing of a key, to be used in the block.

        Args:
            key: what tells it from others.
            opened: makes it; the first user's is taken. Where it fails, the next user's is tried.
        """
        known = self._loops.setdefault(asyncio.get_running_loop(), {})
        one = known.setdefault(key, _Open())
        one.users += 1
        if one.closing is not None:
            one.closing.cancel()
            one.closing = None
        try:
            async with one.lock:
                if not one.values:
                    one.values.append(await one.stack.enter_async_context(opened()))
            yield one.values[0]
        finally:
            one.users -= 1
            if not one.users and one.values and self._idle:
                one.closing = asyncio.create_task(self._close_when_idle(known, key, one), name=self._name)
            elif not one.users:
                await _close(known, key, one)

    async def _close_when_idle(self, known: dict[Hashable, _Open[T]], key: Hashable, one: _Open[T]) -> None:
        try:
            await asyncio.sleep(self._idle)
        finally:
            # The end of the event loop cancels this too; a new user does, and may be gone again by now.
            if one.closing is asyncio.current_task():
                await _close(known, key, one)


async def _close(known: dict[Hashable, _Open[T]], key: Hashable, one: _Open[T]) -> None:
    if known.get(key) is one:  # whoever comes now opens another
        del known[key]
        await one.stack.aclose()
