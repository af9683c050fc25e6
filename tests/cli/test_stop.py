"""`agent-tasks run` leaves its servers to the next command, and `agent-tasks stop` ends them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_tasks.local.supervisor import read_record
from tests.batch.support import PIPELINE, RULES, TOOLS
from tests.local.conftest import processes_of
from tests.support.service import write_rules

MAIN = [sys.executable, "-c", "from agent_tasks.cli import main; main()"]
RUN = ("run", "documents", "--pipeline", "pipeline.yaml", "--out", "out")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_next_run_joins_the_servers_until_they_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("Paper P-1 of 2026-03-01, total 10.5")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "paper_tools.py").write_text(TOOLS)
    state = tmp_path / "state"
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PROJECT_"))
    }
    environment = clean | {
        "AGENT_TASKS_STATE_DIR": str(state),
        "AGENT_TASKS_LOCAL_MODEL": write_rules(tmp_path, RULES),
        "AGENT_TASKS_KEEP_SERVERS": "90",
        "HOME": str(tmp_path),
    }

    def command(*words: str) -> str:
        done = subprocess.run(
            [*MAIN, *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def pids() -> list[int]:
        records = [read_record(state / "run" / f"{name}.json") for name in ("prefect", "service")]
        return [record.pid for record in records if record is not None]

    try:
        said = command(*RUN)
        assert "stay for 1.5 minutes" in said
        assert "To end them: agent-tasks stop" in said
        first = pids()
        assert len(first) == 2
        assert "Warning" not in command(*RUN)
        assert pids() == first
    finally:
        said = command("stop")
    assert "The Prefect server has ended." in said
    assert "The local Agents service has ended." in said
    assert processes_of(state) == []
    assert "No local server" in command("stop")
