"""How much of what the quota allows a batch uses, what its memory grows by, and how soon it goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.batches import BatchFolder, plain_service, used_by_children
from tests.benchmarks.figures import Figures, Goal

DOCUMENTS, SECONDS, TURNS = 1_000, 1.0, 2
FEW, MANY = 1_000, 10_000
HALF = 150


@pytest.mark.parametrize(("at_once", "workers", "goal"), [(50, 1, 0.93), (200, 1, 0.85), (200, 2, 0.85)])
def test_efficiency_of_a_batch(
    at_once: int, workers: int, goal: float, database: str, journal_url: str, tmp_path: Path, figures: Figures
) -> None:
    """Against the time that its turns take if no slot is ever empty, and if no processor ever is.

    What a database's server takes is not known here: on PostgreSQL processors can reach less than is said.
    """
    if workers > 1 and database == "sqlite":
        pytest.skip("workers share a journal on a server")
    folder = BatchFolder(tmp_path / "batch", TURNS, at_once // workers)
    folder.write(DOCUMENTS)
    before = used_by_children()
    with plain_service(tmp_path / "service", SECONDS) as endpoint:
        measured = folder.run_shared(endpoint, journal_url, workers=workers)
    used = used_by_children() - before
    turns = TURNS * DOCUMENTS
    assert sum(one["turns"] for one in measured) == turns
    begun = min(one["begun"] for one in measured)
    seconds = max(one["begun"] + one["seconds"] for one in measured) - begun
    limit = turns * SECONDS / at_once
    flight = f"{at_once} in flight" + (f", {workers} workers" if workers > 1 else "")
    name = f"{DOCUMENTS} documents of {TURNS} turns of {SECONDS:g} s, {flight}"
    figures.add(f"{name}, share", limit / seconds, Goal(goal, at_least=True))
    processors = os.cpu_count() or 1
    bound = max(limit, used / processors)
    figures.add(f"  the share that {processors} processors can reach", limit / bound)
    figures.add(f"  of what {processors} processors can do", bound / seconds)
    client = sum(one["processor"] for one in measured)
    figures.add(f"  processor ms a turn, client, {flight}", client / turns * 1000)
    figures.add(f"  processor ms a turn, client and service, {flight}", used / turns * 1000)


def test_memory_of_many_documents_against_few(tmp_path: Path, figures: Figures) -> None:
    """The most that the process ever had; on SQLite, which is in the same process."""
    journal_url = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    with plain_service(tmp_path / "service") as endpoint:
        few, many = BatchFolder(tmp_path / "few"), BatchFolder(tmp_path / "many")
        few.write(FEW)
        many.write(MANY)
        small = few.run(endpoint, journal_url)["megabytes"]
        large = many.run(endpoint, journal_url)["megabytes"]
    figures.add(f"memory of {MANY} documents, MB, ratio", large / small, Goal(1.15), against=small, what="MB")


def test_first_new_turn_after_a_restart(journal_url: str, tmp_path: Path, figures: Figures) -> None:
    """A batch that is killed in the middle; from the start of the next worker to a turn that is new."""
    folder = BatchFolder(tmp_path / "batch", TURNS, 50)
    folder.write(DOCUMENTS)
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
