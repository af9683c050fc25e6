"""The main job of `make run` on both services, by the same command; the model is the scripted one.

`make parity` runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.settings import ServiceKind
from tests.parity.pipelines import main_rules
from tests.parity.place import without_ids
from tests.support.caches import shared_cache
from tests.support.service import write_rules

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not os.environ.get("AGENT_TASKS_TEST_PROGRAMS"), reason="make parity"),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
PIPELINE = EXAMPLES / "pipeline.yaml"
KINDS = (ServiceKind.CLASSIC, ServiceKind.RESPONSES)


def job(service: str, folder: Path) -> list[Any]:
    """Run the command of `make run`; returns its rows."""
    own = ("PREFECT_", "PROJECT_", "OPENAI_", "AGENT_TASKS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | {
        "AGENT_TASKS_SERVICE": service,
        "AGENT_TASKS_STATE_DIR": str(folder / "state"),
        "AGENT_TASKS_LOCAL_MODEL": write_rules(folder, main_rules()),
        "AGENT_TASKS_START_TIMEOUT": "600",
        "AGENT_TASKS_KEEP_SERVERS": "0",
        **shared_cache(),
    }
    program = [sys.executable, "-c", "from agent_tasks.cli import main; main()"]
    options = [
        "run",
        str(EXAMPLES / "documents"),
        "--pipeline",
        str(EXAMPLES / "pipeline.yaml"),
        "--out",
        "out",
    ]
    done = subprocess.run(
        [*program, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return rows_of(folder)


def rows_of(folder: Path) -> list[Any]:
    lines = (folder / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [without_ids(json.loads(line)) for line in lines]


def test_the_command_has_the_same_results_on_the_successor(tmp_path: Path) -> None:
    rows = {}
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        rows[kind] = job(kind, tmp_path / kind)
    statuses = [row["status"] for row in rows[ServiceKind.CLASSIC]]
    assert statuses.count("done") >= 12
    assert rows[ServiceKind.RESPONSES] == rows[ServiceKind.CLASSIC]
