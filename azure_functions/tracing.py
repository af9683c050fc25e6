"""Traces and counts by OpenTelemetry, if its API is installed; otherwise nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # it is optional
    _tracer: Any = None
    _calls: Any = None
else:
    _tracer = trace.get_tracer("queue_tools")
    _calls = metrics.get_meter("queue_tools").create_counter(
        "queue_tools.calls", unit="{call}", description="Calls by tool and by what became of them"
    )


@contextmanager
def call_span(tool: str, correlation_id: str, traceparent: str | None) -> Iterator[None]:
    """A span around one delivery of a call, in the trace that the caller named."""
    if _tracer is None:
        yield
        return
    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.call.id": correlation_id,
        "messaging.system": "azure_queue_storage",
        "messaging.message.conversation_id": correlation_id,
    }
    with _tracer.start_as_current_span(
        f"execute_tool {tool}", context=context, kind=trace.SpanKind.CONSUMER, attributes=attributes
    ):
        yield


def count(tool: str, outcome: str) -> None:
    """Count a delivery by what became of it: answered, repeated, refused, retried, dropped, parked."""
    if _calls is not None:
        _calls.add(1, {"gen_ai.tool.name": tool, "outcome": outcome})
