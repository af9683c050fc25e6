"""Building a document's text line by line, with the place of each piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent_tasks.documents.content import Attachment, DocumentContent, Place, Section
from agent_tasks.documents.limits import ReadingLimits, too_long

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\ufeff\x00"))
_BLANKS = re.compile(r"[^\S\n]+")

Cell = tuple[str, Place | None]


def squeezed(text: str) -> str:
    """Leave one blank of a run of blanks (a tab if one is among them), no margins, and no empty lines."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _BLANKS.sub(_blank, text.translate(_INVISIBLE))
    lines = (line.strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def shifted(text: str, *, raised: bool) -> str:
    """Return text with raised or lowered digits, so that ``950`` with a raised 1 is not read as ``9501``."""
    return text.translate(_RAISED if raised else _LOWERED)


def cell_text(lines: Iterable[str]) -> str:
    """Join the lines of a table's cell.

    Between two digits stands a semicolon: with a blank, ``12`` and ``345`` would be one amount.
    """
    text = ""
    for line in squeezed("\n".join(lines)).split("\n"):
        between = "; " if text[-1:].isdigit() and line[:1].isdigit() else " " if text else ""
        text += between + line.replace("\t", " ")
    return text


def row_text(cells: Sequence[str]) -> str:
    """Join the cells of a table's row, without the empty ones at its end."""
    filled = max((number for number, cell in enumerate(cells, 1) if cell), default=0)
    return " | ".join(cells[:filled])


class TextBuilder:
    """Collects lines, and gives the content. It stops a document whose text exceeds the limit."""

    def __init__(self, filename: str, limits: ReadingLimits) -> None:
        self.filename = filename
        self.limits = limits
        self._pieces: list[str] = []
        self._length = 0
        self._sections: list[Section] = []
        self._gap = False

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def gap(self) -> None:
        """Leave a blank line before what follows."""
        self._gap = True

    def line(self, text: str, place: Place | None = None) -> None:
        """Add a line, or several; an empty one leaves a gap."""
        text = squeezed(text)
        if not text:
            self._gap = True
            return
        self._add(text, place)

    def block(self, text: str, place: Place | None = None) -> None:
        """Add text whose lines and blanks are to stay as they are."""
        if text:
            self._add(text, place)

    def row(self, cells: Sequence[Cell]) -> None:
        """Add a row of a table, each cell in its own place; nothing if all are empty."""
        texts = [cell_text([text]) for text, _ in cells]
        text = row_text(texts)
        if not text:
            return
        start = self._add(text, None)
        for (_, place), cell in zip(cells, texts, strict=True):
            if cell and place is not None:
                self._sections.append(Section(start, start + len(cell), place))
            start += len(cell) + 3

    def content(
        self, *, attachments: Sequence[Attachment] = (), notes: Sequence[str] = ()
    ) -> DocumentContent:
        """Return what was collected."""
        return DocumentContent(
            "".join(self._pieces), tuple(self._sections), None, tuple(attachments), tuple(notes)
        )

    def _add(self, text: str, place: Place | None) -> int:
        between = ("\n\n" if self._gap else "\n") if self._pieces else ""
        self._gap = False
        start = self._length + len(between)
        self._length = start + len(text)
        if self._length > self.limits.max_characters:
            raise too_long(self.filename, "has too much text", f"{self.limits.max_characters:,} characters")
        self._pieces += (between, text)
        if place is not None:
            self._sections.append(Section(start, self._length, place))
        return start


def _blank(blanks: re.Match[str]) -> str:
    return "\t" if "\t" in blanks[0] else " "
