"""Grounding: is what the agent extracted really in the document?

A value counts as found when the text has it in some usual spelling. The check is deterministic, costs no
tokens and can't be talked out of its opinion; it does not know whether the value is the right one of several.
"""

from __future__ import annotations

import bisect
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from agent_tasks.documents.content import Place
from agent_tasks.documents.dates import find_dates

Ground: TypeAlias = Literal["exact", "number", "date", "none"]
"""How a value is looked for."""

EXCERPT_CHARS = 30
"""Characters shown on either side of a match."""


@dataclass(frozen=True)
class Leaf:
    """A single value of an extraction."""

    path: str
    """Such as ``supplier`` or ``items[2].amount``."""
    kind: Ground
    value: Any


class GroundingStatus(StrEnum):
    """What came of looking a value up."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    NOT_CHECKED = "not_checked"


class FieldGrounding(BaseModel):
    """One value, looked up."""

    model_config = ConfigDict(frozen=True)

    path: str
    """Such as ``items[0].amount``."""
    kind: Ground
    status: GroundingStatus
    value: Any = None
    offset: int | None = None
    """Characters from the start of the document's text (in Unicode's NFC form) to the match."""
    end: int | None = None
    """Characters from the start of the document's text to the end of the match."""
    excerpt: str | None = None
    """The match and a little around it, on one line."""
    places: tuple[Place, ...] = ()
    """Where in the document the match stands: page and boxes, sheet and cell, ..."""


class SourceText:
    """A document's text, prepared for looking values up. Each preparation is made once, when first needed.

    Args:
        text: The text in NFC form (`unicodedata.normalize`); offsets refer to it.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def ground(self, leaves: Iterable[Leaf]) -> list[FieldGrounding]:
        """Look up every value."""
        return [self.look_up(leaf.path, leaf.kind, leaf.value) for leaf in leaves]

    def look_up(self, path: str, kind: Ground, value: Any) -> FieldGrounding:
        """Look up one value in the way `kind` says."""
        if kind == "none":
            return FieldGrounding(path=path, kind=kind, status=GroundingStatus.NOT_CHECKED, value=value)
        found = {"exact": self.find_text, "number": self.find_number, "date": self.find_date}[kind](value)
        if found is None:
            return FieldGrounding(path=path, kind=kind, status=GroundingStatus.NOT_FOUND, value=value)
        start, end = found
        return FieldGrounding(
            path=path,
            kind=kind,
            status=GroundingStatus.FOUND,
            value=value,
            offset=start,
            end=end,
            excerpt=self._excerpt(start, end),
        )

    def find_text(self, value: Any) -> tuple[int, int] | None:
        """Start and end of a text, whatever its case, blank space, punctuation, hyphenation and Unicode form.

        It has to begin and end where a word or a number does: "12" is not found in "2012".
        """
        wanted = "".join(folded for folded, _, _ in _runs(str(value)))
        if not wanted:  # signs only
            position = self.text.find(str(value)) if str(value) else -1
            return None if position < 0 else (position, position + len(str(value)))
        folded, starts, spans = self._folded
        at = folded.find(wanted)
        while at >= 0:
            first = bisect.bisect_right(starts, at) - 1
            last = bisect.bisect_left(starts, at + len(wanted)) - 1
            ends_run = last + 1 == len(starts) and at + len(wanted) == len(folded)
            if starts[first] == at and (ends_run or starts[last + 1 : last + 2] == [at + len(wanted)]):
                return spans[first][0], spans[last][1]
            at = folded.find(wanted, at + 1)
        return None

    def find_number(self, value: Any) -> tuple[int, int] | None:
        """Start and end of a number in any usual spelling: 1,234.50, 1.234,5, 1 234.50, 1'234.50, 12 %.

        A text value (such as "EUR 12.50") counts as found if one of its numbers is. A negative value needs a
        minus sign or brackets; a positive one doesn't mind them, since a hyphen looks the same.
        """
        if isinstance(value, str):
            wanted = [number for number, _, _, _ in _numbers(unicodedata.normalize("NFC", value))]
        else:
            try:
                wanted = [Decimal(str(value))]
            except InvalidOperation:
                return None
        for number in wanted:
            for start, end, negative in self._numbers.get(abs(number), ()):
                if number >= 0 or negative:
                    return start, end
        return None

    def find_date(self, value: Any) -> tuple[int, int] | None:
        """Start and end of a date in any usual spelling; 03/12/2026 may be 3 December and March 12."""
        wanted = [found for found, _, _ in find_dates(str(value))]
        return next((self._dates[day] for day in wanted if day in self._dates), None)

    def _excerpt(self, start: int, end: int) -> str:
        around = self.text[max(0, start - EXCERPT_CHARS) : end + EXCERPT_CHARS]
        return " ".join(around.split())

    @functools.cached_property
    def _folded(self) -> tuple[str, list[int], list[tuple[int, int]]]:
        """The text's folded letters and digits alone; where its runs start in there; their source spans."""
        parts: list[str] = []
        starts: list[int] = []
        spans: list[tuple[int, int]] = []
        length = 0
        for folded, start, end in _runs(self.text):
            parts.append(folded)
            starts.append(length)
            spans.append((start, end))
            length += len(folded)
        return "".join(parts), starts, spans

    @functools.cached_property
    def _numbers(self) -> dict[Decimal, list[tuple[int, int, bool]]]:
        """Absolute numbers in the text: start, end, whether there is a minus sign; at most two of each."""
        found: dict[Decimal, list[tuple[int, int, bool]]] = {}
        for number, start, end, negative in _numbers(self.text):
            places = found.setdefault(number, [])
            if not any(known == negative for _, _, known in places):
                places.append((start, end, negative))
        return found

    @functools.cached_property
    def _dates(self) -> dict[date, tuple[int, int]]:
        found: dict[date, tuple[int, int]] = {}
        for day, start, end in find_dates(self.text):
            found.setdefault(day, (start, end))
        return found


# Letters and digits are runs of their own: "EUR120" has the number 120 in it, "2012" does not have 12.
_RUN = re.compile(r"[^\W\d_]+|\d+")


def _runs(text: str) -> Iterator[tuple[str, int, int]]:
    """Folded runs of letters or digits, each with its start and end in the text."""
    for match in _RUN.finditer(unicodedata.normalize("NFC", text)):
        yield unicodedata.normalize("NFKC", match[0]).casefold(), match.start(), match.end()


_SPACES = " \u00a0\u2007\u2009\u202f"
_PIECE = re.compile(r"\d+(?:[.,'’]\d+)*")
_SPACED = re.compile(rf"(?<![\d.,'’])\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?(?![\d'’]|[.,]\d)")
_MINUS = "-\u2212\u2013"


def _numbers(text: str) -> Iterator[tuple[Decimal, int, int, bool]]:
    """All readings of the numbers in a text: absolute value, start, end, whether there is a minus sign."""
    for pattern in (_PIECE, _SPACED):
        for match in pattern.finditer(text):
            start, end = match.span()
            negative = _is_negative(text, start, end)
            percent = re.match(rf"[{_SPACES}]?%", text[end : end + 2]) is not None
            for digits in _readings(match[0]):
                number = Decimal(digits)
                yield number, start, end, negative
                if percent:
                    yield number / 100, start, end, negative


def _is_negative(text: str, start: int, end: int) -> bool:
    """Whether a number has a minus sign before it (a currency may stand between) or after it, or brackets."""
    before = text[max(0, start - 6) : start].rstrip(_SPACES)
    before = before.rstrip("€$£¥" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ").rstrip(_SPACES)
    after = text[end : end + 1]
    return (
        before[-1:] in tuple(_MINUS)
        or after in tuple(_MINUS)
        or (before[-1:] == "(" and ")" in text[end : end + 5])
    )


def _readings(piece: str) -> list[str]:
    """What a number as written can mean, as plain digits with a point."""
    piece = re.sub(rf"[{_SPACES}'’]", "", piece)
    separators = re.findall(r"[.,]", piece)
    if not separators:
        return [piece]
    groups = re.split(r"[.,]", piece)
    last = separators[-1]
    readings: list[str] = []
    whole, fraction = "".join(groups[:-1]), groups[-1]
    if separators.count(last) == 1 and len(set(separators[:-1])) <= 1 and _are_groups(groups[:-1]):
        readings.append(f"{whole}.{fraction}")
    if len(set(separators)) == 1 and _are_groups(groups):
        readings.append(whole + fraction)
    # 12.03.2026 or 1.2.3 is no number, but its parts may be asked for (a year, a chapter).
    return readings or groups


def _are_groups(groups: list[str]) -> bool:
    """Whether digits are grouped as thousands are (the Indian way has pairs before the last three)."""
    if len(groups) == 1:
        return True
    return (
        1 <= len(groups[0]) <= 3
        and len(groups[-1]) == 3
        and all(2 <= len(group) <= 3 for group in groups[1:-1])
    )
