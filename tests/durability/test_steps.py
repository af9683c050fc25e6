"""A pipeline with every kind of step, killed in the middle of each and resumed: no turn is repeated.

The short form kills in some kinds, `make durability` (AGENT_TASKS_ALL_CRASH_POINTS=1) in each and everywhere,
on both kinds of journal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.counts import counted
from tests.durability.steps_batch import (
    AFTERWARDS,
    IN_THE_MIDDLE,
    SERVICE,
    UNTIL_WAITING,
    WHEN_GOING_ON,
    approve,
    prepare,
    run,
)
from tests.journal.conftest import BACKENDS, new_journal
from tests.support.service import start_in_thread, write_rules

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
LIMIT = 240.0  # seconds of one process


@dataclass(frozen=True)
class Story:
    """Where the three processes of a document's way are killed: up to its question, at it, and from there."""

    name: str
    asking: str | None = None
    deciding: str | None = None
    going_on: str | None = None

    @property
    def points(self) -> list[str]:
        """Where it is killed."""
        return [point for point in (self.asking, self.deciding, self.going_on) if point is not None]


EVERYWHERE = [
    (Story(f"{point}-{n}", asking=f"{point}:{n}"), BACKENDS[(n + first) % 2])
    for n in range(1, UNTIL_WAITING + 1)
    for first, point in enumerate(("turn.started", "turn.committed"))
]
"""At each turn, on one kind of journal after the other."""
DECIDING = {"seen": "decision.seen:1", "decided": "decision.decided:1"}
"""Where to kill who decides."""
GOING_ON = {
    **WHEN_GOING_ON,
    "taken": "decision.taken:1",
    "gone_on": "turn.committed:1",
    "settled": "batch.document:1",
    "corpus_again": "turn.committed:3",
    "corpus_ended": f"turn.ended:{AFTERWARDS}",
}
"""Where to kill the run that takes the decision on."""
STORIES = [
    *(Story(name, asking=point) for name, point in IN_THE_MIDDLE.items()),
    *(Story(name, deciding=point) for name, point in DECIDING.items()),
    *(Story(name, going_on=point) for name, point in GOING_ON.items()),
    Story("all_three", "batch.document:1", "decision.decided:1", "decision.taken:1"),
]
SHORT = {
    ("each", "sqlite"),
    ("corpus_vote", "postgresql"),
    ("all_three", "sqlite"),
    ("gone_on", "postgresql"),
}
CHOSEN = [
    pytest.param(story, backend, id=f"{story.name}-{backend}")
    for story, backend in [*((story, backend) for story in STORIES for backend in BACKENDS), *EVERYWHERE]
    if ALL or (story.name, backend) in SHORT
]


def tell(story: Story, endpoint: str, journal: str, folder: Path) -> dict[str, Any]:
    """Run, perhaps killed; decide, perhaps killed; run to the end, perhaps killed. Returns the row."""
    prepare(folder)
    work = (run, endpoint, journal, str(folder))
    if story.asking is not None:
        kill_at(story.asking, *work, limit=LIMIT)
    waiting = run_coroutine(*work, limit=LIMIT).result
    assert waiting["status"] == "waiting", waiting
    if story.deciding is not None:
        kill_at(story.deciding, approve, endpoint, journal, limit=LIMIT)
    assert run_coroutine(approve, endpoint, journal, limit=LIMIT).result == "approved"
    if story.going_on is not None:
        kill_at(story.going_on, *work, limit=LIMIT)
    row: dict[str, Any] = run_coroutine(*work, limit=LIMIT).result
    return row


def told(row: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same, whatever happened on the way."""
    steps = {name: (step["status"], step["value"]) for name, step in row["steps"].items()}
    same = ("status", "fields", "turns", "answers")
    return {**{name: row[name] for name in same}, "steps": steps}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What comes of the document where nothing is killed."""
    folder = tmp_path_factory.mktemp("calm")
    running = start_in_thread(folder / "data", write_rules(folder, SERVICE))
    journal = f"sqlite+aiosqlite:///{folder}/journal.db"
    yield told(tell(Story("calm"), running.endpoint, journal, folder / "work"))
    running.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("story", "backend"), CHOSEN)
async def test_a_pipeline_killed_in_any_step_repeats_no_turn(
    story: Story,
    backend: str,
    calm: dict[str, Any],
    service: ServiceFactory,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
) -> None:
    running = service(rules=SERVICE)
    journal = await new_journal(backend, tmp_path, request)
    row = tell(story, running.endpoint, journal, tmp_path / "work")
    log = ServiceLog(running.endpoint)
    verdict = log.verdict()
    created = [
        entry
        for entry in log.requests()
        if entry["operation"] in ("runs.create", "runs.create_thread_and_run")
        and (entry["status"] or 200) < 300  # none: its answer was not read to its end, and it counts
    ]
    leaks = verdict["left_over"]["count"] + verdict["active_runs"]["count"]
    duplicates = len(created) - UNTIL_WAITING - AFTERWARDS
    points = {point.partition(":")[0] for point in story.points}
    counted(pytestconfig).add(points=points, kills=len(story.points), duplicates=duplicates, leaks=leaks)

    assert calm["status"] == "done"
    assert set(calm["answers"]) == {"corpus/overall", "corpus/closing"}
    assert told(row) == calm
    assert duplicates == 0
    assert verdict["ok"], verdict
