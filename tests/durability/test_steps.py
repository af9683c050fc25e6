"""A pipeline with every kind of step, killed in the middle of each and resumed: no turn is repeated.

The short form kills in some kinds, `make durability` (AGENT_TASKS_ALL_CRASH_POINTS=1) in each and everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.durability.counts import counted
from tests.durability.steps_batch import approve, prepare, run
from tests.steps.all_kinds import RULES, TURNS
from tests.support.service import ThreadService, start_in_thread, write_rules

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
AT_ONCE = 3
IN_THE_MIDDLE = {
    "switch": "turn.attached:2",
    "each": "turn.committed:3",
    "repeat": "turn.committed:6",
    "follows": "turn.attached:7",
    "parallel": "turn.committed:9",
    "vote": "turn.ended:12",
    "hand_off": "turn.committed:14",
    "pipeline": "turn.attached:16",
    "review": "turn.ended:17",
    "approve": "decision.asked:1",
}
"""Where to kill, for each kind."""
EVERYWHERE = {f"{point} {n}": f"{point}:{n}" for n in range(1, TURNS + 1)
              for point in ("turn.started", "turn.committed")}  # fmt: skip
AFTERWARDS = {"decided": "decision.taken:1", "gone on": "turn.committed:1", "settled": "batch.document:1"}
"""Where to kill the run that takes the decision on."""
SHORT = ("each", "vote", "approve", "gone on")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadService]:
    folder = tmp_path_factory.mktemp("service")
    running = start_in_thread(folder / "data", write_rules(folder, RULES))
    yield running
    running.stop()


def _story(endpoint: str, folder: Path, first: str | None, second: str | None) -> dict[str, Any]:
    """Run, perhaps killed; decide; run to the end, perhaps killed."""
    prepare(folder)
    if first is not None:
        kill_at(first, run, endpoint, str(folder), limit=240)
    waiting = run_coroutine(run, endpoint, str(folder), limit=240).result
    assert waiting["status"] == "waiting", waiting
    assert run_coroutine(approve, endpoint, str(folder), limit=240).result == "approved"
    if second is not None:
        kill_at(second, run, endpoint, str(folder), limit=240)
    row: dict[str, Any] = run_coroutine(run, endpoint, str(folder), limit=240).result
    return row


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same, whatever happened on the way."""
    steps = {name: (step["status"], step["value"]) for name, step in row["steps"].items()}
    return {"status": row["status"], "fields": row["fields"], "steps": steps, "turns": row["turns"]}


@pytest.mark.timeout(1800)
def test_a_pipeline_killed_in_any_step_repeats_no_turn(
    service: ThreadService, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    stories = [("calm", None, None)]
    stories += [(name, point, None) for name, point in {**IN_THE_MIDDLE, **EVERYWHERE}.items()]
    stories += [(name, None, point) for name, point in AFTERWARDS.items()]
    stories = [story for story in stories if ALL or story[0] in ("calm", *SHORT)]

    def tell(story: tuple[str, str | None, str | None]) -> dict[str, Any]:
        name, *points = story
        return _story(service.endpoint, tmp_path / name.replace(" ", "-"), *points)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(tell, stories))
    differing = [
        name for (name, _, _), row in zip(stories, rows, strict=True) if _told(row) != _told(rows[0])
    ]
    log = ServiceLog(service.endpoint)
    verdict = log.verdict()
    created = [
        row
        for row in log.requests()
        if row["operation"] in ("runs.create", "runs.create_thread_and_run") and row["status"] < 300
    ]
    leaks = verdict["left_over"]["count"] + verdict["active_runs"]["count"]
    points = {point.partition(":")[0] for _, *both in stories for point in both if point}
    duplicates = len(created) - len(stories) * (TURNS + 1)
    counted(pytestconfig).add(points=points, kills=len(stories) - 1, duplicates=duplicates, leaks=leaks)

    assert _told(rows[0])["status"] == "done"
    assert differing == []
    assert duplicates == 0, f"{len(created)} turns for {len(stories)} documents"
    assert leaks == 0, verdict
