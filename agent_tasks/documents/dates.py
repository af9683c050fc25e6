"""Dates in running text, in the spellings of business papers of several languages.

Not a parser of everything: relative dates ("next Monday") and dates without a year are not dates here.
Where a spelling can be read in two ways (03/12/2026), both are given.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import date

_MONTHS = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "de_at": "jänner feber märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da_no": "januar februar marts april maj juni juli august september oktober november desember",
    "pl": "stycznia lutego marca kwietnia maja czerwca "
    "lipca sierpnia września października listopada grudnia",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
}


def _month_words() -> dict[str, frozenset[int]]:
    """Month names and their abbreviations of three letters or more; an ambiguous one has several months."""
    words: dict[str, set[int]] = {}
    for names in _MONTHS.values():
        for number, name in enumerate(names.split(), start=1):
            for length in range(min(3, len(name)), len(name) + 1):
                words.setdefault(name[:length], set()).add(number)
    return {word: frozenset(months) for word, months in words.items()}


_WORDS = _month_words()
_WORD = r"(?P<month>[^\W\d_]{3,12})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|[ºª°.])?"
_YEAR = r"(?P<year>\d{4}|['’]?\d{2})"
_GAP = r"[\s\-,/]{0,3}"
_OF = r"(?:(?:of|de|den|del)\s+)?"

_NUMERIC = re.compile(r"(?<!\d)(\d{1,4})(\s?[./\-‐‑–]\s?)(\d{1,2})\s?[./\-‐‑–]\s?(\d{2,4})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d{2})(\d{2})(\d{2})(?!\d)")
_IDEOGRAPHIC = re.compile(r"(\d{4})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?日")
_WITH_WORD = (
    re.compile(rf"(?<!\d){_DAY}{_GAP}{_OF}{_WORD}{_GAP}{_OF}{_YEAR}(?!\d)", re.IGNORECASE),
    re.compile(rf"(?<![^\W\d_]){_WORD}{_GAP}{_DAY}{_GAP}{_YEAR}(?!\d)", re.IGNORECASE),
    re.compile(rf"(?<!\d){_YEAR}{_GAP}{_WORD}{_GAP}{_DAY}(?!\d)", re.IGNORECASE),
)


def find_dates(text: str) -> Iterator[tuple[date, int, int]]:
    """All dates that can be read in a text, each reading by itself, with start and end in the text.

    Two-digit years are read in both centuries.
    """
    for match in _NUMERIC.finditer(text):
        first, middle, last = match[1], match[3], match[4]
        orders = {(first, middle, last)} if len(first) > 2 else {(last, middle, first), (last, first, middle)}
        if len(first) == 2 and len(last) == 2:
            orders.add((first, middle, last))
        yield from _readings(orders, match)
    for pattern in (_COMPACT, _IDEOGRAPHIC):
        for match in pattern.finditer(text):
            yield from _readings({(match[1], match[2], match[3])}, match)
    for pattern in _WITH_WORD:
        for match in pattern.finditer(text):
            months = _WORDS.get(match["month"].casefold(), frozenset())
            orders = {(match["year"].lstrip("'’"), str(month), match["day"]) for month in months}
            yield from _readings(orders, match)


def _readings(orders: set[tuple[str, str, str]], match: re.Match[str]) -> Iterator[tuple[date, int, int]]:
    for (year, month, day), century in itertools.product(sorted(orders), ("19", "20")):
        if len(year) == 3 or len(month) > 2 or len(day) > 2:
            continue
        full = year if len(year) == 4 else century + year.zfill(2)
        try:
            found = date(int(full), int(month), int(day))
        except ValueError:
            continue
        yield found, match.start(), match.end()
