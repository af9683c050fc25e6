"""Several workers on one batch and one PostgreSQL journal, killed at random: every step once, nothing left.

`make durability` (AGENT_TASKS_ALL_CRASH_POINTS=1) does it with four workers and 500 documents.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.marks import ATTEMPT_FIELD, KEY_FIELD
from agent_tasks.crashpoints import CRASH_POINTS
from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.batch.support import RULES, Bench
from tests.conftest import ServiceFactory
from tests.durability.batch_worker import AGENTS, QUESTIONS, TURNS_A_DOCUMENT, Fleet, lay_out, rules, work
from tests.durability.counts import counted
from tests.durability.served import environment
from tests.support.postgresql import PostgresServer

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))


TURN_STARTS = ("runs.create_thread_and_run", "runs.create", "responses.create")
MADE_AGENTS = {"classic": "agents.create", "responses": "agent_versions.create"}


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


KILLS = Size(4, 500, (0.4, 1.6), 1000, 0.2, 900) if ALL else Size(2, 24, (0.8, 1.6), 2, 0.25, 60)
MOVES = Size(4, 120, (0.5, 1.5), 12, 0.25, 300) if ALL else Size(2, 24, (0.2, 0.6), 3, 0.25, 120)
RESTARTS = Size(4, 300, (1.5, 3.0), 5, 0.3, 300) if ALL else Size(2, 24, (1.0, 1.2), 1, 0.25, 60)


def every(size: Size, chance: random.Random, act: Callable[[], bool]) -> Callable[[], None]:
    """Do something again and again at random times; what could not be done then is done as soon as it can."""
    done = 0
    due = time.monotonic() + chance.uniform(*size.every)

    def disturb() -> None:
        nonlocal done, due
        if done < size.disturbances and time.monotonic() >= due and act():
            done += 1
            due = time.monotonic() + chance.uniform(*size.every)

    return disturb


@pytest.fixture
async def journal_url(postgresql: PostgresServer) -> str:
    return await postgresql.new_database()


@pytest.fixture
def fleet(service: ServiceFactory, journal_url: str, tmp_path: Path) -> Callable[..., Fleet]:
    def make(size: Size, kind: str = "classic") -> Fleet:
        lay_out(tmp_path, size.documents)
        running = service(rules=rules(size.delay), process=True)
        return Fleet(running, journal_url, tmp_path, size.workers, kind)

    return make


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("kind", list(MADE_AGENTS) if ALL else ["classic"])
def test_workers_killed_at_random_do_every_step_once(
    fleet: Callable[..., Fleet], pytestconfig: pytest.Config, kind: str
) -> None:
    workers, chance = fleet(KILLS, kind), random.Random(4)
    workers.run(KILLS.limit, every(KILLS, chance, lambda: workers.kill(chance)))
    assert workers.kills >= (20 if ALL else 2)
    _check(workers, KILLS, pytestconfig, workers.kills)


@pytest.mark.timeout(400)
def test_workers_that_are_moved_pay_for_no_turn_twice(
    fleet: Callable[..., Fleet], pytestconfig: pytest.Config
) -> None:
    """SIGTERM at random: the turns go on, and whoever comes next attaches to them."""
    workers, chance = fleet(MOVES), random.Random(6)
    workers.run(MOVES.limit, every(MOVES, chance, lambda: workers.move(chance)))
    assert workers.kills >= (6 if ALL else 1)
    assert workers.service.requests("runs.cancel") == []
    _check(workers, MOVES, pytestconfig, workers.kills)


@pytest.mark.timeout(400)
def test_a_journal_that_crashes_under_load_loses_and_repeats_nothing(
    fleet: Callable[..., Fleet], postgresql: PostgresServer, pytestconfig: pytest.Config
) -> None:
    workers, restarts = fleet(RESTARTS), 0

    def restart() -> bool:
        nonlocal restarts
        postgresql.stop(immediate=True)
        time.sleep(0.3)
        postgresql.start()
        restarts += 1
        return True

    workers.run(RESTARTS.limit, every(RESTARTS, random.Random(5), restart))
    assert restarts >= (3 if ALL else 1)
    _check(workers, RESTARTS, pytestconfig, restarts)


@pytest.mark.timeout(200)
async def test_a_worker_killed_between_two_commits_of_a_batch_is_followed_by_another(
    service: ServiceFactory, postgresql: PostgresServer, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Every crash point of a batch, and of its deletions; a third of them in the short form."""
    points = [name for name in CRASH_POINTS if name.startswith("batch.")]
    # Conversations of several documents are deleted together, and then committed together.
    points += ["cleanup.listed", "cleanup.deleted", "cleanup.deleted:2", "cleanup.committed"]
    points = points if ALL else [*points[::3], "cleanup.deleted:2"]
    running = service(rules=rules(0.0))
    documents = 3

    async def story(point: str) -> dict[str, Any]:
        folder = tmp_path / point
        lay_out(folder, documents)
        args = (work, running.endpoint, await postgresql.new_database(), str(folder), "out")
        await asyncio.to_thread(kill_at, point, *args)
        ended = await asyncio.to_thread(run_coroutine, *args)
        rows = (folder / "out" / "results.jsonl").read_text().splitlines()
        assert len(rows) == documents, point
        return dict(ended.result)

    ends = await asyncio.gather(*(story(point) for point in points))
    assert [end["done"] for end in ends] == [documents] * len(points)
    log = ServiceLog(running.endpoint)
    verdict = log.verdict()
    left = verdict["left_over"]["count"] + verdict["active_runs"]["count"]
    counted(pytestconfig).add(
        points={point.partition(":")[0] for point in points},
        kills=len(points),
        duplicates=verdict["duplicate_effects"]["count"],
        leaks=left,
    )
    assert verdict["ok"], verdict
    assert len(running.generations()) == len(points) * (TURNS_A_DOCUMENT * documents + QUESTIONS)


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="takes half a minute: each command imports Prefect; make durability")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
def test_commands_in_several_terminals_share_a_batch(
    bench: Callable[..., Bench], journal_url: str, pytestconfig: pytest.Config
) -> None:
    """`agent-tasks run` three times; one of them is killed while it works."""
    from prefect.settings import PREFECT_API_URL

    documents = 30
    slow = {**RULES, "rules": [{**rule, "delay": 0.5} for rule in RULES["rules"]]}
    batch = bench(rules=slow)
    batch.pipeline_file.write_text(batch.pipeline)
    for number in range(documents):
        batch.write(f"{number:02}.txt", f"Paper P-{number} of 2026-03-01, total {number}.5")
    command = [sys.executable, "-c", "from agent_tasks.cli import main; main()", "run", str(batch.documents)]
    variables = environment(batch, str(PREFECT_API_URL.value())) | {
        "AGENT_TASKS_JOURNAL_URL": journal_url,
        "AGENT_TASKS_LEASE_SECONDS": "6",
    }

    def start(out: str) -> subprocess.Popen[bytes]:
        options = ["--quiet", "--pipeline", str(batch.pipeline_file), "--out", str(batch.folder / out)]
        with (batch.folder / f"{out}.log").open("wb") as log:
            return subprocess.Popen(
                [*command, *options], cwd=batch.folder, env=variables, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    processes = {out: start(out) for out in ("one", "two", "three")}
    try:
        deadline = time.monotonic() + 120
        while batch.turns() < documents:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        processes["one"].kill()
        for out in ("two", "three"):
            assert processes[out].wait(120) == 0, (batch.folder / f"{out}.log").read_text()
    finally:
        for process in processes.values():
            process.kill()
            process.wait(10)
    assert batch.turns() == 2 * documents + 1
    results = {(batch.folder / out / "results.jsonl").read_bytes() for out in ("two", "three")}
    assert len(results) == 1
    assert len(results.pop().splitlines()) == documents
    log = ServiceLog(batch.service.endpoint)
    verdict = log.verdict()
    left = verdict["left_over"]["count"] + verdict["active_runs"]["count"]
    counted(pytestconfig).add(kills=1, duplicates=verdict["duplicate_effects"]["count"], leaks=left)
    assert verdict["ok"], verdict


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
    assert made[MADE_AGENTS[workers.kind]] == AGENTS
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
