"""A server of a state folder with the stand-in as its program."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent_tasks.base_environment import picked
from agent_tasks.local.embedded_server import UrlServer
from agent_tasks.local.supervisor import Settle, Specification
from tests.support.processor import alive
from tests.support.waiting import pause

STAND_IN = Path(__file__).with_name("stand_in.py")


def until(condition: Callable[[], bool], *, seconds: float = 8.0) -> bool:
    """Waits until `condition` holds; False if it does not in time."""
    deadline = time.monotonic() + seconds
    while (began := time.monotonic()) < deadline:
        if condition():
            return True
        time.sleep(pause(time.monotonic() - began, shortest=0.02))
    return condition()


def processes_of(folder: Path) -> list[str]:
    """Command lines and working directories of running processes that have to do with `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ends while it is looked at
            line = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line or str(process.joinpath("cwd").readlink()).startswith(str(folder)):
                found.append(line)
    return found


class StandIn:
    """Makes servers over one state folder, and reads what the stand-in has noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal.txt"
        self.run_dir = folder / "run"

    def server(
        self,
        behaviour: str = "",
        *,
        port: int | None = None,
        start_timeout: float = 10.0,
        stop_timeout: float = 5.0,
        settle: Settle | None = None,
        identity: str = "stand-in",
        variables: dict[str, str] | None = None,
        data: Sequence[Path] = (),
    ) -> UrlServer:
        command = [sys.executable, str(STAND_IN), "{port}", str(self.journal), behaviour]
        return UrlServer(
            Specification(
                name="standin",
                run_dir=str(self.run_dir),
                command=command,
                log=str(self.folder / "logs" / "standin.log"),
                cwd=str(self.folder),
                ports=[port] if port else [],
                health="/health",
                start_timeout=start_timeout,
                stop_timeout=stop_timeout,
                settle=settle,
                identity=identity,
                data=[str(path) for path in data],
            ),
            {**picked(os.environ), **(variables or {})},
        )

    def noted(self, word: str) -> list[list[str]]:
        """The rest of each line that begins with `word`."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == word]

    @property
    def pids(self) -> list[int]:
        """Every process the stand-in has ever been or started."""
        return [int(rest[0]) for word in ("started", "helper") for rest in self.noted(word)]

    def nothing_left(self) -> bool:
        return not any(alive(pid) for pid in self.pids)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    stand_in = StandIn(tmp_path)
    yield stand_in
    assert until(stand_in.nothing_left), "a process was left behind"
