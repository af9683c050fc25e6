"""Keeps one local server alive for as long as somebody uses it, and no longer.

A server of a state folder is shared: the first process that needs it starts it under a guardian, later ones
join, and it must end when the last of them is gone, however that one ended. This is the guardian's program.
It uses the standard library alone and is started as a plain script, so that it is up in a few milliseconds:

    python -P -S -E agent_tasks/local/supervisor.py NAME < specification.json

Two file locks (flock) carry the whole protocol; the kernel gives them back when a process ends, even by
kill -9, so nothing here trusts process ids:

- `NAME.users`: whoever uses the server holds it *shared*. The guardian waits for it *exclusively*: when it
  gets it, nobody uses the server any more, and nobody can join until the guardian is gone. A user that
  wants the server kept for the next one writes that into the file before it lets go (`kept_text`): the
  guardian gives the lock back then, and looks again from time to time until the seconds are over.
- `NAME.guardian`: held exclusively by the guardian for its whole life. It arrives already locked, from the
  process that starts the guardian. Whoever can lock it knows that there is no guardian, and may start one.

What the guardian reports is in `NAME.json` (see `Record`), written atomically: `ready` with the address, or
`failed` with the reason. It is gone as soon as the server begins to stop. SIGUSR1 ends a server that nobody
uses, after its queues are written; SIGTERM ends it at once. Who sends one (`agent_tasks.local.kept_servers`)
holds `NAME.users` exclusively.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "Record",
    "Settle",
    "Specification",
    "die_with_parent",
    "file_mark",
    "kept_text",
    "main",
    "process_mark",
    "read_record",
]

POLL_SECONDS = 0.05
LOOK_SECONDS = 2.0
"""How often the guardian of a kept server looks whether it is still wanted; its folder may be gone too."""
PORT_ATTEMPTS = 3
PORT_NAMES = ("{port}", "{port2}", "{port3}")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Settle:
    """What must have come to rest before the server is told to stop, so that nothing in its queues is lost.

    Each of `requests` (path and JSON body of a POST) is asked again and again; the server is at rest when no
    answer has changed for `quiet` seconds. `limit` bounds the whole wait, in seconds.
    """

    requests: list[tuple[str, str]]
    quiet: float
    limit: float


@dataclass(frozen=True)
class Specification:
    """What the guardian is to run; passed as JSON on its standard input."""

    name: str
    """Name of the server; the lock files and the record carry it."""
    run_dir: str
    """Folder of the lock files and the record."""
    command: list[str]
    """Argument list of the server; `{port}`, `{port2}` and `{port3}` in it are replaced by free ports."""
    log: str
    """File for everything the server prints; the one before it is kept as `LOG.1`."""
    cwd: str
    """Working directory of the server."""
    token: str = ""
    """Marks this guardian, in the lock file and in the record. Filled in at its start."""
    guardian_fd: int = -1
    """Descriptor of the guardian lock, already held. Filled in at its start."""
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    """Variables set for the server on top of the guardian's own; ports are replaced here too."""
    ports: list[int] = field(default_factory=list)
    """Ports to prefer, in the order of their names."""
    url_path: str = ""
    """What follows the first port in the server's address."""
    health: str | None = None
    """Path below that address that answers 200 when the server is ready."""
    ready_file: str | None = None
    """File the server writes when it listens: JSON with `endpoint`. Without it, and without a path of health,
    the server is ready when it listens on all its ports."""
    start_timeout: float = 120.0
    """Seconds the server may take until it is ready."""
    stop_timeout: float = 10.0
    """Seconds it may take to end after SIGTERM; then it is killed."""
    settle: Settle | None = None
    """What to wait for before SIGTERM."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Headers of the guardian's own requests; they may hold what the server asks its clients for."""
    identity: str = ""
    """What kind of server this is; a process that needs another kind must not join it."""
    surroundings: dict[str, str] = field(default_factory=dict)
    """What it runs with, each as a hash; whoever would start it with others must not join it either."""
    data: list[str] = field(default_factory=list)
    """Its data: a server whose files somebody has removed works on what nobody finds again."""


@dataclass(frozen=True)
class Record:
    """What the guardian says about its server."""

    token: str
    status: Literal["ready", "failed"]
    identity: str
    url: str = ""
    ports: list[int] = field(default_factory=list)
    """Those that were chosen for it."""
    pid: int = 0
    """Process id of the server."""
    reason: str = ""
    surroundings: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    """Its data, each with the mark (`file_mark`) it had when the server was ready."""
    mark: str = ""
    """Tells the server's process from a later one of the same id (`process_mark`)."""
    guardian: int = 0
    """Process id of the guardian."""
    guardian_mark: str = ""


def kept_text(token: str, seconds: float) -> bytes:
    """What a user writes into the file `NAME.users` to have the server kept; always of the same length."""
    return f"{token} {seconds:12.1f}".encode("ascii")


def read_record(path: Path) -> Record | None:
    """The record at `path`; None when there is none (or one of another version of this library)."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def process_mark(pid: int) -> str:
    """When a process was started; process ids are used again, after a restart of the machine above all.

    Returns:
        Boot and start, as one text; empty where there is no such process, or no `/proc`.
    """
    try:
        found = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
    state, *rest = found.rpartition(")")[2].split()  # the name in brackets may hold anything
    return "" if state in ("Z", "X") else f"{boot} {rest[18]}"


def file_mark(path: str | Path) -> str:
    """What tells a file or folder from one that has come in its place; empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


class _Port:
    """A port of the loopback interface, kept from others until the server listens on it.

    On Linux a bound socket that does not listen, with SO_REUSEADDR, lets the server bind the same port (it
    sets SO_REUSEADDR as well) while the kernel gives it to nobody else. Elsewhere that is not so: the port is
    only chosen, and a clash shows as a server that ends.
    """

    def __init__(self, preferred: int | None) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A listening server makes the bind fail, although SO_REUSEADDR is set: such a port is never taken.
        for candidate in (preferred, random.randrange(20_000, 30_000), 0):  # noqa: S311 - not a secret
            if candidate is None:
                continue
            try:
                self._socket.bind(("127.0.0.1", candidate))
                break
            except OSError:
                continue
        self.number: int = self._socket.getsockname()[1]
        if not sys.platform.startswith("linux"):
            self.release()

    def release(self) -> None:
        self._socket.close()


class _StartError(Exception):
    """The server did not become ready; the text says why."""


class Guardian:
    """One server and what ends it. All waits end by an entry in `events`."""

    def __init__(self, spec: Specification) -> None:
        self.spec = spec
        self.record_path = Path(spec.run_dir, f"{spec.name}.json")
        self.child: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.ports: list[int] = []
        self.data: dict[str, str] = {}
        # SimpleQueue.put may be called from a signal handler.
        self.events: queue.SimpleQueue[Literal["unused", "ended", "told"]] = queue.SimpleQueue()

    def run(self) -> int:
        """Starts the server, waits until it is no longer wanted, stops it. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.events.put("told"))
        signal.signal(signal.SIGUSR1, lambda *_: self.events.put("unused"))
        threading.Thread(target=self._watch_users, daemon=True).start()
        try:
            self._start()
        except _StartError as reason:
            self._stop_child()
            self._report(Record(self.spec.token, "failed", self.spec.identity, reason=str(reason)))
            return 1
        assert self.child is not None  # noqa: S101 - _start has set it
        self.data = {path: file_mark(path) for path in self.spec.data}
        self._report(self._ready(self.child.pid))
        threading.Thread(target=self._watch_child, args=(self.child,), daemon=True).start()
        event = self.events.get()
        self._take_record_away()
        if event == "unused" and self.spec.settle:
            self._settle(self.spec.settle)
        self._stop_child()
        return 0

    def _ready(self, pid: int) -> Record:
        return Record(
            self.spec.token,
            "ready",
            self.spec.identity,
            self.url,
            self.ports,
            pid,
            surroundings=self.spec.surroundings,
            data=self.data,
            mark=process_mark(pid),
            guardian=os.getpid(),
            guardian_mark=process_mark(os.getpid()),
        )

    # --- watching ---

    def _watch_users(self) -> None:
        path = Path(self.spec.run_dir, f"{self.spec.name}.users")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        wish = _Wish(self.spec.token)
        while True:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            left = wish.seconds_left(descriptor)
            if left <= 0 or not self._has_its_files(path, descriptor):
                # Held until the process ends: whoever comes now waits for that, then starts a new guardian.
                self.events.put("unused")
                return
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            time.sleep(min(left, LOOK_SECONDS))

    def _has_its_files(self, users: Path, descriptor: int) -> bool:
        """Whether the lock that is held is still the one at its path, and the data that of the start."""
        found = os.fstat(descriptor)
        if file_mark(users) != f"{found.st_dev}:{found.st_ino}":
            return False
        return all(file_mark(path) == mark for path, mark in self.data.items())

    def _watch_child(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        self.events.put("ended")

    # --- starting ---

    def _start(self) -> None:
        deadline = time.monotonic() + self.spec.start_timeout
        names = [name for name in PORT_NAMES if any(name in part for part in self.spec.command)]
        preferred = dict(zip(names, self.spec.ports, strict=False))
        for _ in range(PORT_ATTEMPTS):
            ports = {name: _Port(preferred.get(name)) for name in names}
            try:
                self._spawn({name: port.number for name, port in ports.items()})
                if self._becomes_ready(deadline):
                    return
            finally:
                for port in ports.values():
                    port.release()
            # Only a clash of ports is worth another attempt, and only where they were ours to choose.
            if not names:
                break
            preferred = {}
        code = self.child.returncode if self.child else None
        raise _StartError(f"it ended with exit code {code} before it was ready")

    def _spawn(self, ports: dict[str, int]) -> None:
        def filled(text: str) -> str:
            for name, number in ports.items():
                text = text.replace(name, str(number))
            return text

        if self.spec.ready_file:
            Path(self.spec.ready_file).unlink(missing_ok=True)
        self.ports = list(ports.values())
        self.url = f"http://127.0.0.1:{self.ports[0]}{self.spec.url_path}" if ports else ""
        self.child = subprocess.Popen(
            [filled(part) for part in self.spec.command],
            env=os.environ | {name: filled(value) for name, value in self.spec.environment.items()},
            cwd=self.spec.cwd,
            stdin=subprocess.DEVNULL,
            # Its own group, so that it is ended together with what it has started itself.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def _becomes_ready(self, deadline: float) -> bool:
        """Waits until the server is ready; False: it has ended. Raises _StartError to give up."""
        assert self.child is not None  # noqa: S101 - _spawn has set it
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                return False
            if self._answers():
                return True
            # Somebody may have told us to stop, or everybody may have gone, while the server starts.
            with contextlib.suppress(queue.Empty):
                event = self.events.get(timeout=POLL_SECONDS)
                raise _StartError(
                    "nobody waits for it any more" if event == "unused" else "it was told to stop"
                )
        raise _StartError(f"it was not ready after {self.spec.start_timeout:g} seconds")

    def _answers(self) -> bool:
        if self.spec.ready_file:
            try:
                self.url = json.loads(Path(self.spec.ready_file).read_text(encoding="utf-8"))["endpoint"]
            except FileNotFoundError:
                return False
            return True
        if self.spec.health is None:
            return all(map(_listens, self.ports))
        try:
            with _DIRECT.open(f"{self.url}{self.spec.health}", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def _report(self, record: Record) -> None:
        temporary = self.record_path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(asdict(record)), encoding="utf-8")
        temporary.replace(self.record_path)

    def _take_record_away(self) -> None:
        # Where the state folder was removed and made anew, the record there is that of another guardian.
        record = read_record(self.record_path)
        if record is not None and record.token == self.spec.token:
            self.record_path.unlink(missing_ok=True)

    # --- stopping ---

    def _settle(self, settle: Settle) -> None:
        deadline = time.monotonic() + settle.limit
        last: list[bytes] = []
        since = time.monotonic()
        while time.monotonic() < deadline and not self._is_hurried():
            try:
                now = [self._ask(path, body) for path, body in settle.requests]
            except (urllib.error.URLError, OSError, ValueError) as error:
                print(f"guardian: {self.spec.name} does not answer while it settles: {error}", flush=True)
                return
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since >= settle.quiet:
                return
            time.sleep(0.1)

    def _is_hurried(self) -> bool:
        """Whether the server has ended, or is told to end at once; that nobody uses it is known."""
        while not self.events.empty():
            if self.events.get() != "unused":
                return True
        return False

    def _ask(self, path: str, body: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - an address of the loopback interface
            f"{self.url}{path}",
            data=body.encode(),
            headers={**self.spec.headers, "Content-Type": "application/json"},
        )
        with _DIRECT.open(request, timeout=10) as answer:
            return bytes(answer.read())

    def _stop_child(self) -> None:
        if self.child is None:
            return
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(self.spec.stop_timeout)
            except subprocess.TimeoutExpired:
                print(f"guardian: {self.spec.name} did not end after SIGTERM and is killed", flush=True)
        # Also when it has ended: what it has started must not outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


class _Wish:
    """For how long a server is to be kept, as its last user has written it."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._written = 0
        self._until = 0.0

    def seconds_left(self, descriptor: int) -> float:
        """Seconds from now; 0 where nobody has asked this guardian for any."""
        written = os.fstat(descriptor).st_mtime_ns
        if written != self._written:
            self._written = written
            token, _, seconds = os.pread(descriptor, 100, 0).decode("ascii", "replace").partition(" ")
            # Not by the times of files: the clock of the machine may be set.
            self._until = time.monotonic() + (_number(seconds) if token == self._token else 0.0)
        return self._until - time.monotonic()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # not written by us: a watcher that fails would keep the server for ever
        return 0.0


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def die_with_parent() -> None:
    """Asks the kernel to end this process when the one that started it is killed (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# The servers are on this machine: no proxy of the environment may come between.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Loaded before any fork: a forked child should not load libraries.
_LIBC: Any = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def _open_log(path: Path) -> None:
    """Makes `path` the standard output and error of this process and of the server."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(path.name + ".1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def main() -> int:
    """Reads the specification from standard input and guards the server it describes."""
    values = json.load(sys.stdin)
    settle = values.pop("settle", None)
    spec = Specification(**values, settle=Settle(**settle) if settle else None)
    os.set_inheritable(spec.guardian_fd, False)
    _open_log(Path(spec.log))
    return Guardian(spec).run()


if __name__ == "__main__":
    sys.exit(main())
