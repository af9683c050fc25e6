"""HTTP for the official MCP client, with answers of limited size: that client reads whatever comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from agent_tasks.bounded import Bounded, TooLargeError


class _BoundedBody(httpx2.AsyncByteStream):
    """The body of an answer, unpacked."""

    def __init__(self, inner: httpx2.AsyncByteStream, body: Bounded) -> None:
        self._inner = inner
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for raw in self._inner:
                for piece in self._body.feed(raw):
                    yield piece
        except TooLargeError as error:
            raise httpx2.ReadError(f"the answer is not read: {error}") from error

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, limit: int) -> None:
        super().__init__(trust_env=False)
        self._limit = limit

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an async transport
        try:
            body = Bounded(response.headers.get("content-encoding"), self._limit)
        except TooLargeError as error:
            await response.aclose()
            raise httpx2.ReadError(f"the answer is not read: {error}") from error
        # What is unpacked here is not to be unpacked again.
        hidden = (b"content-encoding", b"content-length")
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in hidden]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            stream=_BoundedBody(response.stream, body),
            extensions=response.extensions,
        )


def bounded_transport(limit: int) -> httpx2.AsyncBaseTransport:
    """A transport whose answers are at most `limit` bytes each, unpacked."""
    return _BoundedTransport(limit)
