"""`agent-tasks run`, killed in the middle of a batch (SIGKILL) and started again, pays for nothing twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.marks import ATTEMPT_FIELD, KEY_FIELD
from tests.batch.support import PIPELINE, RULES, TOOLS
from tests.durability.counts import counted
from tests.support.service import start_in_thread, write_rules
from tests.support.waiting import pause

DOCUMENTS = 8
TURNS = 2 * DOCUMENTS + 1  # extract and review each document, one question
TURN_STARTS = ("runs.create", "runs.create_thread_and_run")
EFFECTS = (*TURN_STARTS, "agents.create", "files.upload", "vector_stores.create")
LIMIT = 90.0  # seconds for one run of the command


class Command:
    """The command on a folder of its own, and the log of the local service that it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        documents = folder / "documents"
        documents.mkdir()
        for number in range(DOCUMENTS):
            text = f"Paper P-{number} of 2026-03-0{number + 1}, total {number}0.5, look up"
            (documents / f"{number}.txt").write_text(text)
        (folder / "pipeline.yaml").write_text(PIPELINE)
        (folder / "paper_tools.py").write_text(TOOLS)
        slow = [{**rule, "delay": 0.15} for rule in RULES["rules"]]
        self.model = write_rules(folder, {**RULES, "rules": slow})

    def start(self, prefect_api: str) -> subprocess.Popen[bytes]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "AGENT_TASKS_STATE_DIR": str(self.state),
            "AGENT_TASKS_LOCAL_MODEL": self.model,
            "PREFECT_API_URL": prefect_api,
        }
        words = ["run", "documents", "--pipeline", "pipeline.yaml", "--out", "out"]
        with (self.folder / "terminal.txt").open("ab") as terminal:
            return subprocess.Popen(
                [str(Path(sys.executable).with_name("agent-tasks")), *words],
                cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal,
            )  # fmt: skip

    def terminal(self) -> str:
        return (self.folder / "terminal.txt").read_text(errors="replace")

    def effects(self) -> list[dict[str, Any]]:
        """What the service was asked to create, from the log in its database."""
        path = self.state / "service" / "service.db"
        if not path.exists():
            return []
        marks = ",".join("?" * len(EFFECTS))
        which = f"operation IN ({marks}) AND status < 400"
        query = f"SELECT operation, body FROM requests WHERE {which} ORDER BY id"  # noqa: S608
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            try:
                rows = database.execute(query, EFFECTS).fetchall()
            except sqlite3.OperationalError:
                return []  # the service is about to make its tables
        return [{"operation": operation, "body": json.loads(body or "{}")} for operation, body in rows]

    def turns(self) -> list[dict[str, Any]]:
        return [row for row in self.effects() if row["operation"] in TURN_STARTS]

    def left(self) -> Mapping[str, int]:
        """What is left on the service, read by starting it once more on its data."""
        service = start_in_thread(self.state / "service", self.model)
        try:
            with service.http() as http:
                paths = ("assistants", "threads", "vector_stores", "files")
                return {path: len(http.get(f"/{path}").json()["data"]) for path in paths}
        finally:
            service.stop()

    def processes(self) -> list[int]:
        """Processes that name this folder in their environment or command, ended ones left out."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended, or is not ours
            if str(self.state).encode() in words:
                found.append(int(entry.name))
        return found


def wait_until(condition: Any, what: str, limit: float = LIMIT) -> None:
    began = time.monotonic()
    deadline = began + limit
    while not condition():
        now = time.monotonic()
        assert now < deadline, f"{what} did not happen within {limit:g} s"
        time.sleep(pause(now - began, shortest=0.02))
        began = time.monotonic()


@pytest.fixture
def prefect_api(prefect_server: str) -> str:
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


@pytest.mark.timeout(400)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_a_run_killed_again_and_again_serves_no_turn_twice(
    tmp_path: Path, prefect_api: str, pytestconfig: pytest.Config
) -> None:
    command = Command(tmp_path)
    kills = (2, 9, TURNS)
    for turns_before_the_kill in kills:
        process = command.start(prefect_api)
        wait_until(
            lambda so_far=turns_before_the_kill, running=process: (
                len(command.turns()) >= so_far or running.poll() is not None
            ),
            f"turn {turns_before_the_kill}",
        )
        assert process.poll() is None, f"the run ended before it could be killed:\n{command.terminal()}"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        wait_until(lambda: not command.processes(), "the end of the killed run's servers", 20)

    process = command.start(prefect_api)
    assert process.wait(LIMIT) == 0, command.terminal()
    assert "Traceback" not in command.terminal()
    wait_until(lambda: not command.processes(), "the end of the finished run's servers", 20)

    marks = Counter(
        (row["body"]["metadata"][KEY_FIELD], row["body"]["metadata"][ATTEMPT_FIELD])
        for row in command.turns()
    )
    duplicates = [mark for mark, times in marks.items() if times > 1]
    left = command.left()
    counted(pytestconfig).add(kills=len(kills), duplicates=len(duplicates), leaks=sum(left.values()))
    assert duplicates == []
    assert len(command.turns()) == TURNS
    by_operation = Counter(row["operation"] for row in command.effects())
    assert by_operation["agents.create"] == 3
    assert by_operation["files.upload"] == DOCUMENTS
    assert by_operation["vector_stores.create"] == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["done"] * DOCUMENTS
    assert left == {"assistants": 0, "threads": 0, "vector_stores": 0, "files": 0}
