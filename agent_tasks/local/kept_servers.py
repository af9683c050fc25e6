"""Ends servers of a state folder that stay for the next command, and that nobody uses."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from enum import StrEnum
from pathlib import Path

from agent_tasks.errors import EmbeddedServiceError
from agent_tasks.file_locks import try_lock
from agent_tasks.local.supervisor import Record, read_record

__all__ = ["Ending", "end_unused"]

POLL_SECONDS = 0.05
BUSY_SECONDS = 0.5
"""How long a lock may be held by the guardian's own look, or by one that just comes or goes."""
END_SECONDS = 80.0
"""A guardian waits for its server's queues (60 s at most) and for its end (10 s)."""


class Ending(StrEnum):
    """What became of a server that was to end."""

    ENDED = "ended"
    IN_USE = "in use"
    NOT_RUNNING = "not running"


def end_unused(run_dir: Path, name: str) -> Ending:
    """End a server if nobody uses it, and wait until it is gone; who comes meanwhile starts a new one.

    Args:
        run_dir: the folder of its locks and its record.
        name: the server's name.

    Raises:
        EmbeddedServiceError: it does not end.
    """
    users_path, guardian_path = run_dir / f"{name}.users", run_dir / f"{name}.guardian"
    if not guardian_path.exists() or not users_path.exists():
        return Ending.NOT_RUNNING
    guardian = os.open(guardian_path, os.O_RDWR)
    users = os.open(users_path, os.O_RDWR)
    try:
        return _ended(run_dir, name, users, guardian)
    finally:
        os.close(users)
        os.close(guardian)


def _ended(run_dir: Path, name: str, users: int, guardian: int) -> Ending:
    busy_until = time.monotonic() + BUSY_SECONDS
    told = ""
    # With the users' lock in our hands nobody can join.
    while not try_lock(guardian, fcntl.LOCK_SH):
        ready = _ready(run_dir, name, guardian)
        if told:
            if ready is not None and ready.token != told:
                return Ending.ENDED  # and somebody has started the next one
        elif ready is None:
            # It ends by itself, or has not begun; either way it may wait for the users' lock.
            fcntl.flock(users, fcntl.LOCK_UN)
        elif try_lock(users):
            _signal(ready.guardian, guardian)
            told = ready.token
        elif time.monotonic() > busy_until:
            return Ending.IN_USE
        if time.monotonic() > busy_until + END_SECONDS:
            raise _stuck(name, run_dir)
        time.sleep(POLL_SECONDS)
    return Ending.ENDED if told else Ending.NOT_RUNNING


def _ready(run_dir: Path, name: str, guardian: int) -> Record | None:
    """The record of the guardian that holds the lock; None before its server is ready, and once it ends."""
    token = os.pread(guardian, 100, 0).decode("ascii", "replace")
    record = read_record(run_dir / f"{name}.json")
    return record if record is not None and record.token == token and record.guardian else None


def _signal(pid: int, lock: int) -> None:
    """Tell a process that holds a lock to end its server; never one that has got its number since."""
    opened = getattr(os, "pidfd_open", None)
    if opened is None:
        os.kill(pid, signal.SIGUSR1)
        return
    try:
        process = opened(pid)
    except ProcessLookupError:
        return
    try:
        # It still holds its lock, so it lives, and the number was its own when it was opened.
        if not try_lock(lock, fcntl.LOCK_SH):
            signal.pidfd_send_signal(process, signal.SIGUSR1)
    except ProcessLookupError:
        pass
    finally:
        os.close(process)


def _stuck(name: str, run_dir: Path) -> EmbeddedServiceError:
    return EmbeddedServiceError(
        f"The local {name} of {run_dir.parent} does not end. Look at its log in {run_dir.parent / 'logs'}; "
        f"its process ids are in {run_dir / f'{name}.json'}.",
        log_file=str(run_dir.parent / "logs"),
    )
