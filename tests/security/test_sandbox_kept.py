"""What executed code tries to leave behind: for its next call, for the service that reads it, for others."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents_emulator.tools.sandbox import Limits, Sandbox
from agents_emulator.tools.sandbox.jail.frames import FrameError, checked_path
from agents_emulator.tools.sandbox.kept import Incoming, Kept
from tests.emulator.helpers import agent, get
from tests.emulator.tools.conftest import Turns, rules_for
from tests.support.jails import LIMITS, execute, needs_jail
from tests.support.service import start_in_thread, write_rules

pytestmark = needs_jail

# The answer of the jail, forged: the code finds its pipe and ends before anything else is written.
FORGE = """
import os, json
pipe = next(n for n in range(3, 99) if os.path.exists('/') and is_pipe(n))
def head(value, content=b''):
    packed = json.dumps(value).encode()
    os.write(pipe, len(packed).to_bytes(4, 'big') + packed + content)
"""
PREPARE = """
import os
def is_pipe(number):
    try: os.fstat(number)
    except OSError: return False
    return True
"""

FORGED = {
    "a path upwards": "head({'path': 'data/../../../planted', 'size': 1}, b'x')",
    "an absolute path": "head({'path': '/tmp/planted', 'size': 1}, b'x')",
    "a path of another place": "head({'path': 'manifest.json', 'size': 1}, b'x')",
    "a folder upwards": "head({'folder': 'data/..'})",
    "a folder for a file": "head({'folder': 'data/a'})\nhead({'path': 'data/a', 'size': 1}, b'x')",
    "a file twice": "head({'path': 'data/a', 'size': 1}, b'x')\nhead({'path': 'data/a', 'size': 1}, b'x')",
    "an unchanged file that there is not": "head({'path': 'data/none', 'same': True})",
    "an unchanged file of the host": "head({'path': 'data/../../../../etc/shadow', 'same': True})",
    "a size below zero": "head({'path': 'data/a', 'size': -1})",
    "a huge size": "head({'path': 'data/a', 'size': 1 << 60})",
    "a size that is no number": "head({'path': 'data/a', 'size': True})",
    "no path": "head({'size': 1}, b'x')",
    "a path that is no text": "head({'path': ['data', 'a'], 'size': 1}, b'x')",
    "a name with a zero byte": "head({'path': 'data/a\\0b', 'size': 1}, b'x')",
    "a name with a newline": "head({'path': 'data/a\\nb', 'size': 1}, b'x')",
    "a name that is no UTF-8": "head({'path': 'data/a\\udcff', 'size': 1}, b'x')",
    "too many files": "for i in range(60): head({'path': f'data/{i}', 'size': 0})",
    "too many bytes": "for i in range(6): head({'path': f'data/{i}', 'size': 1 << 20}, bytes(1 << 20))",
    "less than promised": "head({'path': 'data/a', 'size': 100}, b'x')",
    "no frame at all": "os.write(pipe, b'\\xff' * 100)",
    "a head that is no object": "os.write(pipe, b'\\0\\0\\0\\x02[]')",
    "a head of many levels": "os.write(pipe, (9000).to_bytes(4, 'big') + b'[' * 9000)",
    "the jail's first word again": "os.write(pipe, b'jail: ready\\n')",
}


@pytest.mark.attack
@pytest.mark.parametrize("code", FORGED.values(), ids=FORGED)
async def test_forged_answer(code: str, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "thread"
    await execute(folder, "x = 'before'")
    result = await execute(folder, f"{PREPARE}{FORGE}{code}\nhead({{'end': True}})\nos._exit(0)")
    assert not result.completed, result
    assert (await execute(folder, "x")).output == "'before'\n"
    assert [path.name for path in tmp_path.rglob("planted")] == []
    assert not Path("/tmp/planted").exists()


async def test_an_answer_in_order_is_taken(tmp_path: Path) -> None:
    """The forging works: the code may as well write itself what is kept."""
    code = "head({'path': 'data/a', 'size': 1}, b'x')\nhead({'end': True})\nos._exit(0)"
    assert (await execute(tmp_path, f"{PREPARE}{FORGE}{code}")).completed
    assert (await execute(tmp_path, "open('a').read()")).output == "'x'\n"


@pytest.mark.attack
@pytest.mark.parametrize(
    "before",
    ["head({'end': True})", "head({'path': 'data/../a', 'size': 1}, b'x')"],
    ids=["after its end", "after what is refused"],
)
async def test_megabytes_that_nobody_waits_for(before: str, tmp_path: Path) -> None:
    code = f"{before}\nfor _ in range(64): os.write(pipe, bytes(1 << 20))\nos._exit(0)"
    began = time.monotonic()
    await execute(tmp_path, f"{PREPARE}{FORGE}{code}")
    assert time.monotonic() - began < LIMITS.wall_seconds


@pytest.mark.attack
async def test_an_answer_without_end(tmp_path: Path) -> None:
    code = "while True: head({'path': 'data/a', 'same': True})"
    assert not (await execute(tmp_path, f"{PREPARE}{FORGE}{code}")).completed


@pytest.mark.attack
@pytest.mark.parametrize(
    "path",
    [
        *("", "data", "data/", "data//a", "data/.", "data/..", "/data/a", "other/a", "data/a\0"),
        *("data/" + "a" * 256, "data" + "/a" * 30, "data/\udcff", "data/a\x1b[2J", 7, None, ["data", "a"]),
    ],
    ids=ascii,
)
def test_path(path: object) -> None:
    with pytest.raises(FrameError):
        checked_path(path)


class Kill:
    """Ends whoever unpickles it, with the status that once stood for 'no isolation here'."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os._exit, (97,)


class Touch:
    """Shows by a file that it was unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.attack
async def test_exit_97_by_a_pickle_in_the_state(tmp_path: Path) -> None:
    """Code that was kept ends every later call; it never gets out of its jail by that, nor do others."""
    code = f"open('/mnt/state/variables.pickle', 'wb').write({pickle.dumps(Kill())!r})\nimport os\ndel os"
    kept = Kept(tmp_path / "thread").ensure()
    (kept / "state" / "variables.pickle").write_bytes(pickle.dumps(Kill()))
    for sandbox in (Sandbox(LIMITS), Sandbox(LIMITS)):
        result = await sandbox.run("print(open('/etc/shadow').read())", tmp_path / "thread")
        assert result.output == "[The execution was ended: exit status 97. What it changed is not kept.]"
        other = await sandbox.run("print(open('/etc/passwd').read())", tmp_path / "other")
        assert "FileNotFoundError" in other.output
    assert (await execute(tmp_path / "third", code)).completed


@pytest.mark.attack
async def test_a_pickle_that_acts_on_the_host(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    kept = Kept(tmp_path / "thread").ensure()
    (kept / "state" / "variables.pickle").write_bytes(pickle.dumps({"x": pickle.dumps(Touch(str(planted)))}))
    await execute(tmp_path / "thread", "1")
    assert not planted.exists()


@pytest.mark.attack
async def test_variables_that_are_no_pickle(tmp_path: Path) -> None:
    kept = Kept(tmp_path).ensure()
    (kept / "state" / "variables.pickle").write_bytes(b"no pickle")
    result = await execute(tmp_path, "1")
    assert result.completed
    assert "could not be restored" in result.output


# What may lie in the folder at the end; none of it is on the host afterwards.
LEFT = {
    "a symbolic link to a file": "os.symlink('/etc/shadow', 'left.png')",
    "a symbolic link to a folder": "os.symlink('/etc', 'left')",
    "a link in place of the figures": "os.rmdir('/mnt/shown')\nos.symlink('/etc', '/mnt/shown')",
    "a link in place of the state": "os.rmdir('/mnt/state')\nos.symlink('/etc', '/mnt/state')",
    "a link in place of the data": "os.chdir('/')\nos.rmdir('/mnt/data')\nos.symlink('/etc', '/mnt/data')",
    "a pipe": "os.mkfifo('left.png')",
    "a pipe in place of the variables": "os.mkfifo('/mnt/state/variables.pickle')\ndel os",
    "a socket": "os.mknod('left.png', 0o140600)",
    "a folder that is locked": "os.makedirs('a/b')\nos.chmod('a/b', 0)\nos.chmod('a', 0)\nos.chmod('.', 0)",
    "a file that is locked": "open('left.png', 'w')\nos.chmod('left.png', 0)",
    "a name with a newline": "open('left\\n.png', 'w')",
    "a name with an escape": "open('left\\x1b[2J.png', 'w')",
    "a name that is no UTF-8": "open(b'left\\xff.png', 'w')",
    "folders in each other": "for _ in range(30):\n    os.mkdir('d')\n    os.chdir('d')",
    "a setuid file": "open('left', 'w')\nos.chmod('left', 0o6777)",
    "names as of the service": "for n in ('1', '2', '9.partial', 'manifest.json'): open(n, 'w')",
}


@pytest.mark.attack
@pytest.mark.parametrize("code", LEFT.values(), ids=LEFT)
async def test_left_behind(code: str, tmp_path: Path) -> None:
    etc = os.stat("/etc")
    await execute(tmp_path, f"import os\n{code}")
    for path in tmp_path.rglob("*"):
        found = path.lstat()
        assert path.is_dir() or path.is_file(), path
        assert not path.is_symlink(), path
        assert found.st_mode & 0o7077 == 0, (path, oct(found.st_mode))
        assert path.name.isprintable()
    assert os.stat("/etc").st_mode == etc.st_mode
    assert (await execute(tmp_path, "1 + 1")).output.endswith("2\n")


@pytest.mark.attack
async def test_a_link_shown_makes_no_host_folder_private(tmp_path: Path) -> None:
    """What earlier code left under the name of the figures is never followed."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    for name in ("data", "state"):
        (tmp_path / "thread" / name).mkdir(parents=True)
    (tmp_path / "thread" / "state" / "shown").symlink_to(outside)
    await execute(tmp_path / "thread", f"import os\nos.symlink({str(outside)!r}, '/mnt/state/shown')")
    assert outside.stat().st_mode & 0o777 == 0o755


@pytest.mark.attack
def test_a_link_among_what_is_kept(tmp_path: Path) -> None:
    """Should a link be there all the same, it is not given to the code, nor taken over."""
    kept = Kept(tmp_path)
    (kept.ensure() / "data" / "link").symlink_to("/etc/shadow")
    assert list(kept.files()) == []
    with pytest.raises(FrameError):
        Incoming(tmp_path, Path("/"), 2, Limits()).take({"path": "data/link", "same": True})


@pytest.mark.attack
@pytest.mark.parametrize(
    "code",
    ["import os\nos.symlink('/etc/passwd', 'stolen.png')", "import os\nos.mkfifo('stolen.png')"],
    ids=["link", "pipe"],
)
async def test_an_image_that_the_service_reads(code: str, tmp_path: Path) -> None:
    """By the service: images of the folder become files of it."""
    rules = rules_for("code_interpreter", answer="See sandbox:/mnt/data/stolen.png")
    running = start_in_thread(tmp_path / "data", write_rules(tmp_path, rules))
    try:
        with running.http() as client:
            turns = Turns(client, agent(client, tools=[{"type": "code_interpreter"}]))
            await asyncio.to_thread(turns.call, "code_interpreter", {"code": code})
            assert turns.run["status"] == "completed"
            assert get(client, "/files")["data"] == []
    finally:
        running.stop()
