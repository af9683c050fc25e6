"""A job of fifty documents, each with an agent that calls a function and a reviewer, as a flow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_tasks.local.servers import prefect_environment, prefect_server
from agent_tasks.settings import Settings
from tests.benchmarks.batches import REPOSITORY
from tests.benchmarks.figures import Figures, Goal
from tests.support.service import write_rules

DOCUMENTS, MODEL_SECONDS, ROUNDS = 50, 0.2, 2
RULES = {
    "rules": [
        {
            "when": {"instructions": "polite"},
            "reply": {"json": {"answer": True}},
            "delay": MODEL_SECONDS,
        },
        {
            "when": {"tool_results": True},
            "reply": {"text": "{{ results[0] }} EUR."},
            "delay": MODEL_SECONDS,
        },
    ],
    "default": {
        "reply": {"tool_calls": [{"name": "price_of", "arguments": {"wood": "oak"}}]},
        "delay": MODEL_SECONDS,
    },
}


@pytest.mark.timeout(1200)
def test_a_flow_with_a_task_for_each_turn(tmp_path: Path, figures: Figures) -> None:
    """Side by side with pydantic-ai on the same Prefect server, in turns; the better one of each counts."""
    settings = Settings(state_dir=tmp_path / "state")
    ours, theirs = [], []
    with prefect_server(settings) as address:
        environment = {
            **os.environ,
            **prefect_environment(settings),
            "PREFECT_API_URL": str(address),
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "503",  # a busy server's
            "PREFECT_CLIENT_MAX_RETRIES": "20",  # with fewer, the other side's runs end by it
            "AGENT_TASKS_STATE_DIR": str(tmp_path / "state"),
            "AGENT_TASKS_LOCAL_MODEL": write_rules(tmp_path, RULES),
        }
        for number in range(ROUNDS):
            folders = [_folder(tmp_path, f"{number}-{count}", count) for count in (1, DOCUMENTS)]
            ours.append(_run("flow_of_ours", folders, environment))
            theirs.append(_run("flow_of_pydantic_ai", [*folders, str(MODEL_SECONDS)], environment))
    (wall, work), (other_wall, other_work) = map(_best, (ours, theirs))
    what = "pydantic-ai"
    figures.add(
        "50 documents as a flow, a task for each turn, s",
        wall,
        Goal(other_wall),
        against=other_wall,
        what=what,
    )
    figures.add("... processor time, s", work, Goal(other_work), against=other_work, what=what)


def _best(runs: list[tuple[float, float]]) -> tuple[float, float]:
    return min(wall for wall, _ in runs), min(work for _, work in runs)


def _folder(where: Path, name: str, count: int) -> str:
    folder = where / name
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(f"What is a board of oak? {name} {number}")
    return str(folder)


def _run(program: str, words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """The seconds, by the clock and of the processor, that a program reports of its flow."""
    command = [sys.executable, "-m", f"tests.benchmarks.{program}", *words]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    count, wall, work = json.loads(done.stdout.splitlines()[-1])
    assert count == DOCUMENTS
    return wall, work
