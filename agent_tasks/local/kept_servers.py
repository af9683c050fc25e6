"""Ends servers of a state folder that stay for the next command, and that nobody uses."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from agent_tasks.errors import EmbeddedServiceError
from agent_tasks.file_locks import try_lock
from agent_tasks.local.supervisor import Record, process_mark, read_record

__all__ = ["Ending", "end_left_over", "end_unused"]

POLL_SECONDS = 0.05
BUSY_SECONDS = 0.5
"""How long others may share the users' lock for a look alone, before they count as users."""
END_SECONDS = 80.0
"""A guardian waits for its server's queues (60 s at most) and for its end (10 s)."""
HANGING_SECONDS = 15.0
"""One that does not wait for the queues of a server that gives no answer."""
KILL_SECONDS = 5.0
LEFT_OVER_SECONDS = 10.0


class Ending(StrEnum):
    """What became of a server that was to end."""

    ENDED = "ended"
    IN_USE = "in use"
    NOT_RUNNING = "not running"


def end_unused(run_dir: Path, name: str, *, hangs: bool = False) -> Ending:
    """End a server if nobody uses it, and wait until it is gone; who comes meanwhile starts a new one.

    Args:
        run_dir: the folder of its locks and its record.
        name: the server's name.
        hangs: it gives no answer, so that its queues are not waited for.

    Raises:
        EmbeddedServiceError: it does not end.
    """
    try:
        guardian = os.open(run_dir / f"{name}.guardian", os.O_RDWR)
    except FileNotFoundError:
        return Ending.NOT_RUNNING
    try:
        users = os.open(run_dir / f"{name}.users", os.O_RDWR)
        try:
            return _Ending(run_dir, name, users, guardian, hangs=hangs).reach()
        finally:
            os.close(users)
    except FileNotFoundError:
        return Ending.NOT_RUNNING
    finally:
        os.close(guardian)


def end_left_over(record: Record | None, seconds: float | None = None) -> bool:
    """End the server of a guardian that was killed: the kernel has told it to end, and it may not have.

    Args:
        record: what the guardian has left; one of before the last start of the machine names nobody.
        seconds: how long it may take, then it is killed; None: `LEFT_OVER_SECONDS`.

    Returns:
        Whether it was still there.
    """
    if record is None or not record.mark or process_mark(record.pid) != record.mark:
        return False
    deadline = time.monotonic() + (LEFT_OVER_SECONDS if seconds is None else seconds)
    while process_mark(record.pid) == record.mark:
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(record.pid, signal.SIGKILL)
            deadline += KILL_SECONDS
        time.sleep(POLL_SECONDS)
    return True


class _Ending:
    """One attempt to end a server. Both files are open; no lock is held at its begin."""

    def __init__(self, run_dir: Path, name: str, users: int, guardian: int, *, hangs: bool) -> None:
        self.run_dir, self.name = run_dir, name
        self.users, self.guardian = users, guardian
        self.hangs = hangs
        self.busy_until = time.monotonic() + BUSY_SECONDS
        self.give_up = time.monotonic() + END_SECONDS
        self.told: Record | None = None
        self.killed = False

    def reach(self) -> Ending:
        """Tell the guardian once nobody uses the server, and wait for its end."""
        while not try_lock(self.guardian, fcntl.LOCK_SH):
            if self.told is None and self._is_used():
                return Ending.IN_USE
            if time.monotonic() > self.give_up:
                self._be_harder()
            time.sleep(POLL_SECONDS)
        # There is no guardian now, and none can start: its lock is ours.
        was_left = end_left_over(self.told or read_record(self.run_dir / f"{self.name}.json"))
        return Ending.ENDED if self.told or was_left else Ending.NOT_RUNNING

    def _is_used(self) -> bool:
        """Tells the guardian if nobody uses the server; True: somebody does."""
        ready = self._ready()
        if try_lock(self.users):
            # With the users' lock in our hands nobody can join.
            if ready is not None:
                self._tell(ready, signal.SIGTERM if self.hangs else signal.SIGUSR1)
                self.told = ready
                self.give_up = time.monotonic() + (HANGING_SECONDS if self.hangs else END_SECONDS)
            else:
                # It ends by itself, or has not begun; either way it may wait for this lock.
                fcntl.flock(self.users, fcntl.LOCK_UN)
        elif try_lock(self.users, fcntl.LOCK_SH):
            fcntl.flock(self.users, fcntl.LOCK_UN)
            return time.monotonic() > self.busy_until
        else:
            # Somebody has it alone: the guardian, which looks or ends, or another who has this end.
            self.busy_until = time.monotonic() + BUSY_SECONDS
        return False

    def _be_harder(self) -> None:
        """Kills a guardian that hangs; its server is ended afterwards, if the kernel has not done that."""
        # One that hangs while it looks for users has their lock, so that there are none, and was not told.
        self.told = self.told or self._ready()
        if self.told is None or self.killed:
            raise EmbeddedServiceError(
                f"The local {self.name} of {self.run_dir.parent} does not end. Look at its log, "
                "and end the process agent_tasks/local/supervisor.py of that name by hand.",
                log_file=str(self.run_dir.parent / "logs"),
            )
        self._tell(self.told, signal.SIGKILL)
        self.killed = True
        self.give_up = time.monotonic() + KILL_SECONDS

    def _ready(self) -> Record | None:
        """The record of the guardian that holds the lock; None before its server is ready, and at its end."""
        token = os.pread(self.guardian, 100, 0).decode("ascii", "replace")
        record = read_record(self.run_dir / f"{self.name}.json")
        return record if record is not None and record.token == token and record.guardian else None

    def _tell(self, record: Record, number: signal.Signals) -> None:
        """Sends a signal to the guardian that holds the lock; never to one that has got its number."""
        opened = getattr(os, "pidfd_open", None)
        with suppress(ProcessLookupError):
            if opened is None:
                os.kill(record.guardian, number)
                return
            process = opened(record.guardian)
            try:
                # It still holds its lock, so it lives, and the number was its own when it was opened.
                if try_lock(self.guardian, fcntl.LOCK_SH):
                    return
                if process_mark(record.guardian) == record.guardian_mark:
                    signal.pidfd_send_signal(process, number)
                    return
            finally:
                os.close(process)
        if not try_lock(self.guardian, fcntl.LOCK_SH):
            raise EmbeddedServiceError(
                f"The local {self.name} of {self.run_dir.parent} runs, and its process can't be seen "
                "from here: it is another container's, or another machine's that shares the folder. End it "
                "there, or set AGENT_TASKS_STATE_DIR to a folder of this one's own."
            )
