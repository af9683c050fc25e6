# Made from _async/run_streams.py by `make generate`: change that one.
"""The events of a run as one iterator: through calls of functions and broken connections."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Self

from agent_tasks.client._outcomes import run_error
from agent_tasks.client._sync import _runtime
from agent_tasks.client._sync.handlers import AgentEventHandler
from agent_tasks.client._sync.run_calls import LOST_ANSWERS, RunCalls
from agent_tasks.client._sync.streams import EventStream
from agent_tasks.client.polling import polls, run_limit
from agent_tasks.errors import AgentTasksError, StreamBrokenError, TransportError
from agent_tasks.wire import (
    DONE,
    AgentStreamEvent,
    AgentThread,
    RunStep,
    StreamEvent,
    ThreadMessage,
    ThreadRun,
)


class RunStream(Iterator[StreamEvent]):
    """The events of a run: `with client.runs.stream(...) as events: for event in events: ...`.

    Entering sends the request. With a toolset, a run that asks for functions gets their outputs, all in one
    request, and its further events follow as if nothing had happened; `done` comes once, at the end. With
    `resume`, a stream that breaks after its run is known is replaced by reading the run with growing pauses:
    steps, messages and states that were missed come as events that are marked `synthetic`.

    Iterating raises

    - StreamBrokenError when a stream breaks that is not resumed. The run keeps running without its listener;
    - RunThrottledError, RunServerError or RunFailedError for an `error` event;
    - ToolError when the run asks for functions in more rounds than allowed; it is cancelled then.

    `thread_id` and `run_id` are the last ones seen, `run` is the run as last seen. Leaving closes the
    connection; the run keeps running.
    """

    def __init__(
        self,
        stream: EventStream,
        calls: RunCalls,
        *,
        handler: AgentEventHandler | None,
        resume: bool,
    ) -> None:
        if handler is not None and not isinstance(handler, AgentEventHandler):
            wanted = AgentEventHandler.__name__
            raise TypeError(f"event_handler is a {type(handler).__name__}; this client takes an {wanted}")
        self._stream = stream
        self._calls = calls
        self._handler = handler
        self._resume = resume
        self._events: Generator[StreamEvent, None] | None = None
        self._seen: set[str] = set()
        self._made_thread = False
        self.run: ThreadRun | None = None

    @property
    def thread_id(self) -> str | None:
        """Id of the thread, once it is known."""
        return self.run.thread_id if self.run is not None else self._stream.thread_id

    @property
    def run_id(self) -> str | None:
        """Id of the run, once it is known."""
        return self.run.id if self.run is not None else self._stream.run_id

    def __enter__(self) -> Self:
        self._stream.__enter__()
        self._events = self._handled()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()
        self._stream.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        if self._events is None:
            raise RuntimeError("enter the stream first: with ... as events")
        return self._events.__next__()

    def until_done(self, *, check: bool = True) -> ThreadRun:
        """Reads all events, for the handler's sake, and returns the run as last seen.

        Raises the error that the end of the run means (`RunFailedError` and its kinds), unless `check` is
        False; StreamBrokenError when no run was seen.
        """
        for _ in self:
            pass
        if self.run is None:
            raise StreamBrokenError("the stream ended without a run", thread_id=self.thread_id)
        error = run_error(self.run)
        if check and error is not None:
            raise error
        return self.run

    def _handled(self) -> Generator[StreamEvent, None]:
        try:
            with _runtime.closing(self._whole()) as events:
                for event in events:
                    if self._handler is not None:
                        self._handler.handle(event)
                    yield event
        except AgentTasksError as error:
            if self._handler is not None:
                self._handler.on_error(error)
            raise

    def _whole(self) -> Generator[StreamEvent, None]:
        """All events; `done` is held back while the run is to go on."""
        while True:
            try:
                for event in self._stream:
                    if event.event == AgentStreamEvent.DONE and self._goes_on():
                        break
                    self._note(event)
                    yield event
            except TransportError:
                if not self._goes_on():
                    thread_id, run_id = self.thread_id, self.run_id
                    if self._resume and run_id is None and self._made_thread and thread_id is not None:
                        run_id = self._calls.first_run(thread_id)
                    if not self._resume or run_id is None or thread_id is None:
                        raise
                    self._stream.__exit__(None, None, None)
                    with _runtime.closing(self._polled(thread_id, run_id)) as events:
                        for event in events:
                            yield event
            if not self._goes_on():
                return
            if not self._submit() and self.thread_id is not None and self.run_id is not None:
                with _runtime.closing(self._polled(self.thread_id, self.run_id)) as events:
                    for event in events:
                        yield event
                if not self._goes_on():
                    return

    def _goes_on(self) -> bool:
        """Whether the run waits for functions that are called here."""
        return self.run is not None and self._calls.answerable(self.run)

    def _submit(self) -> bool:
        """Answers the calls of the run; False when there is no stream to go on with."""
        run = self.run
        if run is None:
            return False
        self._stream.__exit__(None, None, None)
        while self._calls.answerable(run):
            stream = self._calls.submit_stream(run)
            try:
                stream.__enter__()
            except LOST_ANSWERS as error:
                if not self._resume:
                    raise
                run = self._calls.after_lost_answer(run, error)
                continue
            stream.without = self._stream.without
            self._stream = stream
            self.run = run.model_copy(update={"status": "queued", "required_action": None})
            return True
        self.run = run.model_copy(update={"status": "queued", "required_action": None})
        return False

    def _polled(self, thread_id: str, run_id: str) -> Generator[StreamEvent, None]:
        """Events made from what is read of the run, until it ends or asks for something."""
        pauses = polls()
        while True:
            run = self._calls.read(thread_id, run_id)
            changed = self.run is None or run.status != self.run.status
            self.run = run
            at_rest = run.is_terminal or run.status == "requires_action"
            if at_rest:
                yield from self._calls.missed(run, self._seen)
            if changed:
                yield StreamEvent(f"thread.run.{run.status}", run, synthetic=True)
            if self._goes_on():
                return
            if at_rest:
                yield StreamEvent(AgentStreamEvent.DONE, DONE, synthetic=True)
                return
            limit = run_limit(run.created_at, run.expires_at, None)
            pause = pauses.next(limit)
            if pause is None:
                raise self._calls.expire(run, limit, cancel=False)
            _runtime.sleep(pause)

    def _note(self, event: StreamEvent) -> None:
        match event.data:
            case ThreadRun() as run:
                self.run = run
            case AgentThread():
                self._made_thread = True
            case RunStep() | ThreadMessage() as item:
                if event.event.rpartition(".")[2] not in ("created", "in_progress"):
                    self._seen.add(item.id)
            case _:
                pass  # deltas and events of a newer service say nothing about what has ended
