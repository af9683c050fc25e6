"""Dates in running text, in the spellings of business papers of the world.

Not a parser of everything: relative dates ("next Monday") and dates without a year are not dates here.
Where a spelling can be read in several ways (03/12/2026), all are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

import regex

from agent_tasks.documents.grounding import calendars
from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.names import months
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match

PIVOT = 70
"""Two-digit years from here on are of the 20th century in the first place."""

_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
# The sign between is the same twice; blanks and one end of a line may stand beside it.
_SIGN = r"\s{0,2}([./-])\s{0,2}"
_NUMERIC = re.compile(
    rf"(?<!\d)(?<!\d[./-])(\d{{1,4}}){_SIGN}(\d{{1,2}})\s{{0,2}}\2\s{{0,2}}(\d{{1,4}})(?!\d|[/-]\d|\.\d)"
)
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d{2})(\d{2})(\d{2})(?!\d)")
_ROMAN = re.compile(
    r"(?<![\d./-])(\d{1,2})\s?[./-]?\s?\b(x{1}i{0,2}|i?v|vi{0,3}|i{1,3}|ix)\b\s?[./-]?\s?((?:19|20)\d{2})(?!\d|[/-]\d)"
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
_VIETNAMESE = re.compile(r"(?<!\d)(\d{1,2}) tháng (\d{1,2})(?: ?,? năm |[ ,/-]{1,2})(\d{4})(?!\d)")

_WORD = regex.compile(r"[\p{L}\p{M}]{2,20}(?:-\n {0,8}[\p{L}\p{M}]{2,12})?")
_UNSPACED = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
# What stands between day, month and year in the languages of the world.
_FILLERS = (
    "day of|th day of|of|the|de|del|di|den|d'|do|da|dal|ta'|ng|dhen|na|m|г|р|рік|року|год|года|թ|թթ|წ|"
    "წლის|წელი|gada|năm|ปี|พ\\.ศ|ค\\.ศ|ب|في|سنة|سال|ל|של|को|के|ঈসায়ী|ខែ|ឆ្នាំ|ថ្ងៃទី|ປີ|ເດືອນ|เดือน|ရက်|ខែ|жылғы|жылы|жыл|"
    "yil|yili|ж|il|anul|al|a|hó|e|ko"
)
_GAP = rf"(?:\s{{0,2}}[.,/'-]?\s{{0,2}}(?:(?:{_FILLERS})(?![^\W\d_])\.?)?){{0,2}}\s{{0,2}}[.,/'-]?\s{{0,2}}"
_SUFFIX = r"(?:st|nd|rd|th|er|re|eme|ème|de|te|a|o|º|ª|°|an|-?(?:го|е|ше|й|ե|ին|os|as|oji))?"
_DAY = rf"(?P<day>\d{{1,2}}){_SUFFIX}"
_YEAR = r"(?P<year>\d{4}|'?\d{2})"
_YEAR_SUFFIX = "(?:-?(?:an|en|os|го|eko|ko|cı|ci|cu|cü))?"
_DAY_BEFORE = re.compile(rf"(?<!\d)(?<!\d[.,/:-]){_DAY}{_GAP}\Z")
_YEAR_BEFORE = re.compile(rf"(?<!\d){_YEAR}{_YEAR_SUFFIX}{_GAP}\Z")
_YEAR_DAY_BEFORE = re.compile(rf"(?<!\d)(?P<year>\d{{4}}){_YEAR_SUFFIX}{_GAP}(?<!\d){_DAY}{_GAP}\Z")
_DAY_AFTER = re.compile(rf"{_GAP}{_DAY}(?!\d)")
_YEAR_AFTER = re.compile(rf"{_GAP}{_YEAR}(?!\d|[.,:]\d|-\d)")
_DAY_YEAR_AFTER = re.compile(rf"{_GAP}{_DAY}{_GAP}{_YEAR}(?!\d|[.,:]\d|-\d)")
_WINDOW = 32


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


class Dates:
    """The dates of a folded text, looked up by day."""

    def __init__(self, text: Folded) -> None:
        self._text = text
        self._places: dict[date, tuple[Written, int]] = {}
        for written in sorted(find_dates(text.text), key=lambda written: (written.start, -written.end)):
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
    is_thai = calendars.is_thai(folded)
    is_minguo = calendars.is_minguo(folded)
    for match in _NUMERIC.finditer(folded):
        if match[0].count("\n") <= 1:
            usual = _orders(match[1], match[2], match[3], match[4], is_minguo)
            # Two digits of a year come first in East Asia and Hungary.
            other = {(match[1], match[3], match[4])} if len(match[1]) == len(match[4]) == 2 else set()
            yield from _written(usual, *match.span(), is_thai, other)
    for match in _COMPACT.finditer(folded):
        yield from _written({(match[1], match[2], match[3])}, *match.span())
    for match in _VIETNAMESE.finditer(folded):
        yield from _written({(match[3], match[2], match[1])}, *match.span())
    for match in _ROMAN.finditer(folded):
        yield from _written({(match[3], str(_ROMANS[match[2]]), match[1])}, *match.span())
    for day, start, end in calendars.east_asian(folded):
        yield Written(frozenset((day,)), start, end)
    for start, end, numbers in _month_words(folded):
        yield from _around(folded, start, end, numbers, is_thai)


def _orders(first: str, sign: str, middle: str, last: str, is_minguo: bool) -> set[Order]:
    """Year, month and day in the orders that the digits allow. With points, the month is never first."""
    if len(first) == 4:
        return {(first, middle, last)}
    if len(first) == 3:
        return {(str(int(first) + calendars.MINGUO), middle, last)} if is_minguo else set()
    if len(last) in (1, 3):
        return set()
    orders: set[Order] = {(last, middle, first)}
    if sign != ".":
        orders.add((last, first, middle))
    return orders


def _written(
    usual: set[Order], start: int, end: int, is_thai: bool = False, other: Iterable[Order] = ()
) -> Iterator[Written]:
    days: set[date] = set()
    expected: set[date] = set()
    for order in (*usual, *other):
        year, month, day = order
        if len(month) > 2 or len(day) > 2:
            continue
        for full, is_unusual in _years(year, is_thai):
            found = calendars.day(full, int(month), int(day))
            if found:
                days.add(found)
                if order in usual and not is_unusual:
                    expected.add(found)
    if days:
        yield Written(frozenset(days), start, end, frozenset(days - expected if expected else ()))


def _years(year: str, is_thai: bool) -> Iterator[tuple[int, bool]]:
    """Years that are meant, each with whether it is unusual to mean it."""
    year = year.lstrip("'")
    if len(year) == 4:
        buddhist = int(year) - calendars.BUDDHIST
        is_buddhist = is_thai and 1850 <= buddhist <= 2150
        yield int(year), is_buddhist
        if is_buddhist:
            yield buddhist, False
    elif len(year) == 2:
        is_earlier = int(year) >= PIVOT
        yield 2000 + int(year), is_earlier
        yield 1900 + int(year), not is_earlier


def _month_words(folded: str) -> Iterator[tuple[int, int, frozenset[int]]]:
    names = months()
    for match in _WORD.finditer(folded):
        word = match[0]
        if _UNSPACED.match(word):
            yield from _unspaced_months(word, match.start())
            continue
        if "\n" in word:
            head, tail = re.split(r"-\n *", word)
            numbers = names.get(head + tail)
            if numbers:
                yield match.start(), match.end(), numbers
                continue
            word = head
        numbers = names.get(word) or _without_prefix(word)
        if numbers:
            yield match.start(), match.start() + len(word), numbers
    for match in _TWO_WORDS.finditer(folded):
        numbers = names.get(match[0])
        if numbers:
            yield match.start(), match.end(), numbers


def _without_prefix(word: str) -> frozenset[int] | None:
    """Hebrew writes "in" to the month."""
    return months().get(word[1:]) if word[0] in "בלמ" else None


_TWO_WORDS = regex.compile(r"\b(?:كانون|تشرين|tháng) [\p{L}\p{M}]+")


def _unspaced_months(word: str, start: int) -> Iterator[tuple[int, int, frozenset[int]]]:
    """In scripts without blanks the name is somewhere in a row of words."""
    for match in calendars.unspaced_month_pattern().finditer(word):
        yield start + match.start(), start + match.end(), months()[match[0]]


def _around(folded: str, start: int, end: int, numbers: frozenset[int], is_thai: bool) -> Iterator[Written]:
    """Read the date around a month's name: day before and year after, and the other orders."""
    low = max(0, start - _WINDOW)
    before, after = folded[low:start], folded[end : end + _WINDOW]
    found = set[tuple[str, str, int, int]]()
    day = _DAY_BEFORE.search(before)
    year = _YEAR_AFTER.match(after)
    if day and year:
        found.add((year["year"], day["day"], low + day.start(), end + year.end()))
    both = _DAY_YEAR_AFTER.match(after)
    if both:
        found.add((both["year"], both["day"], start, end + both.end()))
    both = _YEAR_DAY_BEFORE.search(before)
    if both:
        found.add((both["year"], both["day"], low + both.start(), end))
    first, last = _YEAR_BEFORE.search(before), _DAY_AFTER.match(after)
    if first and last:
        found.add((first["year"], last["day"], low + first.start(), end + last.end()))
    # The nearest readings: with a full year, those with two digits of another number are none.
    is_full = any(len(year) == 4 for year, *_ in found)
    for year_text, day_text, first_at, last_at in sorted(found):
        if len(year_text) == 4 or not is_full:
            orders = {(year_text, str(number), day_text) for number in numbers}
            yield from _written(orders, first_at, last_at, is_thai)
