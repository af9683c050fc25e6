"""Files from the service on a disk: names made safe, and never half a file under its name."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from agent_tasks.client._uploads import safe_file_name

_REFUSED = re.compile(r'[<>:"|?*]')
# Names of devices on Windows, with any ending.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def local_file_name(name: str) -> str:
    """A name from outside as one for this disk.

    The last part alone, without control characters, without dots and spaces at either end, at most 255 bytes
    with its ending kept, and nothing that a system refuses or takes for a device. Raises ValueError when
    nothing is left.
    """
    given = _REFUSED.sub("_", safe_file_name(name)).rstrip(". ")
    clean = given.lstrip(". ")
    if Path(given).suffix == f".{clean}":  # nothing but an ending: it says what the file is
        clean = f"_.{clean}"
    if _DEVICES.match(clean):
        clean = "_" + clean
    ending = Path(clean).suffix
    stem = clean.removesuffix(ending)
    while len((stem + ending).encode()) > 255:
        stem, ending = (stem[:-1], ending) if stem else (ending[:250], "")
    return stem + ending


class Download:
    """One file on its way to the disk: `write` its pieces, then `finish`, and `discard` in any case."""

    def __init__(self, folder: Path, name: str, overwrite: bool) -> None:
        self._target = folder / local_file_name(name)
        self._overwrite = overwrite
        folder.mkdir(parents=True, exist_ok=True)
        if not overwrite and os.path.lexists(self._target):
            raise FileExistsError(f"{self._target} is there already; pass overwrite=True or another name")
        self._temporary = folder / f".download-{secrets.token_hex(8)}"
        self._file = self._temporary.open("xb")

    def write(self, piece: bytes) -> None:
        """Adds the next piece."""
        self._file.write(piece)

    def finish(self) -> Path:
        """Gives the file its name; FileExistsError if another one got it meanwhile, unless `overwrite`."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if not self._overwrite:
            # Takes the name, or fails: nothing is ever replaced.
            self._target.touch(exist_ok=False)
        self._temporary.replace(self._target)
        return self._target

    def discard(self) -> None:
        """Removes what is left of an unfinished download."""
        self._file.close()
        with suppress(FileNotFoundError):
            self._temporary.unlink()
