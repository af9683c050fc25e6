"""Requests over aiohttp, for a quarter of the processor time that they take over httpx's own connections.

The client speaks httpx: its requests, answers and errors. Only what carries them is another one here. Nothing
is sent twice by itself, also not where aiohttp would: a request that met a closing connection is an error,
and whether it is sent again is the client's to decide.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

import aiohttp
import httpx
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

__all__ = ["AiohttpTransport"]

_LARGEST_HEADER: Final = 64 * 1024
"""Characters of one line of an answer's head, as httpx has it."""

# Raised before any byte of the request has left. Other errors say nothing about that.
_NOT_SENT: Final = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
)
_MAYBE_SENT: Final = (
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (aiohttp.ClientError, httpx.ReadError),
)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Carries requests whose bodies are in memory, each over a connection of its own while it is under way.

    What the extension `trace` of a request has is called as httpx does it: when there is a connection, before
    the first byte. The extension `timeout` holds; for writing there is no limit of its own.

    Args:
        verify: how certificates are checked; None: the address is plain http.
        keep_alive: seconds that a connection is kept for the next request.
    """

    def __init__(self, verify: ssl.SSLContext | None, *, keep_alive: float) -> None:
        self._verify = verify
        self._keep_alive = keep_alive
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; gives its answer with the body unread.

        Raises:
            httpx.TransportError: as httpx has them; those that say that nothing was sent are only raised
                where that is so.
        """
        limits = request.extensions["timeout"]
        sending = _Sending(request.extensions.get("trace"))
        entered = _sending.set(sending)
        try:
            with _errors_of_httpx(request):
                answer = await self._opened().request(
                    request.method,
                    _url(str(request.url)),
                    data=request.content or None,
                    headers=CIMultiDict(request.headers.multi_items()),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=limits["connect"], sock_read=limits["read"]
                    ),
                )
        finally:
            _sending.reset(entered)
        return httpx.Response(
            answer.status,
            headers=list(answer.raw_headers),
            stream=_Body(answer, request),
            request=request,
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode()},
        )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=0,  # the client bounds them
                    ssl=True if self._verify is None else self._verify,
                    keepalive_timeout=self._keep_alive,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                max_line_size=_LARGEST_HEADER,
                max_field_size=_LARGEST_HEADER,
            )
        return self._session

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


class _Sending:
    """One request on its way: over one connection, and when that is there its `trace` is called."""

    def __init__(self, trace: Callable[[str, Any], Awaitable[None]] | None) -> None:
        self._trace = trace
        self._has_begun = False

    def begin(self) -> None:
        """Refuse a second connection: aiohttp would send what changes nothing twice by itself."""
        if self._has_begun:
            raise httpx.ReadError("the connection was closed before an answer came")
        self._has_begun = True

    async def connected(self) -> None:
        if self._trace is not None:
            await self._trace("http11.send_request_headers.started", None)


_sending: ContextVar[_Sending] = ContextVar("agent_tasks_sending")


class _Connector(aiohttp.TCPConnector):
    """Tells a request on its way of its connection."""

    async def connect(self, req: ClientRequest, *args: Any, **named: Any) -> Connection:
        """See `BaseConnector.connect`."""
        sending = _sending.get()
        sending.begin()
        connection = await super().connect(req, *args, **named)
        try:
            await sending.connected()
        except BaseException:
            connection.close()
            raise
        return connection


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx(self._request):
            async for piece in self._answer.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        """Close the connection, unless the body was read to its end: then it is free already."""
        self._answer.close()


@lru_cache(512)
def _url(address: str) -> URL:
    return URL(address, encoded=True)


@contextmanager
def _errors_of_httpx(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientError as error:
        for kind, theirs in (*_NOT_SENT, *_MAYBE_SENT):
            if isinstance(error, kind):
                raise theirs(str(error) or type(error).__name__, request=request) from error
        raise
