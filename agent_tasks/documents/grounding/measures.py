"""Currencies and units: found beside a number, by any of their names."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

import regex

from agent_tasks.documents.grounding.folding import Folded, fold
from agent_tasks.documents.grounding.names import (
    currency_codes,
    currency_spellings,
    multipliers,
    unit_spellings,
)
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match
from agent_tasks.documents.grounding.scripts import Kind, kind_of

PatternOf: TypeAlias = Callable[[str, str], regex.Pattern[str]]
"""What finds names, an alternation of them, in a folded text."""


def find_currency(value: str, text: Folded) -> Match | None:
    """Find a currency, given by code, sign or name: beside a number, or in brackets or after a colon."""
    spellings = currency_spellings()
    meant = spellings.get(fold(value).strip(" ."), frozenset())
    names = [name for name, codes in spellings.items() if codes & meant]
    match = _find(text, [*names, fold(value).strip()], _beside_number)
    if match is None:
        codes = [code for code in meant if code in currency_codes()]
        match = _find(text, map(fold, codes), _as_heading)
    if match is None:
        return None
    called = spellings.get(fold(text.source[match.start : match.end]).strip(" ."), frozenset())
    if len(called) > 1 and (named := called & _named_codes(text.source)) and not named & meant:
        return None  # the text says which of them its sign means
    if len(called) > len(meant) or called - meant:
        quote = text.source[match.start : match.end]
        return match._replace(how=How.AMBIGUOUS, note=f"{quote} may be {' or '.join(sorted(called))}")
    return _named(value, text, match)


_CODE = regex.compile(r"(?<![\p{L}\p{M}\p{N}])[A-Z]{3}(?![\p{L}\p{M}])")


def _named_codes(source: str) -> frozenset[str]:
    """The codes of currencies that a text has."""
    return frozenset(_CODE.findall(source)) & currency_codes()


def find_unit(value: str, text: Folded) -> Match | None:
    """Find a unit, given by sign or name: after a number, or in brackets or after a colon."""
    spellings = unit_spellings()
    own = fold(value).strip(" .")
    meant = spellings.get(own, frozenset())
    names = [name for name, units in spellings.items() if units & meant]
    match = _find(text, [*names, own], _after_number) or _find(text, [*names, own], _as_heading)
    return _named(value, text, match) if match else None


def _named(value: str, text: Folded, match: Match) -> Match:
    quote = text.source[match.start : match.end]
    if quote == value.strip():
        return match._replace(how=How.EXACT)
    return match._replace(how=How.FORM if fold(quote) == fold(value).strip() else How.NAME)


def _beside_number(names: str, text: str) -> regex.Pattern[str]:
    """After a number (a word for a large one may stand between) or before it; no part of a word."""
    large = "|".join(sorted(map(regex.escape, _large_in(text)), key=len, reverse=True)) or "(?!)"
    between = rf"(?:(?:{large})(?![\p{{L}}\p{{M}}])\.? ?(?:de |d'|di )?|[km](?=\p{{Sc}}))?"
    after = rf"[\d½¼¾.-] ?{between}\K(?P<name>{names})(?![\p{{L}}\p{{M}}²³])"
    scripts = r"[\p{Han}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
    begins = rf"(?:(?<![\p{{L}}\p{{M}}])|(?<={scripts}))"
    before = rf"{begins}(?P<name>{names})\.? ?(?=-?[.]?\d)"
    unspaced = rf"[\d万億千亿만억천] ?\K(?P<name>(?:{names})(?<={scripts}))"
    in_words = rf"\d ?\([^()\d]{{3,120}}\) ?\K(?P<name>{names})(?![\p{{L}}\p{{M}}²³])"
    return regex.compile(f"{after}|{before}|{unspaced}|{in_words}")


def _after_number(names: str, _text: str) -> regex.Pattern[str]:
    return regex.compile(
        rf"[\d½¼¾%.-] ?\K(?P<name>{names})(?![\p{{L}}\p{{M}}\d²³]|/\d{{0,4}} ?\p{{L}}{{1,3}}(?!\p{{L}}))"
    )


def _as_heading(names: str, _text: str) -> regex.Pattern[str]:
    return regex.compile(rf"[(\[:] ?\K(?P<name>{names})(?=[)\]\n]|\Z)")


def _large_in(text: str) -> list[str]:
    """The words for large numbers that a text has: looking for all of them would take most of the time."""
    words = set(_WORD.findall(text))
    return [
        name
        for first, name in _large()
        if first in words or (kind_of(name[0]) is Kind.UNSPACED and name in text)
    ]


_WORD = regex.compile(r"[\p{L}\p{M}]+")


@functools.cache
def _large() -> list[tuple[str, str]]:
    return [(found[0], name) for name in multipliers() if len(name) > 1 and (found := _WORD.match(name))]


def _find(text: Folded, names: Iterable[str], pattern_of: PatternOf) -> Match | None:
    known = sorted({name for name in names if name and name in text.text}, key=len, reverse=True)
    if not known:
        return None
    pattern = pattern_of("|".join(map(re.escape, known)), text.text)
    first: tuple[int, int] | None = None
    count = 0
    for match in pattern.finditer(text.text):
        first = first or text.span(*match.span("name"))
        count += 1
        if count == MAX_OCCURRENCES:
            break
    return Match(*first, How.NAME, count) if first else None
