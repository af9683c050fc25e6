"""A hook for those who watch the client's operations (spans, metrics), and the trace context on requests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent_tasks.wire import StreamEvent

_TRACE_CONTEXT = TraceContextTextMapPropagator()


class OperationObserver:
    """Told of the answer to one operation; override what is of interest."""

    def answered(self, body: Mapping[str, Any]) -> None:
        """The JSON object of the answer."""

    def opened(self) -> None:
        """A streamed answer begins; from here on the operation may be left in another context."""

    def event(self, event: StreamEvent) -> None:
        """The next event of a streamed answer."""

    def listens(self) -> bool:
        """Whether to tell it also of events that whoever reads the stream passes over."""
        return True


class Instrumentation(Protocol):
    """Something that watches operations."""

    def operation(
        self, name: str, path: str, body: Mapping[str, Any] | None, endpoint: str
    ) -> AbstractContextManager[OperationObserver]:
        """Called before an operation is sent.

        What it returns is entered around it and all its retries, and left with the error if one is raised.
        For a stream it lasts until the stream is left.

        Args:
            name: Resource and method: `runs.create`.
            path: Path of the request, with the ids in it: `/threads/thread_1/runs`.
            body: The JSON object to be sent (`stream: true` for a stream); may hold secrets (headers of MCP
                servers).
            endpoint: The project's address.
        """
        ...


class _Deaf(OperationObserver):
    def listens(self) -> bool:
        return False


class _Nobody:
    def operation(
        self, name: str, path: str, body: Mapping[str, Any] | None, endpoint: str
    ) -> AbstractContextManager[OperationObserver]:
        return nullcontext(_Deaf())


_watching: list[Instrumentation] = [_Nobody()]


def set_instrumentation(instrumentation: Instrumentation | None) -> None:
    """Has all clients of this process watched, those that exist already too; None ends it."""
    _watching[0] = _Nobody() if instrumentation is None else instrumentation


def watching() -> Instrumentation:
    """Who watches now."""
    return _watching[0]


def is_watched() -> bool:
    """Whether somebody watches."""
    return not isinstance(_watching[0], _Nobody)


def add_trace_context(headers: dict[str, str]) -> None:
    """Adds `traceparent` and `tracestate` (W3C Trace Context) if there is a current span."""
    _TRACE_CONTEXT.inject(headers)
