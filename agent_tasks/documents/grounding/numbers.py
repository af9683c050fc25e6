"""Numbers in running text, in every usual spelling: 1,234.50, 1.234,5, 1 234.50, .50, 10½, 12.5m, 12万3千.

All readings of a number are given; where a text can mean two (1.250), both are in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import regex

from agent_tasks.documents.grounding import numerals
from agent_tasks.documents.grounding.compounds import compounds, is_dated
from agent_tasks.documents.grounding.decimals import Decimals, plain
from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.names import currency_spellings, is_written_to_numbers
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match
from agent_tasks.documents.grounding.scripts import Kind, kind_of
from agent_tasks.documents.grounding.written_dates import Written

MAX_DIGITS = 40
"""Digits of a number; longer rows of digits are none."""
LONG_WORD = 4
"""Letters of a word that may be glued to a number (Total120); fewer are part of an identifier."""

_PIECE = re.compile(r"\d+(?:[.,']\d+)*+")
_SPACED = re.compile(r"(?<![\d.,'])\d{1,3}(?: \d{3})++(?:[.,]\d+)?(?![\d']|[.,]\d)")
_COLON = re.compile(r":(\d{2})(?![\d:'.,])")
_BEFORE_COLON = re.compile(r"(?<![\d.,':/])(?<!\d )(?:\d{1,3}(?: \d{3}){1,3}|\d{3,6})\Z")
_BROKEN = re.compile(r"(?<![\d.,'])(\d+(?:[.,']\d+)*+)([.,])[ ]{0,8}\n[ ]{0,8}(\d{2,3})(?![\d']|[.,]\d)")
_FRACTION = re.compile(r"[¼-¾⅐-⅞]")
_SLASHED = re.compile(r"/(2|3|4|5|8|16)(?![\d/]|[.,]\d)")
_HYPHENED = re.compile(r"(?<![\d.,/-])\d{1,3}-\Z")
_WHOLE = re.compile(r"(?<![\d.,/])(\d{1,6})[ -]?\Z")
_EXPONENT = re.compile(r"e([+-]?\d{1,2})(?![a-z0-9])| ?[×x·*] ?10(?:\^([+-]?\d{1,2})|([⁰¹²³⁴-⁹]+))")
_PERCENT = re.compile(r" ?[%‰]")
_CURRENCY = "".join(char for char in map(chr, range(0x10000)) if unicodedata.category(char) == "Sc")
_CODE = "(?:[a-z]{3}|rp|rs|kr|fr|tl|zł|kč|ft|lv|лв)"
_CREDIT = re.compile(
    rf" {{0,3}}(?:[a-z]{{3}}|[{_CURRENCY}])? {{0,2}}cr(?![a-z0-9])"
    rf"|(?: ?(?:[a-z]{{3}}|[{_CURRENCY}]))?-(?![\w-]| *\d)| {{1,2}}-(?= *(?:\n|\Z))"
)
_CLOSED = re.compile(rf" ?(?:[a-z]{{3}}|[{_CURRENCY}])? ?\)")
_LETTERS_BEFORE = regex.compile(r"(?r)[\p{Latin}\p{Cyrillic}\p{Greek}]{1,40}")
_LETTERS_AFTER = regex.compile(r"[\p{Latin}\p{Cyrillic}\p{Greek}]{1,40}")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


class Reading(NamedTuple):
    """One reading of a number."""

    number: Decimal
    """Its absolute value."""
    start: int
    end: int
    is_negative: bool


@dataclass
class _Place:
    start: int
    end: int
    count: int = 1


class Numbers:
    """The numbers of a folded text, looked up by value.

    Args:
        text: The text.
        dates: Its dates, whose digits are no numbers.
    """

    def __init__(self, text: Folded, dates: Iterable[Written] = ()) -> None:
        self._text = text
        # By absolute value and whether it must be negative.
        self._places: dict[tuple[Decimal, bool], _Place] = {}
        self._decimals = Decimals(text.text)
        for number, start, end, is_negative in readings(text, self._decimals, dates):
            if not is_negative or not _MINUS_BESIDE.search(text.text, max(0, start - 8), start):
                self._add((number, False), start, end)
            if is_negative:
                self._add((number, True), start, end)

    def _add(self, key: tuple[Decimal, bool], start: int, end: int) -> None:
        place = self._places.get(key)
        if place is None:
            self._places[key] = _Place(start, end)
        elif start >= place.end and place.count < MAX_OCCURRENCES:
            place.count += 1
        elif start < place.start:
            place.start, place.end = start, end

    def find(self, number: Decimal) -> Match | None:
        """The first place with the number: a negative one needs a sign, a positive one minds a minus."""
        if not number.is_finite():
            return None
        place = self._places.get((abs(number), number < 0))
        if place is None:
            return None
        start, end = self._text.span(place.start, place.end)
        quote = self._text.source[start:end]
        how = How.EXACT if quote == str(abs(number)) else How.NUMBER
        return Match(start, end, how, place.count, self._doubt(quote, place.end))

    def _doubt(self, quote: str, end: int) -> str | None:
        """What else the quote may mean: 1.250 is one and a quarter, or a thousand and 250."""
        if not re.fullmatch(r"(?:\d{1,3}')?\d{1,3}[.,]\d{3}", quote) or quote.startswith("0"):
            return None
        decimal = "," if self._text.text.startswith(_NO_ORE, end) else self._decimals.sign
        others = [f"{reading.normalize():f}" for reading in sorted(plain(quote, decimal))]
        return f"{quote} may be {' or '.join(others)}" if len(others) > 1 else None


_MORE_GROUPS = re.compile(r" \d{1,2}(?![\d.,])")
_NO_ORE = ",-"
"""After crowns: 4.418,-"""


def in_value(value: str) -> list[list[Decimal]]:
    """The numbers of a value that is a text, each with its readings."""
    by_place: dict[tuple[int, int], list[Decimal]] = {}
    covered = 0
    for reading in sorted(readings(Folded(value)), key=lambda reading: (reading.start, -reading.end)):
        place = reading.start, reading.end
        if place in by_place or reading.start >= covered:
            by_place.setdefault(place, []).append(-reading.number if reading.is_negative else reading.number)
            covered = max(covered, reading.end)
    return list(by_place.values())


def readings(
    text: Folded, decimals: Decimals | None = None, dates: Iterable[Written] = ()
) -> Iterator[Reading]:
    """All numbers that can be read in a text, each reading by itself. Places are those of the folded text.

    Args:
        text: The text.
        decimals: The sign of its decimals.
        dates: Its dates.
    """
    folded = text.text
    whole = list(compounds(text, dates))  # their parts are no numbers of their own
    is_part = _Parts(whole)
    for start, end, number in sorted((*numerals.mixed(folded), *_fractions(folded), *_powers(folded))):
        if is_part(start):
            continue
        whole.append((start, end))
        yield Reading(number, start, end, _is_negative(folded, start, end))
    is_part = _Parts(whole)
    for match in _SPACED.finditer(folded):
        if (
            len(match[0]) > 2 * MAX_DIGITS
            or is_part(match.start())
            or folded[match.start() - 1 : match.start()] == "%"
        ):
            continue
        yield from _extended(folded, *match.span(), plain(match[0].replace(" ", "")))
        if _is_one_number(folded, match, decimals):
            whole.append(match.span())
    for start, end, number in _with_colon(folded):
        whole.append((start, end))
        yield from _extended(folded, start, end, [number])
    for match in _BROKEN.finditer(folded):
        if len(match[0]) <= 2 * MAX_DIGITS:
            yield from _extended(folded, *match.span(), plain(f"{match[1]}{match[2]}{match[3]}"))
    is_part = _Parts(whole)
    for match in _PIECE.finditer(folded):
        if is_part(match.start()):
            yield from _year(match.start(), match[0])
        else:
            yield from _piece(text, *match.span(), decimals)


def _powers(folded: str) -> Iterator[tuple[int, int, Decimal]]:
    """Powers of ten: 10^6, 10⁶."""
    for match in _POWER_OF_TEN.finditer(folded):
        yield *match.span(), Decimal(1).scaleb(int(match[1] or match[2].translate(_SUPERSCRIPT)))


_POWER_OF_TEN = re.compile(
    r"(?<![\d.,'])(?<![×x·*])(?<![×x·*] )10(?:\^([+-]?\d{1,2})(?!\d)|([⁰¹²³⁴-⁹]{1,2}))(?!/)"
)


def _with_colon(folded: str) -> Iterator[tuple[int, int, Decimal]]:
    """Amounts of crowns and ore: 1 204:50, 204:50; with fewer digits they are times of the day."""
    for match in _COLON.finditer(folded):
        low = max(0, match.start() - 18)
        whole = _BEFORE_COLON.search(folded[low : match.start()])
        if whole:
            yield low + whole.start(), match.end(), Decimal(f"{whole[0].replace(' ', '')}.{match[1]}")


class _Parts:
    """Tells, for places in rising order, whether they are part of a larger number."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._spans = sorted(spans, reverse=True)

    def __call__(self, at: int) -> bool:
        while self._spans and self._spans[-1][1] <= at:
            self._spans.pop()
        return bool(self._spans) and self._spans[-1][0] <= at


def _is_one_number(folded: str, match: re.Match[str], decimals: Decimals | None) -> bool:
    """Whether blanks group digits: "2 150.00" is two columns where the text groups by other signs."""
    if match[0].count(" ") > 1 or re.search(r",\d{1,2}\Z", match[0]):
        return True
    if folded[match.start() - 1 : match.start()] == "-" or folded.startswith((_NO_ORE, ".-"), match.end()):
        return True
    if decimals is None or not decimals.has_groups:
        return _MORE_GROUPS.match(folded, match.end()) is None
    return ("," in match[0] and decimals.sign == ",") or _is_money(folded, *match.span())


def _is_money(folded: str, start: int, end: int) -> bool:
    """Whether a currency stands beside a number, and none that is written with three decimals."""
    around = _WORD_AFTER.match(folded, end), _WORD_BEFORE.match(folded, 0, start)
    known = [
        currency_spellings()[word[1]]
        for word in around
        if word is not None and word[1] in currency_spellings()
    ]
    return bool(known) and not any(codes & _THREE_DECIMALS for codes in known)


_THREE_DECIMALS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
_WORD_AFTER = regex.compile(r" ?([\p{L}\p{M}]{1,12}|\p{Sc})")
_WORD_BEFORE = regex.compile(r"(?r)([\p{L}\p{M}]{1,12}|\p{Sc}) ?")


def _fractions(folded: str) -> Iterator[tuple[int, int, Decimal]]:
    for match in _FRACTION.finditer(folded):
        part = Decimal(str(unicodedata.numeric(match[0])))
        yield _mixed_fraction(folded, match.start(), match.end(), part)
    for match in _SLASHED.finditer(folded):
        above = folded[match.start() - 1 : match.start()]
        before = folded[max(0, match.start() - 9) : match.start() - 1]
        is_apart = before[-1:] not in tuple("0123456789.,/-") or _HYPHENED.search(before) is not None  # 1-1/2
        if above.isdigit() and is_apart and 0 < int(above) < int(match[1]):
            yield _mixed_fraction(folded, match.start() - 1, match.end(), Decimal(above) / Decimal(match[1]))


def _mixed_fraction(folded: str, start: int, end: int, part: Decimal) -> tuple[int, int, Decimal]:
    """A fraction with the whole number before it: 10½, 10 1/2."""
    whole = _WHOLE.search(folded[max(0, start - 9) : start])
    if whole is None:
        return start, end, part
    return start - len(whole[0]), end, Decimal(whole[1]) + part


def _piece(text: Folded, start: int, end: int, decimals: Decimals | None) -> Iterator[Reading]:
    """Digits with signs between them: one number, or several (dates, versions, lists)."""
    folded = text.text
    piece = folded[start:end]
    numbers = plain(piece) if end - start <= 2 * MAX_DIGITS and not _is_time(folded, start, end) else []
    if len(numbers) > 1:
        is_crowns = folded.startswith(_NO_ORE, end)
        numbers = plain(piece, "," if is_crowns else decimals.sign if decimals else None)
    if piece.isdigit():
        is_code = len(piece) > MAX_DIGITS or (len(piece) > 2 and piece[0] == "0" and piece.strip("0") != "")
        if is_code or _is_in_identifier(text, start, end):
            return
        numbers = _with_leading_point(folded, start, piece)
    if len(numbers) > 1 and _is_money(folded, start, end):
        numbers = [max(numbers)]
    if numbers:
        if not _is_misread(text, end):
            yield from _extended(folded, start, end, numbers)
        return
    if piece.count(",") > 1:
        yield from _listed(text, start, piece)
        return
    yield from _year(start, piece)


def _is_time(folded: str, start: int, end: int) -> bool:
    """Whether it is a time of the day: 19.30 Uhr, kl. 14.05."""
    if not _TIME.fullmatch(folded, start, end):
        return False
    before = folded[max(0, start - 6) : start]
    return _TIME_AFTER.match(folded, end) is not None or _TIME_BEFORE.search(before) is not None


_TIME = re.compile(r"[0-2]?\d\.[0-5]\d")
_TIME_AFTER = re.compile(r" ?(?:uhr|uur|o'clock|[ap]\.?m\b)")
_TIME_BEFORE = re.compile(r"(?<![^\W\d_])(?:kl\.?|klo|godz\.?) ?\Z")


def _listed(text: Folded, start: int, piece: str) -> Iterator[Reading]:
    """Numbers with commas between them, as in an exported table: 9,7,12.25."""
    at = start
    for part in piece.split(","):
        end = at + len(part)
        if len(part) <= MAX_DIGITS and not _is_in_identifier(text, at, end):
            yield from _extended(text.text, at, end, plain(part))
        at = end + 1


def _is_misread(text: Folded, end: int) -> bool:
    """Whether a letter that text recognition takes for a digit goes on after decimals: 284.5O."""
    after = _LETTERS_AFTER.match(text.text, end) if text.text[end : end + 1] in ("o", "i") else None
    return after is not None and text.quote(*after.span()) in ("O", "o", "I", "OO", "oo")


def _year(start: int, piece: str) -> Iterator[Reading]:
    """The year of a date with points is a number, its day and month are none."""
    year = _YEAR.search(piece) if is_dated(piece) else None
    if year:
        yield Reading(Decimal(year[0]), start + year.start(), start + year.end(), is_negative=False)


_YEAR = re.compile(r"\d{4}")


def _with_leading_point(folded: str, start: int, digits: str) -> list[Decimal]:
    """What digits mean: .50 is a half, and no 50; ",50" may be either."""
    sign, before = folded[start - 1 : start], folded[max(0, start - 2) : max(0, start - 1)]
    if sign not in (".", ",") or before.isalnum() or before in (".", ",", ")", "]"):
        return [Decimal(digits)]
    half = Decimal(f"0.{digits}")
    return [half] if sign == "." else [half, Decimal(digits)]


def _is_in_identifier(text: Folded, start: int, end: int) -> bool:
    """Whether letters are written to the digits that are no word or unit: A4, 7A3B9C, INV2024."""
    folded = text.text
    before = None if folded[start - 1 : start] == " " else _LETTERS_BEFORE.match(folded, 0, start)
    if before and not _is_word(
        text, *before.span(), folded[max(0, before.start() - 1) : before.start()], is_after=False
    ):
        return True
    after = None if folded[end : end + 1] == " " else _LETTERS_AFTER.match(folded, end)
    if after is None or _EXPONENT.match(folded, end):
        return False
    return not _is_word(text, *after.span(), folded[after.end() : after.end() + 1], is_after=True)


def _is_word(text: Folded, start: int, end: int, beyond: str, *, is_after: bool) -> bool:
    if end - start >= LONG_WORD:
        return True
    run = text.quote(start, end)
    is_times = run in ("x", "X") and (is_after or _TIMES.search(text.text[max(0, end - 8) : end]) is not None)
    return is_times or (not beyond.isdigit() and is_written_to_numbers(run, is_after=is_after))


# 3x4, but not M8x40.
_TIMES = re.compile(r"(?<![^\W_])\d+x\Z")


def _extended(folded: str, start: int, end: int, numbers: list[Decimal]) -> Iterator[Reading]:
    """A number with what belongs to it: its sign, an exponent, a word for a large number, a percent sign."""
    is_negative = _is_negative(folded, start, end)
    scale_before = numerals.scale_before(folded, start)
    if scale_before:
        for number in numbers:
            yield Reading(number.scaleb(scale_before), start, end, is_negative)
        return
    exponent = _EXPONENT.match(folded, end)
    if exponent:
        if folded[exponent.end() : exponent.end() + 1] == "/":  # 6.2 x10^9/L: the power is the unit's
            for number in numbers:
                yield Reading(number, start, end, is_negative)
        power = int(exponent[1] or exponent[2] or exponent[3].translate(_SUPERSCRIPT))
        for number in numbers:
            yield Reading(number.scaleb(power), start, exponent.end(), is_negative)
        return
    multiplier = numerals.multiplier_at(folded, end)
    if multiplier:
        for number in numbers:
            for power in multiplier.powers:
                yield Reading(number.scaleb(power), start, multiplier.end, is_negative)
        if multiplier.is_sure:
            return
    percent = _PERCENT.match(folded, end)
    stop = percent.end() if percent else end
    scale = -3 if percent and percent[0].endswith("‰") else -2
    is_share = percent is not None or folded[max(0, start - 2) : start].rstrip().endswith("%")  # Turkish: %20
    for number in numbers:
        yield Reading(number, start, end, is_negative)
        if is_share:
            yield Reading(number.scaleb(scale), start, stop, is_negative)


_MINUS_BESIDE = re.compile(rf"(?<![^\W_])[-△▲](?:(?:[a-z]{{3}}|[{_CURRENCY}]) ?)?(?=\Z)")
"""Directly before a number, or before its currency."""


def _is_negative(folded: str, start: int, end: int) -> bool:
    """Whether there is a minus sign before or after, CR after, or brackets; a currency may stand between."""
    # Most numbers have neither: the cheap look comes first.
    beside = folded[max(0, start - 16) : start]
    before = _BEFORE.search(beside) if _MINUS_SIGNS.search(beside) else None
    if before is None:
        return (
            _CREDIT_SIGNS.search(folded, end, end + 12) is not None and _CREDIT.match(folded, end) is not None
        )
    if before[2] == "(":
        return _CLOSED.match(folded, end) is not None
    if before[2] in "△▲":
        return _EAST_ASIAN.search(folded[max(0, start - _NEAR) : start + _NEAR]) is not None
    # Also of ordinals: 12.-14. June.
    is_range = (before[1].strip()[-1:].isdigit() and before[3] != "") or (
        _ORDINAL.search(before[1]) is not None and (before[3] != "" or before[1][-1:] == ".")
    )
    return not is_range and kind_of(before[1][-1:]) is Kind.OTHER


_NEAR = 500
_MINUS_SIGNS = re.compile("[-(△▲]")
_CREDIT_SIGNS = re.compile("-|cr")
_EAST_ASIAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_ORDINAL = re.compile(r"\d\. ?\Z")
_BEFORE = re.compile(
    rf"(.?.?.?)([-(△▲])( {{0,2}})(?:(?<![^\W\d_]){_CODE}\.? ?|[{_CURRENCY}] ?)?\Z", re.DOTALL
)
