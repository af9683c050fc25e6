"""Years of other eras, and dates in the characters of East Asia."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from datetime import date

from agent_tasks.documents.grounding.names import months

BUDDHIST = 543
"""A Thai year is so many years ahead."""
MINGUO = 1911
"""A year of Taiwan is so many years behind."""

# The year before the first of each Japanese era, by its name and by the letter that forms write.
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867, "民國": MINGUO, "民国": MINGUO}
_LETTERS = {"r": 2018, "h": 1988, "s": 1925, "t": 1911, "m": 1867}

_HAN = "〇零一二三四五六七八九十"
_DIGITS = rf"(?:\d{{1,2}}|[{_HAN}]{{1,3}})"
_END = "(?:日|号|號)"
_WITH_CHARACTERS = re.compile(
    rf"(?<!\d)(\d{{4}}|[{_HAN}]{{4}})\s?年\s?({_DIGITS})\s?月\s?({_DIGITS})\s?{_END}"
)
_OF_ERA = re.compile(
    rf"({'|'.join(_ERAS)})\s?({_DIGITS}|\d{{3}}|元)\s?年\s?({_DIGITS})\s?月\s?({_DIGITS})\s?{_END}"
)
_OF_LETTER = re.compile(r"(?<![a-z0-9])([rhstm])\.?\s?(\d{1,2})([./-])(\d{1,2})\3(\d{1,2})(?!\d|[./-]\d)")
_HANGUL = re.compile(r"(?<!\d)(\d{4})\s?년\s?(\d{1,2})\s?월\s?(\d{1,2})\s?일")
_THAI = re.compile("[\u0e01-\u0e5b]")


def day(year: int, month: int, number: int) -> date | None:
    """A day of the calendar, if it is one."""
    try:
        return date(year, month, number)
    except ValueError:
        return None


def is_thai(text: str) -> bool:
    """Whether years of the Buddhist era are to be expected."""
    return _THAI.search(text) is not None


def is_minguo(text: str) -> bool:
    """Whether years of the Republic (of Taiwan) are to be expected."""
    return "民國" in text or "民国" in text


@functools.cache
def unspaced_month_pattern() -> re.Pattern[str]:
    """Month names in scripts that put no blanks between words, the longest first."""
    names = [
        name
        for name in months()
        if re.match("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]", name) and len(name) > 2
    ]
    return re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)))


def east_asian(folded: str) -> Iterator[tuple[date, int, int]]:
    """Dates with the characters for year, month and day, in the common calendar or an era's."""
    for pattern, character in ((_WITH_CHARACTERS, "年"), (_HANGUL, "년")):
        if character not in folded:
            continue
        for match in pattern.finditer(folded):
            found = day(_number(match[1]), _number(match[2]), _number(match[3]))
            if found:
                yield found, *match.span()
    for match in _OF_ERA.finditer(folded) if "年" in folded else ():
        year = 1 if match[2] == "元" else _number(match[2])
        found = day(_ERAS[match[1]] + year, _number(match[3]), _number(match[4]))
        if found:
            yield found, *match.span()
    for match in _OF_LETTER.finditer(folded):
        found = day(_LETTERS[match[1]] + int(match[2]), int(match[4]), int(match[5]))
        if found:
            yield found, *match.span()


def _number(text: str) -> int:
    """A number in digits or Chinese characters: 二〇二六, 十二, 三十一."""
    if text.isascii():
        return int(text)
    if "十" not in text:
        return int("".join(str(int(unicodedata.numeric(char))) for char in text))
    tens, _, ones = text.partition("十")
    return 10 * (int(unicodedata.numeric(tens)) if len(tens) == 1 else 1) + (
        int(unicodedata.numeric(ones)) if len(ones) == 1 else 0
    )
