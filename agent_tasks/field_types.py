"""Values of dataclasses, checked against their type hints when an object is made, not when they are used."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from agent_tasks.errors import ConfigurationError

__all__ = ["check_field_types"]


def check_field_types(instance: Any) -> None:
    """Refuse a dataclass object with a value of another type than its field says.

    Raises:
        ConfigurationError: names the field, and both types; values are left out, they may be secret.
    """
    cls = type(instance)
    hints = _hints(cls)  # type: ignore[arg-type]  # mypy takes no class for hashable
    for field in fields(instance):
        value, hint = getattr(instance, field.name), hints[field.name]
        if field.init and not _fits(value, hint):
            raise ConfigurationError(
                f"{cls.__name__}: {field.name} is a {type(value).__name__}, and has to be {_text(hint)}",
                setting=field.name,
            )


@functools.cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is Sequence:  # a text is a sequence of texts too, and never meant as one
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str | bytes)
            and all(_fits(item, arguments[0]) for item in value)
        )
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(item, arguments[1]) for item in value.values())
    if origin is Callable:
        return callable(value)
    return _is_instance(value, origin or hint)


def _is_instance(value: Any, expected: Any) -> bool:
    if expected is None:
        return value is None
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    try:
        return isinstance(value, expected)
    except TypeError:  # Any, and protocols that cannot be asked
        return True


def _text(hint: Any) -> str:
    if hint is type(None):
        return "None"
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_text(one) for one in arguments)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(one) for one in arguments)
    if typing.get_origin(hint) is Sequence:
        return f"a list of {_text(arguments[0])}"
    return getattr(hint, "__name__", str(hint)) if not arguments else str(hint).rpartition(".")[2]
