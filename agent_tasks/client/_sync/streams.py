# Made from _async/streams.py by `make generate`: change that one.
"""Streams of events of a run."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from agent_tasks.client._requests import ServiceRequest
from agent_tasks.client._sse import Frame, FrameDecoder, passed_over
from agent_tasks.client._sync import _runtime
from agent_tasks.client._sync.transport import Transport, read_the_rest
from agent_tasks.client.failures import error_from_run
from agent_tasks.client.instrumentation import OperationObserver
from agent_tasks.errors import InvalidAnswerError, StreamBrokenError, TransportError
from agent_tasks.wire import (
    AgentStreamEvent,
    AgentThread,
    AgentV1Error,
    RunStatus,
    StreamEvent,
    ThreadRun,
    parse_event,
)

LARGEST_STREAM = 1024 * 1024 * 1024
"""Bytes of all events of a stream, with the comments between them."""


class EventStream(Iterator[StreamEvent]):
    """The events of a run, in order: `with ... as events: for event in events: ...`.

    Entering sends the request. Iterating gives typed events, `done` included, and raises

    - StreamBrokenError when the stream ends, falls silent or becomes unreadable before `done`. The run goes
      on without its listener: follow it by its id;
    - RunThrottledError, RunServerError or RunFailedError for an `error` event. What became of the run is read
      from the run.

    Events whose names are in `without` are neither parsed nor given, unless somebody watches: to whoever
    needs only a few, reading all of them is most of what a stream costs.

    `thread_id` and `run_id` are the last ones seen. Leaving closes the connection, unless the run came to
    rest and the stream to its end: then the next request goes over it. The run keeps running.
    """

    def __init__(
        self,
        transport: Transport,
        call: ServiceRequest,
        *,
        thread_id: str | None,
        run_id: str | None,
        without: Collection[str] = (),
    ) -> None:
        self._transport = transport
        self._call = call
        self._response: _runtime.Answer | None = None
        self._pieces: Generator[bytes, None] | None = None
        self._events: Generator[StreamEvent, None] | None = None
        self._at_rest = False
        self._watch = ExitStack()
        self.without = passed_over(without)
        self.thread_id = thread_id
        self.run_id = run_id

    def __enter__(self) -> Self:
        if self._response is not None:
            raise RuntimeError("a stream of events is entered once")
        with ExitStack() as watch:
            observer = watch.enter_context(self._transport.observe(self._call))
            self._open(observer)
            self._watch = watch.pop_all()
        return self

    def _open(self, observer: OperationObserver) -> None:
        response = self._transport.open(
            self._call, accept="text/event-stream", limits=self._transport.timeouts.for_stream()
        )
        self._response = response
        kind = response.headers.get("content-type", "")
        if not kind.startswith("text/event-stream"):
            response.close()
            raise InvalidAnswerError(
                f"{self._call.method} {self._call.path} answered {kind or 'without a content type'} where a "
                "stream of events was asked for",
                method=self._call.method,
                path=self._call.path,
                outcome_unknown=True,
                retryable=False,
            )
        self._pieces = self._transport.pieces(self._call, response, LARGEST_STREAM)
        self._events = self._read(self._pieces, observer)
        observer.opened()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._events is not None:
                self._events.close()
            if self._pieces is not None and self._response is not None:
                if self._at_rest and kind in (None, GeneratorExit):
                    read_the_rest(self._response, self._pieces)
                self._pieces.close()
                self._response.close()
        finally:
            self._watch.pop_all().__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        if self._events is None:
            raise RuntimeError("enter the stream first: with ... as events")
        return self._events.__next__()

    def _read(
        self, pieces: Generator[bytes, None], observer: OperationObserver
    ) -> Generator[StreamEvent, None]:
        decoder = FrameDecoder()
        silence = self._transport.timeouts.stream_silence
        last = time.monotonic()
        try:
            for piece in pieces:
                for frame in decoder.feed(piece):
                    if frame.event in self.without and not observer.listens():
                        last = time.monotonic()
                        continue
                    event = self._event(frame)
                    observer.event(event)
                    yield event
                    if event.event == AgentStreamEvent.DONE:
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
        raise self._broken("it ended before `done`")

    def _event(self, frame: Frame) -> StreamEvent:
        try:
            event = parse_event(frame.event, frame.data)
        except ValueError as error:
            raise self._broken(f"event {frame.event} cannot be read: {error}") from error
        if isinstance(event.data, ThreadRun):
            self.run_id = event.data.id
            self.thread_id = event.data.thread_id
            self._at_rest = event.data.is_terminal or event.data.status == RunStatus.REQUIRES_ACTION
        elif isinstance(event.data, AgentThread):
            self.thread_id = event.data.id
        elif isinstance(event.data, AgentV1Error):
            self._at_rest = True
            raise error_from_run(event.data.error, run_id=self.run_id, thread_id=self.thread_id)
        elif event.event == AgentStreamEvent.DONE:
            self._at_rest = True
        return event

    def _broken(self, why: str) -> StreamBrokenError:
        whose = f"run {self.run_id}" if self.run_id else "a run whose id had not been seen yet"
        return StreamBrokenError(
            f"the stream of {whose} broke: {why}",
            method=self._call.method,
            path=self._call.path,
            thread_id=self.thread_id,
            run_id=self.run_id,
        )
