"""Dates of the Hebrew calendar, written in letters: ט״ו באדר תשפ״ו."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent_tasks.documents.grounding.calendars import hebrew_day, is_hebrew_leap
from agent_tasks.documents.grounding.written_dates import Written

_VALUES = dict(
    zip("אבגדהוזחטיכלמנסעפצקרשת", (*range(1, 10), *range(10, 100, 10), *range(100, 401, 100)), strict=True)
)
_MONTHS = {
    **{"ניסן": 1, "אייר": 2, "סיון": 3, "סיוון": 3, "תמוז": 4, "אב": 5, "מנחם אב": 5, "אלול": 6, "תשרי": 7},
    **{
        "חשון": 8,
        "חשוון": 8,
        "מרחשון": 8,
        "מרחשוון": 8,
        "כסלו": 9,
        "כסליו": 9,
        "טבת": 10,
        "שבט": 11,
        "אדר": 12,
    },
    **{"אדר א'": 12, "אדר א׳": 12, "אדר א": 12, "אדר ב'": 13, "אדר ב׳": 13, "אדר ב": 13},
}
_SIGNS = "'\"׳״"
_NAMES = "|".join(sorted(map(re.escape, _MONTHS), key=len, reverse=True))
_DATE = re.compile(
    rf"(?<![א-ת])([א-ל][{_SIGNS}]?[א-ט]?[{_SIGNS}]?) (?:ב|ל)?({_NAMES}),? "
    rf"(?:שנת )?(?:ה[{_SIGNS}])?(ת[א-ת]{{0,3}}[{_SIGNS}][א-ת])(?![א-ת])"
)


def hebrew_dates(folded: str) -> Iterator[Written]:
    """All dates of the Hebrew calendar."""
    for match in _DATE.finditer(folded):
        year, month = 5000 + _number(match[3]), _MONTHS[match[2]]
        if month == 12 and match[2] == "אדר" and is_hebrew_leap(year):
            days = {hebrew_day(year, 12, _number(match[1])), hebrew_day(year, 13, _number(match[1]))}
        else:
            days = {hebrew_day(year, month, _number(match[1]))}
        found = frozenset(day for day in days if day)
        if found:
            yield Written(found, *match.span())


def _number(letters: str) -> int:
    return sum(_VALUES.get(letter, 0) for letter in letters)
