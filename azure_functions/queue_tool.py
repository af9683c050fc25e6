"""`queue_tool`: a typed Python function becomes a tool that agents call through a pair of storage queues.

Nothing here needs the Azure Functions runtime, so that whoever defines the agent can import the same tools
and ask them for their definition. `function_app.py` binds them to their queues.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from queue_messages import NoCorrelationIdError, UndecodableCallError, error_value, read_call, write_answer

P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("queue_tools")


class ToolError(Exception):
    """Raised by a tool whose input is well formed but cannot be served; the agent is told the message."""


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

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    async def answer(self, body: bytes) -> str:
        """Answer one queue message: validate, call the function, and return the message for the output queue.

        Every failure becomes an error value (see `error_value`), because an agent whose tool stays silent
        waits until its run expires. Raises NoCorrelationIdError: the host then tries the message again, and
        at last moves it to the poison queue.
        """
        try:
            call = read_call(body)
        except NoCorrelationIdError as error:
            logger.error("%s: %s", self.name, error)
            raise
        except UndecodableCallError as error:
            logger.warning("%s: CorrelationId %s: %s", self.name, error.correlation_id, error)
            return write_answer(error_value("undecodable_message", str(error)), error.correlation_id)
        value = await self._value(call.arguments, call.correlation_id)
        return write_answer(value, call.correlation_id)

    async def _value(self, arguments: dict[str, Any], correlation_id: str) -> str:
        try:
            valid = self.arguments.model_validate(arguments)
        except ValidationError as error:
            logger.warning("%s: CorrelationId %s: invalid arguments", self.name, correlation_id)
            return error_value("invalid_arguments", _explain(error))
        try:
            value = await self._call({name: getattr(valid, name) for name in self.arguments.model_fields})
            text = value if isinstance(value, str) else _as_json(value)
        except ToolError as error:
            logger.warning("%s: CorrelationId %s: %s", self.name, correlation_id, error)
            return error_value("tool_error", str(error))
        except Exception:
            logger.exception("%s: CorrelationId %s: the function failed", self.name, correlation_id)
            # The exception's own text stays in the log: it may hold what the agent should not see.
            return error_value("tool_failed", f"{self.name} failed; the operator finds the reason in the log")
        logger.info("%s: CorrelationId %s: answered", self.name, correlation_id)
        return text

    async def _call(self, arguments: dict[str, Any]) -> object:
        function: Callable[..., Any] = self.function
        if inspect.iscoroutinefunction(function):
            awaitable: Awaitable[object] = function(**arguments)
            return await awaitable
        return await asyncio.to_thread(function, **arguments)

    def definition(self, queue_service_endpoint: str) -> dict[str, Any]:
        """The `azure_function` tool with which an agent calls this function, as the agents service takes it.

        `queue_service_endpoint` is the address of the storage account's queues,
        `https://<account>.queue.core.windows.net`.
        """

        def binding(queue: str) -> dict[str, Any]:
            storage = {"queue_service_endpoint": queue_service_endpoint, "queue_name": queue}
            return {"type": "storage_queue", "storage_queue": storage}

        parameters = self.arguments.model_json_schema()
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {
            "type": "azure_function",
            "azure_function": {
                "function": function,
                "input_binding": binding(self.input_queue),
                "output_binding": binding(self.output_queue),
            },
        }


def queue_tool(
    *, input_queue: str | None = None, output_queue: str | None = None
) -> Callable[[Callable[P, R]], QueueTool[P, R]]:
    """Make a tool of a typed function with a docstring.

    Its parameters, annotated as pydantic understands them (`Annotated[str, Field(description=...)]`), are
    what the agent has to give; strings are answered as they are, every other value as JSON. The queues are
    named after the function unless they are given: `look_up` reads `look-up-input`, and answers on
    `look-up-output`.
    Raises TypeError for a function without docstring or annotations.
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
        )

    return make


def _arguments_model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in hints:
            raise TypeError(f"{name}: parameter {parameter.name} has no type annotation")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    # Flat messages may carry more than the arguments, so strangers are left alone.
    return create_model(f"{name}_arguments", __config__=ConfigDict(extra="ignore"), **fields)


def _explain(error: ValidationError) -> str:
    problems = (
        f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_context=False)
    )
    return "; ".join(problems)


def _as_json(value: object) -> str:
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return json.dumps(plain, ensure_ascii=False)
