"""Cells, rows and their names."""

from __future__ import annotations

import re

from agent_tasks.documents.content import Place
from agent_tasks.documents.limits import too_long
from agent_tasks.documents.readers.text_builder import TextBuilder

MAX_CELLS = 500_000
_MAX_GAP = 30  # columns left empty that are shown as such
_NAME = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})$")


def column_name(column: int) -> str:
    """Return the letters of a column, which is counted from 1."""
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def column_and_row(name: str) -> tuple[int, int] | None:
    """Return the column and row of a cell's name such as ``B7``, from 1; None if it is no such name."""
    match = _NAME.match(name)
    if match is None:
        return None
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return column, int(match[2])


class RowWriter:
    """Writes the rows of a document's sheets, and counts their cells."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._cells = 0

    def write(self, sheet: str | None, row: int, cells: dict[int, str]) -> None:
        """Write a row of texts by column; what is empty between two of them keeps its place in the line."""
        self._cells += len(cells)
        if self._cells > MAX_CELLS:
            raise too_long(self._builder.filename, "has too many cells", f"{MAX_CELLS:,} cells")
        line: list[tuple[str, Place | None]] = []
        before: int | None = None
        for column in sorted(cells):
            if not cells[column].strip():
                continue
            if before is not None:
                gap = column - before - 1
                line += [("", None)] * (gap if gap <= _MAX_GAP else 1)
            line.append((cells[column], Place(sheet=sheet, cell=f"{column_name(column)}{row}")))
            before = column
        self._builder.row(line)
