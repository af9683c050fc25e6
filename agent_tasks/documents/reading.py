"""Reading documents: which reader a document gets, and what holds for the content that any of them gives.

A leaf module: the pipeline and the local service read documents through the same function. Readers are
imported when the first document of their kind is read. Packages of others add readers by an entry point in
the group ``agent_tasks.readers``, whose name is an extension and whose object is a :class:`Reader`::

    [project.entry-points."agent_tasks.readers"]
    dwg = "my_package.drawings:read_drawing"

Nothing in a document is executed or fetched.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import re
import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath
from typing import Protocol, cast

from agent_tasks.documents.content import DocumentContent, Section, WordBoxes
from agent_tasks.documents.limits import DEFAULT_LIMITS, ReadingLimits, too_long
from agent_tasks.errors import (
    AgentTasksError,
    ConfigurationError,
    EmptyDocumentError,
    UnreadableDocumentError,
    UnsupportedDocumentError,
)

ENTRY_POINTS = "agent_tasks.readers"


class Reader(Protocol):
    """Reads documents of a kind.

    It raises :class:`~agent_tasks.errors.UnreadableDocumentError` for a document that it cannot read, and
    :class:`~agent_tasks.errors.DocumentTooLongError` where a limit is exceeded. The text that it gives may be
    empty; the caller looks at that, at the number of characters, at lone surrogates and at the form NFC.
    """

    def __call__(self, content: bytes, name: str, limits: ReadingLimits, /) -> DocumentContent:
        """Read a document."""


_READERS = "agent_tasks.documents.readers"
# fmt: off
PLAIN_TEXT_EXTENSIONS = frozenset((
    ".c", ".cpp", ".cs", ".css", ".go", ".java", ".js", ".json", ".md", ".php", ".py", ".rb", ".sh", ".tex",
    ".ts", ".txt",
))
# fmt: on
"""Files taken as they are: the plain-text types of the service's own list (recorded: unsupported_file)."""

SOURCE_CODE_EXTENSIONS = PLAIN_TEXT_EXTENSIONS - {".txt", ".md"}
"""What can be read, and is a document only where somebody says so."""

PICTURE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
"""Scans and photographs, for text recognition."""

BUILT_IN: dict[str, str] = {
    **dict.fromkeys(PLAIN_TEXT_EXTENSIONS, f"{_READERS}.plain:read_plain"),
    **dict.fromkeys(PICTURE_EXTENSIONS, f"{_READERS}.picture:read_picture"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), f"{_READERS}.html:read_html"),
    ".eml": f"{_READERS}.mail.eml:read_eml",
    ".msg": f"{_READERS}.mail.msg:read_msg",
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), f"{_READERS}.sheets.xlsx:read_xlsx"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), f"{_READERS}.sheets.csv:read_csv"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"), f"{_READERS}.pptx:read_pptx"),
    ".rtf": f"{_READERS}.rtf:read_rtf",
    **dict.fromkeys(
        (".odt", ".ods", ".odp", ".ott", ".ots", ".otp"), f"{_READERS}.opendocument:read_opendocument"
    ),
    ".epub": f"{_READERS}.epub:read_epub",
    ".xml": f"{_READERS}.xml:read_xml",
    ".pdf": f"{_READERS}.pdf:read_pdf",
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), f"{_READERS}.docx:read_docx"),
}
"""Extension to the reader's module and function."""


def read_document(content: bytes, name: str, *, limits: ReadingLimits = DEFAULT_LIMITS) -> DocumentContent:
    """Read a document, its kind taken from the extension of its name.

    Args:
        content: The file's bytes.
        name: The document's name, for its extension and for errors.
        limits: What it may cost.

    Raises:
        UnsupportedDocumentError: No reader knows the extension.
        EmptyDocumentError: There is no text in it.
        UnreadableDocumentError: It is damaged, encrypted, or not what its name says.
        DocumentTooLongError: A limit is exceeded.
        ConfigurationError: A reader of another package cannot be loaded.
    """
    extension = PurePath(name).suffix.lower()
    if extension not in supported_extensions():
        raise UnsupportedDocumentError(
            f"{name}: files of type {extension or '(no extension)'} are not supported; convert it to one"
            f" of {', '.join(sorted(supported_extensions()))}",
            document=name,
        )
    if not content:
        raise EmptyDocumentError(f"{name} is empty (0 bytes)", document=name)
    if len(content) > limits.max_bytes:
        raise too_long(name, f"has {len(content):,} bytes", f"{limits.max_bytes:,} bytes")
    try:
        read = _well_formed(_reader(extension)(content, name, limits))
    except (AgentTasksError, MemoryError):
        raise
    except Exception as error:  # damaged files make the libraries below raise almost anything
        raise UnreadableDocumentError(
            f"{name} is damaged: {error or type(error).__name__} ({type(error).__name__}); export it again",
            document=name,
        ) from error
    if not read.text and not read.attachments and not (limits.keeps_scans and read.scans):
        raise EmptyDocumentError(f"{name} contains no text", document=name)
    if len(read.text) > limits.max_characters:
        raise too_long(name, f"has {len(read.text):,} characters", f"{limits.max_characters:,} characters")
    return read


# --- registry ----------------------------------------------------------------------------------------------


def supported_extensions() -> frozenset[str]:
    """Return every extension that a reader is registered for, those of other packages included."""
    return frozenset(BUILT_IN) | frozenset(_readers_of_others())


def document_extensions() -> tuple[str, ...]:
    """Return the extensions of what is a document unless somebody says otherwise: all but source code."""
    return tuple(sorted(supported_extensions() - SOURCE_CODE_EXTENSIONS))


@functools.cache
def _reader(extension: str) -> Reader:
    others = _readers_of_others()
    if extension in others:
        return _loaded(others[extension])
    module, _, function = BUILT_IN[extension].partition(":")
    return cast("Reader", getattr(importlib.import_module(module), function))


@functools.cache
def _readers_of_others() -> dict[str, importlib.metadata.EntryPoint]:
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        extension = f".{point.name.lower().lstrip('.')}"
        if extension in BUILT_IN:
            raise ConfigurationError(
                f"{_described(point)} is for {extension}, which has a built-in reader; readers of other"
                " packages are for other extensions. Remove the entry point, or rename the files."
            )
        if extension in found and found[extension].value != point.value:
            raise ConfigurationError(
                f"{_described(point)} and {_described(found[extension])} are both for {extension}."
                " Uninstall one of the two packages."
            )
        found[extension] = point
    return found


def _loaded(point: importlib.metadata.EntryPoint) -> Reader:
    try:
        reader = point.load()
    except Exception as error:  # it is the code of others
        raise ConfigurationError(
            f"{_described(point)} cannot be loaded: {type(error).__name__}: {error}."
            " Fix or uninstall the package."
        ) from error
    if not callable(reader):
        raise ConfigurationError(
            f"{_described(point)} is not a function of content, name and limits but a"
            f" {type(reader).__name__}. Fix or uninstall the package."
        )
    return cast("Reader", reader)


def _described(point: importlib.metadata.EntryPoint) -> str:
    package = f" of {point.dist.name}" if point.dist is not None else ""
    return f"The reader {point.name} = {point.value}{package}"


# --- what holds for any text -------------------------------------------------------------------------------


_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def _well_formed(read: DocumentContent) -> DocumentContent:
    """Return the content without lone surrogates and in the form NFC, with its offsets moved accordingly."""
    text = read.text if read.text.isascii() else _LONE_SURROGATES.sub("\ufffd", read.text)
    if unicodedata.is_normalized("NFC", text):
        return read if text is read.text else replace(read, text=text)
    words = read.words or WordBoxes()
    text, moved = _normalized(
        text,
        {*words.starts, *words.ends, *(edge for part in read.sections for edge in (part.start, part.end))},
    )
    return replace(
        read,
        text=text,
        sections=tuple(Section(moved[part.start], moved[part.end], part.place) for part in read.sections),
        words=read.words
        and WordBoxes(
            array("I", map(moved.__getitem__, words.starts)),
            array("I", map(moved.__getitem__, words.ends)),
            words.edges,
        ),
    )


def _normalized(text: str, offsets: Iterable[int]) -> tuple[str, dict[int, int]]:
    """Return the text in the form NFC, and for each offset into the text given where it is now."""
    pieces: list[str] = []
    moved = {0: 0}
    done, length = 0, 0
    for offset in [*sorted(offsets), len(text)]:
        pieces.append(unicodedata.normalize("NFC", text[done:offset]))
        length += len(pieces[-1])
        moved[offset], done = length, offset
    return "".join(pieces), moved
