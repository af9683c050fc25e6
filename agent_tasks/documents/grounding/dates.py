"""Dates in running text, in the spellings of business papers of the world.

Not a parser of everything: relative dates ("next Monday") and dates without a year are not dates here.
Where a spelling can be read in several ways (03/12/2026), all are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

from agent_tasks.documents.grounding import calendars
from agent_tasks.documents.grounding.east_asian_dates import east_asian_dates
from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.hebrew_dates import hebrew_dates
from agent_tasks.documents.grounding.month_dates import month_dates
from agent_tasks.documents.grounding.numeric_dates import numeric_dates
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match
from agent_tasks.documents.grounding.written_dates import Written

_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)


class Dates:
    """The dates of a folded text, looked up by day.

    Args:
        text: The text.
        dates: What `find_dates` finds in it.
    """

    def __init__(self, text: Folded, dates: Iterable[Written]) -> None:
        self._text = text
        self._places: dict[date, tuple[Written, int]] = {}
        for written in sorted(dates, key=lambda written: (written.start, -written.end)):
            for day in written.days:
                first, count = self._places.get(day, (written, 0))
                if count == 0 or (written.start >= first.end and count < MAX_OCCURRENCES):
                    self._places[day] = first, count + 1

    def find(self, days: Iterable[date]) -> Match | None:
        """The first place that can be read as one of the days."""
        for day in days:
            if day not in self._places:
                continue
            written, count = self._places[day]
            start, end = self._text.span(written.start, written.end)
            quote = self._text.source[start:end]
            others = written.days - written.unusual | {day}
            if len(others) > 1:
                readings = " or ".join(other.isoformat() for other in sorted(others))
                return Match(start, end, How.AMBIGUOUS, count, f"{' '.join(quote.split())} may be {readings}")
            return Match(start, end, How.EXACT if quote == day.isoformat() else How.DATE, count)
        return None


def in_value(value: str) -> list[date]:
    """The days that a value can mean; an ISO date means one."""
    iso = _ISO.fullmatch(value.strip())
    if iso:
        day = calendars.day(int(iso[1]), int(iso[2]), int(iso[3]))
        return [day] if day else []
    return [day for written in find_dates(Folded(value).text) for day in sorted(written.days)]


def find_dates(folded: str) -> Iterator[Written]:
    """All dates that can be read in a folded text."""
    era = calendars.era_of(folded)
    yield from numeric_dates(folded, era)
    yield from east_asian_dates(folded)
    yield from month_dates(folded, era)
    yield from hebrew_dates(folded)
