"""The jail itself: no code runs without, wherever Python is, whoever the service is; it ends with it."""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from agents_emulator.tools.sandbox import IsolationError, Sandbox, SandboxError, bubblewrap
from agents_emulator.tools.sandbox.bubblewrap import _Pipes
from tests.support.jails import LIMITS, execute, needs_jail

pytestmark = needs_jail

REPOSITORY = Path(__file__).parents[2]
READ_SHADOW = "print('EXECUTED')\nprint(open('/etc/shadow').read())"
NOBODY = 65534

# What is in place of bubblewrap.
BROKEN = {
    "it ends with 97": "exit 97",
    "it ends with 0": "exit 0",
    "it kills itself": "kill -9 $$",
    "it may not make namespaces": "echo 'bwrap: No permissions to create a new namespace' >&2; exit 1",
    "it tells a process that it did not make": 'eval "echo \'{\\"child-pid\\": 1}\' >&$FD"; exit 1',
    "it talks without end": "exec yes",
}


def _bubblewrap(folder: Path, script: str) -> str:
    """Put a script in place of bubblewrap; returns the PATH with it."""
    program = folder / "bin" / "bwrap"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program.parent)


@pytest.mark.attack
@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_without_a_jail_no_code_runs(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "_START_SECONDS", 3)
    monkeypatch.setenv("PATH", _bubblewrap(tmp_path, script))
    with pytest.raises(IsolationError, match="Install bubblewrap"):
        await execute(tmp_path / "thread", READ_SHADOW)


@pytest.mark.attack
async def test_bubblewrap_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_START_SECONDS", 1)
    monkeypatch.setenv("PATH", _bubblewrap(tmp_path, "exec sleep 100"))
    with pytest.raises(IsolationError, match="made no jail within 1 s"):
        await execute(tmp_path / "thread", READ_SHADOW)


@pytest.mark.attack
async def test_no_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(IsolationError, match=r"bwrap is not installed.*Install bubblewrap"):
        await execute(tmp_path / "thread", READ_SHADOW)


@pytest.mark.attack
async def test_no_filter_for_the_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(IsolationError, match="no filter of system calls for linux on riscv64"):
        await execute(tmp_path / "thread", READ_SHADOW)


@pytest.mark.attack
async def test_a_failure_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set-up fails: that call fails, nothing is concluded from it, and the next one is isolated again."""
    real = shutil.which("bwrap")
    flag = tmp_path / "failed"
    script = f'test -e {flag} || {{ touch {flag}; echo "no memory" >&2; exit 1; }}\nexec {real} "$@"'
    monkeypatch.setenv("PATH", _bubblewrap(tmp_path, script))
    sandbox = Sandbox(LIMITS)
    with pytest.raises(SandboxError, match="no memory") as raised:
        await sandbox.run(READ_SHADOW, tmp_path / "thread")
    assert not isinstance(raised.value, IsolationError)
    result = await sandbox.run(READ_SHADOW, tmp_path / "thread")
    assert result.output.startswith("EXECUTED\nTraceback")


@pytest.mark.attack
async def test_a_folder_that_says_it_is_unisolated(tmp_path: Path) -> None:
    """Nothing that lies in the folder of the thread has a say in it."""
    for name in ("isolated", "root", "data", "state", "unisolated"):
        (tmp_path / name).mkdir()
    (tmp_path / "state" / "variables.pickle").write_bytes(b"cos\n_exit\n(I97\ntR.")
    result = await execute(tmp_path, READ_SHADOW)
    assert result.output.startswith("EXECUTED\nTraceback")


SCRIPT = """
import asyncio, sys
from pathlib import Path
from agents_emulator.tools.sandbox import Limits, Sandbox
async def main():
    sandbox = Sandbox(Limits(wall_seconds=20.0, memory_bytes=1 << 29))
    for code in sys.argv[2:]:
        print((await sandbox.run(code, Path(sys.argv[1]))).output, end="", flush=True)
asyncio.run(main())
"""


@pytest.fixture
def below_tmp() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="attack-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _environment_below(folder: Path, python: str) -> str:
    """Make an environment with what keeps variables in it; returns its Python."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder / "env")], check=True, timeout=60)
    packages = next((folder / "env" / "lib").glob("python3*/site-packages"))
    shutil.copytree(Path(cloudpickle.__file__).parent, packages / "cloudpickle")
    shutil.copytree(
        REPOSITORY / "agents_emulator" / "tools" / "sandbox", packages / "agents_emulator/tools/sandbox"
    )
    for package in ("agents_emulator", "agents_emulator/tools"):
        (packages / package / "__init__.py").touch()
    return str(folder / "env" / "bin" / "python")


CALLS = (
    "import sys, os\nprint(sys.prefix, os.getuid(), sorted(os.listdir('/mnt/data')))\nx = 6",
    "import tempfile\nprint(x * 7, len(tempfile.mkdtemp()) > 0)",
    READ_SHADOW,
)


@pytest.mark.attack
def test_environment_below_tmp(below_tmp: Path) -> None:
    """The jail's own /tmp is mounted there; a failure was once taken for a system without namespaces."""
    python = _environment_below(below_tmp, sys.executable)
    done = subprocess.run(
        [python, "-c", SCRIPT, str(below_tmp / "thread"), *CALLS], capture_output=True, text=True, timeout=60
    )
    expected = f"{below_tmp}/env {NOBODY} []\n42 True\nEXECUTED\nTraceback"
    assert done.stdout.startswith(expected), (done.stdout, done.stderr)


_AS_NOBODY: dict[str, Any] = (
    {"user": NOBODY, "group": NOBODY, "extra_groups": (), "cwd": "/"} if os.geteuid() == 0 else {}
)


def _python_of_all_users() -> str | None:
    """Return a Python that other users than root may execute."""
    suitable = [sys.executable, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
    for suitable[0] in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        try:
            tried = subprocess.run(suitable, **_AS_NOBODY, check=False, capture_output=True, timeout=30)
        except OSError:
            continue
        if tried.returncode == 0:
            return suitable[0]
    return None


# Where code must not write; without root, it is nobody who made these folders of the jail.
PLACES = ("/planted", "/etc/planted", "/dev/planted", "/usr/planted", "/jail/planted")


@pytest.mark.attack(long=True)
def test_service_without_privileges(below_tmp: Path) -> None:
    """As a user that is not root; the same limits hold."""
    python = _python_of_all_users()
    if python is None:
        pytest.skip("no Python that other users may execute: apt install python3-venv")
    python = _environment_below(below_tmp, python)
    (below_tmp / "home").mkdir(mode=0o777)
    (below_tmp / "home").chmod(0o777)
    bomb = (
        "import threading, time\nthreading.stack_size(65536)\ntry:\n"
        "    for n in range(1000): threading.Thread(target=time.sleep, args=(1,)).start()\n"
        "except RuntimeError: print(100 < n < 140)"
    )
    write = [f"open({place!r}, 'w')" for place in PLACES]
    files = "import time\nfor i in range(3000): open(f'f{i}', 'w').close()\ntime.sleep(5)"
    done = subprocess.run(
        [
            python,
            "-c",
            SCRIPT,
            str(below_tmp / "home" / "thread"),
            *CALLS[:2],
            bomb,
            files,
            READ_SHADOW,
            *write,
        ],
        **_AS_NOBODY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    expected = (
        f"{below_tmp}/env {NOBODY} []\n42 True\nTrue\n[The execution was ended: it has more than 2000 files."
    )
    assert done.stdout.startswith(expected), (done.stdout, done.stderr)
    assert "EXECUTED\nTraceback" in done.stdout
    assert done.stdout.count("PermissionError") + done.stdout.count("Read-only file system") == len(PLACES)


# What code may try so as to live on.
ORPHANS = {
    "it sleeps": "",
    "it clears its death signal": "import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)",
    "it ignores all signals": (
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass"
    ),
    "it leaves its session": "import os\ntry: os.setsid()\nexcept OSError: pass",
    "it has many threads": (
        "import threading, time\nfor _ in range(50): threading.Thread(target=time.sleep, args=(15,)).start()"
    ),
    "it closes all pipes": "import os\nos.closerange(0, 256)",
    "it becomes another program": (
        "import os, sys\nos.execv(sys.executable, ['python', '-c', 'import time; time.sleep(15)'])"
    ),
}


@pytest.mark.attack
@pytest.mark.parametrize("code", ORPHANS.values(), ids=ORPHANS)
def test_orphans_of_a_killed_service(code: str, tmp_path: Path) -> None:
    _end_service(code, signal.SIGKILL, tmp_path)


@pytest.mark.attack(long=True)
@pytest.mark.parametrize("code", ORPHANS.values(), ids=ORPHANS)
def test_orphans_of_a_stopped_service(code: str, tmp_path: Path) -> None:
    _end_service(code, signal.SIGTERM, tmp_path)


@pytest.mark.attack
async def test_namespaces(tmp_path: Path) -> None:
    """Each kind is another one than the service's: the filter of system calls hides a shared one."""
    running = asyncio.create_task(execute(tmp_path, "import time\ntime.sleep(3)"))
    jail = await asyncio.to_thread(_wait_for_jail, os.getpid())
    (member, *_) = _members(jail)
    for kind in ("user", "pid", "net", "ipc", "uts", "cgroup", "mnt"):
        inside, outside = (os.readlink(f"/proc/{pid}/ns/{kind}") for pid in (member, "self"))
        assert inside != outside, kind
    assert (await running).completed


def _end_service(code: str, end: signal.Signals, tmp_path: Path) -> None:
    """End the service; all processes of the jail end. They are found by their pid namespace."""
    service = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SCRIPT,
            str(tmp_path),
            f"print('begun', flush=True)\n{code}\nimport time\ntime.sleep(15)",
        ],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
    )
    try:
        jail = _wait_for_jail(service.pid)
        time.sleep(0.5)
    finally:
        service.send_signal(end)
        service.wait(10)
    deadline = time.monotonic() + 5
    while left := _members(jail):
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.05)


def _namespace(pid: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _members(namespace: str) -> list[str]:
    return [entry for entry in os.listdir("/proc") if entry.isdigit() and _namespace(entry) == namespace]


def _wait_for_jail(service: int) -> str:
    """Return the pid namespace of a service's jail, once a process in it executes code."""
    own = _namespace("self")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in _children(service):
            for first in _children(child):
                namespace = _namespace(str(first))
                if namespace not in (None, own) and _children(first):
                    return str(namespace)
        time.sleep(0.05)
    raise AssertionError("no jail was made")


def _children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        return [
            int(child)
            for task in tasks
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii").split()
        ]
    except OSError:
        return []


def test_arguments_hold_no_code() -> None:
    """Arguments are visible to all users of the machine; code comes by a pipe."""
    command = bubblewrap._command(LIMITS)
    assert list(json.loads(command[-1])) == ["root", "limits", "user", "isolated"]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's jails wait for their users")


@needs_root
async def test_a_jail_killed_while_it_is_made_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[int] = []

    def refuse(pipes: _Pipes, pid: int) -> None:
        first.append(os.pidfd_open(pid))
        raise OSError("no more users")

    monkeypatch.setattr(_Pipes, "map_users", refuse)
    with pytest.raises(IsolationError, match="no more users"):
        await execute(tmp_path, "1")
    assert first
    for process in first:
        ended, _, _ = select.select([process], [], [], 5)
        assert ended
        os.close(process)


@needs_root
async def test_a_jail_that_takes_long_to_make_is_not_counted_as_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are looked at every 0.1 s; until it is there, it has the host's."""
    plain = _Pipes.map_users

    def late(pipes: _Pipes, pid: int) -> None:
        users = os.dup(pipes._users_end)

        def release() -> None:
            kept, pipes._users_end = pipes._users_end, users
            plain(pipes, pid)
            pipes._users_end = kept
            os.close(users)

        threading.Timer(1, release).start()

    monkeypatch.setattr(_Pipes, "map_users", late)
    assert (await execute(tmp_path, "1 + 1")).output == "2\n"
