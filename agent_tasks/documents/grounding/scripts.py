"""What kind of letter a character is: where words begin and end differs from script to script."""

from __future__ import annotations

import unicodedata
from enum import Enum

import regex


class Kind(Enum):
    """How a character stands to its neighbours."""

    DIGIT = "digit"
    LETTER = "letter"
    """Of a script with blanks between words. Combining marks are letters too."""
    HANGUL = "hangul"
    """Blanks between words, but particles are written to them."""
    KATAKANA = "katakana"
    """No blanks; a foreign word or name is a run of it."""
    UNSPACED = "unspaced"
    """Han, hiragana, Thai, Lao, Khmer, Burmese ...: no blanks, so a word may begin and end anywhere. (Tibetan
    has a point between syllables, which parts words as blanks do.)"""
    MARK = "mark"
    """Of an unspaced script: belongs to the letter before it."""
    OTHER = "other"
    """No letter and no digit: blanks, signs, fractions, superscripts."""


WITHOUT_BLANKS = frozenset((Kind.UNSPACED, Kind.KATAKANA))

_KATAKANA = regex.compile(r"[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff]")
_HANGUL = regex.compile(r"\p{Script=Hangul}")
_UNSPACED = regex.compile(
    r"[\p{Script=Han}\p{Script=Hiragana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}"
    r"\p{Script=Javanese}\p{Script=Balinese}\p{Script=Tai_Tham}\p{Script=Tai_Le}"
    r"\p{Script=New_Tai_Lue}\p{Script=Bopomofo}\p{Script=Yi}]"
)


class _Kinds(dict[str, Kind]):
    def __missing__(self, char: str) -> Kind:
        kind = self[char] = _kind(char)
        return kind


def _kind(char: str) -> Kind:
    category = unicodedata.category(char)
    if category == "Nd":
        return Kind.DIGIT
    if category[0] not in "LM" and category != "Nl":
        return Kind.OTHER
    if _KATAKANA.match(char):
        return Kind.KATAKANA
    if _HANGUL.match(char):
        return Kind.HANGUL
    if _UNSPACED.match(char):
        return Kind.MARK if category[0] == "M" else Kind.UNSPACED
    return Kind.LETTER


_KINDS = _Kinds({"": Kind.OTHER})

LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
"""Thai and Lao vowels that are written before the consonant they follow: no word begins after one."""
FOLLOWING_VOWELS = frozenset("ะาำๅະາຳ")
"""Thai and Lao vowels that are letters, not marks: no word begins with one."""
CLOSERS = frozenset("\u0e4c\u103a\u17cc\u17cd")
"""Marks of a consonant that closes the syllable before it, or is silent."""
STACKERS = frozenset("\u1039\u17d2")
"""Marks that join the letter after them to the one before."""


def kind_of(char: str) -> Kind:
    """The kind of one character; of none ("", beyond the text's ends), OTHER."""
    return _KINDS[char]


def is_mark(char: str) -> bool:
    """Whether it is a combining mark, which begins no word."""
    return char != "" and unicodedata.category(char)[0] == "M"
