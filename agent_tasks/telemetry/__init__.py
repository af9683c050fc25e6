"""OpenTelemetry spans, events and metrics of agents, in the GenAI conventions.

Nothing is recorded until the program sets up the OpenTelemetry SDK (docs/tracing.md). Names and attributes
are those that the official library emits (`azure-ai-agents` 1.1.0 and 1.2.0b6), so that dashboards made for
it work, plus `invoke_agent` and `execute_tool` of the conventions.

What people and models wrote (messages, instructions, arguments, outputs) is recorded only on opt-in:
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`, or the older
`AZURE_TRACING_GEN_AI_CONTENT_RECORDING_ENABLED=true`.
"""

from __future__ import annotations

import functools
import inspect
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Token
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from opentelemetry import context, metrics, trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from agent_tasks.client import Instrumentation, OperationObserver, set_instrumentation
from agent_tasks.client.instrumentation import is_watched
from agent_tasks.errors import RunFailedError, ServiceError, TransportError
from agent_tasks.telemetry._events import (
    CONTENT_VARIABLES,
    SYSTEM,
    chat_messages,
    content_recording,
    describe_request,
    message_event,
    objects,
    set_attributes,
    step_attributes,
    step_event,
    to_json,
    tool_calls,
)
from agent_tasks.wire import StreamEvent, WireModel

__all__ = [
    "CONTENT_VARIABLES",
    "NAMESPACE",
    "SYSTEM",
    "Recorder",
    "Spans",
    "agent_span",
    "content_recording",
    "instrument",
    "instrument_unless_watched",
    "tool_span",
    "trace_function",
    "uninstrument",
]

NAMESPACE = "Microsoft.CognitiveServices"

_NAME = "agent_tasks"
F = TypeVar("F", bound=Callable[..., Any])


# --- operations of the client ------------------------------------------------------------------------------

_OPERATIONS = {
    "agents.create": "create_agent",
    "threads.create": "create_thread",
    "messages.create": "create_message",
    "messages.list": "list_messages",
    "runs.create": "start_thread_run",
    "runs.create_thread_and_run": "start_thread_run",
    "runs.create_and_process": "process_thread_run",
    "runs.create_thread_and_process": "process_thread_run",
    "runs.get": "get_thread_run",
    "runs.submit_tool_outputs": "submit_tool_outputs",
    "run_steps.list": "list_run_steps",
}
"""Spans by the client's operations; files and vector stores have none, as in the official library."""

_IDS = re.compile(r"/threads/(?!runs(?:/|$))([^/]+)(?:/runs/([^/]+))?")


class Recorder(OperationObserver):
    """A span, current from entering to leaving it, and what is written into it.

    An error that leaves it is marked in it. Nothing is written where nobody records.
    """

    def __init__(self, span: Span, operation: str, model: str | None = None) -> None:
        self.span = span
        self._operation = operation
        self._started = time.monotonic()
        self._model = model
        self._message: Mapping[str, Any] | None = None
        self._run: Mapping[str, Any] | None = None
        self._error: str | None = None
        self._token: Token[context.Context] | None = None

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self.span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
        if error is not None and not isinstance(error, GeneratorExit):
            self.failed(error)
        self.end()

    def answered(self, body: Mapping[str, Any]) -> None:
        """Take in the JSON object that the service answered."""
        if not self.span.is_recording():
            return
        match self._operation:
            case "create_agent":
                set_attributes(self.span, {"gen_ai.agent.id": body.get("id")})
            case "create_thread":
                set_attributes(self.span, {"gen_ai.thread.id": body.get("id")})
            case "create_message":
                set_attributes(self.span, {"gen_ai.message.id": body.get("id")})
            case "list_messages":
                for message in objects(body.get("data")):
                    message_event(self.span, message)
            case "list_run_steps":
                for step in objects(body.get("data")):
                    step_event(self.span, step)
            case _:
                self._run = body

    def opened(self) -> None:
        """A stream begins: the span stays open, but is no longer the current one.

        Streams are left late and elsewhere (async generators are closed by the loop, in another context), and
        what the program does between two events is not part of the request.
        """
        if self._token is not None:
            context.detach(self._token)
            self._token = None

    def event(self, event: StreamEvent) -> None:
        """Take in one event of a stream."""
        if not self.span.is_recording():
            return
        match event.event:
            case "thread.run.step.completed":
                self._step_completed(_wire(event.data))
            case "thread.message.completed" | "thread.message.incomplete":
                self._message = _wire(event.data)
            case name if name.startswith("thread.run.") and not name.startswith("thread.run.step."):
                self._run = _wire(event.data)

    def listens(self) -> bool:
        """Whether any event is taken in."""
        return self.span.is_recording()

    def returned(self, output: str) -> None:
        """Take in what a tool gave; recorded on opt-in alone."""
        if self.span.is_recording() and content_recording():
            self.span.set_attribute("gen_ai.tool.call.result", output)

    def failed(self, error: BaseException) -> None:
        """Mark the span as failed; texts of all errors but the client's own may hold content and stay out."""
        module = type(error).__module__
        kind = type(error).__qualname__ if module == "builtins" else f"{module}.{type(error).__qualname__}"
        ours = isinstance(error, ServiceError | TransportError | RunFailedError)
        self._fail(kind, str(error) if ours or content_recording() else kind)

    def concluded(
        self, *, conversation: str, turn_id: str, input_tokens: int, output_tokens: int, text: str
    ) -> None:
        """Take in how a turn ended; its text is recorded on opt-in alone."""
        if not self.span.is_recording():
            return
        set_attributes(
            self.span,
            {
                "gen_ai.conversation.id": conversation,
                "gen_ai.thread.id": conversation,
                "gen_ai.thread.run.id": turn_id,
                "gen_ai.usage.input_tokens": input_tokens,
                "gen_ai.usage.output_tokens": output_tokens,
            },
        )
        if content_recording():
            self.span.set_attribute("gen_ai.output.messages", chat_messages("assistant", text))

    def end(self) -> None:
        """End the span and count it."""
        if self._run is not None and "status" in self._run:
            self._end_run(self._run)
        self.span.end()
        _count(self._operation, time.monotonic() - self._started, self._model, self._error, self._run)

    def _fail(self, kind: str, text: str | None) -> None:
        self._error = kind
        self.span.set_status(StatusCode.ERROR, text)
        self.span.set_attribute("error.type", kind)

    def _step_completed(self, step: Mapping[str, Any]) -> None:
        if step.get("type") == "tool_calls":
            attributes = step_attributes(step, "gen_ai.message.status")
            calls = tool_calls(step)
            if calls:
                attributes["gen_ai.event.content"] = to_json({"tool_calls": calls})
            self.span.add_event("gen_ai.assistant.message", attributes)
        elif self._message is not None:
            message_event(self.span, self._message, usage=step.get("usage"))
            set_attributes(self.span, {"gen_ai.message.id": self._message.get("id")})
            self._message = None

    def _end_run(self, run: Mapping[str, Any]) -> None:
        usage = run.get("usage") or {}
        self._model = run.get("model") or self._model
        set_attributes(
            self.span,
            {
                "gen_ai.thread.id": run.get("thread_id"),
                "gen_ai.thread.run.id": run.get("id"),
                "gen_ai.thread.run.status": run.get("status"),
                "gen_ai.agent.id": run.get("assistant_id"),
                "gen_ai.response.model": run.get("model"),
                "gen_ai.usage.input_tokens": usage.get("prompt_tokens"),
                "gen_ai.usage.output_tokens": usage.get("completion_tokens"),
            },
        )
        if run.get("last_error"):
            # The service's own words about a failure hold no content: they say what was exceeded or refused.
            self._fail(run["last_error"].get("code") or "run_failed", run["last_error"].get("message"))


class Spans(Instrumentation):
    """Watches the client's operations: a span for each, with the names of the official library."""

    def operation(
        self, name: str, path: str, body: Mapping[str, Any] | None, endpoint: str
    ) -> AbstractContextManager[OperationObserver]:
        """The span of an operation with all its attempts; see `Instrumentation.operation`."""
        operation = _OPERATIONS.get(name)
        if operation is None:
            return nullcontext(OperationObserver())
        return self._recorded(operation, path, body or {}, endpoint)

    def _recorded(
        self, operation: str, path: str, body: Mapping[str, Any], endpoint: str
    ) -> AbstractContextManager[OperationObserver]:
        if body.get("stream") and operation == "start_thread_run":
            operation = "process_thread_run"
        name = operation
        if operation == "create_agent" and body.get("name"):
            name = f"{operation} {body['name']}"
        span = _tracer().start_span(name, kind=SpanKind.CLIENT)
        if span.is_recording():
            ids = _IDS.match(path)
            where = urlsplit(endpoint)
            set_attributes(
                span,
                {
                    "az.namespace": NAMESPACE,
                    "gen_ai.system": SYSTEM,
                    "gen_ai.operation.name": operation,
                    "server.address": f"{where.scheme}://{where.netloc}",
                    "gen_ai.thread.id": ids[1] if ids else None,
                    "gen_ai.thread.run.id": ids[2] if ids else None,
                },
            )
            describe_request(span, operation, {"thread_id": ids[1], **body} if ids else body)
        return Recorder(span, operation, body.get("model"))


def instrument() -> None:
    """Have the operations of all clients of this process traced, from now on.

    Durable operations and flows are traced as soon as they open a workspace, unless something else watches
    the client (`agent_tasks.client.set_instrumentation`).
    """
    set_instrumentation(Spans())


def instrument_unless_watched() -> None:
    """Like `instrument`, but leaves it to whoever watches already."""
    if not is_watched():
        instrument()


def uninstrument() -> None:
    """End it; `invoke_agent` and `execute_tool` spans stay open."""
    set_instrumentation(None)


# --- what runs here --------------------------------------------------------------------------------------


def agent_span(
    agent_id: str, agent_name: str, *, prompt: str | None = None, **attributes: str | int | None
) -> Recorder:
    """`invoke_agent`: a turn of an agent with all its attempts and tool calls, current while it lasts.

    Args:
        agent_id: Id of the agent on the service.
        agent_name: Its name.
        prompt: What it was asked; recorded on opt-in alone.
        attributes: What the turn is for; recorded as `agent_tasks.NAME`.
    """
    span = _tracer().start_span(f"invoke_agent {agent_name}", kind=SpanKind.CLIENT)
    if span.is_recording():
        set_attributes(
            span,
            {
                "az.namespace": NAMESPACE,
                "gen_ai.system": SYSTEM,
                "gen_ai.provider.name": SYSTEM,
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.id": agent_id,
                "gen_ai.agent.name": agent_name,
                **{f"agent_tasks.{name}": value for name, value in attributes.items()},
            },
        )
        if prompt is not None and content_recording():
            span.set_attribute("gen_ai.input.messages", chat_messages("user", prompt))
    return Recorder(span, "invoke_agent")


def tool_span(name: str, call_id: str, arguments: str | None = None) -> Recorder:
    """`execute_tool`: a function that an agent called, current while it runs.

    Arguments, and the output given to `Recorder.returned`, are recorded on opt-in alone.
    """
    span = _tracer().start_span(f"execute_tool {name}", kind=SpanKind.INTERNAL)
    if span.is_recording():
        set_attributes(
            span,
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": call_id,
                "gen_ai.tool.call.arguments": arguments if content_recording() else None,
            },
        )
    return Recorder(span, "execute_tool")


def trace_function(span_name: str | None = None) -> Callable[[F], F]:
    """Decorator: a span for each call of a function, sync or async.

    On opt-in to content, parameters are recorded as `code.function.parameter.NAME` and the result as
    `code.function.return.value`: texts, numbers and truth values as they are, lists, mappings and sets of
    them as text, all other objects not at all. Errors are marked with `error.type` always.

    Args:
        span_name: Name of the span; by default the function's own.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        name = span_name or function.__name__

        @contextmanager
        def recording(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Callable[[Any], None]]:
            span = _tracer().start_span(name)
            record = span.is_recording() and content_recording()
            with Recorder(span, ""):
                if record:
                    bound = signature.bind(*args, **kwargs)
                    bound.apply_defaults()
                    set_attributes(
                        span,
                        {
                            f"code.function.parameter.{key}": _plain(value)
                            for key, value in bound.arguments.items()
                        },
                    )
                yield (
                    lambda result: (
                        set_attributes(span, {"code.function.return.value": _plain(result)})
                        if record
                        else None
                    )
                )

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_async(*args: Any, **kwargs: Any) -> Any:
                with recording(args, kwargs) as returned:
                    result = await function(*args, **kwargs)
                    returned(result)
                    return result

            return traced_async  # type: ignore[return-value]

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with recording(args, kwargs) as returned:
                result = function(*args, **kwargs)
                returned(result)
                return result

        return traced  # type: ignore[return-value]

    return decorate


# --- parts -----------------------------------------------------------------------------------------------


def _tracer() -> trace.Tracer:
    # Asked for each time: the program may set up its provider after this module was imported.
    return _tracer_of(trace.get_tracer_provider())


@functools.lru_cache(4)
def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    return provider.get_tracer(_NAME, schema_url="https://opentelemetry.io/schemas/1.34.0")


def _meter_provider() -> metrics.MeterProvider:
    return metrics.get_meter_provider()


@functools.lru_cache(4)
def _histograms(provider: metrics.MeterProvider) -> tuple[metrics.Histogram, metrics.Histogram]:
    """Durations and tokens. Once for each provider: the one before an SDK is set up keeps all it gave."""
    meter = provider.get_meter(_NAME)
    return (
        meter.create_histogram(
            "gen_ai.client.operation.duration", unit="s", description="Duration of an operation"
        ),
        meter.create_histogram("gen_ai.client.token.usage", unit="{token}", description="Tokens of a run"),
    )


def _count(
    operation: str,
    seconds: float,
    model: str | None,
    error: str | None,
    run: Mapping[str, Any] | None,
) -> None:
    """The two metrics of the conventions; without an SDK this does nothing."""
    if not operation:
        return
    duration, tokens = _histograms(_meter_provider())
    common = {"gen_ai.system": SYSTEM, "gen_ai.operation.name": operation}
    if model:
        common["gen_ai.request.model"] = model
    duration.record(seconds, {**common, "error.type": error} if error else common)
    # Only where a run was followed to its end: the same usage is read several times otherwise.
    usage = run.get("usage") if run is not None and operation == "process_thread_run" else None
    if not usage:
        return
    for kind, key in (("input", "prompt_tokens"), ("output", "completion_tokens")):
        tokens.record(usage.get(key) or 0, {**common, "gen_ai.token.type": kind})


def _wire(data: Any) -> Mapping[str, Any]:
    return data.to_wire() if isinstance(data, WireModel) else {}


def _plain(value: Any) -> str | int | float | bool | None:
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple | dict | set | frozenset):
        return str(_kept(value))
    return None


def _kept(value: Any) -> Any:
    """A collection without the objects in it that are not plain."""
    if isinstance(value, Mapping):
        return {key: _kept(item) for key, item in value.items() if _is_plain(item)}
    if isinstance(value, list | tuple | set | frozenset):
        return [_kept(item) for item in value if _is_plain(item)]
    return value


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list | tuple | dict | set | frozenset)
