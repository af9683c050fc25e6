"""Rows of digits that are one thing (dates, times, versions, telephones): their parts are no numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agent_tasks.documents.grounding.folding import Folded, fold
from agent_tasks.documents.grounding.names import currency_spellings
from agent_tasks.documents.grounding.written_dates import Written

_PIECE = r"\d++(?:[.,']\d++)*+"
_ROW = re.compile(rf"(?<![\d.,'/-]){_PIECE}(?:[/-]{_PIECE})++")
_SIGNS = re.compile("[/-]")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?!\d)")
_DAY_OR_MONTH = re.compile(r"\d{1,2}")
_MIXED_FRACTION = re.compile(r"\d{1,3}-\d{1,2}/(?:2|3|4|5|8|16)")
_COUNTED = re.compile(r"0\d")
"""Begins a number of an order or a telephone; no quantity is written so."""

_OTHERS = (
    # Times: 14:30, 07:45:10, 14h30.
    re.compile(r"(?<![\d:.,'])\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d++)?)?(?![:\d])"),
    re.compile(r"(?<![\d:.,'])\d{1,2}h\d{2}(?!\d)"),
    # Ordinals: 1st, 12th.
    re.compile(r"(?<![\d.,'])\d++(?:st|nd|rd|th)(?![^\W_])"),
    # Coordinates and feet: 49°52'12", 5'11".
    re.compile(r"(?<![\d.,'])\d{1,3}° ?\d{1,2}(?:[.,]\d++)?(?:'|°)(?: ?\d{1,2}(?:[.,]\d++)?\")?"),
    re.compile(r"(?<![\d.,'])\d{1,2}' ?\d{1,2}(?:\"|'')"),
    # Accounts and cards.
    re.compile(
        r"(?<![^\W_])[a-z]{2}\d{2}(?: (?=[a-z]*\d)[a-z0-9]{4}){2,}(?: (?=[a-z]*\d)[a-z0-9]{1,4})?(?![^\W_])"
    ),
    re.compile(r"(?<![\d.,'])(?<!\d )\d{4}(?: \d{4}){2,}(?: \d{1,3})?(?! ?\d|[.,]\d)"),
    # Groups of digits of which one begins with a nought, and that are no thousands.
    re.compile(
        r"(?<![\d.,'/-])(?<!\d )(?=[\d ]{0,30}?(?<!\d)0\d)(?!\d{1,3}(?: \d{3}){1,9}(?!\d| \d))"
        r"\d{2,}+(?: \d{2,}+){2,}+(?![.,]\d)"
    ),
)
_VERSION = re.compile(r"(?<![^\W_])v\.? ?(?=\d)\d++(?:\.\d++)*+")
_PHONES = (
    re.compile(r"(?<![\d+])\+ ?\d++(?:[ ()./-]{1,3}\d++)++"),
    re.compile(r"(?<![\d+])\(0\d{1,5}\) ?\d++(?:[ ./-]\d++)*+(?![.,]\d)"),
    re.compile(r"(?<![\d.,'+(/-])(?<!\d )0\d{1,5}(?:[ /-]|[ ][/-][ ])\d{2,}+(?:[ /-]\d{2,}+)*+(?![.,]\d)"),
)
_PHONE_DIGITS = range(8, 16)
_PREFIXED = re.compile(rf"(?<![^\W_])[a-z]{{1,6}}(?P<sign>[-/_#])(?P<row>{_PIECE}(?:[-/]{_PIECE})*+)")


def compounds(text: Folded, dates: Iterable[Written]) -> Iterator[tuple[int, int]]:
    """Stretches of a folded text whose digits are no numbers; a year within a date is one.

    Args:
        text: The text.
        dates: Its dates.
    """
    folded = text.text
    for date in dates:
        if not folded[date.start : date.end].isdigit():
            yield from _without_year(folded, date.start, date.end)
    for match in _ROW.finditer(folded):
        yield from _of_row(folded, match.start(), match[0])
    for pattern in _OTHERS:
        for match in pattern.finditer(folded):
            yield match.span()
    for match in _VERSION.finditer(folded):
        yield match.span()
    for pattern in _PHONES:
        for match in pattern.finditer(folded):
            if sum(map(str.isdigit, match[0])) in _PHONE_DIGITS:
                yield match.span()
    for match in _PREFIXED.finditer(folded):
        letters = text.quote(match.start(), match.start("sign"))
        if letters.isupper() and fold(letters) not in currency_spellings():
            yield match.span("row")


def is_dated(piece: str) -> bool:
    """Whether digits with points between them are a day: 27.11.2026."""
    return len(_parts_of_date(piece.split("."))) == 1


def _of_row(folded: str, start: int, row: str) -> Iterator[tuple[int, int]]:
    """A range and a share (10-20, 120/80) have two numbers; a longer row is a date or an identifier."""
    parts = _SIGNS.split(row)
    if _MIXED_FRACTION.fullmatch(row):
        return
    if len(parts) > 2:
        if _parts_of_date(parts):
            yield from _without_year(folded, start, start + len(row))
        else:
            yield start, start + len(row)
    elif any(part.isdigit() and _COUNTED.match(part) for part in parts):
        yield from _without_year(folded, start, start + len(row))


def _parts_of_date(parts: list[str]) -> list[str]:
    """The year of a date, if the parts are one."""
    years = [part for part in parts if _YEAR.fullmatch(part)]
    others = [part for part in parts if _DAY_OR_MONTH.fullmatch(part)]
    return years if len(parts) == 3 and len(years) == 1 and len(others) == 2 else []


def _without_year(folded: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for year in _YEAR.finditer(folded, start, end):
        yield at, year.start()
        at = year.end()
    yield at, end
