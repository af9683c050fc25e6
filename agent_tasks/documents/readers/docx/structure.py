"""What a story of a Word document is made of while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_tasks.documents.readers.tables import Cell, Line


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
    raised: bool | None = None
    """Whether it stands above the line; below it if False."""


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
class Container(Cell):
    """What holds paragraphs and tables: the story itself, a text box, or a cell."""

    carried: Paragraph | None = None
    """A paragraph that the next one continues."""

    def finish(self, paragraph: Paragraph, label: str) -> None:
        """Add a paragraph that has been read."""
        text = "".join(paragraph.pieces)
        self.lines.append(Line(f"{label} {text}" if label and text.strip() else text))
        self.lines += paragraph.beside


@dataclass(slots=True)
class Notes:
    """Footnotes, endnotes and comments: what they say, and which have been referred to."""

    texts: dict[tuple[str, str], list[Line]] = field(default_factory=dict)
    """By kind and id; each is taken out where it is first referred to."""
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """What a story refers to, in order."""

    margins: list[dict[str, str]] = field(default_factory=list)
    """For each section: kind of header or footer (``header first``) to relationship."""
    chunks: list[str] = field(default_factory=list)
    pictures: int = 0


@dataclass(slots=True)
class Alternatives:
    """Forms of the same thing, of which one is to be read."""

    taken: bool = False
    produced_before: int = 0
