"""The blocking client behind the async one's interface, so that one test drives both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from agent_tasks.client import AgentsClient

_END = object()


class Asyncified:
    """An object of the blocking client whose methods are awaited; each runs in a thread."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if inspect.ismethod(value):
            return _awaited(value)
        return Asyncified(value) if type(value).__module__.startswith("agent_tasks.client._sync") else value

    async def aclose(self) -> None:
        await asyncio.to_thread(self._inner.close)

    async def __aenter__(self) -> Asyncified:
        entered = await asyncio.to_thread(self._inner.__enter__)
        return self if entered is self._inner else Asyncified(entered)

    async def __aexit__(self, *error: Any) -> Any:
        return await asyncio.to_thread(self._inner.__exit__, *error)

    def __aiter__(self) -> Asyncified:
        return self

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self._inner, _END)
        if item is _END:
            raise StopAsyncIteration
        return item


def _is_awaited(method: Any) -> bool:
    """Whether the async client's method of this name is awaited."""
    kind = type(method.__self__)
    module = import_module(kind.__module__.replace("._sync.", "._async."))
    return inspect.iscoroutinefunction(getattr(getattr(module, f"Async{kind.__name__}"), method.__name__))


def _awaited(method: Any) -> Any:
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(method, *args, **kwargs)

    def call_now(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return Asyncified(result) if isinstance(result, Iterator) else result

    return call if _is_awaited(method) else call_now


def as_async(client: AgentsClient) -> Any:
    """The client, to be used like an `AsyncAgentsClient`."""
    return Asyncified(client)
