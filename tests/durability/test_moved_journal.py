"""A journal begun on one service, whose process was killed, goes on with the other one of the project.

What was begun is ended where it was begun, each effect once, and nothing is left on either service. The short
form kills at a few points, `make durability` at all that leave something behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.durability.counts import counted
from tests.durability.crash_pipeline import ONCE, REPEATABLE, REPLY, SERVICE, executions, pipeline, rules
from tests.durability.effects import duplicate_effects, repeated_calls
from tests.durability.test_crash_points import AT_ONCE, CUT_OFF, POINTS, UNKNOWN, points_of
from tests.support.mcp_server import McpLedger
from tests.support.service import ThreadService, start_in_thread, write_rules

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
MOVES = (("classic", "responses"), ("responses", "classic"))
SOME = ("turn.started:1", "tools.submitted:1", "attempt.intended:1", "approvals.ready:1")


def kills_of(there: str) -> list[list[str]]:
    """Every point but those of agents: one that was lost there is found by a sweep there."""
    if not ALL:
        return [[point] for point in (SOME if there == "classic" else SOME[1:2])]
    return [
        [*([point.after] if point.after else []), f"{name}:1"]
        for name, point in POINTS.items()
        if name in points_of(there) and not name.startswith("agent.")
    ]


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory, there: str) -> Iterator[ThreadService]:
    folder = tmp_path_factory.mktemp("service")
    names = [f"{there}calm", *(f"{there}{number:02}x" for number in range(len(kills_of(there))))]
    running = start_in_thread(
        folder / "data", write_rules(folder, {"rules": rules(*names), "default": REPLY})
    )
    yield running
    running.stop()


@pytest.mark.timeout(1200 if ALL else 200)
@pytest.mark.parametrize(("there", "here"), MOVES, ids=["moved", "moved back"])
def test_what_a_killed_process_began_there_is_ended_and_removed_from_here(
    service: ThreadService,
    ledger: McpLedger,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    there: str,
    here: str,
) -> None:
    calm = run_coroutine(
        pipeline, service.endpoint, str(_made(tmp_path / "calm")), f"{there}calm", environment={SERVICE: here}
    ).result

    def moved(number: int, kills: list[str]) -> list[str]:
        name = f"{there}{number:02}x"
        folder = _made(tmp_path / name)
        told = service.endpoint, str(folder), name
        for point in kills:
            kill_at(point, pipeline, *told, environment={SERVICE: there})
        outcome = run_coroutine(pipeline, *told, environment={SERVICE: here}).result
        expected = {**calm, "extract": {**calm["extract"]}}
        if outcome["extract"]["calls"].get(ONCE) == UNKNOWN and kills[-1].startswith(CUT_OFF):
            expected["extract"] = outcome["extract"]  # told honestly
        problems = [f"{kills}: {name} is {told}" for name, told in outcome.items() if told != expected[name]]
        runs = executions(folder, ONCE), executions(folder, REPEATABLE)
        return problems if runs[0] <= 1 and 1 <= runs[1] <= 2 else [*problems, f"{kills}: ran {runs}"]

    written = set(ledger.written)
    stories = kills_of(there)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        problems = [one for found in pool.map(moved, range(len(stories)), stories) for one in found]
    duplicates = duplicate_effects(service.requests()) + repeated_calls(tmp_path)
    verdict = ServiceLog(service.endpoint).verdict()
    leaks = verdict["left_over"]["count"] + verdict["active_runs"]["count"]
    counted(pytestconfig).add(
        points={kill.partition(":")[0] for kills in stories for kill in kills},
        kills=sum(map(len, stories)),
        duplicates=len(duplicates),
        leaks=leaks,
    )
    assert problems == []
    assert duplicates == []
    wrong = {name: found for name, found in verdict.items() if isinstance(found, dict) and found["count"]}
    assert wrong == {}
    assert verdict["ok"]
    assert set(ledger.written.values()) == {1}
    assert len(ledger.written.keys() - written) == len(stories)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
