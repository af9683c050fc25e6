"""What was recognised in a picture, kept by the picture's content: a rerun or a fork reads no page twice.

Files in the user's cache folder, readable by that user alone, a few kilobytes a page. The oldest are removed
when they are more than a bound. One that is damaged counts as not there: the page is recognised again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_tasks.documents.layout import Word
from agent_tasks.documents.recogniser import Recogniser

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 256 * 1024 * 1024
"""Of all files together."""
_KEPT = 0.8  # of the bound, after the oldest were removed
_LOOK_EVERY = 50  # pages kept by this process between two looks at the size of all
_VERSION = 1  # of the files, and of what becomes of a recogniser's answer


def cache_folder() -> Path | None:
    """Return the cache's folder, in ``XDG_CACHE_HOME`` or ``~/.cache``; None for a user without a home."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a number without a name, as in containers
        return None
    return home / "agent-tasks" / "recognised"


class CachedRecogniser:
    """A recogniser that is asked once for a picture.

    Args:
        inner: What recognises; its name and version are part of the key.
        folder: Where answers are kept.
        max_bytes: Of all files together.
    """

    def __init__(self, inner: Recogniser, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.name = inner.name
        self._inner = inner
        self._folder = folder
        self._max_bytes = max_bytes
        self._kept = 0

    @property
    def version(self) -> str:
        """The version of what recognises."""
        return self._inner.version

    def words(self, picture: Image, size: tuple[float, float]) -> tuple[list[Word], float]:
        """Return the words in a picture and how sure they are, from the cache where they are there."""
        path = self._folder / f"{self._key(picture, size)}.json"
        known = _read(path)
        if known is not None:
            return known
        words, sureness = self._inner.words(picture, size)
        self._keep(path, words, sureness)
        return words, sureness

    def _key(self, picture: Image, size: tuple[float, float]) -> str:
        key = hashlib.blake2b(digest_size=24)
        key.update(json.dumps([_VERSION, self.name, self.version, picture.mode, picture.size, size]).encode())
        key.update(picture.tobytes())
        return key.hexdigest()

    def _keep(self, path: Path, words: list[Word], sureness: float) -> None:
        """Keep an answer; where nothing can be written, the next run recognises the page again."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._kept % _LOOK_EVERY == 0:
                self._remove_oldest()
            _write(path, json.dumps({"sureness": sureness, "words": [_packed(word) for word in words]}))
            self._kept += 1

    def _remove_oldest(self) -> None:
        files = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another process removed it
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        size = sum(each for _, each, _ in files)
        if size <= self._max_bytes:
            return
        for _, each, path in sorted(files):
            path.unlink(missing_ok=True)
            size -= each
            if size <= self._max_bytes * _KEPT:
                return


def _packed(word: Word) -> list[Any]:
    edges = (word.left, word.top, word.right, word.bottom)
    return [word.text, *edges, word.box, word.is_set_apart]


def _read(path: Path) -> tuple[list[Word], float] | None:
    try:
        kept = json.loads(path.read_text("utf-8"))
        words = [
            Word(text, left, top, right, bottom, box=tuple(box), is_set_apart=begins)
            for text, left, top, right, bottom, box, begins in kept["words"]
        ]
        found = words, float(kept["sureness"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):  # damaged
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None
    with suppress(OSError):
        os.utime(path)  # the oldest are those that were not used for long
    return found


def _write(path: Path, text: str) -> None:
    """Write a file as a whole or not at all: other processes read the folder."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
