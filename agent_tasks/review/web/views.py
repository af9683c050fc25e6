"""What a page shows of a document: its values with their evidence, its pages with boxes, its text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent_tasks.batch.evidence import place_in_words
from agent_tasks.batch.records import DocumentRow
from agent_tasks.documents.content import Box, DocumentContent, Place
from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus
from agent_tasks.documents.place_pictures import has_pictures
from agent_tasks.redaction import redacted
from agent_tasks.review.values import Shape

__all__ = [
    "Frame",
    "Mark",
    "Page",
    "Value",
    "full_page",
    "left_out",
    "pages_of",
    "said_in_turn",
    "text_of",
    "values_of",
]

MAX_PAGES = 60
MAX_TEXT = 300_000
"""Characters of a document's text that a page shows."""
MAX_SAID = 20_000
"""Characters of a text of a turn that its page shows."""

_LONG = 60  # characters from which a value has a field of several lines


@dataclass(frozen=True)
class Value:
    """A value, as a field of the form."""

    number: int
    path: str
    text: str
    status: str
    """found, doubtful, missing (not found in the document), unchecked, or none (there is no value)."""
    said: str
    """What is known of its place, in words."""
    note: str = ""
    is_person: bool = False
    sure: float | None = None
    """How sure it is, where the pipeline asks for that."""

    @property
    def is_long(self) -> bool:
        """Whether it needs several lines."""
        return len(self.text) > _LONG or "\n" in self.text


@dataclass(frozen=True)
class Frame:
    """The box of a value on a page."""

    number: int
    """Of its value."""
    path: str
    box: Box
    is_first: bool
    """Whether it is the first one of its value: links lead there."""


@dataclass(frozen=True)
class Page:
    """A page, and the boxes on it."""

    number: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Mark:
    """A piece of the text; `number` is that of the value which stands there."""

    text: str
    number: int | None = None
    path: str = ""
    heading: str = ""
    """What begins here: a page, a sheet."""


def values_of(row: DocumentRow, shape: Shape | None) -> list[Value]:
    """The values of a document, those that are not there too, in the order of the fields."""
    found = {entry.path: entry for entry in row.grounding}
    mine = set(row.decision.corrected) if row.decision is not None else set()
    made: list[Value] = []
    for path, value in _all_values(row, shape):
        entry = found.get(path)
        status, said = _evidence(entry, value)
        note = entry.note or "" if entry is not None else ""
        sure = row.confidence.get(path.removeprefix(shape.prefix) if shape is not None else path)
        made.append(Value(len(made), path, _text(value), status, said, note, path in mine, sure))
    return made


def _all_values(row: DocumentRow, shape: Shape | None) -> Iterator[tuple[str, Any]]:
    fields = row.fields or {}
    if shape is None:
        known = dict.fromkeys(entry.path for entry in row.grounding)
        yield from ((entry.path, entry.value) for entry in row.grounding)
        yield from ((name, value) for name, value in fields.items() if name not in known)
        return
    leaves: dict[str, list[tuple[str, Any]]] = {}
    for leaf in shape.schema.leaves(fields):
        top = leaf.path.replace("[", ".").partition(".")[0]
        leaves.setdefault(top, []).append((f"{shape.prefix}{leaf.path}", leaf.value))
    for name in shape.schema.fields:
        yield from leaves.get(name) or [(f"{shape.prefix}{name}", fields.get(name))]


def _evidence(entry: FieldGrounding | None, value: Any) -> tuple[str, str]:
    if value is None or value == []:
        return "none", "no value"
    if entry is None or entry.status is GroundingStatus.NOT_CHECKED:
        return "unchecked", "not looked up"
    if entry.status is GroundingStatus.NOT_FOUND:
        return "missing", "not in the document"
    where = "; ".join(dict.fromkeys(_short(place) for place in entry.places))
    said = f"found{f', {where}' if where else ''}"
    if entry.occurrences > 1:
        said += f", {entry.occurrences} times"
    return ("doubtful" if entry.note else "found"), said


def _short(place: Place) -> str:
    return place_in_words(place.model_copy(update={"boxes": ()}))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def pages_of(row: DocumentRow, content: DocumentContent | None, values: list[Value]) -> list[Page]:
    """The pages that can be drawn, with the boxes of values; none of formats that have no pages."""
    if content is None or not has_pictures(row.document):
        return []
    numbers = {span.place.page for span in content.page_spans() if span.place.page is not None}
    by_path = {value.path: value.number for value in values}
    frames: dict[int, list[Frame]] = {}
    linked: set[int] = set()
    for entry in row.grounding:
        for place in entry.places:
            if place.page is not None and entry.path in by_path:
                numbers.add(place.page)
                value = by_path[entry.path]
                for box in place.boxes:
                    frame = Frame(value, entry.path, box, value not in linked)
                    frames.setdefault(place.page, []).append(frame)
                    linked.add(value)
    return [Page(number, tuple(frames.get(number, ()))) for number in sorted(numbers)[:MAX_PAGES]]


def left_out(row: DocumentRow, content: DocumentContent | None) -> list[str]:
    """What a page does not show of a long document, in sentences."""
    if content is None:
        return []
    said = []
    if len(content.text) > MAX_TEXT:
        said.append(f"The first {MAX_TEXT:,} of {len(content.text):,} characters are shown.")
    numbers = {span.place.page for span in content.page_spans() if span.place.page is not None}
    if has_pictures(row.document) and len(numbers) > MAX_PAGES:
        said.append(f"{MAX_PAGES} of {len(numbers)} pages are shown.")
    return said


def full_page(page: int) -> Place:
    """The place that shows all of a page, with nothing framed."""
    corners = (Box(left=0, top=0, right=0, bottom=0), Box(left=1, top=1, right=1, bottom=1))
    return Place(page=page, boxes=corners)


def text_of(row: DocumentRow, content: DocumentContent, values: list[Value]) -> list[Mark]:
    """The text in pieces: what stands for a value is one of its own; of two that overlap the first."""
    by_path = {value.path: value.number for value in values}
    found = sorted(
        (entry.offset, entry.end, entry.path)
        for entry in row.grounding
        if entry.offset is not None and entry.end is not None and entry.path in by_path
    )
    cuts = [(span.start, place_in_words(span.place)) for span in content.page_spans()]
    end_of_text = min(len(content.text), MAX_TEXT)
    pieces: list[Mark] = []
    at = 0

    def plain(until: int) -> None:
        nonlocal at
        while at < until:
            heading = ""
            while cuts and cuts[0][0] <= at:
                heading = cuts.pop(0)[1]
            stop = min([until, *(start for start, _ in cuts[:1])])
            pieces.append(Mark(content.text[at:stop], heading=heading))
            at = stop

    for start, end, path in found:
        if start < at or end > end_of_text:
            continue
        plain(start)
        pieces.append(Mark(content.text[start:end], by_path[path], path))
        at = end
    plain(end_of_text)
    return pieces


def said_in_turn(text: str) -> str:
    """A text of a turn as its page shows it: without secrets, and not endless."""
    shown = redacted(text[: 2 * MAX_SAID])
    return shown if len(shown) <= MAX_SAID else f"{shown[:MAX_SAID]}... (the rest is not shown)"
