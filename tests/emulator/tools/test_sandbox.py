"""The sandbox as honest code sees it: files, variables, limits, ends. Attacks are in tests/security."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agents_emulator.tools.sandbox import Execution, Limits, Sandbox, SandboxError
from agents_emulator.tools.sandbox.kept import Kept, read_below
from tests.support.jails import LIMITS, execute, needs_jail
from tests.support.processor import alive
from tests.support.waiting import eventually

pytestmark = needs_jail

NOT_KEPT = "What it changed is not kept.]"


@pytest.fixture(params=["isolated", "unisolated"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return Sandbox(LIMITS, isolated=request.param == "isolated")


async def test_code_has_its_folder_and_its_variables(sandbox: Sandbox, tmp_path: Path) -> None:
    code = "x = {'a': 1}\nopen('/mnt/data/f.txt', 'w').write('hi')\nimport os\nos.makedirs('a/b')"
    await sandbox.run(code + "\nopen('a/b/é\u202f.txt', 'w').write('ho')", tmp_path)
    code = "print(x, open('f.txt').read(), open('a/b/é\u202f.txt').read())"
    assert await sandbox.run(code, tmp_path) == Execution("{'a': 1} hi ho\n", True)
    await sandbox.run("import os\nos.remove('f.txt')\ndel x", tmp_path)
    code = "import os\nprint(os.listdir('.'), 'x' in globals())"
    assert await sandbox.run(code, tmp_path) == Execution("['a'] False\n", True)


async def test_changed_files_are_written_and_others_stay_as_they_are(tmp_path: Path) -> None:
    await execute(tmp_path, "open('same', 'w').write('1')\nopen('new', 'w').write('1')")
    first = Kept(tmp_path).current()
    assert first is not None
    times = {name: (first / "data" / name).stat().st_mtime_ns for name in ("same", "new")}
    await execute(tmp_path, "open('new', 'w').write('2')")
    second = Kept(tmp_path).current()
    assert second is not None
    assert second != first
    assert not first.exists()
    assert (second / "data" / "same").stat().st_mtime_ns == times["same"]
    assert (second / "data" / "new").read_text(encoding="utf-8") == "2"


async def test_links_lead_to_files_by_further_names(tmp_path: Path) -> None:
    await execute(tmp_path, "open('table.csv', 'w').write('a,b')")
    result = await Sandbox(LIMITS).run("open('id-1').read()", tmp_path, {"id-1": "table.csv"})
    assert result.output == "'a,b'\n"


async def test_libraries_work_with_the_filter(tmp_path: Path) -> None:
    code = (
        "import numpy as np, pandas as pd, threading, asyncio, ctypes, zoneinfo, sqlite3\n"
        "import matplotlib.pyplot as plt\n"
        "plt.plot(np.linalg.inv(np.random.rand(200, 200)))\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "thread = threading.Thread(target=print, args=('thread',))\nthread.start()\nthread.join()\n"
        "callback = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)()\n"
        "zoneinfo.ZoneInfo('Europe/Oslo')\n"
        "row = sqlite3.connect('t.db').execute('select 3').fetchone()\n"
        "del thread\n"
        "print(pd.DataFrame({'a': [1, 2]}).a.sum(), callback, row)"
    )
    result = await execute(tmp_path, code, Limits())
    assert result == Execution("thread\n3 7 (3,)\n", True)
    current = Kept(tmp_path).current()
    assert current is not None
    assert [path.name for path in (current / "shown").iterdir()] == ["0001.png"]


async def test_an_endless_loop_ends_at_its_processor_time(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await sandbox.run("print('before', flush=True)\nwhile True: pass", tmp_path)
    assert result.output == (
        f"before\n\n[The execution was ended: it used its 2 s of processor time. {NOT_KEPT}"
    )


async def test_sleeping_ends_at_the_time_limit(tmp_path: Path) -> None:
    result = await execute(tmp_path, "import time\ntime.sleep(60)", replace(LIMITS, wall_seconds=1.5))
    assert result == Execution(f"[The execution was ended: it took longer than 1.5 s. {NOT_KEPT}", False)


async def test_output_is_cut(tmp_path: Path) -> None:
    much = await execute(tmp_path, "print('y' * 7000)")
    assert much == Execution("y" * 5000 + "\n[2001 characters left out.]", True)


async def test_code_that_leaves_early_keeps_nothing(tmp_path: Path) -> None:
    await execute(tmp_path, "x = 1")
    result = await execute(tmp_path, "import os\nx = 2\nopen('f', 'w')\nos._exit(0)")
    assert result == Execution(f"[The execution was ended: exit status 0. {NOT_KEPT}", False)
    assert (await execute(tmp_path, "import os\nx, os.listdir('.')")).output == "(1, [])\n"


async def test_a_crash_of_the_interpreter_is_reported(tmp_path: Path) -> None:
    result = await execute(tmp_path, "import ctypes\nctypes.string_at(0)")
    assert not result.completed
    assert "signal 11" in result.output


async def test_cancelling_ends_the_process_and_leaves_what_was_kept(sandbox: Sandbox, tmp_path: Path) -> None:
    await sandbox.run("x = 1", tmp_path)
    task = asyncio.create_task(sandbox.run("import time\nx = 2\ntime.sleep(8)", tmp_path))
    await asyncio.sleep(1)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 4
    assert (await sandbox.run("x", tmp_path)).output == "1\n"
    assert not [name for name in os.listdir(tmp_path) if not name.isdigit()]


async def test_too_much_to_begin_with_is_said(tmp_path: Path) -> None:
    data = Kept(tmp_path).ensure() / "data"
    (data / "large").write_bytes(bytes(5 * 1024**2))
    with pytest.raises(SandboxError, match=r"5242880 bytes.*interpreter\.folder_bytes"):
        await execute(tmp_path, "1")


async def test_an_upload_may_be_larger_than_a_file_of_the_code(tmp_path: Path) -> None:
    data = Kept(tmp_path).ensure() / "data"
    (data / "large").write_bytes(bytes(2 * 1024**2))
    assert (await execute(tmp_path, "len(open('large', 'rb').read())")).output == "2097152\n"
    assert (await execute(tmp_path, "len(open('large', 'rb').read())")).output == "2097152\n"


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"image")
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe.png")
    assert read_below(tmp_path, "real.png", limit=10) == b"image"
    assert read_below(tmp_path, "real.png", limit=4) is None
    for names in (("link.png",), ("pipe.png",), ("folder", "passwd"), ("..", tmp_path.name), ("a/b",), ()):
        assert read_below(tmp_path, *names, limit=10_000) is None


@pytest.mark.parametrize("told", ["nothing", "a process"])
async def test_a_jail_that_is_given_up_while_it_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    """bubblewrap has begun a process; the call is cancelled before it is known, or before it is set up."""
    begun = tmp_path / "begun"
    tell = 'eval "printf \'{\\"child-pid\\": $child\' >&$8"; ' if told == "a process" else ""
    fake = tmp_path / "bwrap"
    # The number of --info-fd is found among the arguments; what is told is not whole, so it is waited for.
    fake.write_text(
        "#!/usr/bin/env bash\n"
        "sleep 60 &\nchild=$!\n"
        'while [[ $# -gt 0 && $1 != --info-fd ]]; do shift; done\nset -- 1 2 3 4 5 6 7 "$2"\n'
        f"{tell}echo $$ $child > {begun}.new; mv {begun}.new {begun}\nwait\n",
        encoding="utf-8",
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    pipes = len(os.listdir("/proc/self/fd"))
    call = asyncio.create_task(Sandbox(LIMITS).run("1", tmp_path / "thread"))
    await eventually(begun.exists, seconds=20)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)
    processes = [int(pid) for pid in begun.read_text(encoding="utf-8").split()]
    await eventually(lambda: not any(map(alive, processes)), seconds=20)
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= pipes, seconds=20)
