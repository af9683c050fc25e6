"""What a document may cost to read."""

from __future__ import annotations

from dataclasses import dataclass

from agent_tasks.errors import DocumentTooLongError


@dataclass(frozen=True)
class ReadingLimits:
    """What a document may cost to read."""

    max_bytes: int = 64 * 1024 * 1024
    """Of the file."""
    max_characters: int = 8_000_000
    """Of the text."""
    max_pages: int = 2_000
    max_unpacked_bytes: int = 256 * 1024 * 1024
    """Of what a file that is an archive (DOCX, XLSX, EPUB, ...) unpacks to, in all."""
    max_ratio: float = 200.0
    """Of the unpacked to the packed size of an archive."""
    max_seconds: float = 120.0
    """Of processor time, so that it does not depend on what else the machine does."""
    max_memory: int = 3 * 1024 * 1024 * 1024
    """Bytes of address space of the process that reads; text recognition needs two of the three GiB."""
    recognise: bool = True
    """Whether the text of pages that are pictures is recognised, where something is installed for it."""
    keeps_scans: bool = False
    """Whether pages without text are for somebody else to look at: they are named, and no reason to fail."""


DEFAULT_LIMITS = ReadingLimits()


def require_size(name: str, content: bytes, max_bytes: int) -> bytes:
    """Return the content of a document of a batch. Raises DocumentTooLongError where it has more bytes."""
    if len(content) > max_bytes:
        raise DocumentTooLongError(
            f"{name} has more than {max_bytes:,} bytes (limits.max_document_bytes).", document=name
        )
    return content


def too_long(name: str, what: str, limit: str) -> DocumentTooLongError:
    """Return the error of a document that exceeds a limit, such as ``has 9 pages`` and ``8 pages``."""
    return DocumentTooLongError(f"{name} {what}, the limit is {limit}; split the document", document=name)
