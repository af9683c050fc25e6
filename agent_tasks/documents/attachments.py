"""Documents inside of documents: each is a document of its own, named after the one that holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from agent_tasks.documents.content import Attachment, DocumentContent
from agent_tasks.documents.discovery import MAX_NAME, DocumentFile
from agent_tasks.documents.limits import DEFAULT_LIMITS, ReadingLimits, require_size
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.errors import UnreadableDocumentError, UnsupportedDocumentError

MAX_DEPTH = 3
"""How deep documents may lie in each other: a mail in a mail in a mail."""
MAX_ATTACHED = 100
"""How many documents one may hold."""
_MAX_SHOWN = 150
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class AttachedFile(DocumentFile):
    """A document that lies in another one."""

    parent: DocumentFile | None = None
    limits: ReadingLimits = DEFAULT_LIMITS
    content: bytes | None = None
    """Its content, while its parent is worked on."""

    @property
    def depth(self) -> int:
        """How many documents it lies in."""
        return 1 + (self.parent.depth if isinstance(self.parent, AttachedFile) else 0)

    def read(self, max_bytes: int) -> bytes:
        """Return the content; the parent is read again for it, if need be."""
        if self.problem is not None:
            raise self.problem
        content = self.content if self.content is not None else self._from_parent(max_bytes)
        return require_size(self.name, content, max_bytes)

    def _from_parent(self, max_bytes: int) -> bytes:
        if self.parent is None:
            raise UnreadableDocumentError(f"{self.name} has lost its parent.", document=self.name)
        read = shared_pool().read(self.parent.read(max_bytes), self.parent.name, limits=self.limits)
        for name, attachment in _named(self.parent, read):
            if name == self.name:
                return attachment.content
        raise UnreadableDocumentError(
            f"{self.name} is not in {self.parent.name} any more; run the batch again.", document=self.name
        )


def attached_files(
    parent: DocumentFile,
    read: DocumentContent,
    *,
    suffixes: Sequence[str],
    ignore: Sequence[str],
    limits: ReadingLimits,
) -> list[AttachedFile]:
    """Return the documents that are attached to one.

    Args:
        parent: The document.
        read: What was read of it.
        suffixes: Supported endings; others come with a problem.
        ignore: Patterns of names to leave out.
        limits: What reading the parent again may cost.
    """
    depth = 1 + (parent.depth if isinstance(parent, AttachedFile) else 0)
    found: list[AttachedFile] = []
    for name, attachment in _named(parent, read):
        if any(fnmatchcase(name, pattern) for pattern in ignore):
            continue
        problem = _problem(name, depth, suffixes)
        content = None if problem else attachment.content
        found.append(AttachedFile(name, parent.path, problem, parent, limits, content))
    return found


def unread_attachments(read: DocumentContent) -> list[str]:
    """Return what a person should know of attachments that are left out."""
    left = len(read.attachments) - MAX_ATTACHED
    return [f"{left} of its {len(read.attachments)} attachments were not read."] if left > 0 else []


def _named(parent: DocumentFile, read: DocumentContent) -> Iterator[tuple[str, Attachment]]:
    """Yield attachments with the names that their documents have."""
    taken: set[str] = set()
    for attachment in read.attachments[:MAX_ATTACHED]:
        yield _name(parent.name, attachment.name, taken), attachment


def _name(parent: str, attachment: str, taken: set[str]) -> str:
    """Return a document's name for an attachment, whatever it calls itself; each name once."""
    own = PurePosixPath(_UNSAFE.sub("_", attachment).strip(". ") or "attachment")
    suffix = own.suffix if len(own.suffix) <= 10 else ""
    stem = own.name[: len(own.name) - len(suffix)][:_MAX_SHOWN]
    shown, count = f"{stem}{suffix}", 1
    while shown in taken:
        count += 1
        shown = f"{stem} ({count}){suffix}"
    taken.add(shown)
    return f"{parent}/{shown}"


def _problem(name: str, depth: int, suffixes: Sequence[str]) -> UnsupportedDocumentError | None:
    if len(name) > MAX_NAME:
        return UnsupportedDocumentError(
            f"The name {name[:80]}... is longer than {MAX_NAME} characters.", document=name
        )
    if depth > MAX_DEPTH:
        return UnsupportedDocumentError(
            f"{name} lies too deep: documents in documents are read to a depth of {MAX_DEPTH}.", document=name
        )
    if PurePosixPath(name).suffix.lower() not in suffixes:
        return UnsupportedDocumentError(
            f"{name} has an unsupported ending; supported are {' '.join(suffixes)} "
            "(documents.suffixes; documents.ignore leaves attachments out too).",
            document=name,
        )
    return None
