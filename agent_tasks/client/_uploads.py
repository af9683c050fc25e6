"""Files to upload: content from memory or from disk, and a name that is safe in a header."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_LONGEST_NAME = 255


def safe_file_name(name: str) -> str:
    """The last part of a name, without control characters, at most 255 characters with its ending kept.

    Raises ValueError when nothing is left of it.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(character for character in last if character.isprintable() and character != '"').strip()
    if clean.strip(". ") == "":
        raise ValueError(f"{name!r} is not a file name")
    if len(clean) <= _LONGEST_NAME:
        return clean
    ending = Path(clean).suffix[:32]
    return clean[: _LONGEST_NAME - len(ending)] + ending


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and what it is for. A path is opened anew for each try and read in pieces."""

    content: bytes | Path
    filename: str
    purpose: str

    @classmethod
    def of(cls, content: bytes | os.PathLike[str], filename: str | None, purpose: str) -> Upload:
        """Checks the arguments of an upload; a path brings its own name along."""
        if isinstance(content, os.PathLike):
            content = Path(content)
            filename = filename or content.name
        elif filename is None:
            raise ValueError("content from memory needs a file name")
        return cls(content, safe_file_name(filename), purpose)

    def open(self) -> AbstractContextManager[bytes | BinaryIO]:
        """The content for one try."""
        return nullcontext(self.content) if isinstance(self.content, bytes) else self.content.open("rb")
