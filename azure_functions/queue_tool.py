"""`queue_tool`: a typed Python function becomes a tool that agents call through a pair of storage queues.

Nothing here needs the Azure Functions runtime, so that whoever defines the agent can import the same tools
and ask them for their definition. `responder.py` answers the messages; `function_app.py` binds it to the
queues.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast, get_type_hints

from logs import get_logger
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from queue_messages import RESERVED, error_value

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
logger = get_logger("queue_tools")

MAX_PROBLEMS = 20
"""Problems of invalid arguments that the agent is told of; it learns of the others when these are fixed."""

MAX_PROBLEM_CHARS = 300

DEFAULT_TIMEOUT = 60.0
"""Seconds a function may take; `functionTimeout` in host.json is longer, so that the app can still answer."""


class ToolError(Exception):
    """Raised by a tool whose input is well formed but cannot be served; the agent is told the message."""


class TransientError(Exception):
    """Raised by a tool that had no effect and may well succeed later: the queue delivers the call again.

    The message goes to the log, and to the agent only if all tries have failed.
    """


class InvalidArgumentsError(Exception):
    """The arguments are not what the tool's parameters ask for; the message names each problem."""


@dataclass(frozen=True)
class QueueTool(Generic[P, R]):
    """A tool behind a pair of queues. Calling it calls the function, unchanged."""

    name: str
    """Name under which the agent calls it: the function's name."""
    description: str
    """What the agent is told of it: the first paragraph of the docstring."""
    input_queue: str
    """Queue on which calls come in."""
    output_queue: str
    """Queue on which answers go out."""
    function: Callable[P, R]
    """The function itself, blocking or async."""
    arguments: type[BaseModel]
    """The function's parameters as a pydantic model."""
    repeatable: bool
    """Whether the function may run again for a call of which it is not known how far it came."""
    timeout: float
    """Seconds the function may take."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:  # noqa: D102 - it is the function
        return self.function(*args, **kwargs)

    @property
    def poison_queue(self) -> str:
        """Where the host puts calls that failed at every try."""
        return f"{self.input_queue}-poison"

    @property
    def parked_queue(self) -> str:
        """Where calls that failed for good wait for the operator, after they were answered."""
        return f"{self.input_queue}-parked"

    def validate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments converted to the annotated types. Raises InvalidArgumentsError."""
        try:
            valid = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise InvalidArgumentsError(_explain(error)) from None
        return {name: getattr(valid, name) for name in self.arguments.model_fields}

    async def run(self, arguments: dict[str, Any], correlation_id: str = "") -> str:
        """Call the function with validated arguments; returns the `Value` that tells of its result.

        Every failure becomes an error value (see `error_value`), because an agent whose tool stays silent
        waits until its run expires. The one exception is a failure that may pass and left nothing behind.

        Raises:
            TransientError: try again later; nothing happened.
        """
        try:
            async with asyncio.timeout(self.timeout) as limit:
                value = await self._call(arguments)
            text = value if isinstance(value, str) else _as_json(value)
        except ToolError as error:
            logger.warning("%s: CorrelationId %s: %s", self.name, correlation_id, error)
            return error_value("tool_error", str(error))
        except TransientError as error:
            logger.warning("%s: CorrelationId %s: try again: %s", self.name, correlation_id, error)
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                logger.error(
                    "%s: CorrelationId %s: stopped after %g s", self.name, correlation_id, self.timeout
                )
                return self.given_up("timeout", f"{self.name} did not answer within {self.timeout:g} s")
            if may_pass(error):
                logger.warning("%s: CorrelationId %s: %r", self.name, correlation_id, error)
                if self.repeatable:
                    raise TransientError(f"{self.name} could not reach what it needs") from error
                return self.given_up("tool_failed", f"{self.name} lost the connection to what it needs")
            logger.exception("%s: CorrelationId %s: the function failed", self.name, correlation_id)
            # The exception's own text stays in the log: it may hold what the agent should not see.
            return error_value("tool_failed", f"{self.name} failed; the operator finds the reason in the log")
        return text

    def given_up(self, kind: str, what: str) -> str:
        """The error value for a call that ended without a result, honest about its effect."""
        if self.repeatable:
            return error_value(kind, what)
        return error_value(
            "outcome_unknown", f"{what}; it may have had its effect, so it is not run again for this call"
        )

    async def _call(self, arguments: dict[str, Any]) -> object:
        function: Callable[..., Any] = self.function
        if inspect.iscoroutinefunction(function):
            try:
                result: object = await function(**arguments)
            except (asyncio.CancelledError, SystemExit) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling()):
                    raise  # it is this call that is cancelled, by its timeout or the host
                raise RuntimeError(repr(error)) from error
            return result
        return await in_thread(lambda: function(**arguments), self.name)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self.arguments.model_json_schema()

    def definition(self, queue_service_endpoint: str) -> dict[str, Any]:
        """The `azure_function` tool with which an agent calls this function, as the agents service takes it.

        `queue_service_endpoint` is the address of the storage account's queues,
        `https://<account>.queue.core.windows.net`.
        """

        def binding(queue: str) -> dict[str, Any]:
            storage = {"queue_service_endpoint": queue_service_endpoint, "queue_name": queue}
            return {"type": "storage_queue", "storage_queue": storage}

        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {
            "type": "azure_function",
            "azure_function": {
                "function": function,
                "input_binding": binding(self.input_queue),
                "output_binding": binding(self.output_queue),
            },
        }


def queue_tool(
    *,
    input_queue: str | None = None,
    output_queue: str | None = None,
    repeatable: bool = True,
    timeout: float = DEFAULT_TIMEOUT,
) -> Callable[[Callable[P, R]], QueueTool[P, R]]:
    """Make a tool of a typed function with a docstring.

    Its parameters, annotated as pydantic understands them (`Annotated[str, Field(description=...)]`), are
    what the agent has to give; strings are answered as they are, every other value as JSON. The queues are
    named after the function unless they are given: `look_up` reads `look-up-input`, and answers on
    `look-up-output`.

    Say `repeatable=False` of a function that must not run twice for one call (it posts, pays, sends): when
    its host is killed in the middle, its call is answered as "outcome unknown". `timeout` is in seconds.
    Raises TypeError for a function without docstring or annotations, or with a parameter whose name the
    messages use themselves.
    """

    def make(function: Callable[P, R]) -> QueueTool[P, R]:
        name = getattr(function, "__name__", "")
        description = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
        if not description:
            raise TypeError(f"{name} has no docstring: the agent would not know when to call it")
        stem = name.replace("_", "-")
        return QueueTool(
            name=name,
            description=description,
            input_queue=input_queue or f"{stem}-input",
            output_queue=output_queue or f"{stem}-output",
            function=function,
            arguments=_arguments_model(name, function),
            repeatable=repeatable,
            timeout=timeout,
        )

    return make


def may_pass(error: BaseException) -> bool:
    """Whether an error of a connection or of a storage or web service may be gone at the next try.

    The packages are looked up by the error's own classes, so that none of them has to be installed.
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    for kind in type(error).__mro__:
        where, name = kind.__module__.partition(".")[0], kind.__name__
        if where == "azure" and name in ("ServiceRequestError", "ServiceResponseError"):
            return True
        if where == "httpx" and name == "TransportError":
            return True
    status = getattr(error, "status_code", None) or getattr(
        getattr(error, "response", None), "status_code", None
    )
    return isinstance(status, int) and (status in (408, 429) or status >= 500)


def _arguments_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in hints:
            raise TypeError(f"{name}: parameter {parameter.name} has no type annotation")
        if parameter.name.lower() in RESERVED:
            raise TypeError(f"{name}: {parameter.name} is a field of the message; rename the parameter")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    # Flat messages may carry more than the arguments, so strangers are left alone.
    return create_model(f"{name}_arguments", __config__=ConfigDict(extra="ignore"), **fields)


def _explain(error: ValidationError) -> str:
    told = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"[
            :MAX_PROBLEM_CHARS
        ]
        for problem in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    more = [f"and {len(told) - MAX_PROBLEMS} more"] if len(told) > MAX_PROBLEMS else []
    return "; ".join(told[:MAX_PROBLEMS] + more)


def _as_json(value: object) -> str:
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return json.dumps(plain, ensure_ascii=False)


async def in_thread(function: Callable[[], T], name: str) -> T:
    """Run a blocking function in a thread of its own.

    Not in the event loop's pool: a function that hangs would hold one of its few threads for ever. What it
    raises that is no `Exception`, such as `SystemExit`, becomes a RuntimeError: it would end the event loop,
    and every other call with it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():  # it took too long; nobody waits any more
            return
        if error is None:
            future.set_result(cast("T", result))
        else:
            is_usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
            future.set_exception(error if is_usual else RuntimeError(repr(error)))

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = context.run(function)
        except BaseException as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=f"tool-{name}", daemon=True).start()
    return await future
