"""The form of text that is taken as it is: lines and blanks."""

from __future__ import annotations

import re

_BLANK_LINES = re.compile(r"\n{3,}")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\ufeff\x00"))


def tidy(text: str) -> str:
    """Give text one kind of line end, no trailing spaces, one blank line at most in a row and none around."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").translate(_INVISIBLE)
    lines = (line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n").rstrip()
