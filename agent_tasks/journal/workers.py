"""Who is alive: every worker holds a lock file, beside a SQLite journal or in the machine's temporary folder.

The kernel gives the lock up when the worker dies, also after SIGKILL. So a restarted batch takes over at once
instead of waiting for the dead worker's lease. A worker on another machine (PostgreSQL) has no lock file here
and is judged by its lease alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent_tasks.errors import JournalUnreadableError
from agent_tasks.file_locks import try_lock
from agent_tasks.logs import get_logger

logger = get_logger("agent_tasks.journal")

_REMEMBERED = 24 * 3600.0  # seconds that the lock file of a dead worker stays in the shared folder


def worker_name() -> str:
    """A name for this worker that no other worker has: host, process id and a random part."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname())[:60]
    return f"{host}.{os.getpid()}.{uuid.uuid4().hex[:12]}"


def shared_folder() -> Path:
    """Where the workers of this machine hold their lock files if their journal is on a server."""
    return Path(tempfile.gettempdir()) / f"agent-tasks-workers-{os.getuid()}"


class WorkerPresence:
    """The lock files of the workers that share a journal.

    Args:
        folder: where the lock files lie, or None (a journal in memory).
        worker: this worker's name.
        everybody: whether all workers have theirs in this folder, so that a missing one means dead. With a
            journal on a server it may just as well be on another machine.
    """

    def __init__(self, folder: Path | None, worker: str, *, everybody: bool = True) -> None:
        self._folder = folder
        self._worker = worker
        self._everybody = everybody
        self._descriptor: int | None = None

    @property
    def has_been_used(self) -> bool:
        """Whether a worker has used the journal beside this folder before; False where that is not known."""
        return self._everybody and self._folder is not None and self._folder.exists()

    def announce(self) -> None:
        """Take this worker's lock; held until `leave` or the end of the process.

        Raises:
            JournalUnreadableError: the lock can't be taken beside a SQLite journal. In the shared folder that
                is a warning: leases are enough.
        """
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._everybody:
                self._tidy()
            self._descriptor = os.open(self._path(self._worker), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not self._everybody:
                logger.warning("Dead workers are known by their leases alone: %s", error)
                self._folder = None
                return
            raise JournalUnreadableError(
                f"The worker's lock in {self._folder} can't be taken ({error}). Put the journal on a local, "
                "writable disk, or use PostgreSQL."
            ) from error

    def _tidy(self) -> None:
        """Forget those who died long ago. Beside a journal whoever takes over from them does it."""
        assert self._folder is not None  # noqa: S101 - the caller checked
        if self._folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{self._folder} belongs to another user")
        for path in self._folder.glob("*.lock"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _REMEMBERED and self.is_dead(path.stem):
                    path.unlink()

    def is_dead(self, worker: str) -> bool:
        """Whether `worker` is known to be dead. False means alive or unknown."""
        if self._folder is None or worker == self._worker:
            return False
        try:
            descriptor = os.open(self._path(worker), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Beside the journal: it left in good order, or its file was cleared by whoever found it dead.
            return self._everybody
        try:
            if not try_lock(descriptor):
                return False
            if self._everybody:
                self._path(worker).unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

    def leave(self) -> None:
        """Give this worker's lock up."""
        if self._descriptor is not None and self._folder is not None:
            self._path(self._worker).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _path(self, worker: str) -> Path:
        assert self._folder is not None  # noqa: S101 - both callers checked
        return self._folder / f"{worker}.lock"


@dataclass(frozen=True)
class Worker:
    """Who writes into the journal here, and how it judges the others."""

    name: str
    lease_seconds: float
    """How long a claim holds without renewal."""
    clock: Callable[[], float]
    """Seconds since the epoch."""
    presence: WorkerPresence

    def may_take(self, holder: str, lease_until: float, now: float) -> bool:
        """Whether what a worker holds, or held, is free for this one: its own, over, or of a dead one."""
        return holder == self.name or now >= lease_until or self.presence.is_dead(holder)

    def is_alive(self, holder: str, lease_until: float) -> bool:
        """Whether what a worker holds is in good hands, this one's included."""
        return holder == self.name or not self.may_take(holder, lease_until, self.clock())
