"""Text in one case and form, with the way back to where each character came from.

Folding makes equal what readers hold for the same: cases, full-width forms, ligatures, digits of all scripts,
kinds of dashes and blanks, invisible characters. It keeps what they tell apart: accents, tones, vowel signs.
"""

from __future__ import annotations

import bisect
import re
import unicodedata
from collections.abc import Iterator

SOFT_HYPHEN = "\u00ad"

_LINE_ENDS = "\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_OWN = {
    **dict.fromkeys(map(ord, _LINE_ENDS), "\n"),
    **dict.fromkeys(map(ord, "’‘ʼʻʽ′‵`´＇"), "'"),
    **dict.fromkeys(map(ord, "“”„‟«»″״‹›＂"), '"'),
    **dict.fromkeys(map(ord, "⁄∕／"), "/"),
    ord("−"): "-",
    ord("٪"): "%",
    # The Arabic decimal sign is a point; the one between thousands never is, as an apostrophe never is.
    ord("٫"): ".",
    ord("٬"): "'",
    ord("،"): ",",
    # Cases of Turkish: what is told apart, `letters` tells apart.
    ord("ı"): "i",
    ord("İ"): "i",
    # Russian writes the dots or not; older Romanian texts have a cedilla for the comma.
    **dict.fromkeys(map(ord, "ёЁ"), "е"),
    **{ord(cedilla): comma for cedilla, comma in zip("şŞţŢ", "șșțț", strict=True)},
    # Ligatures that Unicode holds for letters.
    ord("œ"): "oe",
    ord("Œ"): "oe",
    ord("æ"): "ae",
    ord("Æ"): "ae",
    # Keyboards of Persian and Arabic write these two letters in two ways.
    ord("ي"): "ی",
    ord("ك"): "ک",
    ord("ـ"): "",  # makes words longer
    # Signs whose compatibility form would be letters of the word before them.
    **{ord(sign): sign for sign in "™℠®©"},
}
VOWEL_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u0652\u0670]")
"""Of Hebrew and Arabic: texts have them or not."""
_GREEK_STRESS = re.compile("[\u0300\u0301\u0313\u0314\u0342]")


class _FoldTable(dict[int, str]):
    """The folded form of each character, found out once; for `str.translate`."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded_char(chr(code))
        return folded


def _folded_char(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cf", "Cs") or VOWEL_POINTS.match(char) or _is_variation(char):
        return ""
    if category in ("Zs", "Cc"):
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(char))
    if category == "Pd":
        return "-"
    if category == "No":  # fractions and superscripts: 12² is not 122
        return char
    folded = unicodedata.normalize("NFKC", char).casefold()
    if "GREEK" in unicodedata.name(char, ""):
        folded = unicodedata.normalize("NFC", _GREEK_STRESS.sub("", unicodedata.normalize("NFD", folded)))
    # Compatibility forms of signs begin with a blank ("´", "¨").
    return folded.strip() or char


def _is_variation(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef" or char == "\u034f"


_TABLE = _FoldTable(_OWN)
# Half-width kana have their voice marks in a character of its own; a soft hyphen at a line's end is seen.
_SEQUENCES = rf"[\uff73\uff76-\uff84\uff8a-\uff8e][\uff9e\uff9f]|(?P<break>{SOFT_HYPHEN}[ \t\r\u200b]*(?=\n))"

_SEQUENCE = re.compile(_SEQUENCES)
# What mail puts before each line that it quotes: no part of the text.
_QUOTED = r"(?<=\n)>[> ]*(?<= )"
_IS_QUOTED = re.compile(f"\\A>[> ]* .*\n>|{_QUOTED}.*\n>")


class Folded:
    """A text, folded.

    Args:
        source: The text in NFC form.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        parts: list[str] = []
        # Pieces: where each begins in the folded text and in the source, and its length there.
        self._here: list[int] = []
        self._there: list[int] = []
        self._lengths: list[int] = []
        length = 0
        for start, end, folded in _pieces(source):
            parts.append(folded)
            self._here.append(length)
            self._there.append(start)
            self._lengths.append(end - start)
            length += len(folded)
        self.text = "".join(parts)
        """The folded text."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of the folded text (not an empty one) stands in the source."""
        return self._source_of(start)[0], self._source_of(end - 1)[1]

    def quote(self, start: int, end: int) -> str:
        """What the source has for a stretch of the folded text."""
        first, last = self.span(start, end)
        return self.source[first:last]

    def _source_of(self, at: int) -> tuple[int, int]:
        """Start and end in the source of one folded character."""
        piece = bisect.bisect_right(self._here, at) - 1
        here, there, length = self._here[piece], self._there[piece], self._lengths[piece]
        ends = self._here[piece + 1] if piece + 1 < len(self._here) else len(self.text)
        if length == ends - here:  # character by character
            return there + at - here, there + at - here + 1
        return there, there + length


def fold(text: str) -> str:
    """A short text, folded: a value, a name."""
    text = unicodedata.normalize("NFC", text)
    return (
        "".join(folded for *_, folded in _pieces(text)) if _SEQUENCE.search(text) else text.translate(_TABLE)
    )


def _pieces(source: str) -> Iterator[tuple[int, int, str]]:
    """Stretches that folding leaves as long as they were, and what lies between them."""
    at = 0
    for match in _uneven(source).finditer(source):
        start, end = match.span()
        if at < start:
            yield at, start, source[at:start].translate(_TABLE)
        if folded := "-" if match["break"] else "" if match["quoted"] else _folded_sequence(match[0]):
            yield start, end, folded
        at = end
    if at < len(source):
        yield at, len(source), source[at:].translate(_TABLE)


def _folded_sequence(piece: str) -> str:
    if len(piece) > 1:
        return unicodedata.normalize("NFKC", piece)
    return piece.translate(_TABLE)


def _uneven(source: str) -> re.Pattern[str]:
    """What changes its length in folding; only what occurs is looked for."""
    chars = {char for char in set(source) if len(_TABLE[ord(char)]) != 1}
    sequences = (
        f"{_SEQUENCES}|(?P<quoted>{_QUOTED})"
        if _IS_QUOTED.search(source)
        else f"{_SEQUENCES}|(?P<quoted>(?!))"
    )
    return re.compile(f"{sequences}|[{re.escape(''.join(sorted(chars)))}]" if chars else sequences)
