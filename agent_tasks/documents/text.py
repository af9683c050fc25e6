"""The text of a document alone, for callers that need no places."""

from __future__ import annotations

from agent_tasks.documents.limits import DEFAULT_LIMITS, ReadingLimits
from agent_tasks.documents.reading import read_document


def extract_text(content: bytes, filename: str, *, limits: ReadingLimits = DEFAULT_LIMITS) -> str:
    """Return the text of a document (see :func:`~agent_tasks.documents.reading.read_document`)."""
    return read_document(content, filename, limits=limits).text
