"""Several workers on one batch and one PostgreSQL journal, killed at random: every step once, nothing left.

`make durability` (AGENT_TASKS_ALL_CRASH_POINTS=1) does it with four workers and 500 documents.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent_tasks.backend.agents import ATTEMPT_FIELD, KEY_FIELD
from agent_tasks.testing import ServiceLog
from tests.conftest import ServiceFactory
from tests.durability.batch_worker import AGENTS, QUESTIONS, TURNS_A_DOCUMENT, Fleet, lay_out, rules
from tests.durability.counts import counted
from tests.support.postgresql import PostgresServer

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))


TURN_STARTS = ("runs.create_thread_and_run", "runs.create")


@dataclass(frozen=True)
class Size:
    """How large a suite is."""

    workers: int
    documents: int
    every: tuple[float, float]
    """Seconds between two disturbances: at least, at most."""
    disturbances: int
    """At most."""
    delay: float
    """Seconds that the model thinks."""
    limit: float
    """Seconds the whole may take."""


KILLS = Size(4, 500, (1.0, 4.0), 1000, 0.05, 600) if ALL else Size(2, 24, (0.8, 1.6), 2, 0.25, 60)
RESTARTS = Size(4, 120, (3.0, 5.0), 5, 0.1, 300) if ALL else Size(2, 24, (1.0, 1.2), 1, 0.25, 60)


def every(size: Size, chance: random.Random, act: Callable[[], None]) -> Callable[[], None]:
    """Do something again and again at random times."""
    done = 0
    due = time.monotonic() + chance.uniform(*size.every)

    def disturb() -> None:
        nonlocal done, due
        if done < size.disturbances and time.monotonic() >= due:
            act()
            done += 1
            due = time.monotonic() + chance.uniform(*size.every)

    return disturb


@pytest.fixture
async def journal_url(postgresql: PostgresServer) -> str:
    return await postgresql.new_database()


@pytest.fixture
def fleet(service: ServiceFactory, journal_url: str, tmp_path: Path) -> Callable[[Size], Fleet]:
    def make(size: Size) -> Fleet:
        lay_out(tmp_path, size.documents)
        running = service(rules=rules(size.delay), process=True)
        return Fleet(running, journal_url, tmp_path, size.workers)

    return make


@pytest.mark.timeout(700)
def test_workers_killed_at_random_do_every_step_once(
    fleet: Callable[[Size], Fleet], pytestconfig: pytest.Config
) -> None:
    workers, chance = fleet(KILLS), random.Random(4)
    workers.run(KILLS.limit, every(KILLS, chance, lambda: workers.kill(chance)))
    assert workers.kills >= (20 if ALL else 2)
    _check(workers, KILLS, pytestconfig, workers.kills)


@pytest.mark.timeout(400)
def test_a_journal_that_crashes_under_load_loses_and_repeats_nothing(
    fleet: Callable[[Size], Fleet], postgresql: PostgresServer, pytestconfig: pytest.Config
) -> None:
    workers, restarts = fleet(RESTARTS), 0

    def restart() -> None:
        nonlocal restarts
        postgresql.stop(immediate=True)
        time.sleep(0.3)
        postgresql.start()
        restarts += 1

    workers.run(RESTARTS.limit, every(RESTARTS, random.Random(5), restart))
    assert restarts >= (3 if ALL else 1)
    _check(workers, RESTARTS, pytestconfig, restarts)


def _check(workers: Fleet, size: Size, config: pytest.Config, kills: int) -> None:
    """Each effect once, nothing left, and the same complete results for every worker."""
    log = ServiceLog(workers.service.endpoint)
    verdict = log.verdict()
    counted(config).add(
        kills=kills,
        duplicates=verdict["duplicate_effects"]["count"] + verdict["outputs_twice"]["count"],
        leaks=verdict["left_over"]["count"] + verdict["active_runs"]["count"],
    )
    assert verdict["ok"], verdict
    generations = workers.service.generations()
    made: Counter[str] = Counter()
    turns: set[str] = set()
    for row in log.requests():
        # A row without a status is a request whose client was killed: it may have had its effect.
        if (row["status"] or 0) < 300 and row["operation"] in TURN_STARTS:
            mark = row["body"]["metadata"]
            assert mark[ATTEMPT_FIELD] == "1", row
            turns.add(mark[KEY_FIELD])
        elif (row["status"] or 500) < 300:
            made[row["operation"]] += 1
    assert len(turns) == len(generations) == TURNS_A_DOCUMENT * size.documents + QUESTIONS
    assert made["agents.create"] == AGENTS
    assert made["files.upload"] == size.documents
    assert made["vector_stores.create"] == 1
    results = {
        (workers.folder / f"out{number}" / "results.jsonl").read_bytes() for number in range(size.workers)
    }
    reports = {(workers.folder / f"out{number}" / "report.md").read_bytes() for number in range(size.workers)}
    assert (len(results), len(reports)) == (1, 1)
    rows = [json.loads(line) for line in results.pop().splitlines()]
    assert [row["document"] for row in rows] == [f"{number:03}.txt" for number in range(size.documents)]
    assert {row["status"] for row in rows} == {"done"}
    assert {summary["done"] for summary in workers.summaries.values()} == {size.documents}
