"""Streams of events of a response."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from agent_tasks.bounded import bounded_json
from agent_tasks.client._async import _runtime
from agent_tasks.client._async.transport import AsyncTransport, read_the_rest
from agent_tasks.client._requests import ServiceRequest
from agent_tasks.client._sse import Frame, FrameDecoder
from agent_tasks.errors import InvalidAnswerError, StreamBrokenError, TransportError

LAST_EVENTS = frozenset(
    {"response.completed", "response.failed", "response.incomplete", "response.cancelled"}
)
"""Types of the events after which none comes: they carry the whole response."""
_ALWAYS = LAST_EVENTS | {"error", "message"}
"""Events that a stream can't do without, and those that are not named in its frames."""
_LARGEST_STREAM = 1024 * 1024 * 1024  # bytes of all events, with the comments between them


class AsyncResponseStream(AsyncIterator[dict[str, Any]]):
    """The events of a response, in order: `async with ... as events: async for event in events: ...`.

    Entering sends the request. An event is its JSON object, with `type` and mostly `sequence_number`. The
    stream ends after the last event, or after an `error` event. StreamBrokenError is raised when it breaks
    off, falls silent or becomes unreadable before that. Leaving closes the connection, unless the stream came
    to its end: then the next request goes over it.

    Args:
        transport: what sends the request.
        call: the request.
        only: types of the events that are parsed and given, besides the last ones; None: all.
    """

    def __init__(
        self, transport: AsyncTransport, call: ServiceRequest, *, only: Collection[str] | None = None
    ) -> None:
        self._transport = transport
        self._call = call
        self._response: _runtime.Answer | None = None
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._events: AsyncGenerator[dict[str, Any], None] | None = None
        self._only = None if only is None else _ALWAYS | frozenset(only)
        self._at_rest = False
        self._watch = ExitStack()

    async def __aenter__(self) -> Self:
        with ExitStack() as watch:
            observer = watch.enter_context(self._transport.observe(self._call, "responses"))
            limits = self._transport.timeouts.for_stream()
            response = await self._transport.open(self._call, accept="text/event-stream", limits=limits)
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                await response.aclose()
                raise InvalidAnswerError(
                    f"{self._call.method} {self._call.path} answered {kind or 'without a content type'}, and "
                    "not with the stream of events that was asked for.",
                    method=self._call.method,
                    path=self._call.path,
                    outcome_unknown=self._call.changes,
                    retryable=False,
                )
            self._response = response
            self._pieces = self._transport.pieces(self._call, response, _LARGEST_STREAM)
            self._events = self._read(self._pieces)
            observer.opened()
            self._watch = watch.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._events is not None:
                await self._events.aclose()
            if self._pieces is not None and self._response is not None:
                if self._at_rest and kind in (None, GeneratorExit):
                    await read_the_rest(self._response, self._pieces)
                await self._pieces.aclose()
                await self._response.aclose()
        finally:
            self._watch.pop_all().__exit__(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        if self._events is None:
            raise RuntimeError("enter the stream first: async with ... as events")
        return await self._events.__anext__()

    async def _read(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[dict[str, Any], None]:
        decoder = FrameDecoder()
        silence = self._transport.timeouts.stream_silence
        last = time.monotonic()
        try:
            async for piece in pieces:
                for frame in decoder.feed(piece):
                    if frame.data == "[DONE]":  # of servers that end like the older protocol
                        continue
                    if self._only is not None and frame.event not in self._only:
                        last = time.monotonic()
                        continue
                    event = _event(frame)
                    self._at_rest = event["type"] in LAST_EVENTS or event["type"] == "error"
                    yield event
                    if self._at_rest:
                        return
                    last = time.monotonic()
                if time.monotonic() - last > silence:
                    raise self._broken(f"no event came for {silence:g} s")
        except TransportError as error:
            if isinstance(error, StreamBrokenError):
                raise
            raise self._broken(str(error.__cause__ or error)) from error
        except ValueError as error:
            raise self._broken(str(error)) from error
        raise self._broken("it ended before the response did")

    def _broken(self, why: str) -> StreamBrokenError:
        return StreamBrokenError(
            f"the stream of {self._call.method} {self._call.path} broke: {why}",
            method=self._call.method,
            path=self._call.path,
        )


def _event(frame: Frame) -> dict[str, Any]:
    """The JSON object of a frame. Raises ValueError for what is none."""
    event = bounded_json(frame.data)
    if not isinstance(event, dict):
        raise ValueError(f"the event {frame.event} is no JSON object")
    event.setdefault("type", frame.event)
    return event
