"""Whether what a page's fonts say is text: some say nothing, or something that nobody wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_MEANINGLESS = ("Co", "Cn", "Cc", "Cs")
_LATIN_WORD = re.compile("[A-Za-zÀ-ÖØ-öø-ž]{4,}")
_PLAIN_VOWELS = "aeiouy"
_VOWELS = _PLAIN_VOWELS + "àáâãäåæèéêëìíîïòóôõöøùúûüýÿāăąēĕėęěīĭįıōŏőœūŭůűų"
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_SCRIPTS = frozenset(
    ["LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "HANGUL", "THAI", "DEVANAGARI", "ARMENIAN", "GEORGIAN"]
)
_SAMPLE = 20_000


def is_garbage(text: str, unmapped: Callable[[], float] = lambda: 0.0) -> bool:
    """Whether the text of a page is not what the page shows.

    Args:
        text: What the fonts of the page say.
        unmapped: Returns the share of its characters whose font says nothing of Unicode. It may be all of a
            good one, since the names of glyphs, and old encodings, are understood too.
    """
    signs = "".join(text[:_SAMPLE].replace("\ufffe", "").split())
    if signs.isascii() and signs.isprintable():
        return _has_no_vowels(text[:_SAMPLE])
    if not signs:
        return False
    most = 0.05 if unmapped() > 0.5 else 0.15
    meaningless = sum(char == "\ufffd" or unicodedata.category(char) in _MEANINGLESS for char in signs)
    return meaningless > most * len(signs) or _has_no_vowels(text[:_SAMPLE]) or _mixes_scripts(text[:_SAMPLE])


def _has_no_vowels(text: str) -> bool:
    """Whether there are many words of Latin letters almost without vowels: their letters are other ones.

    The names of functions in a manual have few, too. In capitals alone, as a common shift of codes gives
    them, there may be more.
    """
    letters = "".join(_LATIN_WORD.findall(text))
    if len(letters) < 200:
        return False
    vowels = sum(map(letters.lower().count, _PLAIN_VOWELS if letters.isascii() else _VOWELS))
    if vowels >= 0.2 * len(letters):  # as on nearly every page
        return False
    return vowels < 0.12 * len(letters) or sum(map(str.isupper, letters)) > 0.8 * len(letters)


def _mixes_scripts(text: str) -> bool:
    """Whether most words have letters of several scripts in them."""
    if text.isascii():
        return False
    words = _LETTERS.findall(text)
    mixed = sum(not word.isascii() and len(_scripts(word)) > 1 for word in words)
    return len(words) >= 20 and mixed > 0.3 * len(words)


def _scripts(word: str) -> set[str]:
    names = (unicodedata.name(char, "").split(" ", 1)[0] for char in word)
    return {name for name in names if name in _SCRIPTS}
