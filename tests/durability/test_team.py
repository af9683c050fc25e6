"""The team of the examples is killed at every step, and no turn of it is repeated."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from agent_tasks.testing import ServiceLog, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.team_worker import team
from tests.support.team import TEAM, TURNS

MOST = 60  # lives of the process
CHAINS = {
    "sent": ("turn.started", "tools.submitted"),
    "known": ("turn.attached", "tools.ready"),
    "ended": ("turn.ended", "tool.committed"),
    "committed": ("turn.committed", "agent.committed"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("points", CHAINS.values(), ids=CHAINS.keys())
def test_a_team_that_is_killed_again_and_again_repeats_no_turn(
    points: tuple[str, ...], service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(rules=TEAM)
    kills, reached = 0, dict.fromkeys(points, True)
    for point in itertools.islice(itertools.cycle(points), MOST):
        if not reached[point]:
            continue
        end = run_coroutine(team, running.endpoint, str(tmp_path), crash_point=point, limit=120)
        if end.was_killed:
            kills += 1
        elif any(reached[other] for other in points if other != point) and kills < 3:
            reached[point] = False
        else:
            break
    log = ServiceLog(running.endpoint)
    asked = len(log.requests("runs.create_thread_and_run")) + len(log.requests("runs.create"))
    assert end.result == "In short: 250 EUR."
    assert kills >= 4
    assert asked == TURNS
    assert log.verdict()["ok"], log.verdict()
    kinds = ("agents", "threads", "files", "vector_stores")
    made = {kind: len(log.requests(f"{kind}.delete")) for kind in kinds}
    assert made["agents"] >= 5
