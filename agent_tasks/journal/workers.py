"""Who is alive: every worker that uses a SQLite journal holds a lock file beside it.

The kernel gives the lock up when the worker dies, also after SIGKILL. So a restarted batch takes over at once
instead of waiting for the dead worker's lease; a worker on another machine (PostgreSQL) is judged by its
lease alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
import uuid
from pathlib import Path

from agent_tasks.errors import JournalUnreadableError


def worker_name() -> str:
    """A name for this worker that no other worker has: host, process id and a random part."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname())[:60]
    return f"{host}.{os.getpid()}.{uuid.uuid4().hex[:12]}"


class WorkerPresence:
    """The lock files of the workers of one SQLite journal.

    Args:
        folder: where the lock files lie, or None for a journal on a server (then nobody is known to be dead).
        worker: this worker's name.
    """

    def __init__(self, folder: Path | None, worker: str) -> None:
        self._folder = folder
        self._worker = worker
        self._descriptor: int | None = None

    def announce(self) -> None:
        """Take this worker's lock; held until `leave` or the end of the process.

        Raises:
            JournalUnreadableError: the lock can't be taken.
        """
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path(self._worker), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalUnreadableError(
                f"The worker's lock in {self._folder} can't be taken ({error}). Put the journal on a local, "
                "writable disk, or use PostgreSQL."
            ) from error

    def is_dead(self, worker: str) -> bool:
        """Whether `worker` is known to be dead. False means alive or unknown."""
        if self._folder is None or worker == self._worker:
            return False
        try:
            descriptor = os.open(self._path(worker), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True  # it left in good order, or its file was cleared by whoever found it dead
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            self._path(worker).unlink(missing_ok=True)
            return True
        finally:
            os.close(descriptor)

    def leave(self) -> None:
        """Give this worker's lock up."""
        if self._descriptor is not None:
            self._path(self._worker).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _path(self, worker: str) -> Path:
        assert self._folder is not None  # noqa: S101 - both callers checked
        return self._folder / f"{worker}.lock"
