"""How much of what the quota allows a batch uses, what its memory grows by, and how soon it goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.batches import BatchFolder, counted, plain_service, stand_in, used_by_children
from tests.benchmarks.figures import Figures, Goal

DOCUMENTS, SECONDS, TURNS = 1_000, 1.0, 2
BESIDE = 200
"""Documents beside the local service: what it can reach does not depend on their number."""
FEW, MANY = 1_000, 10_000
RESTARTED, HALF = 200, 150
"""Documents of a batch that is killed, and turns after which it is."""

IN_FLIGHT = [(50, 1, 0.93), (200, 1, 0.85), (200, 2, 0.85)]


@pytest.mark.parametrize(("at_once", "workers", "goal"), IN_FLIGHT)
def test_efficiency_of_a_batch(
    at_once: int, workers: int, goal: float, database: str, journal_url: str, tmp_path: Path, figures: Figures
) -> None:
    """Against the time that its turns take if no slot is ever empty.

    The service is a stand-in for one on another machine: what is measured is the client, its journal with it.
    """
    batch = _Batch(tmp_path, DOCUMENTS, at_once, _sharing(workers, database))
    with stand_in(tmp_path / "service", SECONDS) as endpoint:
        batch.run(endpoint, journal_url)
        asked = counted(endpoint)
    turns = batch.turns
    assert asked["refused"] == [], "each request was one that such a batch makes"
    assert asked["turns"] == asked["marks"] == turns, "each turn was asked for once"
    assert asked["left"] == 0, "conversations and agents are deleted"
    assert asked["deletes"] == turns + asked["agents"], "each once"
    assert TURNS <= asked["agents"] <= TURNS * workers
    assert asked["most_in_flight"] <= at_once
    figures.add(f"{batch.name}, share", batch.limit / batch.seconds, Goal(goal, at_least=True))
    figures.add(f"  processor ms a turn, client, {batch.flight}", batch.client)


@pytest.mark.parametrize(("at_once", "workers", "goal"), IN_FLIGHT)
def test_efficiency_of_a_batch_beside_its_service(
    at_once: int, workers: int, goal: float, database: str, journal_url: str, tmp_path: Path, figures: Figures
) -> None:
    """The same with the local service on the same processors, whose share is most of what a turn takes then.

    What a database's server takes is not known here: on PostgreSQL processors can reach less than is said.
    """
    batch = _Batch(tmp_path, BESIDE, at_once, _sharing(workers, database))
    before = used_by_children()
    with plain_service(tmp_path / "service", SECONDS) as endpoint:
        batch.run(endpoint, journal_url)
    used = used_by_children() - before
    figures.add(f"{batch.name}, local service, share", batch.limit / batch.seconds)
    processors = os.cpu_count() or 1
    bound = max(batch.limit, used / processors)
    figures.add(f"  the share that {processors} processors can reach", batch.limit / bound)
    figures.add(f"  of what {processors} processors can do", bound / batch.seconds)
    used_by_a_turn = used / batch.turns * 1000
    figures.add(f"  processor ms a turn, client and service, {batch.flight}", used_by_a_turn)


def _sharing(workers: int, database: str) -> int:
    if workers > 1 and database == "sqlite":
        pytest.skip("workers share a journal on a server")
    return workers


class _Batch:
    """Many documents of two turns each, by one worker or several that share their journal."""

    def __init__(self, path: Path, documents: int, at_once: int, workers: int) -> None:
        self._folder = BatchFolder(path / "batch", TURNS, at_once // workers)
        self._folder.write(documents)
        self.turns = TURNS * documents
        self._workers = workers
        self.flight = f"{at_once} in flight" + (f", {workers} workers" if workers > 1 else "")
        self.name = f"{documents} documents of {TURNS} turns of {SECONDS:g} s, {self.flight}"
        self.limit = self.turns * SECONDS / at_once
        """Seconds that it takes at least."""
        self.seconds = self.client = 0.0
        """What it took, and the processor milliseconds of the workers for each turn."""

    def run(self, endpoint: str, journal_url: str) -> None:
        measured = self._folder.run_shared(endpoint, journal_url, workers=self._workers)
        assert sum(one["turns"] for one in measured) == self.turns
        begun = min(one["begun"] for one in measured)
        self.seconds = max(one["begun"] + one["seconds"] for one in measured) - begun
        self.client = sum(one["processor"] for one in measured) / self.turns * 1000


def test_memory_of_many_documents_against_few(tmp_path: Path, figures: Figures) -> None:
    """The most that the process ever had; on SQLite, which is in the same process."""
    journal_url = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    with stand_in(tmp_path / "service", 0.0) as endpoint:
        few, many = BatchFolder(tmp_path / "few"), BatchFolder(tmp_path / "many")
        few.write(FEW)
        many.write(MANY)
        small = few.run(endpoint, journal_url)["megabytes"]
        large = many.run(endpoint, journal_url)["megabytes"]
    figures.add(f"memory of {MANY} documents, MB, ratio", large / small, Goal(1.15), against=small, what="MB")


def test_first_new_turn_after_a_restart(journal_url: str, tmp_path: Path, figures: Figures) -> None:
    """A batch that is killed in the middle; from the start of the next worker to a turn that is new."""
    folder = BatchFolder(tmp_path / "batch", TURNS, 50)
    folder.write(RESTARTED)
    log = tmp_path / "service" / "data" / "service.db"
    with plain_service(tmp_path / "service", 0.2) as endpoint:
        killed = folder.start(endpoint, journal_url)
        deadline = time.monotonic() + 120
        while len(_turns(log)) < HALF:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
        killed_at = time.time()
        begun = folder.run(endpoint, journal_url)["begun"]
        first = min(at for at in _turns(log) if at > killed_at)
    figures.add("first new turn after a restart, s", first - begun, Goal(2.0))


def _turns(log: Path) -> list[float]:
    """When turns were asked for, as the service's own log has it."""
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as database:
        query = "SELECT time FROM requests WHERE operation IN ('runs.create_thread_and_run', 'runs.create')"
        return [row[0] for row in database.execute(query)]
