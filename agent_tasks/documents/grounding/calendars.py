"""Calendars and eras: which day a year, a month and a number mean, by what the text counts in.

The calendars of Iran, Ethiopia and the Hebrew one are arithmetic. The Hijri calendar is not: its months are
those of Umm al-Qura (Saudi Arabia), which the library `hijridate` has; where the moon is looked for, a date
may be a day off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from enum import Enum

from hijridate import Hijri

BUDDHIST = 543
"""A Thai year is so many years ahead."""
MINGUO = 1911
"""A year of Taiwan is so many years behind."""
PIVOT = 70
"""Two-digit years from here on are of the 20th century in the first place."""

_THAI = re.compile("[\u0e01-\u0e5b]")
_PERSIAN = re.compile("[پچژگ]")
_ARABIC = re.compile("[\u0621-\u064a]")


class Era(Enum):
    """What a text counts its years in, besides the common era."""

    COMMON = "common"
    BUDDHIST = "Buddhist"
    MINGUO = "Republic of China"
    PERSIAN = "Persian"
    HIJRI = "Hijri"
    ETHIOPIAN = "Ethiopian"
    """Where the text says so, or names the month."""
    HEBREW = "Hebrew"
    """Where the month is named."""


def era_of(folded: str) -> Era:
    """What the years of a text may be counted in; told by its letters."""
    if _THAI.search(folded):
        return Era.BUDDHIST
    if "民國" in folded or "民国" in folded:
        return Era.MINGUO
    if _PERSIAN.search(folded):
        return Era.PERSIAN
    return Era.HIJRI if _ARABIC.search(folded) else Era.COMMON


def day(year: int, month: int, number: int) -> date | None:
    """A day of the calendar, if it is one."""
    try:
        return date(year, month, number)
    except ValueError:
        return None


def days(
    year: str, month: int, number: int, era: Era, *, is_sure: bool = False
) -> Iterator[tuple[date, bool]]:
    """The days that year, month and number may mean, each with whether it is unusual to mean it.

    Args:
        year: Two or four digits.
        month: Number of the month.
        number: Number of the day.
        era: What the text may count in.
        is_sure: The era is named beside the date, or the month is one of its calendar.
    """
    for full, calendar, is_unusual in _years(year.lstrip("'"), era):
        if is_sure and calendar is day:
            continue
        found = calendar(full, month, number)
        if found:
            yield found, is_unusual


def _years(year: str, era: Era) -> Iterator[tuple[int, Callable[[int, int, int], date | None], bool]]:
    if len(year) == 4:
        own = _in_era(int(year), era)
        yield int(year), day, own is not None
        if own:
            yield *own, False
    elif len(year) == 2:
        is_earlier = int(year) >= PIVOT
        is_thai = era is Era.BUDDHIST
        yield 2000 + int(year), day, is_earlier or is_thai
        yield 1900 + int(year), day, not is_earlier or is_thai
        if is_thai:
            yield 2500 + int(year) - BUDDHIST, day, False


def _in_era(year: int, era: Era) -> tuple[int, Callable[[int, int, int], date | None]] | None:
    if era is Era.BUDDHIST and 1850 <= year - BUDDHIST <= 2150:
        return year - BUDDHIST, day
    if era is Era.PERSIAN and _PERSIAN_YEARS.start <= year < _PERSIAN_YEARS.stop:
        return year, persian_day
    if era is Era.HIJRI and _HIJRI_YEARS.start <= year < _HIJRI_YEARS.stop:
        return year, hijri_day
    if era is Era.ETHIOPIAN:
        return year, ethiopian_day
    return None


def minguo_year(year: str) -> str:
    """A year of Taiwan in the common era."""
    return str(int(year) + MINGUO)


_HIJRI_YEARS = range(1343, 1501)
"""Which the tables of Umm al-Qura have."""


def hijri_day(year: int, month: int, number: int) -> date | None:
    """A day of the Islamic calendar, by the tables of Umm al-Qura."""
    try:
        found = Hijri(year, month, number).to_gregorian()
    except (ValueError, OverflowError):
        return None
    return date(found.year, found.month, found.day)


_PERSIAN_YEARS = range(1280, 1475)
_NOWRUZ_1403 = date(2024, 3, 20)


def persian_day(year: int, month: int, number: int) -> date | None:
    """A day of the solar Hijri calendar of Iran and Afghanistan."""
    if year not in _PERSIAN_YEARS or not 1 <= month <= 12:
        return None
    size = 31 if month <= 6 else 30 if month < 12 or _is_persian_leap(year) else 29
    if not 1 <= number <= size:
        return None
    first, last = sorted((1403, year))
    leaps = sum(map(_is_persian_leap, range(first, last)))
    years = (365 * (last - first) + leaps) * (1 if year > 1403 else -1)
    return _NOWRUZ_1403 + timedelta(years + 30 * (month - 1) + min(month - 1, 6) + number - 1)


def _is_persian_leap(year: int) -> bool:
    """Eight of 33 years are; so it is from 1178 to 1633."""
    return (25 * year + 11) % 33 < 8


_ETHIOPIAN_EPOCH = date(7, 8, 28)
"""The first day of the year 0, in the Gregorian calendar as Python extends it."""


def ethiopian_day(year: int, month: int, number: int) -> date | None:
    """A day of the Ethiopian calendar: twelve months of 30 days, and a thirteenth of five or six."""
    size = 30 if month < 13 else 6 if year % 4 == 3 else 5
    if not (1 <= year <= 9000 and 1 <= month <= 13 and 1 <= number <= size):
        return None
    return _ETHIOPIAN_EPOCH + timedelta(365 * year + year // 4 + 30 * (month - 1) + number - 1)


_HEBREW_EPOCH = -1373428
"""Days from the first of the year 1 to 31 December of the year before the common era's first."""


def hebrew_day(year: int, month: int, number: int) -> date | None:
    """A day of the Hebrew calendar; months from Nisan, 1, to Adar, 12, or the second Adar, 13."""
    if not (5000 <= year <= 7000 and 1 <= month <= _hebrew_months(year)):
        return None
    if not 1 <= number <= _hebrew_size(year, month):
        return None
    between = range(7, month) if month >= 7 else (*range(7, _hebrew_months(year) + 1), *range(1, month))
    elapsed = _hebrew_new_year(year) + sum(_hebrew_size(year, passed) for passed in between)
    return date.fromordinal(_HEBREW_EPOCH + elapsed + number)


def is_hebrew_leap(year: int) -> bool:
    """Whether a Hebrew year has two months of Adar."""
    return (7 * year + 1) % 19 < 7


def _hebrew_months(year: int) -> int:
    return 13 if is_hebrew_leap(year) else 12


def _hebrew_size(year: int, month: int) -> int:
    """Days of a month: of two it depends on the length of the year."""
    if month == 12:
        return 30 if is_hebrew_leap(year) else 29
    length = _hebrew_new_year(year + 1) - _hebrew_new_year(year)
    if month == 8:
        return 30 if length % 10 == 5 else 29
    if month == 9:
        return 29 if length % 10 == 3 else 30
    return 29 if month in (2, 4, 6, 10, 13) else 30


def _hebrew_new_year(year: int) -> int:
    """Days from the first new year to this one: never on Sunday, Wednesday or Friday, nor near a rest."""
    later = (_hebrew_moon(year + 1), _hebrew_moon(year), _hebrew_moon(year - 1))
    if later[0] - later[1] == 356:
        return later[1] + 2
    return later[1] + (1 if later[1] - later[2] == 382 else 0)


def _hebrew_moon(year: int) -> int:
    months = (235 * year - 234) // 19
    parts = 12084 + 13753 * months
    days = 29 * months + parts // 25920
    return days + (1 if 3 * (days + 1) % 7 < 3 else 0)
