"""All that is particular to asyncio; the blocking client has plain counterparts in a module of this name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar
from urllib.request import getproxies, proxy_bypass

import httpx

from agent_tasks import pauses
from agent_tasks.callables import call_any, run_function
from agent_tasks.client._carried import Carried, CarriedRequest, Carrier
from agent_tasks.client.endpoint import Endpoint
from agent_tasks.client.gate import current_gate

__all__ = [
    "Answer",
    "AsyncLock",
    "AsyncSemaphore",
    "CarriedRequest",
    "Carrier",
    "aclosing",
    "async_acquired",
    "async_cut_off",
    "async_sleep",
    "async_within",
    "asynccontextmanager",
    "call_any",
    "direct_transport",
    "for_each",
    "gate_passed",
    "gate_trace",
    "in_thread",
    "run_function",
]

T = TypeVar("T")
R = TypeVar("R")

Answer = httpx.Response | Carried
"""An answer that is not read."""

AsyncLock = asyncio.Lock
AsyncSemaphore = asyncio.Semaphore


async def async_acquired(semaphore: asyncio.Semaphore, seconds: float | None) -> None:
    """Acquires it. Raises httpx.PoolTimeout where that takes longer."""
    if semaphore.locked():
        try:
            async with asyncio.timeout(seconds):
                await semaphore.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout(f"no connection was free within {seconds:g} s") from error
    else:
        await semaphore.acquire()


async def async_sleep(seconds: float) -> None:
    """Waits."""
    await pauses.sleep(seconds)


class async_within:  # noqa: N801 - each request enters it twice, which costs a generator more than all else
    """Raises httpx.ReadTimeout where the block takes longer.

    Each piece of an answer may come in time, and the whole never.
    """

    __slots__ = ("_seconds", "_timeout")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        late = error
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as its_own:
            late = its_own
        if isinstance(late, TimeoutError):
            raise httpx.ReadTimeout(f"no answer in {self._seconds:g} s") from late


def async_cut_off(_response: Answer, seconds: float) -> AbstractAsyncContextManager[None]:
    """Raises httpx.ReadTimeout where the rest of an answer takes longer, and closes its connection."""
    return async_within(seconds)


def direct_transport(
    endpoint: Endpoint, verified: Callable[[], ssl.SSLContext], *, keep_alive: float
) -> Carrier | None:
    """What carries requests faster than httpx; None where a proxy of the environment is on the way."""
    if not endpoint.loopback and getproxies() and not proxy_bypass(endpoint.host):
        return None
    is_plain = endpoint.url.startswith("http:")
    return _DirectCarrier(None if is_plain else verified(), keep_alive=keep_alive)


class _DirectCarrier:
    """`AiohttpCarrier`, imported with its first request: a run in which nothing has changed sends none."""

    def __init__(self, verify: ssl.SSLContext | None, *, keep_alive: float) -> None:
        self._verify = verify
        self._keep_alive = keep_alive
        self._made: Carrier | None = None

    async def carry(self, request: CarriedRequest, closed: Callable[[], None]) -> Carried:
        """Sends a request."""
        if self._made is None:
            from agent_tasks.client._aiohttp import AiohttpCarrier

            self._made = AiohttpCarrier(self._verify, keep_alive=self._keep_alive)
        return await self._made.carry(request, closed)

    async def aclose(self) -> None:
        """Closes all connections."""
        if self._made is not None:
            await self._made.aclose()


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Calls a function that reads or writes a disk, without holding up the loop."""
    return await asyncio.to_thread(function, *args)


async def for_each(function: Callable[[T], Awaitable[R]], items: Iterable[T], *, at_once: int) -> list[R]:
    """Calls the function for all items, so many at once; results in order.

    All calls run to their end; then the first exception, if any, is raised.
    """
    free = asyncio.Semaphore(at_once)

    async def one(item: T) -> R:
        async with free:
            return await function(item)

    results = await asyncio.gather(*(one(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def gate_passed() -> None:
    """Asks the gate that is up here, if there is one; raises what it says."""
    gate = current_gate()
    if gate is not None and not gate.is_open():
        await gate.enter()


async def gate_trace(event: str, _info: Any) -> None:
    """For httpx's extension `trace`: asks the gate when a connection is there and the first byte is due."""
    if event.endswith(".send_request_headers.started"):
        await gate_passed()
