"""Where the values of documents stand, as the report tells it: with a link to the page, and the box on it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from agent_tasks.batch.markdown import escape
from agent_tasks.batch.records import AnswerRow, DocumentRow
from agent_tasks.documents.content import Box, Place
from agent_tasks.documents.grounding import FieldGrounding

MAX_LINES = 2_000
"""Values whose place the report tells; results.jsonl has all."""

_PICTURE = re.compile(
    r"(?:^## [A-Z][a-z]+\n\n)?"
    r"(?<!\\)!\[[^\n]*?\]\((?:evidence/[0-9a-f]{32}\.png|pipeline\.svg|history\.svg)\)",
    re.MULTILINE,
)
"""A picture, with the heading that stands over it alone; texts from outside are escaped."""


@dataclass(frozen=True)
class Evidence:
    """A value, and where it stands."""

    document: str
    field: str
    value: object
    place: Markup
    note: str
    """What is doubtful about it."""
    picture: Markup
    """Of the place; empty if there is none."""


def evidence(rows: Iterable[DocumentRow], *, documents: Path, out: Path) -> list[Evidence]:
    """Return the places of grounded values, and what is doubtful, by document and field.

    Args:
        rows: The documents.
        documents: The folder that they lie in.
        out: The folder of the report, from which links lead to the documents.
    """
    folder = os.path.relpath(documents.resolve(), out.resolve())
    found: list[Evidence] = []
    for row in rows:
        for entry in row.grounding:
            if len(found) >= MAX_LINES:
                return found
            if entry.places or entry.note:
                address = quote(f"{folder}/{row.document}") if row.parent is None else None
                shown = Markup("; ").join(_linked(place, address) for place in entry.places)
                found.append(
                    Evidence(row.document, entry.path, entry.value, shown, entry.note or "", _picture(entry))
                )
    return found


def _picture(entry: FieldGrounding) -> Markup:
    if entry.picture is None:
        return Markup()
    return Markup("![{}]({})").format(escape(entry.quote), Markup(entry.picture))  # noqa: S704 - a name of ours


def without_pictures(report: str) -> str:
    """Return a report for where its folder is not at hand."""
    return _PICTURE.sub("", report)


def _linked(place: Place, address: str | None) -> Markup:
    """Return a place in words, with a link where it is a page of a file: browsers open a PDF there."""
    words = escape(place_in_words(place))
    if place.page is None or address is None:
        return words
    return Markup("[{}]({}#page={})").format(words, Markup(address), place.page)  # noqa: S704 - it is quoted


def cited(answer: AnswerRow, source: str) -> str:
    """Return where in a source the quotes of an answer stand, in words; empty if that is not known."""
    places = (
        place for citation in answer.citations if citation.document == source for place in citation.places
    )
    return "; ".join(dict.fromkeys(map(place_in_words, places)))


def place_in_words(place: Place) -> str:
    """Return such as ``page 2, form field total, 50-55% across, 16-17% down``."""
    return ", ".join(_parts(place))


def _parts(place: Place) -> Iterator[str]:
    if place.page is not None:
        yield f"page {place.page}"
    if place.slide is not None:
        yield f"slide {place.slide}"
    if place.sheet is not None:
        yield f"sheet {place.sheet}"
    if place.cell is not None:
        yield f"cell {place.cell}"
    if place.part is not None:
        yield place.part
    if place.recognised is not None:
        yield f"recognised, {place.recognised:.0%} sure"
    if place.boxes:
        yield _box_in_words(place.boxes[0])


def _box_in_words(box: Box) -> str:
    return f"{box.left:.0%} to {box.right:.0%} across, {box.top:.0%} to {box.bottom:.0%} down"
