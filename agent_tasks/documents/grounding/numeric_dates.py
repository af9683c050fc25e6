"""Dates in digits: 3.5.2026, 2026-05-03, 20260503, 3.V.2026, and their ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum

from agent_tasks.documents.grounding.calendars import Era, minguo_year
from agent_tasks.documents.grounding.written_dates import Order, Written, written

# The sign between is the same twice; blanks and one end of a line may stand beside it.
_SIGN = r"\s{0,2}([./-])\s{0,2}"
_NUMERIC = re.compile(rf"(?<!\d)(\d{{1,4}}){_SIGN}(\d{{1,2}})\s{{0,2}}\2\s{{0,2}}(\d{{1,4}})(?!\d|\.\d)")
# Sweden and Denmark: 25/11-26, 25/11 2026.
_NORDIC = re.compile(r"(?<![\d./-])(\d{1,2})/(\d{1,2})(?:-(\d{4}|\d{2})| (\d{4}))(?![\d]|[./-]\d)")
# Another date after a sign: both stand in a range.
_NEXT_DATE = re.compile(r"[/-]\d{1,4}([./-])\d{1,2}\1\d{1,4}(?!\d)")
_DATE_BEFORE = re.compile(r"(?<!\d)\d{1,4}([./-])\d{1,2}\1\d{1,4}[/-]\Z")
_COMPACT = re.compile(r"(?<!\d)(?<![^\W_][-/])((?:19|20)\d{2})(\d{2})(\d{2})(?![\d]|[-/]\d)")
_ROMAN_MONTH = r"\b(x{1}i{0,2}|i?v|vi{0,3}|i{1,3}|ix)\b"
_ROMAN = re.compile(
    rf"(?<![\d./-])(\d{{1,2}})\s?[./-]?\s?{_ROMAN_MONTH}\s?[./-]?\s?((?:19|20)\d{{2}})(?!\d|[/-]\d)"
)
_ROMAN_LAST = re.compile(
    rf"(?<![\d./-])((?:19|20)\d{{2}})\.?\s?{_ROMAN_MONTH}\.?\s?(\d{{1,2}})(?![\d]|[./-]\d)"
)
_ROMANS = {
    "i": 1,
    "ii": 2,
    "iii": 3,
    "iv": 4,
    "v": 5,
    "vi": 6,
    "vii": 7,
    "viii": 8,
    "ix": 9,
    "x": 10,
    "xi": 11,
    "xii": 12,
}
# Languages that write the word for a month to its number.
_WORDED = {
    "tháng": re.compile(
        r"(?<!\d)(?P<day>\d{1,2}) tháng (?P<month>\d{1,2})(?: ?,? năm |[ ,/-]{1,2})(?P<year>\d{4})(?!\d)"
    ),
    "оны": re.compile(
        r"(?<!\d)(?P<year>\d{4}) оны (?P<month>\d{1,2})[- ]?(?:р|дугаар|дүгээр) сарын (?P<day>\d{1,2})(?!\d)"
    ),
    "ཟླ": re.compile(
        r"(?<!\d)(?P<year>\d{4})[ ་]*(?:ལོ|ལོའི)?[ ་]*ཟླ[ ་](?P<month>\d{1,2})[ ་]*(?:པའི)?[ ་]*"
        r"ཚེས[ ་](?P<day>\d{1,2})(?!\d)"
    ),
}
_ETHIOPIAN_ERA = re.compile(r" ?ዓ[./]? ?ም")
_ETHIOPIAN = re.compile(rf"(?<!\d)(\d{{1,2}})([/.-])(\d{{1,2}})\2(\d{{4}}){_ETHIOPIAN_ERA.pattern}")
_RANGE = (
    r"(?:-|/|to|bis|au|al|a|do|do dnia|till|til|tot|до|по|ile|até|alla|eller|"
    r"und|and|et|y|e|i|и|og|och|en|līdz|iki|đến|s\.d\.)"
)
_START_BEFORE = re.compile(rf"(?<![\d.,/-])(\d{{1,2}})(?:([./])(\d{{1,2}}))?[./]?\s?{_RANGE}\s?\Z")
_LONGEST_START = 16


def numeric_dates(folded: str, era: Era) -> Iterator[Written]:
    """All dates in digits; where they can be read in several orders, with all of them."""
    dates = [
        match
        for match in _NUMERIC.finditer(folded)
        if match[0].count("\n") <= 1
        and _is_whole(folded, match)
        and not _ETHIOPIAN_ERA.match(folded, match.end())
    ]
    usage = _usage(dates)
    for match in dates:
        yield from _numeric(folded, match, era, usage)
    for match in _NORDIC.finditer(folded) if "/" in folded else ():
        yield from written({(match[3] or match[4], match[2], match[1])}, *match.span())
    for match in _COMPACT.finditer(folded):
        yield from written({(match[1], match[2], match[3])}, *match.span())
    for match in _ROMAN.finditer(folded):
        yield from written({(match[3], str(_ROMANS[match[2]]), match[1])}, *match.span())
    for match in _ROMAN_LAST.finditer(folded):
        yield from written({(match[1], str(_ROMANS[match[2]]), match[3])}, *match.span())
    for word, pattern in _WORDED.items():
        for match in pattern.finditer(folded) if word in folded else ():
            yield from written({(match["year"], match["month"], match["day"])}, *match.span())
    for match in _ETHIOPIAN.finditer(folded) if "ዓ" in folded else ():
        yield from written({(match[4], match[3], match[1])}, *match.span(), Era.ETHIOPIAN, is_sure=True)


class _Usage(Enum):
    """Whether the dates of a text that leave no doubt (27/11/2026) begin with the day or the month."""

    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"


def _usage(dates: Iterable[re.Match[str]]) -> _Usage | None:
    """Return what the dates with slashes or hyphens agree on; None if none tells it, or they differ."""
    told: set[_Usage] = set()
    for match in dates:
        if match[2] == "." or max(len(match[1]), len(match[3])) > 2 or len(match[4]) != 4:
            continue
        first, second = int(match[1]), int(match[3])
        if first > _MONTHS >= second:
            told.add(_Usage.DAY_FIRST)
        elif second > _MONTHS >= first:
            told.add(_Usage.MONTH_FIRST)
    return told.pop() if len(told) == 1 else None


_MONTHS = 12


def _is_whole(folded: str, match: re.Match[str]) -> bool:
    """Whether the digits are no part of a longer row of digits and signs, unless it is a range of dates."""
    sign, start, end = match[2], match.start(), match.end()
    before = folded[max(0, start - 2) : start]
    if len(before) == 2 and before[0].isdigit() and before[1] in "./-":
        is_end = before[1] not in (sign, ".") and (
            len(match[1]) <= 2 or _DATE_BEFORE.search(folded[max(0, start - 12) : start])
        )
        if not is_end:
            return False
    if folded[end : end + 1] in ("/", "-") and folded[end + 1 : end + 2].isdigit():
        return folded[end] != sign and _NEXT_DATE.match(folded, end) is not None
    return True


def _numeric(folded: str, match: re.Match[str], era: Era, usage: _Usage | None) -> Iterator[Written]:
    usual = _orders(match[1], match[2], match[3], match[4], era, usage)
    # Two digits of a year come first in East Asia and Hungary.
    year_first = {(match[1], match[3], match[4])}
    if len(match[1]) == 2 and len(match[4]) <= 2 and folded[match.start() - 1 : match.start()] == "'":
        usual, other = year_first, set[Order]()
    else:
        other = year_first if len(match[1]) == len(match[4]) == 2 else set()
    yield from written(usual, *match.span(), era, other)
    if len(match[1]) > 2 or len(match[4]) != 4:
        return
    low = max(0, match.start() - _LONGEST_START)
    start = _START_BEFORE.search(folded[low : match.start()])
    if start and (start[2] is None or start[2] == match[2]):
        first, second = start[1], start[3]
        orders = (
            _orders(first, match[2], second, match[4], era, usage)
            if second
            else {(year, month, first) for year, month, day in usual if day == match[1]}
        )
        yield from written(orders, low + start.start(), match.end(), era)


def _orders(
    first: str, sign: str, middle: str, last: str, era: Era, usage: _Usage | None = None
) -> set[Order]:
    """Year, month and day in the orders that the digits allow. With points, the month is never first."""
    if len(first) == 4:
        return {(first, middle, last)}
    if len(first) == 3:
        return {(minguo_year(first), middle, last)} if era is Era.MINGUO else set()
    if len(last) in (1, 3):
        return set()
    day_first, month_first = (last, middle, first), (last, first, middle)
    if sign == "." or (usage is _Usage.DAY_FIRST and int(middle) <= _MONTHS):
        return {day_first}
    if usage is _Usage.MONTH_FIRST and int(first) <= _MONTHS:
        return {month_first}
    return {day_first, month_first}
