"""What is kept of a thread between calls: files, variables, the figures of the last call.

Only the service writes here; executed code never has this folder. What the code wants kept comes as frames
and is written by `Incoming` as plain files and folders, so there are no links, pipes or devices. A call
replaces all of it or nothing: each makes a new numbered folder, which counts once it has its final name.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from agents_emulator.tools.sandbox.jail.frames import PLACES, SHOWN, FrameError, checked_path
from agents_emulator.tools.sandbox.limits import Limits


class Kept:
    """The folder of a thread; its highest number is what is kept now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> Path | None:
        """Return what is kept now."""
        versions = self._versions()
        return versions[-1] if versions else None

    def ensure(self) -> Path:
        """Return what is kept now, made empty if there is nothing."""
        found = self.current()
        if found is None:
            incoming = self.incoming(Limits())
            self.replace(incoming)
            found = self.folder / str(incoming.number)
        return found

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield folders and files, a folder before what is in it; not the figures."""
        root = self.current()
        if root is None:
            return
        for place in PLACES:
            if place != SHOWN:
                yield from _below(root, place)

    def replace(self, incoming: Incoming) -> None:
        """Keep what came in instead. Blocks."""
        before = self._versions()
        incoming.folder.rename(self.folder / str(incoming.number))
        for version in before:
            shutil.rmtree(version, ignore_errors=True)

    def incoming(self, limits: Limits) -> Incoming:
        """Return a place for what is to be kept next. Blocks."""
        current = self.current()
        return Incoming(self.folder, current, int(current.name) + 1 if current else 1, limits)

    def _versions(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        names = [name for name in os.listdir(self.folder) if name.isascii() and name.isdigit()]
        return [self.folder / name for name in sorted(names, key=int)]


class Incoming:
    """Files on their way out of a jail; whatever their heads say, they stay within limits and a folder."""

    def __init__(self, folder: Path, current: Path | None, number: int, limits: Limits) -> None:
        self.folder = folder / f"{number}.partial"
        self.number = number
        self._current = current
        self._limits = limits
        self._bytes = self._files = 0
        self.remove()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in (self.folder, *(self.folder / place for place in PLACES)):
            made.mkdir(mode=0o700)

    def take(self, head: dict[str, Any]) -> tuple[BinaryIO, int] | None:
        """Do what a head says; returns a file to be filled, and its size, if content follows.

        Raises `FrameError` if it is not allowed, `OSError` if it cannot be done.
        """
        self._files += 1
        if self._files > self._limits.folder_files:
            raise FrameError("more files than allowed")
        try:
            if "folder" in head:
                self._place(head["folder"]).mkdir(mode=0o700)
            elif head.get("same") is True:
                self._keep(head.get("path"))
            else:
                return self._file(head.get("path"), head.get("size"))
        except (FileExistsError, FileNotFoundError, NotADirectoryError):
            raise FrameError("a path that does not fit the others") from None
        return None

    def remove(self) -> None:
        """Remove it. Blocks."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _place(self, path: object) -> Path:
        return self.folder.joinpath(*checked_path(path))

    def _keep(self, path: object) -> None:
        place = self._place(path)
        source = self._current.joinpath(*checked_path(path)) if self._current else None
        if source is None or not source.is_file():
            raise FrameError("an unchanged file that there is not")
        self._count(source.stat().st_size)
        os.link(source, place, follow_symlinks=False)

    def _file(self, path: object, size: object) -> tuple[BinaryIO, int]:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= self._limits.file_bytes:
            raise FrameError("a size that is not allowed")
        self._count(size)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return open(os.open(self._place(path), flags, 0o600), "wb"), size

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.folder_bytes:
            raise FrameError("more bytes than allowed")


def _below(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(os.listdir(root / folder)):
        path = f"{folder}/{name}"
        found = os.lstat(root / path)
        if stat.S_ISDIR(found.st_mode):
            yield path, found
            yield from _below(root, path)
        elif stat.S_ISREG(found.st_mode):
            yield path, found


def read_below(folder: Path, *names: str, limit: int) -> bytes | None:
    """Return the content of a regular file below a folder; None if there is none, or it is too large.

    No component is followed if it is a link, and a pipe is not waited for.
    """
    directory = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    for index, name in enumerate(names):
        last = index == len(names) - 1
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC if last else directory
        try:
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                return None
            inner = os.open(name, flags, dir_fd=descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        descriptor = inner
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read(limit)
