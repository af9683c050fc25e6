"""When a value counts as right: exactly, as text, as a number, as a date, as a set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from agent_tasks.errors import ConfigurationError

NAMES = ("auto", "exact", "text", "number", "date", "set")

_BLANKS = re.compile(r"\s+")
_ENDS = " .,;:"
_MAX_NUMBER = 100  # characters


@dataclass(frozen=True)
class Comparator:
    """A way to compare the value that was found with the right one; neither is null or an object."""

    name: str
    """As it was asked for, such as ``number:0.01``."""
    same: Callable[[Any, Any], bool]
    """Takes the found and the right value."""
    by_item: bool = True
    """Whether lists are judged item by item; else they are one value."""


def comparator(text: str) -> Comparator:
    """Make a comparator from its name.

    Args:
        text: ``exact`` (same JSON); ``text`` (case, width of characters, blanks and a full stop at the end do
            not count); ``number``, ``number:0.01`` (how far off it may be) or ``number:1%`` (of the right
            value); ``date``; ``set`` (a list is one value, in any order); ``auto`` (number, date, text or
            exact, by what the two values are).

    Raises:
        ConfigurationError: There is no such comparator, or its tolerance is no number.
    """
    name, _, tolerance = text.partition(":")
    if tolerance and name != "number":
        raise ConfigurationError(f"The comparator {name!r} takes no tolerance; `number` does.")
    match name:
        case "auto":
            return Comparator(text, _as_they_are)
        case "exact":
            return Comparator(text, lambda found, right: type(found) is type(right) and found == right)
        case "text":
            return Comparator(text, _same_text)
        case "number":
            return Comparator(text, _number_within(tolerance))
        case "date":
            return Comparator(text, _same_date)
        case "set":
            return Comparator(text, _same_set, by_item=False)
    raise ConfigurationError(f"There is no comparator {text!r}; there are {', '.join(NAMES)}.")


def _as_they_are(found: Any, right: Any) -> bool:
    if isinstance(found, bool) or isinstance(right, bool):
        return _truth(found) is not None and _truth(found) == _truth(right)
    if isinstance(found, int | float) or isinstance(right, int | float):
        return _same_number(found, right)
    one, other = _date(found), _date(right)
    return one == other if one is not None and other is not None else _same_text(found, right)


def _truth(value: Any) -> bool | None:
    """A truth value, also as a cell of CSV has it."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def _same_text(found: Any, right: Any) -> bool:
    return _text(found) == _text(right)


def _text(value: Any) -> str:
    plain = unicodedata.normalize("NFKC", str(value)).casefold()
    return unicodedata.normalize("NFKC", _BLANKS.sub(" ", plain).strip(_ENDS))


def _number(value: Any) -> Decimal | None:
    """A number, also one that is written as a text: 1234.5, not 1.234,50."""
    if isinstance(value, bool) or len(str(value)) > _MAX_NUMBER:
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _same_number(found: Any, right: Any) -> bool:
    one, other = _number(found), _number(right)
    return one is not None and one == other


def _number_within(tolerance: str) -> Callable[[Any, Any], bool]:
    if not tolerance:
        return _same_number
    is_share = tolerance.endswith("%")
    allowed = _number(tolerance.removesuffix("%"))
    if allowed is None or allowed < 0:
        raise ConfigurationError(f"{tolerance!r} is no tolerance: write `number:0.01` or `number:1%`.")

    def same(found: Any, right: Any) -> bool:
        one, other = _number(found), _number(right)
        if one is None or other is None:
            return False
        return abs(one - other) <= (abs(other) * allowed / 100 if is_share else allowed)

    return same


def _date(value: Any) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _same_date(found: Any, right: Any) -> bool:
    one, other = _date(found), _date(right)
    return one is not None and one == other


def _same_set(found: Any, right: Any) -> bool:
    if not (isinstance(found, list) and isinstance(right, list)):
        return _as_they_are(found, right)
    left = list(found)
    for wanted in right:
        match = next((one for one in left if _as_they_are(one, wanted)), None)
        if match is None:
            return False
        left.remove(match)
    return not left
