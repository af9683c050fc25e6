"""Text from outside, as it may be shown in a terminal, on a page or in a line of a log.

A name or an answer may hold line breaks that forge a second line, ESC sequences that rewrite a terminal, and
invisible characters that turn the direction of what follows. None of them is ever shown raw.
"""

from __future__ import annotations

import json
import time
import unicodedata
from functools import lru_cache

__all__ = ["duration", "in_json", "in_short", "lines", "moment", "one_line", "several", "visible"]

_JOINERS = frozenset("\u200c\u200d")
"""Part of correct spelling in Persian and Indic scripts, and of emoji; they turn and hide nothing."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, format characters (bidi, zero width, tags), lone surrogates, line ends."""


@lru_cache(maxsize=4096)
def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def one_line(text: str) -> str:
    """Text on one line: each run of blanks, control and invisible characters is one blank."""
    if text.isprintable() and "  " not in text:  # nearly all text; format characters are not printable
        return text.strip()
    return " ".join("".join(" " if _is_hidden(character) else character for character in text).split())


def visible(text: str) -> str:
    r"""Text on one line with control and invisible characters spelt out, such as ``\n`` and ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(_spelt(character) if _is_hidden(character) else character for character in text)


def lines(text: str) -> str:
    """Text that keeps its lines, with all other control and invisible characters spelt out."""
    return "\n".join(visible(line) for line in text.split("\n"))


def moment(seconds: float | None) -> str:
    """A time (seconds since the epoch) for people, such as `2026-11-28 14:05 UTC`; none is `never`."""
    return "never" if seconds is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def duration(seconds: float) -> str:
    """A time span for people, such as `4.2 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def several(count: int, noun: str, plural: str | None = None) -> str:
    """Such as `1 turn` and `1,204 turns`; `plural` where an s is not enough."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or noun + 's'}"


def in_short(text: str, at_most: int) -> str:
    """A text without its middle if it has more characters: names differ at their ends."""
    if len(text) <= at_most:
        return text
    kept = (at_most - 3) // 2
    return f"{text[:kept]}...{text[-kept:]}"


def in_json(written: str) -> str:
    """A JSON text that has no line breaks, with the same values, and escapes for what is hidden in them.

    JSON lets line separators, C1 controls and bidi characters stand raw in strings; a reader of lines, and a
    terminal, may act on them.
    """
    if written.isprintable():
        return written
    return "".join(json.dumps(one)[1:-1] if _is_hidden(one) else one for one in written)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
