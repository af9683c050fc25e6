"""A date as it is written, and what its year, month and day can mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from agent_tasks.documents.grounding import calendars

Order: TypeAlias = tuple[str, str, str]
"""Year, month and day as they are written."""


@dataclass(frozen=True)
class Written:
    """A date as it is written: what it can mean, and where it stands in the folded text."""

    days: frozenset[date]
    start: int
    end: int
    unusual: frozenset[date] = field(default_factory=frozenset)
    """Of `days` those that a reader would think of last: a two-digit year of the other century."""


def written(
    usual: Iterable[Order],
    start: int,
    end: int,
    era: calendars.Era = calendars.Era.COMMON,
    other: Iterable[Order] = (),
    *,
    is_sure: bool = False,
) -> Iterator[Written]:
    """A date that can be read in some orders, if any of them is a day.

    Args:
        usual: Year, month and day, as a reader takes them.
        start: Where it begins in the folded text.
        end: After its last character.
        era: Years that the text counts in.
        other: Year, month and day as one may take them, too.
        is_sure: The era is named beside the date, or the month is one of its calendar.
    """
    days: set[date] = set()
    expected: set[date] = set()
    for orders, is_usual in ((usual, True), (other, False)):
        for year, month, day in orders:
            if len(month) > 2 or len(day) > 2:
                continue
            for found, is_unusual in calendars.days(year, int(month), int(day), era, is_sure=is_sure):
                days.add(found)
                if is_usual and not is_unusual:
                    expected.add(found)
    if days:
        yield Written(frozenset(days), start, end, frozenset(days - expected if expected else ()))
