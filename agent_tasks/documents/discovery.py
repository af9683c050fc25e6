"""Which files of a folder are documents."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from agent_tasks.documents.limits import require_size
from agent_tasks.errors import (
    ConfigurationError,
    DocumentError,
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
            # It may have become a pipe since it was found, which would be waited for without end.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as file:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise UnsupportedDocumentError(f"{self.name} is not a regular file.", document=self.name)
                content = _content(file, found.st_size, max_bytes + 1)
        except OSError as error:
            raise _unreadable(self.name, self.name, error) from error
        return require_size(self.name, content, max_bytes)


def _content(file: io.FileIO, size: int, most: int) -> bytes:
    """All that is in a file, at most so many bytes.

    What is asked for is about its size: room for the most that is allowed costs more than reading a page.
    """
    content = b""
    while len(content) < most and (more := file.read(min(size + 1, most - len(content)))):
        content += more
    return content


def discover(
    folder: Path, *, suffixes: tuple[str, ...], ignore: tuple[str, ...] = (), exclude: Sequence[Path] = ()
) -> list[DocumentFile]:
    """Find all files below a folder, sorted by name.

    Hidden ones are left out, and links are never followed out of it. A folder that cannot be read is found as
    a document with that problem.

    Args:
        folder: Where to look.
        suffixes: Supported endings, lower case with the dot; other files come with a problem.
        ignore: Patterns of names to leave out; what they match is not opened.
        exclude: Files and folders to leave out, such as the one for results.

    Raises:
        ConfigurationError: The folder itself is not there or cannot be read.
    """
    try:
        root = folder.resolve()
        is_folder = root.is_dir()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise ConfigurationError(f"{folder} cannot be read: {error}.") from error
    if not is_folder:
        raise ConfigurationError(f"{folder} is not a folder; give the folder that holds the documents.")
    excluded = {str(path.resolve()) for path in exclude}
    found = _walk(root, excluded, ignore)
    return sorted(
        (_checked(document, root, suffixes, is_regular=is_regular) for document, is_regular in found),
        key=lambda document: document.name,
    )


def located(folder: Path, name: str) -> DocumentFile:
    """The document of a folder that was found under this name, wherever its file is by now.

    Args:
        folder: The folder.
        name: As `discover` gave it; bytes that are no UTF-8 are escaped there.
    """
    root = folder.resolve()
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), name.encode("utf-8", "surrogateescape"))
    document = DocumentFile(name, root / os.fsdecode(raw))
    return _checked(document, root, (document.path.suffix.lower(),))


def _walk(root: Path, excluded: set[str], ignore: tuple[str, ...]) -> Iterator[tuple[DocumentFile, bool]]:
    """Yield what is in a folder, each with whether it is known to be a regular file and no link to one."""
    todo = [(root, "")]
    while todo:
        here, below = todo.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            if here == root:
                raise ConfigurationError(f"folder {here} cannot be read: {error.strerror}.") from error
            name = _display(below.removesuffix("/"))
            yield DocumentFile(name, here, _unreadable(name, f"the folder {name}", error)), False
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.path in excluded:
                continue
            path = here / entry.name
            name = _display(below + entry.name)
            is_folder = _is_folder(entry)
            if _is_ignored(name, ignore, is_folder=is_folder):
                continue
            if is_folder:
                todo.append((path, f"{below}{entry.name}/"))
            else:
                document = DocumentFile(name, path, _too_long(name, below + entry.name))
                yield document, _is_regular(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)  # the folder says so: the file is not asked
    except OSError:
        return False


def _is_ignored(name: str, ignore: tuple[str, ...], *, is_folder: bool) -> bool:
    """Whether a pattern leaves a file out, or all that a folder could hold."""
    return any(
        fnmatchcase(name, pattern)
        or (is_folder and pattern.endswith("*") and fnmatchcase(f"{name}/", pattern))
        for pattern in ignore
    )


_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_LIKE_AN_ESCAPE = re.compile(r"\\(?=x[0-9a-f]{2})")


def _display(name: str) -> str:
    """Return a file name as text, another one for each name.

    Bytes that are no UTF-8 are shown escaped, since JSON could not hold them; a backslash that would look
    like the beginning of such a byte is escaped too. A name that is too long ends with its hash.
    """
    shown = _escaped(name)
    if len(shown) <= MAX_NAME:
        return shown
    return f"{shown[: MAX_NAME - 40]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}"


def _escaped(name: str) -> str:
    if name.isascii() and "\\" not in name:
        return name
    return os.fsencode(_LIKE_AN_ESCAPE.sub(r"\\x5c", name)).decode("utf-8", "backslashreplace")


def _too_long(name: str, path: str) -> UnsupportedDocumentError | None:
    if len(_escaped(path)) <= MAX_NAME:
        return None
    return UnsupportedDocumentError(
        f"The path {name[:80]}... is longer than {MAX_NAME} characters; shorten it.", document=name
    )


def _unreadable(name: str, what: str, error: OSError) -> UnreadableDocumentError:
    return UnreadableDocumentError(f"{what} cannot be read: {error.strerror or error}.", document=name)


def _checked(
    document: DocumentFile, root: Path, suffixes: tuple[str, ...], *, is_regular: bool = False
) -> DocumentFile:
    if document.problem is not None:
        return document
    problem = None if is_regular else _not_a_file(document, root)
    problem = problem or _other_ending(document, suffixes)
    return document if problem is None else DocumentFile(document.name, document.path, problem)


def _not_a_file(document: DocumentFile, root: Path) -> DocumentError | None:
    """Why a document is no file that can be read."""
    name = document.name
    try:
        mode = document.path.lstat().st_mode
    except OSError as error:
        return _unreadable(name, name, error)
    if stat.S_ISLNK(mode):
        try:
            target = document.path.resolve()
            mode = target.stat().st_mode
        except RuntimeError:
            return UnreadableDocumentError(f"{name} is a link to itself.", document=name)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return UnreadableDocumentError(f"{name} is a link to itself.", document=name)
            return _unreadable(name, name, error)
        if not target.is_relative_to(root):
            return UnsupportedDocumentError(f"{name} is a link out of the folder.", document=name)
        if target.is_dir():
            return UnsupportedDocumentError(f"{name} is a link to a folder.", document=name)
    if not stat.S_ISREG(mode):
        return UnsupportedDocumentError(f"{name} is not a regular file.", document=name)
    return None


def _other_ending(document: DocumentFile, suffixes: tuple[str, ...]) -> DocumentError | None:
    """Why a document is not read by its name."""
    if document.path.suffix.lower() not in suffixes:
        return UnsupportedDocumentError(
            f"{document.name} has an unsupported ending; supported are {' '.join(suffixes)} "
            "(documents.suffixes; documents.ignore leaves files out).",
            document=document.name,
        )
    return None
