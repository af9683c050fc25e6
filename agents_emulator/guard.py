"""Connections that do not wait for ever: for slow clients, for too many of them, and for faults.

Uvicorn does not limit how long a client may take to send its request or to read its answer, and gives an
application no way to cut a connection. `guarded_protocol` adds both, `GuardMiddleware` guards bodies.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Protocol

import h11
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agents_emulator.errors import GatewayError

_CONNECTION_KEY = "agents_emulator.connection"


@dataclass(frozen=True)
class Limits:
    """What the service bears from its clients.

    Attributes:
        head_timeout: seconds for a request's line and headers, and to take back the rest of a refused body.
        idle_timeout: seconds between two pieces of a request body.
        body_timeout: seconds for a whole request body.
        read_timeout: seconds in which a client must make room for the next piece of an answer.
        max_connections: connections at a time.
    """

    head_timeout: float = 15
    idle_timeout: float = 20
    body_timeout: float = 900
    read_timeout: float = 30
    max_connections: int = 1000


class Connection(Protocol):
    """What an application may do to the connection that it answers on."""

    async def abort(self) -> None:
        """Drop it, with what is still to be sent."""
        ...

    async def hang_up(self) -> None:
        """Close it after what has been sent."""
        ...


def connection_of(scope: Scope) -> Connection:
    """Return the connection of a request; only a service behind `guarded_protocol` has one."""
    connection: Connection | None = scope.get(_CONNECTION_KEY)
    if connection is None:
        raise RuntimeError("this server gives no access to its connections: serve with EmulatorServer")
    return connection


def guarded_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol class with these limits."""

    class GuardedProtocol(_GuardedProtocol):
        guard = limits

    return GuardedProtocol


class _GuardedProtocol(H11Protocol):
    guard: Limits
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._lost = asyncio.Event()
        if len(self.connections) > self.guard.max_connections:
            self._refuse(503, "ServiceUnavailable", f"More than {self.guard.max_connections} connections.")
            return
        inner: Any = self.app

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            scope[_CONNECTION_KEY] = self
            await inner(scope, receive, send)

        self.app = served
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._disarm()
        elif self._deadline is None:
            self._arm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._arm()

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(self.guard.head_timeout, self._too_slow)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        if (
            self.conn.their_state is h11.IDLE
            and self.conn.our_state is h11.IDLE
            and self.conn.trailing_data[0]
        ):
            seconds = f"{self.guard.head_timeout:g}"
            self._refuse(408, "RequestTimeout", f"The request's headers did not arrive within {seconds} s.")
        else:
            self.transport.abort()

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        phrase = {408: "Request Timeout", 503: "Service Unavailable"}[status]
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    async def abort(self) -> None:
        self.transport.abort()
        await self._closed()

    async def hang_up(self) -> None:
        self.transport.close()
        await self._closed()

    async def _closed(self) -> None:
        # `connection_lost` comes in a later turn of the loop; after it, uvicorn sends nothing more.
        try:
            async with asyncio.timeout(self.guard.read_timeout):
                await self._lost.wait()
        except TimeoutError:
            self.transport.abort()


class GuardMiddleware:
    """Gives up on clients that stop sending their request or reading their answer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits = self._limits
        last_moment = time.monotonic() + limits.body_timeout
        complete = False

        async def receive_in_time() -> Message:
            nonlocal complete
            if complete:
                # What is awaited now is the end of the connection.
                return await receive()
            try:
                async with asyncio.timeout(min(limits.idle_timeout, last_moment - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise GatewayError(
                    408, "RequestTimeout", "The request body was sent too slowly. Send the request again."
                ) from None
            complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(limits.read_timeout):
                    await send(message)
            except TimeoutError:
                await connection_of(scope).abort()

        await self._app(scope, receive_in_time, send_in_time)
