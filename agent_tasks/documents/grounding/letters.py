"""What folding makes equal and readers may tell apart: the dots of Turkish, stress marks, vowel points."""

from __future__ import annotations

import re
import unicodedata

from agent_tasks.documents.grounding.folding import VOWEL_POINTS

_DOTTED = re.compile("[iıIİ]")
_GREEK = re.compile("[\u0370-\u03ff\u1f00-\u1fff]")
_APART = ({"i", "ı"}, {"ı", "İ"})
_APART_IN_CAPITALS = (*_APART, {"i", "I"})
"""Where capitals have their dots, those without are others."""


def agree(value: str, quote: str) -> bool:
    """Whether a value and a match that are equal when folded are equal for a reader, too."""
    return _dots_agree(value, quote) and _stress_agrees(value, quote) and _points_agree(value, quote)


def _dots_agree(value: str, quote: str) -> bool:
    has_capitals = "İ" in quote and quote == quote.upper()
    if "ı" not in value and "ı" not in quote and not has_capitals:
        return True
    apart = _APART_IN_CAPITALS if has_capitals else _APART
    pairs = zip(_DOTTED.findall(value), _DOTTED.findall(quote), strict=False)
    return all({one, other} not in apart for one, other in pairs)


def _stress_agrees(value: str, quote: str) -> bool:
    """Greek capitals are written without stress marks; small letters that differ in them are other words."""
    words = _greek_words(value), _greek_words(quote)
    return all(
        one.isupper() or other.isupper() or one.casefold() == other.casefold()
        for one, other in zip(*words, strict=False)
    )


def _greek_words(text: str) -> list[str]:
    if not _GREEK.search(text):
        return []
    return re.findall(rf"(?:{_GREEK.pattern})+", unicodedata.normalize("NFC", text))


def _points_agree(value: str, quote: str) -> bool:
    """A text with vowel points has the value without them, but not one with others."""
    ours, theirs = VOWEL_POINTS.findall(value), VOWEL_POINTS.findall(quote)
    return not ours or not theirs or ours == theirs
