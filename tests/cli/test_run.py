"""`agent-tasks run` as a person uses it: interrupted, again to its end, once more, and `agent-tasks stop`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.journal import Journal
from agent_tasks.local.supervisor import read_record
from tests.batch.support import PIPELINE, RULES, TOOLS
from tests.local.conftest import processes_of, until
from tests.support.caches import shared_cache
from tests.support.service import start_in_thread, write_rules

MAIN = [sys.executable, "-c", "from agent_tasks.cli import main; main()"]
RUN = ("run", "documents", "--pipeline", "pipeline.yaml", "--out", "out")
TRUTH = """
{"document": "a.txt", "fields": {"number": "P-1", "total": 10.5}}
{"document": "b.txt", "fields": {"number": "P-2", "total": 20.0}}
"""
SLOW_PAPER: dict[str, Any] = {
    "name": "slow",
    "when": {"schema": "paper", "message": "takes its time", "call": 1},
    "reply": {"json": {"number": "P-2", "total": 20.0, "issued": "2026-03-02"}},
    "delay": 60,
}


class Terminal:
    """A folder with documents, in which a person gives commands, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        (folder / "documents").mkdir()
        (folder / "documents" / "a.txt").write_text("Paper P-1 of 2026-03-01, total 10.5")
        (folder / "documents" / "b.txt").write_text("Paper P-2 of 2026-03-02, total 20, takes its time")
        (folder / "documents" / "c.txt").write_text("Paper P-4, unclear")
        (folder / "truth.jsonl").write_text(TRUTH)
        (folder / "pipeline.yaml").write_text(PIPELINE)
        (folder / "paper_tools.py").write_text(TOOLS)
        self.model = write_rules(folder, {**RULES, "rules": [SLOW_PAPER, *RULES["rules"]]})
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PROJECT_"))
        }
        self.environment = clean | {
            "AGENT_TASKS_STATE_DIR": str(self.state),
            "AGENT_TASKS_LOCAL_MODEL": self.model,
            "AGENT_TASKS_KEEP_SERVERS": "90",
            "HOME": str(folder),
            **shared_cache(),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*MAIN, *words], env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def command(self, *words: str, code: int = 0) -> tuple[str, str]:
        """Carry a command out; what it printed, and what it said beside that."""
        process = self.start(*words)
        shown, said = process.communicate(timeout=150)
        assert process.returncode == code, shown + said
        return shown, said

    def flow_states(self) -> list[str]:
        with closing(sqlite3.connect(self.state / "prefect" / "prefect.db")) as database:
            rows = database.execute("select state_name from flow_run order by created").fetchall()
        return [name for (name,) in rows]

    def server_pids(self) -> list[int]:
        records = [read_record(self.state / "run" / f"{name}.json") for name in ("prefect", "service")]
        return [record.pid for record in records if record is not None]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_interrupted_run_cleans_up_the_next_one_finishes_and_servers_stay_until_they_are_stopped(
    tmp_path: Path,
) -> None:
    terminal = Terminal(tmp_path)
    try:
        _interrupt(terminal)
        assert until(lambda: processes_of(terminal.state) == [], seconds=3)
        assert terminal.flow_states() == ["Cancelled"]
        _check_what_is_left(terminal)

        shown, noise = terminal.command(*RUN, "--quiet", "--fail-on", "needs_review", code=1)
        assert noise == "", shown
        assert "2 done, 1 needs review, 0 failed" in shown
        rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
        assert [row["status"] for row in rows] == ["done", "done", "needs_review"]
        assert terminal.flow_states() == ["Cancelled", "NotAllDone"]
        assert not (tmp_path / ".prefect").exists()

        pids = terminal.server_pids()
        assert len(pids) == 2
        shown, said = terminal.command(*RUN, "--truth", "truth.jsonl")
        assert "documents: 2, right: 2, done: 2, done and wrong: 0" in shown
        assert (tmp_path / "out" / "evaluation" / "evaluation.md").exists()
        assert "Warning" not in said
        assert said.startswith("Starting ...\n")
        assert "stay for 1.5 minutes" in said
        assert "To end them: agent-tasks stop" in said
        _, said = terminal.command(*RUN, "--truth", "pipeline.yaml", code=2)
        assert "neither .jsonl nor .csv" in said
        assert len(terminal.flow_states()) == 3
        assert terminal.server_pids() == pids
    finally:
        _, said = terminal.command("stop")
    assert "The Prefect server has ended." in said
    assert "The local Agents service has ended." in said
    assert processes_of(terminal.state) == []
    _, said = terminal.command("stop")
    assert "No local server" in said


def _interrupt(terminal: Terminal) -> None:
    """Start a run, and press Ctrl-C when the first document is done and the second under way."""
    first = terminal.start(*RUN)
    assert first.stdout is not None
    lines = []
    while "a.txt" not in "".join(lines[-1:]):
        line = first.stdout.readline()
        assert line, (lines, first.stderr and first.stderr.read())
        lines.append(line)
    told = time.monotonic()
    first.send_signal(signal.SIGINT)
    _, noise = first.communicate(timeout=60)
    assert first.returncode == 130, noise
    assert time.monotonic() - told < 20
    assert "Stopping" in noise
    assert "Traceback" not in noise
    assert "ERROR" not in noise


def _check_what_is_left(terminal: Terminal) -> None:
    """No turn is active, each was cancelled once, and the journal knows all that the service still has."""
    service = start_in_thread(terminal.state / "service", terminal.model)
    try:
        cancelled = [row["path"] for row in service.requests("runs.cancel")]
        assert len(set(cancelled)) == len(cancelled) >= 1
        assert {run["status"] for run in service.runs()} <= {"completed", "cancelled"}
        with service.http() as http:
            left = {
                one["id"] for path in ("/assistants", "/threads") for one in http.get(path).json()["data"]
            }
    finally:
        service.stop()

    async def look() -> tuple[list[Any], set[str | None]]:
        async with Journal(f"sqlite+aiosqlite:///{terminal.state}/journal.db") as journal:
            unsettled = await journal.operations.unsettled(scope)
            return list(unsettled), {one.remote_id for one in await journal.resources.live(scope)}

    with closing(sqlite3.connect(terminal.state / "journal.db")) as database:
        ((scope,),) = database.execute("select distinct scope from operations").fetchall()
    unsettled, known = asyncio.run(look())
    assert unsettled == []
    assert left <= known
