"""`agent-tasks run` as a person uses it: interrupted, then again to its end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.batch.support import PIPELINE, RULES, TOOLS
from tests.local.conftest import processes_of, until
from tests.support.caches import shared_cache
from tests.support.service import write_rules

SLOW_PAPER: dict[str, Any] = {
    "name": "slow",
    "when": {"schema": "paper", "message": "takes its time", "call": 1},
    "reply": {"json": {"number": "P-2", "total": 20.0, "issued": "2026-03-02"}},
    "delay": 60,
}


def flow_states(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "state" / "prefect" / "prefect.db") as database:
        return [name for (name,) in database.execute("select state_name from flow_run order by created")]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_interrupted_run_cleans_up_and_the_next_one_finishes(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("Paper P-1 of 2026-03-01, total 10.5")
    (tmp_path / "documents" / "b.txt").write_text("Paper P-2 of 2026-03-02, total 20, takes its time")
    (tmp_path / "documents" / "c.txt").write_text("Paper P-4, unclear")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "paper_tools.py").write_text(TOOLS)
    model = write_rules(tmp_path, {**RULES, "rules": [SLOW_PAPER, *RULES["rules"]]})
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PROJECT_"))
    }
    environment = clean | {
        "AGENT_TASKS_STATE_DIR": str(tmp_path / "state"),
        "AGENT_TASKS_LOCAL_MODEL": model,
        "HOME": str(tmp_path),
        **shared_cache(),
    }

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from agent_tasks.cli import main; main()", "run", "documents"]
        return subprocess.Popen(
            [*command, "--pipeline", "pipeline.yaml", "--out", "out", *options],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    first = start()
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
    assert until(lambda: processes_of(tmp_path / "state") == [], seconds=3)
    assert flow_states(tmp_path) == ["Cancelled"]

    second = start("--quiet", "--fail-on", "needs_review")
    shown, noise = second.communicate(timeout=150)
    assert (second.returncode, noise) == (1, ""), shown
    assert "2 done, 1 needs review, 0 failed" in shown
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["done", "done", "needs_review"]
    assert flow_states(tmp_path) == ["Cancelled", "NotAllDone"]
    assert not (tmp_path / ".prefect").exists()
    assert processes_of(tmp_path / "state") == []
