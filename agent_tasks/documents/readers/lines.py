"""The form that text has in every reader: lines, blanks, rows of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\ufeff\x00"))


def tidy(text: str) -> str:
    """Give text one kind of line end, no trailing spaces, one blank line at most in a row and none around."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").translate(_INVISIBLE)
    lines = (line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n").rstrip()


def squeeze(text: str) -> str:
    """Leave one space of a run of blanks, and no margins: for formats whose blanks are only layout."""
    return tidy("\n".join(SPACES.sub(" ", line).strip() for line in text.split("\n")))


def joined_cells(cells: Iterable[str]) -> str:
    """Join the cells of a table's row; an empty text if all are empty."""
    texts = [" ".join(cell.split()) for cell in cells]
    return " | ".join(texts) if any(texts) else ""
