"""The team of the examples is killed at every step, and no turn of it is repeated."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.journal import Journal
from agent_tasks.operations.decisions import Questions, decide, list_questions
from agent_tasks.testing import ChildEnd, ServiceLog, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.team_worker import WAITS, journal_of, team
from tests.support.team import TEAM, TURNS

MOST = 30  # lives of the process

POINTS = {  # and how often it comes there at least
    "turn.committed": 6,
    "decision.taken": 1,
}
if os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"):
    POINTS |= {
        "turn.started": 6,
        "tools.ready": 1,
        "turn.intended": 6,
        "turn.attached": 6,
        "turn.ended": 6,
        "agent.committed": 5,
    }
    POINTS |= {"tool.committed": 1, "tools.submitted": 1, "store.committed": 1, "upload.committed": 1}
    POINTS |= {"decision.asked": 1, "cleanup.deleted": 5}


async def _approve(folder: Path) -> None:
    async with Journal(journal_of(str(folder))) as journal:
        questions = Questions(journal, "team")
        [question] = await list_questions(questions)
        assert "Second draft." in question.shown
        await decide(questions, question.key, approved=True, by="Ida")


AGAIN = (
    "turn.started",
    "turn.ended",
    "tools.ready",
    "tools.submitted",
    "decision.asked",
    "cleanup.deleted",
)
"""Where a life comes again that goes on with what the one before was killed at: it may pass there once."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("point", "least"), POINTS.items(), ids=POINTS.keys())
def test_a_team_that_is_killed_at_every_step_repeats_no_turn(
    point: str, least: int, service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(rules=TEAM)
    kills, decisions = 0, 0
    end: ChildEnd | None = None
    for life in range(MOST):
        where = f"{point}:2" if life and point in AGAIN else point
        end = run_coroutine(team, running.endpoint, str(tmp_path), crash_point=where, limit=120)
        if end.was_killed:
            kills += 1
        elif end.result == WAITS:
            decisions += 1
            asyncio.run(_approve(tmp_path))
        else:
            break
    log = ServiceLog(running.endpoint)
    asked: list[dict[str, Any]] = [
        *log.requests("runs.create_thread_and_run"),
        *log.requests("runs.create"),
    ]
    assert end is not None
    assert end.result == "In short: 250 EUR."
    assert kills >= least
    assert decisions <= 1 if point == "decision.asked" else decisions == 1
    assert len(asked) == TURNS
    assert log.verdict()["ok"], log.verdict()
