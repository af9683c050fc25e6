"""Starts the process of an execution: in a jail made by bubblewrap, or (where the operator wants it) without.

The jail has namespaces of its own for users, processes, network, mounts, IPC, host name and control groups.
Its file system is the interpreter and the system's libraries, read only, and two file systems in memory of
limited size. Everything in it ends with its first process, which ends with bubblewrap, which ends with the
service.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from agents_emulator.tools.sandbox import seccomp
from agents_emulator.tools.sandbox.errors import SandboxError
from agents_emulator.tools.sandbox.limits import Limits

_JAIL = Path(__file__).with_name("jail")
_NOBODY = 65534
_START_SECONDS = 20.0
_PIPE_BYTES = 1 << 20
_WATCH_SECONDS = 0.1
_BLOCK = 4096
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    # One thread each: address space is limited, and each thread of theirs takes a good part of it.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_LIBRARIES = (
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share",
)
_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_NAMESPACES = ("user", "pid", "net", "ipc", "uts", "cgroup")


@dataclass
class Started:
    """A process that waits for code. `pid` is that of the jail's first process; None without a jail."""

    process: asyncio.subprocess.Process
    limits: Limits
    pid: int | None = None
    folder: str | None = None
    _first: int | None = None

    def found(self, pid: int) -> None:
        """Take note of the jail's first process; 0: there is none."""
        self.pid = pid
        if pid:
            with suppress(ProcessLookupError):
                self._first = os.pidfd_open(pid)

    def kill(self) -> None:
        """Kill all of it: with its first process ends the jail."""
        with suppress(ProcessLookupError, PermissionError):
            # The whole group: what bubblewrap has begun and not told yet is in it.
            if self.pid is None or self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        if self._first is not None:
            # By itself too: until it is set up it does not end with bubblewrap, and would wait for ever.
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)

    def clean_up(self) -> None:
        """Remove what it leaves behind outside of a jail. Blocks."""
        if self._first is not None:
            os.close(self._first)
            self._first = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def watch(self) -> str:
        """Return, only then, when there are too many files: the size of a file system does not count them.

        To be called once the jail is ready; before, its file systems are the host's.
        """
        places = ("/mnt", "/tmp")  # noqa: S108 - the jail's own
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for place in places if self.pid is not None else ():
                try:
                    found = os.statvfs(f"/proc/{self.pid}/root{place}")
                except (FileNotFoundError, ProcessLookupError):  # it has just ended
                    continue
                except OSError as error:
                    return f"its files cannot be counted ({error.strerror})"
                if found.f_files - found.f_ffree > self.limits.folder_files + 50:
                    return f"it has more than {self.limits.folder_files} files"


async def start_unisolated(limits: Limits) -> Started:
    """Start a process that may do all that the service may, within limits of a process."""
    folder = tempfile.mkdtemp(prefix="unisolated-code-")
    setup = {"root": folder, "limits": asdict(limits), "user": None, "isolated": False}
    places = {"HOME": folder, "TMPDIR": folder, "MPLCONFIGDIR": folder}
    process = await _spawn([sys.executable, "-I", str(_JAIL), json.dumps(setup)], _ENVIRONMENT | places, ())
    return Started(process, limits, None, folder)


async def start_isolated(limits: Limits) -> Started:
    """Start a process in a jail. Raises `SandboxError`."""
    executable = shutil.which("bwrap")
    if executable is None:
        raise SandboxError("the program bwrap is not installed")
    filter_program = seccomp.program(platform.machine()) if sys.platform == "linux" else None
    if filter_program is None:
        raise SandboxError(f"there is no filter of system calls for {sys.platform} on {platform.machine()}")
    start = _Start(limits, _Pipes(filter_program))
    try:
        async with asyncio.timeout(_START_SECONDS):
            return await start.result(executable)
    except TimeoutError as error:
        raise SandboxError(f"bubblewrap made no jail within {_START_SECONDS:g} s") from error
    except OSError as error:
        raise SandboxError(f"the jail could not be prepared: {error}") from error


class _Start:
    """The making of a jail; when it is given up, what has begun by then is ended, and what begins later too.

    It is a task of its own: cut off between two of its steps it would leave processes that nobody knows, and
    close a pipe that a thread reads.
    """

    _under_way: ClassVar[set[asyncio.Task[Started]]] = set()

    def __init__(self, limits: Limits, pipes: _Pipes) -> None:
        self._limits = limits
        self._pipes = pipes
        self._started: Started | None = None
        self._is_given_up = False

    async def result(self, executable: str) -> Started:
        """Return the process in its jail. Gives up when cancelled. Raises `OSError`."""
        making = asyncio.create_task(self._make(executable))
        self._under_way.add(making)
        making.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            self._give_up()
            making.add_done_callback(_end_made)
            raise

    def _give_up(self) -> None:
        self._is_given_up = True
        if self._started is not None:
            self._started.kill()

    async def _make(self, executable: str) -> Started:
        pipes = self._pipes
        try:
            arguments = [*_options(self._limits, pipes), *_command(self._limits)]
            process = await _spawn([executable, *arguments], _environment(), pipes.inherited)
            self._started = started = Started(process, self._limits, 0)
            pipes.close_inherited()
            if not self._is_given_up:
                started.found(await asyncio.to_thread(pipes.first_process))
            if started.pid and pipes.waits_for_users and not self._is_given_up:
                pipes.map_users(started.pid)
            if self._is_given_up:
                raise ProcessLookupError("it was given up")
            return started
        except BaseException:
            if self._started is not None:
                self._started.kill()
                self._started.clean_up()
            raise
        finally:
            pipes.close()


def _end_made(making: asyncio.Task[Started]) -> None:
    """End a jail that was made just when it was given up; what became of one that was not is nobody's."""
    if not making.cancelled() and making.exception() is None:
        making.result().kill()
        making.result().clean_up()


class _Pipes:
    """The pipes to bubblewrap beside its standard ones.

    Root's own user is exempt from the limit of threads, so a service that is root gives the jail a second
    user; that map can be written from outside only, while bubblewrap waits.
    """

    def __init__(self, filter_program: bytes) -> None:
        self.waits_for_users = os.geteuid() == 0
        self.filter, filter_end = os.pipe()
        self._info, self.info_end = os.pipe()
        self.users, self._users_end = os.pipe()
        self.inherited = (self.filter, self.info_end, self.users)
        self._open = {*self.inherited, self._info, self._users_end}
        os.write(filter_end, filter_program)
        os.close(filter_end)

    def first_process(self) -> int:
        """Return the id of the jail's first process, 0 if bubblewrap ended before it was there. Blocks."""
        told = b""
        while piece := os.read(self._info, 4096):
            told += piece
        try:
            return int(json.loads(told)["child-pid"])
        except (ValueError, KeyError):
            return 0

    def map_users(self, pid: int) -> None:
        """Give the jail root's user, for its set-up, and another, for the code."""
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 0 1\n{_NOBODY} {_NOBODY} 1\n", encoding="ascii")
        os.write(self._users_end, b"1")

    def close_inherited(self) -> None:
        """Close what only bubblewrap uses."""
        self._close(self.inherited)

    def close(self) -> None:
        """Close what is open."""
        self._close(tuple(self._open))

    def _close(self, descriptors: Iterable[int]) -> None:
        for descriptor in descriptors:
            self._open.discard(descriptor)
            os.close(descriptor)


async def _spawn(
    command: list[str], environment: dict[str, str], inherited: tuple[int, ...]
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env=environment,
        pass_fds=inherited,
        start_new_session=True,
        limit=_PIPE_BYTES,
    )


def _environment() -> dict[str, str]:
    return _ENVIRONMENT | dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), "/tmp")  # noqa: S108


def _options(limits: Limits, pipes: _Pipes) -> list[str]:
    """Options of bubblewrap up to the command; mounts are made in their order."""
    options = [f"--unshare-{namespace}" for namespace in _NAMESPACES]
    options += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    if pipes.waits_for_users:
        options += [
            "--cap-add",
            "CAP_SETUID",
            "--cap-add",
            "CAP_SETGID",
            "--userns-block-fd",
            str(pipes.users),
        ]
    else:
        options += ["--uid", str(_NOBODY), "--gid", str(_NOBODY)]
    options += ["--info-fd", str(pipes.info_end), "--seccomp", str(pipes.filter)]
    size = str(limits.folder_bytes + limits.folder_files * _BLOCK)
    for place in ("/mnt", "/tmp"):  # noqa: S108 - the jail's own
        # Before the rest, which may lie below: an environment below /tmp is mounted over it.
        options += ["--perms", "0777", "--size", size, "--tmpfs", place]
    return [*options, *_readable(), "--ro-bind", str(_JAIL), "/jail", "--remount-ro", "/", "--chdir", "/"]


def _command(limits: Limits) -> list[str]:
    user = _NOBODY if os.geteuid() == 0 else None
    setup = {"root": "/mnt", "limits": asdict(limits), "user": user, "isolated": True}
    return [os.path.abspath(sys.executable), "-I", "/jail", json.dumps(setup)]


def _readable() -> list[str]:
    """Mounts of what Python and its libraries need; of an environment its packages only, not its folder."""
    mounts = _Mounts()
    for device in _DEVICES:
        mounts.show(device, "--dev-bind")
    for path in (*_LIBRARIES, *_packages()):
        if os.path.islink(path):
            mounts.link(os.readlink(path), path)
        else:
            mounts.show(path)
    for path in (*_FILES, *_configurations()):
        mounts.show(path)
    executable = os.path.abspath(sys.executable)
    program = os.path.realpath(executable)
    mounts.show(program)
    if executable != program:
        mounts.link(program, executable)
    return mounts.options


class _Mounts:
    """Collects mounts; leaves out what is there by an earlier one, and what does not exist."""

    def __init__(self) -> None:
        self.options: list[str] = []
        self._there: list[str] = []

    def show(self, path: str, option: str = "--ro-bind") -> None:
        """Show a file, folder or device at its place."""
        if os.path.exists(path):
            self._add(path, [option, os.path.realpath(path), path])

    def link(self, target: str, path: str) -> None:
        """Make a link as it is outside."""
        self._add(path, ["--symlink", target, path])

    def _add(self, path: str, options: list[str]) -> None:
        if any(path == parent or path.startswith(parent + "/") for parent in self._there):
            return
        for parent in reversed(Path(path).parents[:-1]):
            # By itself bubblewrap locks others out of /root, as the host does.
            self.options += ["--perms", "0755", "--dir", str(parent)]
        self.options += options
        self._there.append(path)


def _prefixes() -> set[str]:
    found = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    return {os.path.abspath(path) for path in found} | {os.path.realpath(path) for path in found}


def _packages() -> list[str]:
    """Folders of libraries, each before what lies in it."""
    found = {os.path.join(prefix, name) for prefix in _prefixes() for name in ("lib", "lib64")}
    found |= {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return sorted(found | {os.path.abspath(path) for path in site.getsitepackages()})


def _configurations() -> list[str]:
    return sorted(os.path.join(prefix, "pyvenv.cfg") for prefix in _prefixes())
