"""The blocking client behind the async one's interface, so that one test drives both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

from agent_tasks.client import AgentsClient

_END = object()


class Asyncified:
    """An object of the blocking client whose methods are awaited; each runs in a thread."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "aclose":
            name = "close"
        value = getattr(self._inner, name)
        if inspect.ismethod(value):
            return _AsyncMethod(value)
        return Asyncified(value) if type(value).__module__.startswith("agent_tasks.client._sync") else value

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


class _AsyncMethod:
    def __init__(self, method: Any) -> None:
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = inspect.signature(self._method).return_annotation
        if isinstance(made, str) and any(word in made for word in ("Iterator", "Generator", "Stream")):
            return Asyncified(self._method(*args, **kwargs))  # nothing is sent before it is entered or read
        return self._call(args, kwargs)

    async def _call(self, args: Any, kwargs: Any) -> Any:
        result = await asyncio.to_thread(self._method, *args, **kwargs)
        return Asyncified(result) if isinstance(result, Iterator) else result


def as_async(client: AgentsClient) -> Any:
    """The client, to be used like an `AsyncAgentsClient`."""
    return Asyncified(client)
