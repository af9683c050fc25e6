"""Lines of text, and tables, which become one line a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent_tasks.documents.content import Place
from agent_tasks.documents.readers.text_builder import cell_text, row_text


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph or a row of a table. What stands beside the text (a footnote, a text box) has a place."""

    text: str
    place: Place | None = None
    row: bool = False


@dataclass(slots=True)
class Cell:
    """What holds lines: a cell of a table, or a document or text box as a whole."""

    lines: list[Line] = field(default_factory=list)
    gone: bool = False


@dataclass(slots=True)
class Row:
    """A row of a table."""

    depth: int
    """How many cells were open around it."""
    implied: bool = False
    """It is not in the file: a cell stood alone."""
    cells: list[Cell] = field(default_factory=list)
    gone: bool = False

    def lines(self) -> Iterator[Line]:
        """Yield the row, and what stands beside its text; rows of tables within it on lines of their own."""
        texts: list[str] = []
        beside: list[Line] = []
        for cell in self.cells:
            paragraphs: list[str] = []
            for line in cell.lines:
                if line.place is not None:
                    beside.append(line)
                elif line.row:
                    texts.append(cell_text(paragraphs))
                    if text := row_text(texts):
                        yield Line(text, row=True)
                    yield line
                    texts, paragraphs = [], []
                else:
                    paragraphs.append(line.text)
            texts.append(cell_text(paragraphs))
        if text := row_text(texts):
            yield Line(text, row=True)
        yield from beside
