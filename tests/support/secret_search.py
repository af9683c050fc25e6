"""Looks for planted secrets in processes and files.

with Watch(process.pid) as seen:      # arguments and environments of all that it starts
    process.wait()
found = places_of(secret, seen.processes, files_below(folder))
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote


@dataclass(frozen=True)
class Seen:
    """A process as the system shows it."""

    arguments: bytes
    environment: bytes

    @property
    def kind(self) -> str:
        """Which of our children it is."""
        for kind, part in {
            "service": (b"agents_emulator", b"supervisor.py\0service"),
            # The last one is how Python's platform.architecture() looks at itself, which the server asks.
            "prefect": (
                *(b"-m\0prefect", b"-m\0agent_tasks.local.prefect_program"),
                *(b"supervisor.py\0prefect", b"file\0-b\0"),
            ),
        }.items():
            if any(words in self.arguments for words in part):
                return kind
        return self.arguments.replace(b"\0", b" ").decode(errors="replace")


@dataclass
class Watch:
    """All descendants of a process, for as long as it is entered."""

    root: int
    processes: set[Seen] = field(default_factory=set)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        assert self._thread is not None
        self._thread.join()

    def _look(self) -> None:
        own = _read(self.root)
        while not self._stopping.wait(0.1):
            for pid in _descendants(self.root):
                seen = _read(pid)
                # Between fork and exec a child still looks like the program that starts it.
                if seen is not None and own is not None and seen.arguments != own.arguments:
                    self.processes.add(seen)


def _read(pid: int) -> Seen | None:
    try:
        folder = Path(f"/proc/{pid}")
        return Seen((folder / "cmdline").read_bytes(), (folder / "environ").read_bytes())
    except OSError:  # it has ended
        return None


def _descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {root}


def files_below(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """All files of folders with their contents; databases are files too."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    yield str(path), path.read_bytes()


def forms_of(secret: str) -> set[bytes]:
    """A secret as it may stand somewhere: as it is, in an address, in base64 at any offset."""
    raw = secret.encode()
    forms = {raw, quote(secret, safe="").encode()}
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + raw)
        forms.add(coded[4 if offset else 0 : len(coded) // 4 * 4 - 4])
    return forms


def places_of(
    secret: str,
    processes: Iterable[Seen],
    contents: Iterable[tuple[str, bytes]],
    *,
    allowed: Iterable[str] = (),
) -> list[str]:
    """Where a secret is found; in the environments of the `allowed` kinds of processes it may be."""
    forms = forms_of(secret)
    found = [f"arguments of {seen.kind}" for seen in processes if _holds(seen.arguments, forms)]
    found += [
        f"environment of {seen.kind}"
        for seen in processes
        if _holds(seen.environment, forms) and seen.kind not in set(allowed)
    ]
    return found + [name for name, content in contents if _holds(content, forms)]


def _holds(content: bytes, forms: set[bytes]) -> bool:
    return any(form in content for form in forms)
