"""One Python function as an agent's tool: its schema, the checking of its arguments, and its call."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import re
import threading
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, overload

import docstring_parser
import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from agent_tasks.errors import ConfigurationError, ToolArgumentsError, ToolOutputError, ToolTimeoutError
from agent_tasks.field_types import check_field_types
from agent_tasks.tools.base import ToolContext
from agent_tasks.tools.policy import WhenUnknown, check_retries, tries, when_unknown_of
from agent_tasks.wire import FunctionDefinition, FunctionToolDefinition

DEFAULT_TIMEOUT = 30.0
"""Seconds a call may take unless the tool says otherwise."""

DEFAULT_MAX_OUTPUT_CHARS = 100_000
"""Characters a call may return; a longer output would fill the model's context and be paid for each turn."""


_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _PlainSchema(GenerateJsonSchema):
    """JSON schema without the titles pydantic makes from field names: they only cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@dataclass(frozen=True)
class FunctionTool:
    """A Python function that an agent may call.

    Build it with `FunctionTool.from_callable` or the `function_tool` decorator.
    """

    name: str
    """Name the model sees: letters, digits, ``_`` and ``-``, at most 64 characters."""
    description: str
    """What the function does, for the model: the first paragraph(s) of its docstring."""
    parameters: dict[str, Any]
    """JSON schema of the arguments."""
    function: Callable[..., Any] = field(repr=False)
    """The function itself, sync or async."""
    arguments_model: type[BaseModel] = field(repr=False)
    """Pydantic model the arguments are checked with; field *i* holds the parameter named by its alias."""
    context_parameter: str | None = None
    """Parameter that receives the `ToolContext`, if the function has one."""
    idempotent: bool = False
    """Whether an interrupted call may be repeated. False: its outcome counts as unknown."""
    timeout: float = DEFAULT_TIMEOUT
    """Seconds a call may take, each time it is tried."""
    max_output_chars: int = DEFAULT_MAX_OUTPUT_CHARS
    """Characters a call may return."""
    retries: int = 0
    """How often a call that raised, or took too long, is tried again, with growing pauses. Needs
    `idempotent`."""
    when_unknown: WhenUnknown = WhenUnknown.TELL_AGENT
    """What happens to an interrupted call, if the tool is not idempotent."""

    def __post_init__(self) -> None:
        check_field_types(self)

    @classmethod
    def from_callable(
        cls,
        fn: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        idempotent: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        max_output_chars: int = DEFAULT_MAX_OUTPUT_CHARS,
        retries: int = 0,
        when_unknown: WhenUnknown | str = WhenUnknown.TELL_AGENT,
    ) -> FunctionTool:
        """Describe a function by its type hints and its docstring.

        Texts of parameters come from Google-style ``Args:``, reST ``:param x:`` or NumPy sections.

        Args:
            fn: Sync or async function; every parameter has a type hint; no ``*args``, ``**kwargs`` or
                positional-only parameters. A parameter annotated `ToolContext` is filled in by the caller.
            name: Name for the model; default the function's own.
            description: Text for the model; default the docstring's summary and description.
            idempotent: Whether an interrupted call may be repeated.
            timeout: Seconds a call may take, each time it is tried.
            max_output_chars: Characters a call may return.
            retries: How often a failed call is tried again; needs `idempotent`.
            when_unknown: What happens to an interrupted call, if the tool is not idempotent.

        Raises:
            ConfigurationError: The function cannot be described; names the parameter and the remedy.
        """
        tool_name = name or fn.__name__
        docstring = docstring_parser.parse(inspect.getdoc(fn) or "")
        texts = {param.arg_name: param.description or "" for param in docstring.params}
        model, context_parameter = _arguments_model(fn, tool_name, texts)
        told = description or "\n\n".join(
            part.strip() for part in (docstring.short_description, docstring.long_description) if part
        )
        tool = cls(
            name=tool_name,
            description=told,
            parameters=parameters_schema(model),
            function=fn,
            arguments_model=model,
            context_parameter=context_parameter,
            idempotent=idempotent,
            timeout=timeout,
            max_output_chars=max_output_chars,
            retries=retries,
        )
        return tool.configured(when_unknown=when_unknown)

    def configured(
        self,
        *,
        name: str | None = None,
        idempotent: bool | None = None,
        timeout: float | None = None,
        max_output_chars: int | None = None,
        retries: int | None = None,
        when_unknown: WhenUnknown | str | None = None,
    ) -> FunctionTool:
        """A copy with other settings; what is None stays. Raises ConfigurationError for impossible values."""
        tool = replace(
            self,
            name=self.name if name is None else name,
            idempotent=self.idempotent if idempotent is None else idempotent,
            timeout=self.timeout if timeout is None else timeout,
            max_output_chars=self.max_output_chars if max_output_chars is None else max_output_chars,
            retries=self.retries if retries is None else retries,
            when_unknown=self.when_unknown if when_unknown is None else when_unknown_of(when_unknown),
        )
        check_name(tool.name)
        check_retries(tool.name, tool.retries, idempotent=tool.idempotent)
        if tool.timeout <= 0:
            raise ConfigurationError(f"tool {tool.name}: timeout must be above 0 seconds, not {tool.timeout}")
        if tool.max_output_chars <= 0:
            raise ConfigurationError(f"tool {tool.name}: max_output_chars must be above 0")
        return tool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as if it had not been decorated."""
        return self.function(*args, **kwargs)

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tool as the service is told about it, in a list like that of every tool."""
        return [function_definition(self.name, self.description, self.parameters)]

    @property
    def resources(self) -> dict[str, Any]:
        """Functions have none."""
        return {}

    def arguments(self, arguments_json: str) -> dict[str, Any]:
        """Check the model's arguments and return them by parameter name, converted to the hinted types.

        Raises:
            ToolArgumentsError: Not JSON, not an object, or not as the schema says; lists every problem.
        """
        checked = check_arguments(self.arguments_model, arguments_json, self.name)
        fields = type(checked).model_fields
        return {
            str(info.alias): getattr(checked, key)
            for key, info in fields.items()
            if key in checked.model_fields_set
        }

    async def call(self, arguments_json: str, context: ToolContext) -> str:
        """Call the function with the model's arguments.

        A sync function runs in its own thread. When it exceeds its time, the thread cannot be stopped: it is
        left alone and never keeps the process from ending.

        Args:
            arguments_json: The arguments as the model wrote them: a JSON object ("" and ``null`` mean no
                arguments).
            context: Handed to the function if it asks for it.

        Returns:
            The function's own text, or its result as JSON.

        Raises:
            ToolArgumentsError: The arguments are not valid; the function was not called.
            ToolTimeoutError: The call took longer than `timeout` seconds.
            ToolOutputError: The result is too long or cannot be written as JSON.
            Exception: Whatever the function itself raises.
        """
        arguments = self.arguments(arguments_json)
        if self.context_parameter is not None:
            arguments[self.context_parameter] = context
        if not self.retries:
            return self._output(await self._result(arguments, context), context)
        return self._output(await tries(self.retries)(self._result, arguments, context), context)

    async def _result(self, arguments: dict[str, Any], context: ToolContext) -> Any:
        try:
            async with asyncio.timeout(self.timeout) as limit:
                if inspect.iscoroutinefunction(self.function):
                    result = await self.function(**arguments)
                else:
                    result = await _in_thread(lambda: self.function(**arguments), f"tool-{self.name}")
                    if inspect.isawaitable(result):
                        result = await result
        except TimeoutError as error:
            if not limit.expired():  # the function's own TimeoutError is the function's own failure
                raise
            raise ToolTimeoutError(
                f"tool {self.name} (call {context.call_id}) did not answer within {self.timeout:g} s; "
                "make it faster or raise its timeout",
                tool=self.name,
                call_id=context.call_id,
            ) from error
        return result

    def _output(self, result: Any, context: ToolContext) -> str:
        if isinstance(result, str):
            text = result
        else:
            try:
                text = pydantic_core.to_json(result, inf_nan_mode="null").decode()
            except pydantic_core.PydanticSerializationError as error:
                raise ToolOutputError(
                    f"tool {self.name} (call {context.call_id}) returned {type(result).__name__}, which "
                    "cannot be written as JSON; return text, numbers, lists, mappings or pydantic models",
                    tool=self.name,
                    call_id=context.call_id,
                ) from error
        if len(text) > self.max_output_chars:
            raise ToolOutputError(
                f"tool {self.name} (call {context.call_id}) returned {len(text)} characters; at most "
                f"{self.max_output_chars} are allowed; return less or raise max_output_chars",
                tool=self.name,
                call_id=context.call_id,
            )
        return text


@overload
def function_tool(fn: Callable[..., Any], /) -> FunctionTool: ...
@overload
def function_tool(
    *,
    name: str | None = None,
    idempotent: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    max_output_chars: int = DEFAULT_MAX_OUTPUT_CHARS,
    retries: int = 0,
    when_unknown: WhenUnknown | str = WhenUnknown.TELL_AGENT,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def function_tool(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    idempotent: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
    max_output_chars: int = DEFAULT_MAX_OUTPUT_CHARS,
    retries: int = 0,
    when_unknown: WhenUnknown | str = WhenUnknown.TELL_AGENT,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Decorator: make a function a `FunctionTool`; it stays callable as before.

    Use it bare (``@function_tool``) or with the settings of `FunctionTool.from_callable`.
    """

    def decorate(function: Callable[..., Any]) -> FunctionTool:
        return FunctionTool.from_callable(
            function, name=name, idempotent=idempotent, timeout=timeout, max_output_chars=max_output_chars,
            retries=retries, when_unknown=when_unknown,
        )  # fmt: skip

    return decorate if fn is None else decorate(fn)


def check_name(name: str) -> None:
    """Raises ConfigurationError for a name that the model cannot call."""
    if _NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"tool name {name!r} is not possible: use up to 64 letters, digits, '_' and '-'"
        )


def parameters_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments."""
    parameters = model.model_json_schema(by_alias=True, schema_generator=_PlainSchema)
    parameters.pop("title", None)
    parameters.setdefault("properties", {})
    return parameters


def function_definition(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The definition of a function as on the wire."""
    function = FunctionDefinition(name=name, description=description, parameters=parameters)
    return FunctionToolDefinition(function=function).to_wire()


def given_arguments(arguments_json: str) -> str:
    """The arguments as JSON: what stands for none, nothing or ``null``, as the empty object.

    Models write both for a function without parameters.
    """
    text = arguments_json.strip()
    return "{}" if text in ("", "null") else text


def check_arguments(model: type[BaseModel], arguments_json: str, tool: str) -> BaseModel:
    """The model's arguments, checked and converted.

    Raises:
        ToolArgumentsError: Not JSON, not an object, or not as the schema says; lists every problem, and none
            of the values.
    """
    try:
        return model.model_validate_json(given_arguments(arguments_json))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ToolArgumentsError(f"arguments of tool {tool} are not valid: {problems}", tool=tool) from error


def _arguments_model(
    fn: Callable[..., Any], tool_name: str, texts: dict[str, str]
) -> tuple[type[BaseModel], str | None]:
    """The pydantic model of a function's parameters, and the name of its `ToolContext` parameter."""
    try:
        hints = typing.get_type_hints(fn, include_extras=True)
    except (NameError, TypeError) as error:
        raise ConfigurationError(
            f"type hints of tool {tool_name} cannot be read: {error}; use names its module defines or imports"
        ) from error
    fields: dict[str, Any] = {}
    context_parameter: str | None = None
    for position, parameter in enumerate(inspect.signature(fn).parameters.values()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(
                f"tool {tool_name}: parameter {parameter} is {parameter.kind.description}; "
                "a model can only pass named arguments"
            )
        if parameter.name not in hints:
            raise ConfigurationError(f"tool {tool_name}: parameter {parameter.name} needs a type hint")
        if _is_context(hints[parameter.name]):
            context_parameter = parameter.name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        # The field has a neutral name, the parameter's own is its alias: `schema` or `model_x` are fine then.
        fields[f"argument_{position}"] = (
            hints[parameter.name],
            Field(default, alias=parameter.name, description=texts.get(parameter.name) or None),
        )
    try:
        model = create_model(f"{tool_name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError) as error:
        raise ConfigurationError(
            f"tool {tool_name}: its parameters cannot be described as JSON: {error}"
        ) from error
    return model, context_parameter


def _is_context(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_is_context(option) for option in typing.get_args(hint))
    return hint is ToolContext


async def _in_thread(function: Callable[[], Any], name: str) -> Any:
    """Run a blocking function in a daemon thread, so that one that hangs cannot keep the process alive.

    `asyncio.to_thread` would: the loop joins its executor's threads when it closes.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():  # nobody waits any more
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # a future refuses it
            future.set_exception(RuntimeError(f"{name} raised StopIteration"))
        else:
            future.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = context.run(function)
        except BaseException as raised:
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
