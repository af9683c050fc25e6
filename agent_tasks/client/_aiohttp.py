"""Requests over aiohttp, for a quarter of the processor time that they take over httpx's own connections.

The errors are those of httpx, which the client knows. Nothing is sent twice by itself, also not where aiohttp
would: a request that met a closing connection is an error, and whether it is sent again is the client's to
decide.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final

import aiohttp
import httpx
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from multidict import CIMultiDict
from yarl import URL

from agent_tasks.client._carried import Carried, CarriedRequest

__all__ = ["AiohttpCarrier"]

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


class AiohttpCarrier:
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

    async def carry(self, request: CarriedRequest, closed: Callable[[], None]) -> Carried:
        """Send a request; gives its answer with the body unread.

        Args:
            request: what to send.
            closed: called when the answer is closed.

        Raises:
            httpx.TransportError: as httpx has them; those that say that nothing was sent are only raised
                where that is so.
        """
        limits = request.extensions["timeout"]
        sending = _Sending(request.extensions.get("trace"))
        entered = _sending.set(sending)
        try:
            answer = await self._opened().request(
                request.method,
                URL(request.address, encoded=True),
                data=request.content or None,
                headers=CIMultiDict(request.headers),
                allow_redirects=False,
                timeout=_timeout(limits["connect"], limits["read"]),
            )
        except aiohttp.ClientError as error:
            raise _as_of_httpx(error) from error
        finally:
            _sending.reset(entered)
        return Carried(answer.status, answer.headers, _Body(answer.content), answer.close, closed)

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


class _Body:
    """The body of an answer, as it comes."""

    __slots__ = ("_content",)

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._content.readany()
        except aiohttp.ClientError as error:
            raise _as_of_httpx(error) from error
        if not piece:
            raise StopAsyncIteration
        return piece


@lru_cache(16)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)


def _as_of_httpx(error: aiohttp.ClientError) -> httpx.HTTPError:
    """The same error as httpx has it."""
    for kind, theirs in (*_NOT_SENT, *_MAYBE_SENT):
        if isinstance(error, kind):
            return theirs(str(error) or type(error).__name__)
    raise AssertionError("the last kind is all of them")
