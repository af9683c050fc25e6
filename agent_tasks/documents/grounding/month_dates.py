"""Dates with the name of a month: day before and year after, in the other orders, and in ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import regex

from agent_tasks.documents.grounding.calendars import Era
from agent_tasks.documents.grounding.month_names import Month, find_months
from agent_tasks.documents.grounding.names import months
from agent_tasks.documents.grounding.written_dates import Written, written

# What stands between day, month and year in the languages of the world.
_FILLERS = (
    r"day of|th day of|dias do mês|días del mes|of|the|de|del|di|den|d'|do|da|dal|ta'|ng|"
    r"dhen|na|m|г|р|рік|року|год|года|გ|թ|թթ|წ|წლის|წელი|gada|năm|ปี|พ\.ศ|ค\.ศ|ب|في|من|سنة|"
    r"سال|کال|د|ی|مه|ل|של|ב|को|के|की|ঈসায়ী|ខែ|ឆ្នាំ|ថ្ងៃទី|ປີ|ເດືອນ|ວັນທີ|เดือน|ရက်|"
    r"ခုနှစ်|ခု|နှစ်|လ|ခုနှစ်၊|жылғы|жылы|жыл|оны|yil|yili|ж|il|anul|al|a|hó|e|ko|o|ym|mis|"
    r"mí|päivänä|päivä|ቀን|ዓ\.ም|годзе|году|година|години|godine|god|roku|r|vuonna|aasta|"
    r"aastal|metų|година"
)
_BETWEEN = r"\s{0,2}[.,/'\"-]{0,2}\s{0,2}"
_GAP = rf"(?:{_BETWEEN}(?:(?:{_FILLERS})(?![^\W\d_])\.?)?){{0,2}}{_BETWEEN}"
# Endings of ordinals: single letters that are known, and any two to four (ydd, hb, ին): "12b" is a flat.
_SUFFIX = (
    r"(?:(?:st|nd|rd|th|er|re|eme|ème|de|te|os|as|oji|[гш]о|ե|ին)(?![^\W\d_])|শে|লা|রা|ঠা|"
    r"ই|ஆம்|ம்|வது|వ|ನೇ|ാം|वीं|वें|वा|[ºª°]|\.[ºª]|[aoоеийη](?![^\W\d_])|"
    r"-[^\W\d_]{1,4}(?![^\W\d_])|[^\W\d_]{2,5}(?=\.?[ \n]))?"
)
_DAY = rf"(?P<day>\d{{1,2}}){_SUFFIX}"
_YEAR = r"(?P<year>\d{4}|'?\d{2})"
_YEAR_SUFFIX = r"(?:[-']?[^\W\d_]{1,6}(?![^\W\d_]))?"
_TO = (
    r"to|until|till|through|thru|and|or|bis|und|oder|zu|au|et|ou|al|y|e|o|i|a|do dnia|do|"
    r"až|по|и|до|та|en|tot|til|och|og|ja|és|ve|ile|até|la|și|إلى|و|עד|تا|से|ถึง|đến|sampai|"
    r"hingga|hadi|līdz|iki"
)
_RANGE = rf"(?:\s?-\s?|\s?/\s?|\s?[&+]\s?|, ?|\s(?:{_TO})\s)"
_START = re.compile(
    rf"(?<!\d)(?<!\d[.,/:-])(\d{{1,2}}){_SUFFIX}\.?{_RANGE}(?:\s?(?:the|le|den|il|el|\")\s?)?\Z"
)
_DAY_BEFORE = re.compile(rf"(?<!\d)(?<!\d[,:/]){_DAY}{_GAP}\Z")
_YEAR_BEFORE = re.compile(rf"(?<!\d){_YEAR}{_YEAR_SUFFIX}{_GAP}\Z")
_YEAR_DAY_BEFORE = re.compile(rf"(?<!\d)(?P<year>\d{{4}}){_YEAR_SUFFIX}{_GAP}(?<!\d){_DAY}{_GAP}\Z")
_DAY_AFTER = re.compile(rf"{_GAP}{_DAY}(?!\d)")
_YEAR_AFTER = re.compile(
    rf"(?:{_GAP}(?P<full>\d{{4}})|{_BETWEEN}(?:(?:of|del?|г)\s)?(?P<short>'?\d{{2}}))(?!\d|[.,:]\d|-\d)"
)
_DAY_YEAR_AFTER = re.compile(
    rf"{_GAP}{_DAY}(?:{_RANGE}(?P<last>\d{{1,2}})(?!\d){_SUFFIX})?{_GAP}{_YEAR}(?!\d|[.,:]\d|-\d)"
)
_DAY_RANGE_AFTER = re.compile(rf"\.?{_RANGE}(\d{{1,2}})(?!\d|[.,:]\d)")
_BETWEEN_MONTHS = re.compile(rf"(?:\s?(?:r|г|year)\.?)?{_RANGE}(?:\s?(?:le|the|den|il|el|dnia|na)\s)?\s?\"?")
_NEXT_WORD = regex.compile(rf"{_BETWEEN}(?:(?:of|de|di)\s)?([\p{{L}}\p{{M}}]{{2,20}})")
# What is beside a month's name in any date with it: looked at first, since most names stand in no date.
_LAST_DIGIT = regex.compile(r"(?r)\d")
_DIGIT = re.compile(r"\d")
_CLOSE_BEFORE = re.compile(rf"(?:{_SUFFIX}|{_YEAR_SUFFIX}){_GAP}")
_CLOSE_AFTER = re.compile(rf"{_GAP}'?")
_WINDOW = 40
_COMPACT = re.compile(r"\d{1,2}(-?)[^\W\d_]+\1\d{2}")  # 29nov26
_TWO_NAMES = re.compile(r"\s?[/(]\s?")


class _Reading(NamedTuple):
    """Year and day beside a month's name, and where the date begins and ends."""

    year: str
    day: str
    start: int
    end: int


def month_dates(folded: str, era: Era) -> Iterator[Written]:
    """All dates in which a month is named; of a range the ends have what only the other one says."""
    previous: tuple[Month, list[_Reading]] | None = None
    for month in _months(folded):
        readings = _readings(folded, month)
        for reading in readings:
            yield from _written(month, reading, era)
        yield from _same_month(folded, month, readings, era)
        if previous:
            yield from _range(folded, previous, (month, readings), era)
        previous = month, readings


def _months(folded: str) -> Iterator[Month]:
    """The names of months, two names of one month (نوفمبر/تشرين الثاني) as one."""
    last: Month | None = None
    for month in sorted(find_months(folded)):
        if (
            last
            and month.numbers == last.numbers
            and month.era is last.era
            and _TWO_NAMES.fullmatch(folded, last.end, month.start)
        ):
            closing = folded[month.end : month.end + 1] == ")"
            last = last._replace(end=month.end + closing)
            continue
        if last:
            yield last
        last = month
    if last:
        yield last


def _written(month: Month, reading: _Reading, era: Era) -> Iterator[Written]:
    orders = {(reading.year, str(number), reading.day) for number in month.numbers}
    if month.era:
        yield from written(orders, reading.start, reading.end, month.era, is_sure=True)
    else:
        yield from written(orders, reading.start, reading.end, era)


def _readings(folded: str, month: Month) -> list[_Reading]:
    """What the date around a month's name can be."""
    start, end = month.start, month.end
    low = max(0, start - _WINDOW)
    before, after = folded[low:start], folded[end : end + _WINDOW]
    last_digit, next_digit = _LAST_DIGIT.search(before), _DIGIT.search(after)
    has_before = last_digit is not None and _CLOSE_BEFORE.fullmatch(before, last_digit.end()) is not None
    has_after = next_digit is not None and _CLOSE_AFTER.fullmatch(after, 0, next_digit.start()) is not None
    found: set[_Reading] = set()
    if has_before and has_after:
        found.update(_on_both_sides(folded, month, low, before, after))
    if has_after and (both := _DAY_YEAR_AFTER.match(after)):
        found.add(_Reading(both["year"], both["day"], start, end + both.end()))
        if both["last"]:
            found.add(_Reading(both["year"], both["last"], start, end + both.end()))
    if has_before and (both := _YEAR_DAY_BEFORE.search(before)):
        found.add(_Reading(both["year"], both["day"], low + both.start(), end))
    # The nearest readings: with a full year, those with two digits of another number are none.
    is_full = any(len(reading.year) == 4 for reading in found)
    return sorted(
        reading
        for reading in found
        if len(reading.year) == 4 or not is_full or _COMPACT.fullmatch(folded, reading.start, reading.end)
    )


def _on_both_sides(folded: str, month: Month, low: int, before: str, after: str) -> Iterator[_Reading]:
    """Day before the month and year after it, and the other way round."""
    end = month.end
    day, year = _DAY_BEFORE.search(before), _YEAR_AFTER.match(after)
    if day and year and (year["full"] or not _is_day(folded, end + year.end())):
        yield _Reading(year["full"] or year["short"], day["day"], low + day.start(), end + year.end())
    first, last = _YEAR_BEFORE.search(before), _DAY_AFTER.match(after)
    if first and last and (len(first["year"]) == 4 or not _is_day(folded, end + last.end())):
        yield _Reading(first["year"], last["day"], low + first.start(), end + last.end())


def _is_day(folded: str, end: int) -> bool:
    """Whether two digits that end there are no year, but the day of the month after them."""
    word = _NEXT_WORD.match(folded, end)
    return word is not None and word[1] in months()


def _same_month(folded: str, month: Month, readings: list[_Reading], era: Era) -> Iterator[Written]:
    """The other end of a range within a month: 12.-14. Juni 2026, 2026. október 5-9."""
    for reading in readings:
        if reading.start < month.start and reading.year != folded[reading.start : reading.start + 4]:
            low = max(0, reading.start - _WINDOW)
            for start in _starts(folded, low, reading.start):
                yield from _written(month, reading._replace(day=start[0], start=start[1]), era)
        elif reading.end > month.end and not folded[: reading.end].endswith(reading.year):
            after = _DAY_RANGE_AFTER.match(folded, reading.end)
            if after:
                yield from _written(month, reading._replace(day=after[1], end=after.end()), era)


def _starts(folded: str, low: int, at: int) -> Iterator[tuple[str, int]]:
    """Days that are listed before a date: "5., 12. und 19. Mai 2026" has two."""
    for _ in range(4):
        match = _START.search(folded[low:at])
        if match is None:
            return
        at = low + match.start()
        yield match[1], at


def _range(
    folded: str,
    first: tuple[Month, list[_Reading]],
    second: tuple[Month, list[_Reading]],
    era: Era,
) -> Iterator[Written]:
    """The end of a range that lacks the year: 28 October to 3 November 2026."""
    (month, readings), (later, later_readings) = first, second
    if later.start - month.end > _WINDOW or (bool(readings) == bool(later_readings)):
        return
    if later_readings:
        for reading in later_readings:
            yield from _borrowed(folded, month, reading, reading.start, era, wraps=min(later.numbers))
    else:
        for reading in readings:
            day = _DAY_AFTER.match(folded[later.end : later.end + _WINDOW])
            if day and _BETWEEN_MONTHS.fullmatch(folded, reading.end, later.start):
                yield from _written(
                    later, _Reading(reading.year, day["day"], reading.start, later.end + day.end()), era
                )


def _borrowed(
    folded: str, month: Month, reading: _Reading, stop: int, era: Era, *, wraps: int
) -> Iterator[Written]:
    low = max(0, month.start - _WINDOW)
    before = _DAY_BEFORE.search(folded[low : month.start])
    after = _DAY_AFTER.match(folded[month.end : stop])
    day, start, end = "", 0, 0
    if before and _BETWEEN_MONTHS.fullmatch(folded, month.end, stop):
        day, start, end = before["day"], low + before.start(), reading.end
    elif after and _BETWEEN_MONTHS.fullmatch(folded, month.end + after.end(), stop):
        day, start, end = after["day"], month.start, reading.end
    if not day:
        return
    year = reading.year
    if len(year) == 4 and min(month.numbers) > wraps:
        year = str(int(year) - 1)
    yield from _written(month, _Reading(year, day, start, end), era)
