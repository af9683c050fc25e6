"""A document's text, and values looked up in it."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from agent_tasks.documents.grounding import dates, measures, negations, numbers
from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.records import FieldGrounding, Ground, GroundingStatus, Leaf, Match
from agent_tasks.documents.grounding.words import Words
from agent_tasks.documents.grounding.written_dates import Written

EXCERPT_CHARS = 30
"""Characters shown on either side of a match."""


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
        found = self._finder(kind)(value)
        if found is None:
            return FieldGrounding(path=path, kind=kind, status=GroundingStatus.NOT_FOUND, value=value)
        return FieldGrounding(
            path=path,
            kind=kind,
            status=GroundingStatus.FOUND,
            value=value,
            offset=found.start,
            end=found.end,
            quote=self.text[found.start : found.end],
            how=found.how,
            occurrences=found.occurrences,
            note=found.note,
            excerpt=self._excerpt(found.start, found.end),
        )

    def _finder(self, kind: Ground) -> Callable[[Any], Match | None]:
        finders: dict[str, Callable[[Any], Match | None]] = {
            "exact": self.find_text,
            "number": self.find_number,
            "date": self.find_date,
            "currency": lambda value: measures.find_currency(str(value), self._folded),
            "unit": lambda value: measures.find_unit(str(value), self._folded),
            "enum": self.find_choice,
        }
        return finders[kind]

    def find_text(self, value: Any) -> Match | None:
        """Find a text, whatever its case, width, hyphenation and, between words, blanks and punctuation.

        It has to begin and end where a word, a number or an identifier does: "12" is not found in "2012", and
        "INV-2024" not in "INV-2024A".
        """
        return self._words.find(unicodedata.normalize("NFC", str(value)))

    def find_choice(self, value: Any) -> Match | None:
        """Find one of several choices, such as "delivery_note", where the text does not say "no" to it."""
        choice = unicodedata.normalize("NFC", str(value).replace("_", " "))
        return self._words.find(choice, negations.is_denied)

    def find_number(self, value: Any) -> Match | None:
        """Find a number in any usual spelling: 1,234.50, 1.234,5, 1 234.50, 12 %, 12.5m, 12万3千.

        Of a text value (such as "3 x EUR 12.50") each number has to be there. A negative value needs a minus
        sign, CR or brackets; a positive one is not found where a minus is written to the number.
        """
        if isinstance(value, str):
            wanted = numbers.in_value(unicodedata.normalize("NFC", value))
        else:
            try:
                wanted = [[Decimal(str(value))]]
            except InvalidOperation:
                return None
        found = [self._first(readings) for readings in wanted]
        return found[0] if found and all(found) else None

    def find_date(self, value: Any) -> Match | None:
        """Find a date in any usual spelling; 03/12/2026 may be 3 December and March 12."""
        return self._dates.find(dates.in_value(unicodedata.normalize("NFC", str(value))))

    def _first(self, readings: list[Decimal]) -> Match | None:
        return next((match for number in readings if (match := self._numbers.find(number))), None)

    def _excerpt(self, start: int, end: int) -> str:
        around = self.text[max(0, start - EXCERPT_CHARS) : end + EXCERPT_CHARS]
        return " ".join(around.split())

    @functools.cached_property
    def _folded(self) -> Folded:
        return Folded(self.text)

    @functools.cached_property
    def _words(self) -> Words:
        return Words(self._folded)

    @functools.cached_property
    def _numbers(self) -> numbers.Numbers:
        return numbers.Numbers(self._folded, self._written)

    @functools.cached_property
    def _dates(self) -> dates.Dates:
        return dates.Dates(self._folded, self._written)

    @functools.cached_property
    def _written(self) -> list[Written]:
        return list(dates.find_dates(self._folded.text))
