"""Arguments of the Python API: what is of the wrong type is refused where it is given, by its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent_tasks.errors import ConfigurationError

__all__ = ["check_awaitable", "check_callable", "check_count", "check_kind", "check_number", "check_text"]

_MAX_SHOWN = 60  # characters of a value in an error


def check_text(whose: str, *, optional: bool = False, may_be_empty: bool = False, **given: object) -> None:
    """Refuse what is no text, an empty one, and one that can't be sent.

    Args:
        whose: whose arguments they are, such as `session(...)`.
        optional: whether None may stand for it.
        may_be_empty: whether it may be empty.
        given: the arguments by name.

    Raises:
        ConfigurationError: names the argument.
    """
    for name, value in given.items():
        if value is None and optional:
            continue
        if not isinstance(value, str):
            raise _wrong(whose, name, "a text (str)", value)
        if not (may_be_empty or value.strip()):
            remedy = " Leave it out to have none." if optional else ""
            raise ConfigurationError(f"`{name}` of {whose} is empty.{remedy}", setting=name)
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                f"`{name}` of {whose} has half a character (a lone surrogate) at position {error.start}, "
                "which can't be sent. Clean the text: text.encode(errors='replace').decode().",
                setting=name,
            ) from None


def check_kind(whose: str, kind: type | tuple[type, ...], expected: str, **given: object) -> None:
    """Refuse what is neither None nor of a type.

    Args:
        whose: whose arguments they are.
        kind: the type, or several.
        expected: what they are called in the error.
        given: the arguments by name.

    Raises:
        ConfigurationError: names the argument.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, kind):
            raise _wrong(whose, name, expected, value)


def check_number(whose: str, *, positive: bool = False, **given: object) -> None:
    """Refuse what is neither None nor a number, and what is not above 0 if it has to be. Raises likewise."""
    for name, value in given.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (is_number and (not positive or value > 0)):  # type: ignore[operator]
            raise _wrong(whose, name, "a number above 0" if positive else "a number", value)


def check_count(whose: str, *, least: int, **given: object) -> None:
    """Refuse what is neither None nor a whole number from `least` on. Raises likewise."""
    for name, value in given.items():
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_whole and value >= least):  # type: ignore[operator]
            raise _wrong(whose, name, f"a whole number, {least} or more", value)


def check_callable(whose: str, **given: object) -> None:
    """Refuse what is neither None nor a function. Raises likewise."""
    for name, value in given.items():
        if value is not None and not callable(value):
            raise _wrong(whose, name, "a function", value)


def check_awaitable(whose: str, results: Iterable[object], name: str, remedy: str) -> None:
    """Refuse results that can't be awaited: of a function that is not async, say. Raises likewise."""
    for result in results:
        if not hasattr(result, "__await__"):
            raise ConfigurationError(
                f"`{name}` of {whose} gave {_shown(result)}, which can't be awaited. {remedy}", setting=name
            )


def _wrong(whose: str, name: str, expected: str, value: Any) -> ConfigurationError:
    return ConfigurationError(f"`{name}` of {whose} must be {expected}, not {_shown(value)}.", setting=name)


def _shown(value: object) -> str:
    """A value for an error: its type, and what it is if that is short and no text of a person."""
    kind = type(value).__name__
    if value is None or isinstance(value, (bool, int, float)):
        return f"{value!r:.{_MAX_SHOWN}}"
    if callable(value) and (name := getattr(value, "__name__", None)):
        return f"the {kind} {name}"
    return f"a value of type {kind}"
