"""Which files of a folder are documents."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from agent_tasks.errors import (
    ConfigurationError,
    DocumentError,
    DocumentTooLongError,
    UnreadableDocumentError,
    UnsupportedDocumentError,
)

MAX_NAME = 1000
"""Characters of a document's name: what the journal holds."""


@dataclass(frozen=True)
class DocumentFile:
    """A file found in the folder."""

    name: str
    """Path below the folder with forward slashes: the document's name everywhere."""
    path: Path
    problem: DocumentError | None = None
    """Why it can't be a document."""

    def read(self, max_bytes: int) -> bytes:
        """The file's content.

        Raises:
            DocumentError: What was found wrong before, or the file is gone, unreadable or too large.
        """
        if self.problem is not None:
            raise self.problem
        try:
            with self.path.open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError as error:
            raise UnreadableDocumentError(
                f"{self.name} cannot be read: {error.strerror}.", document=self.name
            ) from error
        if len(content) > max_bytes:
            raise DocumentTooLongError(
                f"{self.name} has more than {max_bytes:,} bytes (limits.max_document_bytes).",
                document=self.name,
            )
        return content


def discover(
    folder: Path, *, suffixes: tuple[str, ...], ignore: tuple[str, ...] = (), exclude: Sequence[Path] = ()
) -> list[DocumentFile]:
    """All files below a folder, sorted by name; hidden ones are left out, links are never followed out of it.

    Args:
        folder: Where to look.
        suffixes: Supported endings, lower case with the dot; other files come with a problem.
        ignore: Patterns of names to leave out.
        exclude: Files and folders to leave out, such as the one for results.

    Raises:
        ConfigurationError: The folder is not there or cannot be read.
    """
    root = folder.resolve()
    inside = len(str(root)) + 1 if root != Path(root.anchor) else len(root.anchor)
    if not root.is_dir():
        raise ConfigurationError(f"{folder} is not a folder; give the folder that holds the documents.")
    excluded = {path.resolve() for path in exclude}
    found = [
        document
        for document in _walk(root, inside, excluded)
        if not any(fnmatchcase(document.name, pattern) for pattern in ignore)
    ]
    return sorted(
        (_checked(document, root, suffixes) for document in found), key=lambda document: document.name
    )


def _walk(root: Path, inside: int, excluded: set[Path]) -> Iterator[DocumentFile]:
    """What is below a folder; `inside` is where names below it begin in a path."""

    def refuse(error: OSError) -> None:
        raise ConfigurationError(f"folder {error.filename} cannot be read: {error.strerror}.")

    for parent, folders, files in os.walk(root, onerror=refuse, followlinks=False):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in links and here / name not in excluded
        ]
        for name in [*files, *links]:
            path = here / name
            if not name.startswith(".") and path not in excluded:
                below = str(path)[inside:].replace(os.sep, "/")
                yield DocumentFile(_display(below), path)


def _display(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 are shown escaped, since JSON could not hold them."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _checked(document: DocumentFile, root: Path, suffixes: tuple[str, ...]) -> DocumentFile:
    problem = _problem(document, root, suffixes)
    return document if problem is None else DocumentFile(document.name, document.path, problem)


def _problem(document: DocumentFile, root: Path, suffixes: tuple[str, ...]) -> DocumentError | None:
    name = document.name
    if len(name) > MAX_NAME:
        return UnsupportedDocumentError(f"The path {name[:80]}... is longer than {MAX_NAME} characters.")
    try:
        mode = document.path.lstat().st_mode
    except OSError as error:
        return UnreadableDocumentError(f"{name} cannot be read: {error.strerror}.", document=name)
    if stat.S_ISLNK(mode):
        target = document.path.resolve()
        if not target.is_relative_to(root):
            return UnsupportedDocumentError(f"{name} is a link out of the folder.", document=name)
        if target.is_dir():
            return UnsupportedDocumentError(f"{name} is a link to a folder.", document=name)
        try:
            mode = document.path.stat().st_mode
        except OSError as error:
            return UnreadableDocumentError(f"{name} cannot be read: {error.strerror}.", document=name)
    if not stat.S_ISREG(mode):
        return UnsupportedDocumentError(f"{name} is not a regular file.", document=name)
    if document.path.suffix.lower() not in suffixes:
        return UnsupportedDocumentError(
            f"{name} has an unsupported ending; supported are {' '.join(suffixes)} "
            "(documents.suffixes; documents.ignore leaves files out).",
            document=name,
        )
    return None
