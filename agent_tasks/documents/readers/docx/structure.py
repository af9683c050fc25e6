"""What a story of a Word document is made of while it is read."""

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
class Field:
    """A field: an instruction, which is not shown, and its result."""

    shows: bool = False
    """Whether we are in its result."""
    held_back: list[str] = field(default_factory=list)
    fallback: str = ""
    """What a form field shows if the file holds no result of it."""
    has_result: bool = False


@dataclass(slots=True)
class Run:
    """Characters of one format."""

    hidden: bool | None = None
    hidden_by_style: bool = False
    font: str | None = None


@dataclass(slots=True)
class Paragraph:
    """A paragraph that is being read."""

    pieces: list[str] = field(default_factory=list)
    beside: list[Line] = field(default_factory=list)
    """Notes, comments and text boxes, which come after it."""
    style: str | None = None
    numbering: str | None = None
    level: int | None = None
    joined: bool = False
    """Its mark is deleted or hidden: what follows continues it."""
    run: Run = field(default_factory=Run)


@dataclass(slots=True)
class Container:
    """What holds paragraphs and tables: the story itself, a text box, or a cell."""

    lines: list[Line] = field(default_factory=list)
    carried: Paragraph | None = None
    """A paragraph that the next one continues."""
    gone: bool = False

    def finish(self, paragraph: Paragraph, label: str) -> None:
        """Add a paragraph that has been read."""
        text = "".join(paragraph.pieces)
        self.lines.append(Line(f"{label} {text}" if label and text.strip() else text))
        self.lines += paragraph.beside


@dataclass(slots=True)
class Row:
    """A row of a table."""

    depth: int
    """How many containers were open around it."""
    implied: bool = False
    """It is not in the file: a cell stood alone."""
    cells: list[Container] = field(default_factory=list)
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
