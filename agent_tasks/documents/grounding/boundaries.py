"""Where a value may begin and end: not within a word, a number or an identifier."""

from __future__ import annotations

import re
from dataclasses import dataclass

import regex

from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.names import is_written_to_numbers
from agent_tasks.documents.grounding.records import How
from agent_tasks.documents.grounding.scripts import (
    CLOSERS,
    FOLLOWING_VOWELS,
    LEADING_VOWELS,
    STACKERS,
    Kind,
    is_mark,
    kind_of,
)
from agent_tasks.documents.grounding.skeleton import Wanted

LONG_WORD = 4
"""Letters of a word that is no prefix or suffix of an identifier: "Rechnung2024", but not "INV2024"."""

_JOINTS = frozenset("-/_")
_DECIMALS = frozenset(".,':")
# What is written to a Korean noun. The longest first, each up to the end of the word.
_PARTICLES = re.compile(
    "(?:님|씨)?(?:들)?(?:에서는|에서도|에서의|에게서|에게는|으로부터|으로서|으로써|으로는|이라고|이라는|이라며|라고|라는|"
    "이었습니다|였습니다|입니다|이며|이고|이나|이란|이다|인데|에서|에게|에는|에도|으로|까지|부터|보다|께서|한테|하고|처럼|"
    "마다|조차|밖에|만을|만이|이며|로서|로써|로부터|로는|와의|과의|와는|과는|은|는|이|가|을|를|의|에|로|와|과|도|만|께|"
    "나|며|인|야|란|및|측|측은|측이)?(?![가-힣])"
)
# Articles, conjunctions and prepositions of one letter, and the Arabic article.
_PREFIXES = re.compile("[וכבלמשה]{1,2}|[وفبكل]{1,2}|[وفبك]{0,2}ال")
_PREFIXED_SIZE = 5
# Countries before a postal code: D-10115.
_POSTAL = re.compile(
    "a|b|bg|ch|cz|d|de|dk|e|ee|es|f|fi|fin|fl|fr|gr|h|hr|hu|i|it|l|lt|lu|lv|n|nl|p|pl|pt|ro|s|se|si|sk"
)
_RUN_BEFORE = regex.compile(r"(?r)[\p{L}\p{M}]{1,40}")
_RUN_AFTER = regex.compile(r"[\p{L}\p{M}]{1,40}")


@dataclass(frozen=True)
class Edges:
    """What is around a match that begins and ends as it should."""

    how: How
    is_continued: bool
    """After one blank there is more of its kind: the digits of a group, say."""


def edges(text: Folded, start: int, end: int, sought: Wanted) -> Edges | None:
    """Look at what is around a candidate; None if it begins or ends within something.

    Args:
        text: The folded text.
        start: First character of the candidate there.
        end: After its last.
        sought: What is looked for.
    """
    folded = text.text
    if not _signs_agree(folded, start, end, sought):
        return None
    before = _begins(text, start, sought)
    if before is None:
        return None
    after = _ends(text, end, sought)
    if after is None:
        return None
    return Edges(max(before, after, key=lambda how: how.rank), _is_continued(folded, start, end))


def _begins(text: Folded, start: int, sought: Wanted) -> How | None:
    folded = text.text
    first, previous = folded[start], folded[start - 1 : start]
    kind, beside = kind_of(first), kind_of(previous)
    if is_mark(first) or first in FOLLOWING_VOWELS or previous in LEADING_VOWELS or previous in STACKERS:
        return None
    if beside is kind and kind not in (Kind.UNSPACED, Kind.OTHER):
        return _prefixed(folded, start, sought) if kind is Kind.LETTER else None
    if {kind, beside} == {Kind.DIGIT, Kind.LETTER} and sought.traits.has_digit:
        run = _run_before(text, start) if beside is Kind.LETTER else ""
        return How.EXACT if run and sought.traits.is_digits and _is_apart(run, text, start) else None
    return None if _is_joined_before(text, start, sought) else How.EXACT


def _ends(text: Folded, end: int, sought: Wanted) -> How | None:
    folded = text.text
    last, following = folded[end - 1], folded[end : end + 1]
    kind, beside = kind_of(last), kind_of(following)
    if following in FOLLOWING_VOWELS or (beside is Kind.UNSPACED and _is_closing(folded, end)):
        return None
    if is_mark(following):
        return None
    if beside is kind and kind is Kind.HANGUL:
        return How.PARTICLE if _PARTICLES.match(folded, end) else None
    if beside is kind and kind not in (Kind.UNSPACED, Kind.OTHER):
        return None
    if {kind, beside} == {Kind.DIGIT, Kind.LETTER} and sought.traits.has_digit:
        run = _run_after(text, end) if beside is Kind.LETTER else ""
        return How.EXACT if run and sought.traits.is_digits and _is_apart(run, text, end) else None
    return None if _is_joined_after(text, end, sought) else How.EXACT


def _is_closing(folded: str, at: int) -> bool:
    """Whether the consonant there closes the syllable before it, or is silent."""
    while kind_of(folded[at + 1 : at + 2]) is Kind.MARK:
        at += 1
        if folded[at] in CLOSERS:
            return True
    return False


def _prefixed(folded: str, start: int, sought: Wanted) -> How | None:
    """Whether what stands before in the same word is a particle of Arabic or Hebrew."""
    run = _RUN_BEFORE.match(folded, 0, start)
    if (
        run is None
        or len(sought.letters) < _PREFIXED_SIZE
        or kind_of(folded[run.start() - 1 : run.start()]) is Kind.DIGIT
    ):
        return None
    return How.PARTICLE if _PREFIXES.fullmatch(run[0]) else None


def _run_before(text: Folded, start: int) -> str:
    """The letters that end there, as the source has them."""
    run = _RUN_BEFORE.match(text.text, 0, start)
    return text.quote(*run.span()) if run else ""


def _run_after(text: Folded, end: int) -> str:
    run = _RUN_AFTER.match(text.text, end)
    return text.quote(*run.span()) if run else ""


def _is_apart(run: str, text: Folded, at: int) -> bool:
    """Whether letters written to a number are a word of their own: EUR120, 5kg, Total120."""
    if kind_of(text.text[at : at + 1]) is Kind.LETTER:
        far, is_after = text.text[at + len(run) : at + len(run) + 1], True
    else:
        far, is_after = text.text[at - len(run) - 1 : at - len(run)] if at > len(run) else "", False
    return kind_of(far) is not Kind.DIGIT and (
        is_written_to_numbers(run, is_after=is_after) or len(run) >= LONG_WORD
    )


def _is_joined_before(text: Folded, start: int, sought: Wanted) -> bool:
    """Whether an identifier or a number goes on to the left."""
    folded = text.text
    sign, far = folded[start - 1 : start], folded[start - 2 : start - 1] if start > 1 else ""
    if sign == "'" and _IRISH.search(text.quote(max(0, start - 3), start)):
        return True
    if (
        sought.traits.is_digits
        and sought.traits.size > LONG_WORD
        and _AREA_CODE.search(folded[max(0, start - 8) : start])
    ):
        return True
    if not sought.traits.has_digit or kind_of(far) is Kind.OTHER:
        return False
    if kind_of(far) is Kind.DIGIT:
        return sign in _JOINTS or (sign in _DECIMALS and kind_of(folded[start]) is Kind.DIGIT)
    if sign not in _JOINTS or kind_of(far) is not Kind.LETTER:
        return False
    run = _run_before(text, start - 1)
    if sought.traits.is_digits and _POSTAL.fullmatch(run.casefold()) and sign == "-":
        return False
    return len(run) <= LONG_WORD and run.isupper()


def _is_joined_after(text: Folded, end: int, sought: Wanted) -> bool:
    """Whether an identifier or a number goes on to the right."""
    folded = text.text
    sign, far = folded[end : end + 1], folded[end + 1 : end + 2]
    if not sought.traits.has_digit or kind_of(far) is Kind.OTHER:
        return False
    if kind_of(far) is Kind.DIGIT:
        if sign == "/" and _DATE_AFTER.match(folded, end):  # number and date of a paper: 118/25.11.2026
            return False
        is_decimal = sign in _DECIMALS and (sought.traits.is_digits or sign != ",")
        return sign in _JOINTS or (is_decimal and kind_of(folded[end - 1]) is Kind.DIGIT)
    if sign not in _JOINTS or kind_of(far) is not Kind.LETTER:
        return False
    run = _run_after(text, end + 1)
    beyond = folded[end + 1 + len(run) : end + 2 + len(run)]
    return kind_of(beyond) is Kind.DIGIT or (len(run) <= LONG_WORD and run.isupper())


def _is_continued(folded: str, start: int, end: int) -> bool:
    """Whether groups of digits go on beside the match, each after one blank."""
    after = _GROUP_AFTER.match(folded, end) and kind_of(folded[end - 1]) is Kind.DIGIT
    before = _GROUP_BEFORE.search(folded[max(0, start - 6) : start]) and kind_of(folded[start]) is Kind.DIGIT
    return bool(after or before)


_IRISH = re.compile(r"(?<![^\W_])O['’ʼ]\Z")
_AREA_CODE = re.compile(r"\(\+?\d{1,5}\) ?\Z")
_DATE_AFTER = re.compile(r"/\d{1,2}\.\d{1,2}\.\d{2,4}(?!\d)")
_GROUP_AFTER = re.compile(r" \d{2,4}(?!\d|[.,]\d)")
_GROUP_BEFORE = re.compile(r"(?<![\d.,])\d{2,4} \Z")


def _signs_agree(folded: str, start: int, end: int, sought: Wanted) -> bool:
    """Whether the signs around the value that say something are there: -20, C#, 12 %."""
    lead, tail = sought.lead, sought.tail
    if lead.endswith("-") and kind_of(folded[start]) is Kind.DIGIT:
        before = folded[max(0, start - 4) : start - 1].rstrip(" ")
        if folded[start - 1 : start] != "-" or kind_of(before[-1:]) is not Kind.OTHER:
            return False
    around = folded[max(0, start - 3) : start], folded[end : end + 3]
    return all(
        sign in near
        for signs, near in zip((lead, tail), around, strict=True)
        for sign in signs
        if is_telling(sign)
    )


def is_telling(sign: str) -> bool:
    """Whether a sign says something by itself, as punctuation does not."""
    return sign in "@#%+<>=|~^" or regex.match(r"\p{S}", sign) is not None
