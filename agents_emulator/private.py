"""Folders and files that nobody else on the machine may read, whatever the umask of who starts the service.

A data folder holds what was uploaded, asked and answered, and the headers of agents' MCP servers.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def private_folder(folder: Path) -> Path:
    """Make a folder for its owner alone, or make one that exists so; returns it.

    Raises:
        OSError: it can't be made, or belongs to somebody else.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    _restrict(folder, FOLDER_MODE)
    return folder


def private_file(path: Path) -> Path:
    """Make an empty file for its owner alone unless it exists, for what opens it later; returns the path."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE))
    _restrict(path, FILE_MODE)
    return path


def open_private(path: Path) -> BinaryIO:
    """Open a file for writing, emptied, for its owner alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return os.fdopen(descriptor, "wb")


def restrict_contents(folder: Path) -> None:
    """Take from others what an older version left open to them: the files of a folder and of those in it.

    Links are left alone, since they may lead anywhere.
    """
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            _restrict(Path(entry.path), FOLDER_MODE)
            for inner in os.scandir(entry.path):
                if inner.is_file(follow_symlinks=False):
                    _restrict(Path(inner.path), FILE_MODE)
        elif entry.is_file(follow_symlinks=False):
            _restrict(Path(entry.path), FILE_MODE)


def _restrict(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
