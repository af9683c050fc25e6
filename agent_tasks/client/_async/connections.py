"""Connections, each with a client of its own: a pool of httpx looks at all it has for each request.

A pool of fifty costs several milliseconds of processor time a request (it compares each connection with each,
and asks the system about each idle one); fifty pools of one cost next to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any, Final

import httpx

from agent_tasks.client._async import _runtime

__all__ = ["AsyncConnections", "AsyncHttp"]

AT_MOST: Final = 240
"""Requests under way; further ones wait for as long as a request may wait for a connection.

Two hundred turns, and beside them what is deleted.
"""


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Take nothing: looking for cookies costs more than all else that is done with headers."""


class AsyncHttp(httpx.AsyncClient):
    """A client that keeps no cookies: no request depends on one before it."""

    _none: Final = _NoCookies()

    @property  # type: ignore[misc]
    def cookies(self) -> httpx.Cookies:
        """None, ever."""
        return self._none


class AsyncConnections:
    """Sends requests, each on the connection that was used last of those that are free.

    So a few requests stay on a few connections.

    Args:
        make: makes a client with connections of its own.
        apart: whether each carries one request at a time; a transport that a test gives carries all.
        direct: carries what is in memory, if it is given; the clients carry uploads then.
    """

    def __init__(
        self,
        make: Callable[[], AsyncHttp],
        *,
        apart: bool = True,
        direct: _runtime.Carrier | None = None,
    ) -> None:
        self._make = make
        self._apart = apart
        self._direct = direct
        self._all: list[AsyncHttp] = []
        self._unused: list[AsyncHttp] = []
        self._free = _runtime.AsyncSemaphore(AT_MOST)
        self._choosing = threading.Lock()

    async def carry(self, request: _runtime.CarriedRequest) -> _runtime.Answer:
        """Send what is in memory; for the rest see `send`."""
        if self._direct is None:
            return await self.send(
                httpx.Request(
                    request.method,
                    _url(request.address),
                    headers=request.headers,
                    content=request.content,
                    extensions=dict(request.extensions),
                )
            )
        await _runtime.async_acquired(self._free, request.extensions["timeout"]["pool"])
        try:
            return await self._direct.carry(request, self._free.release)
        except BaseException:
            self._free.release()
            raise

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request; gives its answer unread. Its connection is free again when that is closed.

        Args:
            request: what to send. Its timeouts are those of its extension `timeout`; that of the pool is how
                long it waits for a connection.

        Raises:
            httpx.HTTPError: what httpx raises.
        """
        await _runtime.async_acquired(self._free, request.extensions["timeout"]["pool"])
        http: AsyncHttp | None = None
        try:
            http = self._chosen()
            response = await http.send(request, stream=True)
        except BaseException:
            self._give_back(http)
            raise
        if response.is_closed:  # one that a test made
            self._give_back(http)
            return response
        response.stream = _Body(response.stream, lambda: self._give_back(http))
        return response

    def _chosen(self) -> AsyncHttp:
        with self._choosing:
            if self._unused:
                return self._unused.pop() if self._apart else self._unused[0]
            http = self._make()
            self._all.append(http)
            if not self._apart:
                self._unused.append(http)
            return http

    def _give_back(self, http: AsyncHttp | None) -> None:
        if http is not None and self._apart:
            with self._choosing:
                self._unused.append(http)
        self._free.release()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._direct is not None:
            await self._direct.aclose()
        for http in self._all:
            await http.aclose()


@lru_cache(512)
def _url(address: str) -> httpx.URL:
    """Most requests go where one before them went, and parsing an address takes long."""
    return httpx.URL(address)


class _Body(httpx.AsyncByteStream):
    """An answer's body that tells when it is closed."""

    def __init__(self, inner: Any, closed: Callable[[], None]) -> None:
        self._inner = inner
        self._closed: Callable[[], None] | None = closed

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: AsyncIterator[bytes] = aiter(self._inner)
        return pieces

    async def aclose(self) -> None:
        closed, self._closed = self._closed, None
        try:
            await self._inner.aclose()
        finally:
            if closed is not None:
                closed()
