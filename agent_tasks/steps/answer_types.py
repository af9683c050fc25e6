"""What an agent is to answer with: a type, the format that it is asked for by, and the check of its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from agent_tasks.errors import AnswerFormatError, ConfigurationError
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.tools.answers import parse_value
from agent_tasks.tools.response_format import value_format

__all__ = ["AnswerType", "answer_type"]

T = TypeVar("T")

_WRAPPED = "answer"  # the field of an object that holds what is no object itself


@dataclass(frozen=True)
class AnswerType(Generic[T]):
    """A type of answers."""

    name: str
    """What it is called in errors and on the service."""
    response_format: dict[str, Any] | None
    """What the service is told; None: text."""
    parse: Callable[[str], tuple[T | None, list[str]]]
    """Reads an answer: its value and no errors, or None and what is wrong with it."""


def answer_type(kind: Any) -> AnswerType[Any]:
    """The type of answers that a person has named.

    Args:
        kind: `str`; a pydantic model, a dataclass, a `TypedDict`; any other type that pydantic knows and JSON
            can hold, such as `list[str]`, `bool` or `Literal["yes", "no"]`; or an `OutputSchema`.

    Raises:
        ConfigurationError: it can't be described for the service; names the part and the remedy.
    """
    if kind is str:
        return AnswerType("str", None, lambda text: (text, []))
    if isinstance(kind, AnswerType):
        return kind
    if isinstance(kind, OutputSchema):
        return AnswerType(kind.name, kind.response_format(), kind.parse)
    return _of_python(kind)


def _of_python(kind: Any) -> AnswerType[Any]:
    name = getattr(kind, "__name__", None) or str(kind).removeprefix("typing.")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        is_object = _is_object(adapter.json_schema())
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise ConfigurationError(
            f"An agent can't answer with {name}: {str(error).splitlines()[0]} Give `answer` a pydantic "
            "model, a dataclass, a TypedDict, or another type that JSON can hold.",
            setting="answer",
        ) from error
    if is_object:
        return AnswerType(name, value_format(adapter, name), _parser(adapter, name))
    config = ConfigDict(extra="forbid")
    fields: dict[str, Any] = {_WRAPPED: (kind, ...)}
    wrapped: TypeAdapter[Any] = TypeAdapter(create_model(name, __config__=config, **fields))
    parse = _parser(wrapped, name)

    def unwrapped(text: str) -> tuple[Any, list[str]]:
        value, errors = parse(text)
        return (None if errors else getattr(value, _WRAPPED)), errors

    return AnswerType(name, value_format(wrapped, name), unwrapped)


def _is_object(schema: dict[str, Any]) -> bool:
    if "$ref" in schema:
        schema = schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema.get("type") == "object"


def _parser(adapter: TypeAdapter[Any], name: str) -> Callable[[str], tuple[Any, list[str]]]:
    def parse(text: str) -> tuple[Any, list[str]]:
        try:
            return parse_value(adapter, name, text), []
        except AnswerFormatError as error:
            return None, list(error.problems)

    return parse
