"""What reading a document gives: its text, and where in the document each piece of the text stands.

The text is one string; everything else refers to it by offsets. A *section* is a stretch of the text with one
place: a page, a slide, a sheet, a cell, a footnote. Where the format has a geometry, the words of a page have
boxes, kept in flat arrays: a document of a thousand pages has half a million words.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

Edges: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom."""


class Box(BaseModel):
    """A rectangle on a page as it is shown: shares (0 to 1) of width and height, from the top left corner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: float
    top: float
    right: float
    bottom: float


class Place(BaseModel):
    """Where in a document a piece of its text stands; what the format does not have is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: int | None = None
    """From 1."""
    slide: int | None = None
    """From 1."""
    sheet: str | None = None
    cell: str | None = None
    """Such as ``B7``."""
    part: str | None = None
    """Such as ``footnote 2``, ``comment by A. Miller``, ``header``, ``chapter 3``, ``form field total``."""
    recognised: float | None = None
    """How sure the recognition of this page was, from 0 to 1; None for text that the file holds."""
    boxes: tuple[Box, ...] = ()
    """One for each line that the piece runs over."""


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the text that stands in one place. Sections are in order, and do not overlap."""

    start: int
    end: int
    place: Place


def in_units(shares: Iterable[float]) -> list[int]:
    """Return shares of a page in the units in which boxes are kept: 65,535ths."""
    return [int(65_535 * share + 0.5) for share in shares]


@dataclass(frozen=True)
class WordBoxes:
    """The boxes of words, in the order of the text: word number `i` is ``text[starts[i]:ends[i]]``.

    Its box is ``edges[4 * i : 4 * i + 4]``: left, top, right and bottom in 65,535ths of the page.
    """

    starts: array[int] = field(default_factory=lambda: array("I"))
    ends: array[int] = field(default_factory=lambda: array("I"))
    edges: array[int] = field(default_factory=lambda: array("H"))

    def add(self, start: int, end: int, box: Box | Edges) -> None:
        """Append the box of the next word."""
        edges = (box.left, box.top, box.right, box.bottom) if isinstance(box, Box) else box
        self.add_row([start], [end], in_units(edges))

    def add_row(self, starts: list[int], ends: list[int], units: list[int]) -> None:
        """Append the boxes of the next words, in units: of thousands, one call for each takes longer."""
        self.starts.fromlist(starts)
        self.ends.fromlist(ends)
        try:
            self.edges.fromlist(units)
        except OverflowError:  # some stand over the edge of the page
            self.edges.fromlist([min(max(edge, 0), 65_535) for edge in units])

    def between(self, start: int, end: int) -> Iterator[Box]:
        """Yield the boxes of the words that ``text[start:end]`` touches."""
        for i in range(bisect.bisect_right(self.ends, start), bisect.bisect_left(self.starts, end)):
            left, top, right, bottom = (edge / 65_535 for edge in self.edges[4 * i : 4 * i + 4])
            yield Box(left=left, top=top, right=right, bottom=bottom)


@dataclass(frozen=True)
class Attachment:
    """A document inside a document: read as one of its own, which names its parent."""

    name: str
    """As the parent names it; any text."""
    content: bytes


@dataclass(frozen=True)
class DocumentContent:
    """A document, read."""

    text: str
    """In Unicode's NFC form, ending without a newline."""
    sections: tuple[Section, ...] = ()
    words: WordBoxes | None = None
    attachments: tuple[Attachment, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know, one sentence each, such as which pages were recognised."""
    unread: tuple[str, ...] = ()
    """What is in the document and not in the text, one sentence each: a person has to look at it there."""
    scans: tuple[int, ...] = ()
    """The pages that hold no text of their own: pictures, and those whose fonts do not say what they show."""

    @property
    def recognised(self) -> frozenset[int]:
        """The pages whose text was recognised."""
        places = (section.place for section in self.sections)
        return frozenset(place.page for place in places if place.page and place.recognised is not None)

    def pages(self) -> list[str]:
        """Return the text of each page, slide or sheet; the whole text, where there are none."""
        return [self.text[page.start : page.end] for page in self.page_spans()]

    def page_spans(self) -> list[Section]:
        """Return where each page, slide or sheet begins and ends; the whole text, where there are none.

        Each has its place with nothing more than the page, slide or sheet.
        """
        spans: list[Section] = []
        for section in self.sections:
            place = section.place
            if (place.page, place.slide, place.sheet) == (None, None, None):
                continue
            page = Place(page=place.page, slide=place.slide, sheet=place.sheet)
            if spans and spans[-1].place == page:
                spans[-1] = Section(spans[-1].start, section.end, page)
            else:
                spans.append(Section(section.start, section.end, page))
        return spans or [Section(0, len(self.text), Place())]

    def places(self, start: int, end: int) -> list[Place]:
        """Return where ``text[start:end]`` stands: a place, with boxes, for each section that it touches."""
        first = bisect.bisect_right(self.sections, start, key=lambda section: section.end)
        found = []
        for section in self.sections[first:]:
            if section.start >= end:
                break
            inside = (max(start, section.start), min(end, section.end))
            boxes = tuple(_lines(self.words.between(*inside))) if self.words is not None else ()
            found.append(section.place.model_copy(update={"boxes": boxes}) if boxes else section.place)
        return found


def _lines(boxes: Iterator[Box]) -> Iterator[Box]:
    """Join the boxes of words that stand on one line."""
    line: Box | None = None
    for box in boxes:
        middle = (box.top + box.bottom) / 2
        if line is not None and line.top <= middle <= line.bottom:
            line = Box(
                left=min(line.left, box.left),
                top=min(line.top, box.top),
                right=max(line.right, box.right),
                bottom=max(line.bottom, box.bottom),
            )
            continue
        if line is not None:
            yield line
        line = box
    if line is not None:
        yield line
