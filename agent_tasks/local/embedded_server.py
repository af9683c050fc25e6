"""A server that runs on this machine under a guardian, shared by all processes that name its folder.

The first one starts it (`agent_tasks.local.supervisor` explains the locks), later ones join it, and it ends a
moment after the last of them is gone, also when that one is killed. One that was asked to (`keep`) leaves it
running for a while: the next user joins it if all that it runs with is the same, and else has it ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
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
from agent_tasks.local.kept_servers import Ending, end_unused
from agent_tasks.local.server import Address, Server
from agent_tasks.local.state_folder import require_private_folder
from agent_tasks.local.supervisor import Record, Specification, kept_text, read_record
from agent_tasks.local.surroundings import surroundings
from agent_tasks.logs import get_logger

__all__ = ["EmbeddedServer", "UrlServer", "end_of_log"]

logger = get_logger("agent_tasks.local")

POLL_SECONDS = 0.05
START_ATTEMPTS = 2
LOG_LINES = 15


class EmbeddedServer(Server[Address]):
    """A server of a folder, shared with other processes that use the folder.

    Args:
        spec: what to run; `token` and `guardian_fd` are filled in here.
        environment: complete environment of the server (`spec.environment` comes on top).
    """

    def __init__(self, spec: Specification, environment: Mapping[str, str]) -> None:
        if not spec.surroundings:
            spec = replace(spec, surroundings=surroundings(environment))
        self.spec = spec
        self.environment = environment
        self.run_dir = Path(spec.run_dir)
        self.record_path = self.run_dir / f"{spec.name}.json"
        self._hold: int | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._started = 0
        self._token = ""
        self._kept = 0.0
        self._joined_anyway = ""

    @property
    def log(self) -> Path:
        """The file with everything the server has printed since its start."""
        return Path(self.spec.log)

    @override
    def launch(self) -> Self:
        require_private_folder(self.run_dir)
        Path(self.spec.cwd).mkdir(parents=True, exist_ok=True)
        self._advance()
        return self

    @abstractmethod
    def _address(self, record: Record) -> Address:
        """What its users get, from the record of a server that is ready."""

    @override
    def wait(self) -> Address:
        # The guardian has its own limit; ours is a little longer, so that its reason is reported.
        deadline = time.monotonic() + self.spec.start_timeout + self.spec.stop_timeout + 10
        while (record := self._advance()) is None or self._has_ended_another(record):
            if time.monotonic() > deadline:
                raise self._error("is not ready, and its guardian gives no sign")
            time.sleep(POLL_SECONDS)
        if record.status == "failed":
            raise self._error(f"did not start: {record.reason}")
        if record.identity != self.spec.identity:
            raise ConfigurationError(
                f"The local {self.spec.name} of the state folder {self.run_dir.parent} runs as "
                f"{record.identity!r} for somebody else, and this run asks for {self.spec.identity!r}. "
                "Wait until the other run has ended, or use another folder: AGENT_TASKS_STATE_DIR.",
                setting="AGENT_TASKS_STATE_DIR",
            )
        if record.surroundings != self.spec.surroundings:
            logger.warning(
                "The local %s is joined as another command has started it; not the same: %s. To have it "
                "started anew, end that command, and then: agent-tasks stop",
                self.spec.name,
                ", ".join(_differences(record.surroundings, self.spec.surroundings)),
            )
        return self._address(record)

    @override
    def keep(self, seconds: float) -> None:
        self._kept = seconds

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

    def _has_ended_another(self, record: Record) -> bool:
        """Ends a server that is not the one asked for and that nobody else uses; False: join it."""
        same = record.identity == self.spec.identity and record.surroundings == self.spec.surroundings
        if same or record.status == "failed" or record.token == self._joined_anyway:
            return False
        self._let_go()
        if end_unused(self.run_dir, self.spec.name) is Ending.IN_USE:
            self._joined_anyway = record.token
        return True

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
        self.record_path.unlink(missing_ok=True)
        self._token = secrets.token_hex(8)
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
            f"The local {self.spec.name} {what}. The end of its log:\n{end_of_log(self.log)}",
            log_file=str(self.log),
        )


class UrlServer(EmbeddedServer[str]):
    """One that is reached by its URL alone."""

    @override
    def _address(self, record: Record) -> str:
        return record.url


def _differences(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """What differs between a server that runs and the one that is asked for, in words."""
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def end_of_log(path: Path) -> str:
    """The last lines of a log, indented, to stand at the end of a message."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:]
    except FileNotFoundError:
        lines = []
    return "\n".join(f"  {line}" for line in lines) or "  (empty)"
