"""What is looked up, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict

from agent_tasks.documents.content import Place

Ground: TypeAlias = Literal["exact", "number", "date", "currency", "unit", "enum", "none"]
"""How a value is looked for."""

Ambiguous: TypeAlias = Literal["show", "review"]
"""What an ambiguous match is good for: it is shown with what else it may mean, or a person has to look."""

MAX_OCCURRENCES = 100
"""Matches of one value that are counted, at most."""


@dataclass(frozen=True)
class Leaf:
    """A single value of an extraction."""

    path: str
    """Such as ``supplier`` or ``items[2].amount``."""
    kind: Ground
    value: Any
    ambiguous: Ambiguous = "show"


class GroundingStatus(StrEnum):
    """What came of looking a value up."""

    FOUND = "found"
    NOT_FOUND = "not_found"
    NOT_CHECKED = "not_checked"


class How(StrEnum):
    """How a match differs from the value; of several ways, the one that differs most."""

    EXACT = "exact"
    """Character by character."""
    FORM = "case or form"
    """Another case, width, ligature or kind of digit; soft hyphens and marks that nobody sees."""
    SPACING = "spaces ignored"
    """Blanks stand elsewhere: in an IBAN, in a script that writes none between words."""
    SIGNS = "punctuation ignored"
    """Other punctuation between words."""
    LINE = "broken over a line"
    PARTICLE = "with a particle"
    """A Korean particle follows, or an Arabic or Hebrew one stands before, in the same word."""
    NUMBER = "number spelling"
    DATE = "date spelling"
    AMBIGUOUS = "ambiguous"
    """The text can be read in several ways, one of which is the value; the note has them all."""
    NAME = "another name"
    """A currency or unit by another of its names."""

    @property
    def rank(self) -> int:
        """How much a match differs: the higher, the more."""
        return list(How).index(self)


class Match(NamedTuple):
    """Where a value was found in the text."""

    start: int
    end: int
    how: How
    occurrences: int = 1
    note: str | None = None


class FieldGrounding(BaseModel):
    """One value, looked up."""

    model_config = ConfigDict(frozen=True)

    path: str
    """Such as ``items[0].amount``."""
    kind: Ground
    status: GroundingStatus
    value: Any = None
    offset: int | None = None
    """Characters from the start of the document's text (in Unicode's NFC form) to the first match."""
    end: int | None = None
    """Characters from the start of the text to the end of that match."""
    quote: str | None = None
    """The match, as the text has it."""
    how: How | None = None
    """How it was found."""
    occurrences: int = 0
    """Matches in the text, up to 100."""
    note: str | None = None
    """What is doubtful about the match: the other readings of a date, say."""
    excerpt: str | None = None
    """The match and a little around it, on one line."""
    places: tuple[Place, ...] = ()
    """Where in the document the match stands: page and boxes, sheet and cell, ..."""
    picture: str | None = None
    """Path, from the folder of results, of a picture of the place; in results only, not in the journal."""
