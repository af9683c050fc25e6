"""Dates in the characters of East Asia, in the common calendar or an era's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from agent_tasks.documents.grounding.calendars import MINGUO, day
from agent_tasks.documents.grounding.written_dates import Written

# The year before the first of each Japanese era, by its name and by the letter that forms write.
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867, "民國": MINGUO, "民国": MINGUO}
_LETTERS = {"r": 2018, "h": 1988, "s": 1925, "t": 1911, "m": 1867}

_HAN = "〇零一二三四五六七八九十"
_DIGITS = rf"(?:\d{{1,2}}|[{_HAN}]{{1,3}})"
_END = "(?:日|号|號)"
_BOTH_YEARS = rf"(?:\((?:{'|'.join(_ERAS)}|[a-z])\s?(?:{_DIGITS}|\d{{3}}|元)\s?年?\)\s?)?"
"""2026年(令和8年)5月25日"""
_WITH_CHARACTERS = re.compile(
    rf"(?<!\d)(\d{{4}}|[{_HAN}]{{4}})\s?年\s?{_BOTH_YEARS}({_DIGITS})\s?月\s?({_DIGITS})\s?{_END}"
)
_OF_ERA = re.compile(
    rf"({'|'.join(_ERAS)})\s?({_DIGITS}|\d{{3}}|元)\s?年\s?({_DIGITS})\s?月\s?({_DIGITS})\s?{_END}"
)
_OF_LETTER = re.compile(r"(?<![a-z0-9])([rhstm])\.?\s?(\d{1,2})([./-])(\d{1,2})\3(\d{1,2})(?!\d|[./-]\d)")
_HANGUL = re.compile(r"(?<!\d)(\d{4})\s?년\s?(\d{1,2})\s?월\s?(\d{1,2})\s?일")
# "10月5日~9日", "10월 5일부터 11월 3일까지": the end of a range has the year and month of its beginning.
_RANGE_END = re.compile(
    rf"(?:\([月火水木金土日월화수목금토일一二三四五六]\))?\s?(?:[~〜～-]|至|到|から|부터)\s?"
    rf"(?:({_DIGITS})\s?[月월]\s?)?({_DIGITS})\s?(?:{_END}|일)"
)


def east_asian_dates(folded: str) -> Iterator[Written]:
    """All dates with the characters for year, month and day, and those of an era's letter (R8.3.5)."""
    for pattern, character in ((_WITH_CHARACTERS, "年"), (_HANGUL, "년")):
        for match in pattern.finditer(folded) if character in folded else ():
            yield from _range(folded, match, _number(match[1]), match[2], match[3])
    for match in _OF_ERA.finditer(folded) if "年" in folded else ():
        year = 1 if match[2] == "元" else _number(match[2])
        yield from _range(folded, match, _ERAS[match[1]] + year, match[3], match[4])
    for match in _OF_LETTER.finditer(folded):
        yield from _written(match, _LETTERS[match[1]] + int(match[2]), match[4], match[5])


def _range(folded: str, match: re.Match[str], year: int, month: str, number: str) -> Iterator[Written]:
    yield from _written(match, year, month, number)
    end = _RANGE_END.match(folded, match.end())
    if end:
        yield from _written(end, year, end[1] or month, end[2])


def _written(match: re.Match[str], year: int, month: str, number: str) -> Iterator[Written]:
    found = day(year, _number(month), _number(number))
    if found:
        yield Written(frozenset((found,)), *match.span())


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
