"""Hostile code is contained: with namespaces where the system permits them, and without."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from agents_emulator.tools.sandbox import Execution, Limits, Sandbox
from agents_emulator.tools.sandbox.runner import read_regular, remove_folder

LIMITS = Limits(
    cpu_seconds=1,
    wall_seconds=4.0,
    memory_bytes=512 * 1024**2,
    file_bytes=1024**2,
    folder_bytes=4 * 1024**2,
    folder_files=50,
    output_characters=5000,
    output_bytes=200_000,
)


@pytest.fixture(params=["isolated", "by audit hook"])
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(LIMITS)
    if request.param == "by audit hook":
        sandbox._isolates = False
    elif not await sandbox._isolation(tmp_path):
        pytest.skip("this system permits no namespaces")
    return sandbox


async def run(sandbox: Sandbox, folder: Path, code: str) -> Execution:
    return await asyncio.wait_for(sandbox.run(code, folder), 8)


async def test_code_has_its_folder_and_its_variables(sandbox: Sandbox, tmp_path: Path) -> None:
    await run(sandbox, tmp_path, "x = {'a': 1}\nopen('/mnt/data/f.txt', 'w').write('hi')")
    result = await run(sandbox, tmp_path, "print(x, open('f.txt').read())")
    assert result == Execution("{'a': 1} hi\n", True)


# Each must fail; all in one process, since none may get away.
HOSTILE = [
    "import os\nwhile True: os.fork()",
    "import subprocess\nsubprocess.run(['/bin/true'])",
    "import multiprocessing\nmultiprocessing.Process(target=print).start()",
    "import os\nos.execv('/bin/true', ['true'])",
    "import socket\nsocket.create_connection(('127.0.0.1', 9), 1)",
    "import socket\nsocket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
    "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/', timeout=1)",
    "import os\nos.kill(os.getppid() or 1, 9)",
    "open('/etc/passwd').read()",
    "open('/proc/1/environ').read()",
    "open('/usr/lib/planted', 'w')",
    "import os\nos.symlink('/etc/passwd', 'link')\nopen('link').read()",
    "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000): raise OSError('Error')",
    "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (100, 100))",
]
TRY_ALL = """
for code in {codes!r}:
    try:
        exec(code, {{}})
    except Exception as error:
        print('refused:', type(error).__name__)
    else:
        print('PASSED:', code)
"""


async def test_what_code_must_not_do_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await run(sandbox, tmp_path, TRY_ALL.format(codes=HOSTILE))
    assert result.completed, result
    assert "PASSED" not in result.output
    assert result.output.count("refused:") == len(HOSTILE)


async def test_files_of_the_service_are_out_of_reach(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("the secret", encoding="utf-8")
    for path in (str(secret), "../../../secret.txt", f"../../../{tmp_path.parent.name}/secret.txt"):
        result = await run(sandbox, tmp_path / "t", f"print(open({path!r}).read())")
        assert "the secret" not in result.output
        assert "Error" in result.output


async def test_the_environment_of_the_service_is_not_passed_on(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_EMULATOR_TOKEN", "the-token")
    result = await run(sandbox, tmp_path, "import os\nprint(sorted(os.environ))")
    assert "TOKEN" not in result.output


async def test_an_endless_loop_ends_at_its_processor_time(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await run(sandbox, tmp_path, "print('before', flush=True)\nwhile True: pass")
    assert not result.completed
    assert result.output.startswith("before\n")
    assert "processor time" in result.output


async def test_sleeping_ends_at_the_time_limit(tmp_path: Path) -> None:
    sandbox = Sandbox(Limits(wall_seconds=0.6))
    started = time.monotonic()
    result = await run(sandbox, tmp_path, "import time\ntime.sleep(60)")
    assert result == Execution("[The execution was ended: it took longer than 0.6 s.]", False)
    assert time.monotonic() - started < 5


async def test_memory_is_limited(sandbox: Sandbox, tmp_path: Path) -> None:
    assert "MemoryError" in (await run(sandbox, tmp_path, "x = bytearray(4 * 1024**3)")).output


async def test_a_flood_of_output_is_cut_and_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await run(sandbox, tmp_path, "while True: print('x' * 10000)")
    assert not result.completed
    assert "200000 bytes were printed" in result.output
    assert len(result.output) < 5200
    much = await run(sandbox, tmp_path, "print('y' * 7000)")
    assert much.completed
    assert much.output == "y" * 5000 + "\n[2001 characters left out.]"


async def test_files_are_limited_in_size_and_number(sandbox: Sandbox, tmp_path: Path) -> None:
    large = await run(sandbox, tmp_path, "open('big', 'wb').write(b'0' * 5 * 1024**2)")
    assert "File too large" in large.output
    many = await run(sandbox, tmp_path, "import time\nfor i in range(100): open(f'f{i}', 'w')\ntime.sleep(3)")
    assert "more than 50 files" in many.output


async def test_a_crash_of_the_interpreter_is_reported(tmp_path: Path) -> None:
    result = await run(Sandbox(LIMITS), tmp_path, "import ctypes\nctypes.string_at(0)")
    assert not result.completed
    assert "signal 11" in result.output


async def test_variables_that_were_tampered_with_are_given_up(tmp_path: Path) -> None:
    sandbox = Sandbox(LIMITS)
    await run(sandbox, tmp_path, "x = 1")
    (tmp_path / "state" / "variables.pickle").write_bytes(b"no pickle")
    result = await run(sandbox, tmp_path, "1")
    assert result.completed
    assert "could not be restored" in result.output
    assert result.output.endswith("]\n1\n")


async def test_cancelling_ends_the_child_process(tmp_path: Path) -> None:
    task = asyncio.create_task(Sandbox(LIMITS).run("import time\nopen('here', 'w')\ntime.sleep(4)", tmp_path))
    while not (tmp_path / "data" / "here").exists():
        await asyncio.sleep(0.01)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 2


def test_links_and_pipes_left_by_code_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"image")
    (tmp_path / "link.png").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.png")
    assert read_regular(tmp_path / "real.png", 10) == b"image"
    assert read_regular(tmp_path / "real.png", 4) is None
    assert read_regular(tmp_path / "link.png", 10_000) is None
    assert read_regular(tmp_path / "pipe.png", 10) is None
    assert read_regular(tmp_path, 10) is None


async def test_locked_and_linked_folders_do_not_stop_the_next_call_or_the_end(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "kept").touch()
    space = tmp_path / "space"
    sandbox = Sandbox(LIMITS)
    code = "import os\nos.makedirs('a/b')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\nos.chmod('.', 0)"
    await run(sandbox, space, code)
    (space / "data").chmod(0o700)
    (space / "data" / "link").symlink_to(outside)
    assert (await run(sandbox, space, "1 + 1")).output == "2\n"
    remove_folder(space)
    assert not space.exists()
    assert (outside / "kept").exists()
    remove_folder(space)
