"""What executed code tries to use up: processor, memory, disk, processes, output, time."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agents_emulator.tools.sandbox.kept import Kept
from tests.support.jails import LIMITS, execute, needs_jail

pytestmark = needs_jail

# The error that code ends with, or what is said of its end.
BOMBS = {
    "an endless loop": ("while True: pass", "2 s of processor time"),
    "an endless loop that ignores the signal": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "signal 9",
    ),
    "an endless loop in many threads": (
        "import threading\nfor _ in range(10): threading.Thread(target=lambda: sum(iter(int, 1))).start()",
        "2 s of processor time",
    ),
    "a large object": ("x = bytearray(4 * 1024**3)", "MemoryError"),
    "many small objects": ("x = []\nwhile True: x.append(bytes(100_000))", "MemoryError"),
    "shared memory without a name": ("import mmap\nx = mmap.mmap(-1, 4 * 1024**3)", "Error"),
    "a memfd": ("import os\nos.write(os.memfd_create('m'), bytes(1 << 20))", "Operation not permitted"),
    "files in /dev/shm": ("open('/dev/shm/x', 'w')", "No such file"),
    "a large file": ("open('big', 'wb').write(bytes(5 * 1024**2))", "File too large"),
    "a large sparse file": ("import os\nos.truncate(os.open('s', os.O_CREAT | os.O_RDWR), 1 << 40)", "large"),
    "a folder filled": (
        "for i in range(40): open(f'f{i}', 'wb').write(bytes(1 << 20))",
        "No space left on device",
    ),
    "/tmp filled": (
        "for i in range(40): open(f'/tmp/f{i}', 'wb').write(bytes(1 << 20))",
        "No space left on device",
    ),
    "the folder of variables filled": (
        "for i in range(40): open(f'/mnt/state/f{i}', 'wb').write(bytes(1 << 20))",
        "No space left on device",
    ),
    "unlinked files": (
        "import os\nkept = []\nfor i in range(40):\n    kept.append(open('f', 'wb'))\n    os.unlink('f')\n"
        "    kept[-1].write(bytes(1 << 20))\n    kept[-1].flush()",
        "No space left on device",
    ),
    "unlinked files of /tmp": (
        "import tempfile\nkept = []\nfor i in range(40):\n    kept.append(tempfile.TemporaryFile())\n"
        "    kept[-1].write(bytes(1 << 20))\n    kept[-1].flush()",
        "No space left on device",
    ),
    "many files": (
        "import time\nfor i in range(3000): open(f'f{i}', 'w').close()\ntime.sleep(5)",
        "more than 50 files",
    ),
    "many files in /tmp": (
        "import time\nfor i in range(3000): open(f'/tmp/f{i}', 'w').close()\ntime.sleep(5)",
        "more than 50 files",
    ),
    "many folders in each other": (
        "import os, time\nfor i in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\ntime.sleep(5)",
        "more than 50 files",
    ),
    "many descriptors": ("x = [open('/dev/null') for _ in range(1000)]", "Too many open files"),
    "a fork bomb": ("import os\nwhile True: os.fork()", "Operation not permitted"),
    "a thread bomb": (
        "import threading, time\n"
        "while True: threading.Thread(target=time.sleep, args=(5,), daemon=True).start()",
        "can't start new thread",
    ),
    "a flood of output": ("while True: print('x' * 10000)", "more than 200000 bytes were printed"),
    "a flood of errors": (
        "import sys\nwhile True: sys.stderr.write('x' * 10000)",
        "more than 200000 bytes were printed",
    ),
    "a deep recursion": ("import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", "ended"),
}


@pytest.mark.attack
@pytest.mark.parametrize(("code", "expected"), BOMBS.values(), ids=BOMBS)
async def test_bomb(code: str, expected: str, tmp_path: Path) -> None:
    started = time.monotonic()
    # Long enough for three seconds of processor time on a machine that has other work.
    result = await execute(tmp_path, code, replace(LIMITS, wall_seconds=20.0))
    assert expected in result.output, result
    assert len(result.output) < 8000
    assert time.monotonic() - started < 25
    # Whatever it was, the thread can be used afterwards, and holds no more than it may.
    assert (await execute(tmp_path, "1 + 1")).output == "2\n"
    current = Kept(tmp_path).current()
    assert current is not None
    assert _size(current) <= LIMITS.folder_bytes


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


# Code that would go on for ever without using anything.
STALLING = {
    "sleep": "import time\ntime.sleep(1000)",
    "output closed": "import os, time\nos.close(1)\nos.close(2)\ntime.sleep(1000)",
    "every descriptor closed": "import os, time\nos.closerange(0, 256)\ntime.sleep(1000)",
    "signals ignored": (
        "import signal, time\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\ntime.sleep(1000)"
    ),
    "stopped": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "a thread that sleeps": (
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(1000,))\nt.start()\nt.join()"
    ),
    "a pipe that nobody reads": "import os\nr, w = os.pipe()\nwhile True: os.write(w, bytes(65536))",
    "a variable that takes for ever to keep": (
        "import time\nclass A:\n    def __reduce__(self): time.sleep(1000)\nx = A()"
    ),
}


@pytest.mark.attack(long=True)
@pytest.mark.parametrize("code", STALLING.values(), ids=STALLING)
async def test_stalling(code: str, tmp_path: Path) -> None:
    started = time.monotonic()
    result = await execute(tmp_path, code, replace(LIMITS, wall_seconds=2.0))
    assert "it took longer than 2 s" in result.output, result
    assert time.monotonic() - started < 12


@pytest.mark.attack
async def test_what_persists_of_sparse_files(tmp_path: Path) -> None:
    """Files that take no room while code runs would take much where they are kept."""
    code = "import os\nfor i in range(20): os.truncate(os.open(f's{i}', os.O_CREAT | os.O_RDWR), 1 << 20)"
    result = await execute(tmp_path, code)
    assert "is not kept for later calls: the files take more than 4194304 bytes" in result.output
    current = Kept(tmp_path).current()
    assert current is not None
    assert len(os.listdir(current / "data")) == 3  # and the variables


@pytest.mark.attack
async def test_what_persists_of_hard_links(tmp_path: Path) -> None:
    code = "import os\nopen('f', 'wb').write(bytes(1 << 20))\nfor i in range(20): os.link('f', f'l{i}')"
    await execute(tmp_path, code)
    current = Kept(tmp_path).current()
    assert current is not None
    assert len(os.listdir(current / "data")) == 3


@pytest.mark.attack
async def test_descriptors_that_are_needed_for_keeping(tmp_path: Path) -> None:
    code = "import os\nheld = []\ntry:\n    while True: held.append(os.pipe())\nexcept OSError: pass"
    result = await execute(tmp_path, code)
    assert "files and variables could not be kept: [Errno 24]" in result.output
    assert "Traceback" not in result.output
    assert os.listdir(tmp_path) == []


@pytest.mark.attack(long=True)
async def test_many_bombs_at_once(tmp_path: Path) -> None:
    """Four at a time, as the service allows, and one honest call beside them."""
    bombs = [BOMBS[name][0] for name in ("a thread bomb", "many small objects", "many files", "a fork bomb")]
    running = [asyncio.create_task(execute(tmp_path / str(i), code)) for i, code in enumerate(bombs)]
    assert (await execute(tmp_path / "honest", "6 * 7")).output == "42\n"
    await asyncio.gather(*running)
