"""A server that runs on this machine under a guardian, shared by all processes that name its folder.

The first one starts it (`agent_tasks.local.supervisor` explains the locks), later ones join it, and it ends a
moment after the last of them is gone, also when that one is killed. One that was asked to (`keep`) leaves it
running for a while: the next user joins it if all that it runs with is the same and it answers. Else it is
ended and started anew, or, where somebody else uses it, the next user is refused: two servers over the same
data would each undo what the other one writes.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from typing_extensions import override

from agent_tasks.errors import ConfigurationError, EmbeddedServiceError
from agent_tasks.file_locks import try_lock
from agent_tasks.local import supervisor as guardian
from agent_tasks.local.kept_servers import Ending, end_left_over, end_unused
from agent_tasks.local.responding import responds
from agent_tasks.local.server import Address, Server
from agent_tasks.local.state_folder import require_private_folder
from agent_tasks.local.supervisor import Record, Specification, file_mark, kept_text, read_record
from agent_tasks.local.surroundings import changes_unseen, settled, surroundings
from agent_tasks.logs import get_logger

__all__ = ["EmbeddedServer", "UrlServer", "end_of_log"]

logger = get_logger("agent_tasks.local")

POLL_SECONDS = 0.05
START_ATTEMPTS = 2
LOG_LINES = 15

_ROOM = 1 << 20  # bytes free, below which a disk counts as full


class EmbeddedServer(Server[Address]):
    """A server of a folder, shared with other processes that use the folder.

    Args:
        spec: what to run; `token` and `guardian_fd` are filled in here.
        environment: complete environment of the server (`spec.environment` comes on top).
    """

    def __init__(self, spec: Specification, environment: Mapping[str, str]) -> None:
        self.environment = settled(environment)
        found = surroundings({**self.environment, **spec.environment}, spec.command)
        self.spec = replace(spec, surroundings=found)
        self.run_dir = Path(spec.run_dir)
        self.record_path = self.run_dir / f"{spec.name}.json"
        self._hold: int | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._started = 0
        self._token = ""
        self._usable = ""
        """Token of the guardian whose server was started here, or found to be the one asked for."""
        self._kept = 0.0
        self._silent_since = 0.0

    @property
    def log(self) -> Path:
        """The file with everything the server has printed since its start."""
        return Path(self.spec.log)

    @override
    def launch(self) -> Self:
        require_private_folder(self.run_dir)
        Path(self.spec.cwd).mkdir(parents=True, exist_ok=True)
        record = self._advance()
        # Not held until the `wait`: others would find one in use that nobody wants.
        if record is not None and record.status == "ready" and not self._is_usable(record):
            self._advance()
        return self

    @abstractmethod
    def _address(self, record: Record) -> Address:
        """What its users get, from the record of a server that is ready."""

    @override
    def wait(self) -> Address:
        deadline = self._deadline()
        while (record := self._advance()) is None or not self._is_usable(record):
            if record is not None and record.status == "ready":
                deadline = self._deadline()  # another was ended, which has taken its time
            if time.monotonic() > deadline:
                raise self._error(
                    "is not ready, and its guardian gives no sign: end it by `agent-tasks stop`"
                )
            time.sleep(POLL_SECONDS)
        if record.status == "failed":
            raise self._error(f"did not start: {record.reason}")
        return self._address(record)

    def _deadline(self) -> float:
        # The guardian has its own limit; ours is a little longer, so that its reason is reported.
        return time.monotonic() + self.spec.start_timeout + self.spec.stop_timeout + 10

    @override
    def keep(self, seconds: float) -> bool:
        # One that imports what can change unseen is started anew each time.
        self._kept = 0.0 if changes_unseen(self.environment) else seconds
        return self._kept > 0

    @override
    def running(self) -> Address | None:
        if not self.run_dir.is_dir() or not self._is_guarded():
            return None
        record = self._current_record()
        return self._address(record) if record is not None and record.status == "ready" else None

    @override
    def hand_over(self) -> None:
        if self._hold is not None:
            os.set_inheritable(self._hold, True)

    @override
    def close(self) -> None:
        if self._hold is None:
            return
        is_kept = self._ask_to_be_kept()
        others = self._let_go()
        if others or is_kept or not self._token:
            return
        limit = (self.spec.settle.limit if self.spec.settle else 0) + self.spec.stop_timeout + 10
        deadline = time.monotonic() + limit
        # The guardian takes the record away at once. Where it stays, somebody has joined in this very moment.
        shared_after = time.monotonic() + 1.0
        while time.monotonic() < deadline and self._is_guarded():
            # It stays too where somebody before has asked for that.
            if time.monotonic() > shared_after and self._current_record() is not None:
                return
            time.sleep(POLL_SECONDS)
        if self._guardian is not None:
            self._guardian.poll()

    def _is_usable(self, record: Record) -> bool:
        """Whether a server is the one asked for, and answers; one that is not is ended first.

        Raises:
            ConfigurationError: it is not, and somebody else uses it.
            EmbeddedServiceError: it gives no answer, and somebody else uses it; or it does not end.
        """
        if record.token == self._usable:
            return True
        if record.status == "failed":
            return record.identity == self.spec.identity  # why another has failed is not ours to tell
        differences = self._differences(record)
        if not differences and responds(record.url, record.ports):
            self._usable = record.token
            self._silent_since = 0.0
            return True
        self._let_go()
        ending = end_unused(self.run_dir, self.spec.name, hangs=not differences)
        if ending is Ending.IN_USE:
            if not differences and self._is_patient():
                return False
            raise self._refusal(record, differences)
        reason = f"other {', '.join(differences)}" if differences else "it gave no answer"
        logger.info("A local %s that nobody used was ended: %s", self.spec.name, reason)
        return False

    def _is_patient(self) -> bool:
        """Whether a server that others keep busy may still come to answer."""
        self._silent_since = self._silent_since or time.monotonic()
        return time.monotonic() - self._silent_since < self.spec.start_timeout

    def _differences(self, record: Record) -> list[str]:
        """What differs between a server that runs and the one that is asked for, in words."""
        found, wanted = record.surroundings, self.spec.surroundings
        return [
            *(["kind"] if record.identity != self.spec.identity else []),
            *sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)),
            *(["data"] if any(file_mark(path) != mark for path, mark in record.data.items()) else []),
        ]

    def _refusal(self, record: Record, differences: list[str]) -> Exception:
        where = f"The local {self.spec.name} of the state folder {self.run_dir.parent}"
        remedy = (
            "Wait until the other command has ended (an open dashboard is one too), or use another folder: "
            "AGENT_TASKS_STATE_DIR."
        )
        if not differences:
            return EmbeddedServiceError(
                f"{where} gives no answer, and another command uses it. End that command, then run "
                "`agent-tasks stop`, and start this one again.",
                log_file=str(self.log),
            )
        if record.identity != self.spec.identity:
            what = f"runs as {record.identity!r}, and this command asks for {self.spec.identity!r}"
        else:
            what = f"was started with other {', '.join(differences)} than this command would start it with"
        return ConfigurationError(
            f"{where} is in use by another command. It {what}. {remedy}", setting="AGENT_TASKS_STATE_DIR"
        )

    def _ask_to_be_kept(self) -> bool:
        """Writes how long the server is to stay, where one runs; whether it will."""
        assert self._hold is not None  # noqa: S101 - the caller holds it
        if not self._kept or self._current_record() is None:
            return False
        os.pwrite(self._hold, kept_text(self._token, self._kept), 0)
        return True

    # --- the protocol of the locks ---

    def _advance(self) -> Record | None:
        """One step towards a ready server; its record once there is one."""
        if not self._take_hold():
            return None
        descriptor = self._open(f"{self.spec.name}.guardian")
        try:
            if try_lock(descriptor, fcntl.LOCK_EX):
                ended = self._current_record() if self._started else None
                if ended is not None and ended.status == "failed":
                    return ended  # our guardian has reported and gone between two looks
                self._start_guardian(descriptor)
                return None
        finally:
            os.close(descriptor)
        return self._current_record()

    def _take_hold(self) -> bool:
        """Holds the server; False: the one before is just stopping, so try again."""
        if self._hold is not None:
            return True
        name = f"{self.spec.name}.users"
        descriptor = self._open(name)
        if not try_lock(descriptor, fcntl.LOCK_SH):
            os.close(descriptor)
            return False
        self._hold = descriptor
        other = self._open(name)
        try:
            if try_lock(other, fcntl.LOCK_EX):
                raise ConfigurationError(
                    f"The file system of the state folder {self.run_dir.parent} does not lock files. Set "
                    "AGENT_TASKS_STATE_DIR to a folder on a local disk.",
                    setting="AGENT_TASKS_STATE_DIR",
                )
        finally:
            os.close(other)
        return True

    def _let_go(self) -> bool:
        """Ends the hold; True: others still use the server."""
        assert self._hold is not None  # noqa: S101 - the caller holds it
        # Asking for the lock alone gives the shared one back. It fails if others share it, and also if the
        # guardian was quicker; in that case it can't be shared either.
        others = not try_lock(self._hold, fcntl.LOCK_EX) and try_lock(self._hold, fcntl.LOCK_SH)
        os.close(self._hold)
        self._hold = None
        self._started = 0
        return others

    def _start_guardian(self, descriptor: int) -> None:
        if self._started == START_ATTEMPTS:
            raise self._error("did not start: its guardian ended without a word")
        self._started += 1
        end_left_over(read_record(self.record_path), self.spec.stop_timeout)
        self.record_path.unlink(missing_ok=True)
        self._token = self._usable = secrets.token_hex(8)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, self._token.encode(), 0)
        spec = replace(self.spec, token=self._token, guardian_fd=descriptor)
        self._guardian = subprocess.Popen(
            [sys.executable, "-P", "-S", "-E", guardian.__file__, self.spec.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            pass_fds=[descriptor],
            # Ctrl-C in the terminal reaches the run, which cleans up, and not its servers.
            start_new_session=True,
        )
        assert self._guardian.stdin is not None  # noqa: S101 - asked for above
        with self._guardian.stdin as pipe:
            pipe.write(json.dumps(asdict(spec)).encode())

    def _current_record(self) -> Record | None:
        """The record, if it is that of the guardian that holds the lock."""
        try:
            token = (self.run_dir / f"{self.spec.name}.guardian").read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        record = read_record(self.record_path)
        if record is None or record.token != token:
            return None
        self._token = token
        return record

    def _is_guarded(self) -> bool:
        descriptor = self._open(f"{self.spec.name}.guardian")
        try:
            return not try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        return os.open(self.run_dir / name, os.O_RDWR | os.O_CREAT, 0o600)

    def _error(self, what: str) -> EmbeddedServiceError:
        return EmbeddedServiceError(
            f"The local {self.spec.name} {what}{_lacking_room(self.run_dir)}. "
            f"The end of its log:\n{end_of_log(self.log)}",
            log_file=str(self.log),
        )


def _lacking_room(folder: Path) -> str:
    """What to add to an error where the disk is full: a server then often can't write why it ended."""
    try:
        free = shutil.disk_usage(folder).free
    except FileNotFoundError:  # removed meanwhile: it is another error that is told of
        return ""
    if free >= _ROOM:
        return ""
    return (
        f", and the disk of {folder} is full: free some space, or set AGENT_TASKS_STATE_DIR to a folder of "
        "another disk"
    )


class UrlServer(EmbeddedServer[str]):
    """One that is reached by its URL alone."""

    @override
    def _address(self, record: Record) -> str:
        return record.url


def end_of_log(path: Path) -> str:
    """The last lines of a log, indented, to stand at the end of a message."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        lines = []
    return "\n".join(f"  {line}" for line in lines) or "  (empty)"
