"""A person's decision survives `kill -9` of who decides and of what waits, and takes effect once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.counts import counted
from tests.durability.decision_process import person, step
from tests.durability.effects import duplicate_effects
from tests.support.postgresql import PostgresServer

RULES: dict[str, Any] = {
    "rules": [{"when": {"message": "^True: by Ann$"}, "reply": {"text": "sent"}}],
    "default": {"reply": {"text": "Dear Sir"}},
}
LONG = 3600.0


@pytest.fixture(params=["sqlite", "postgresql"])
async def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return await server.new_database()


@pytest.mark.timeout(180)
def test_killed_at_every_point_it_is_decided_once_and_taken_once(
    service: ServiceFactory, journal_url: str, pytestconfig: pytest.Config
) -> None:
    endpoint = service(rules=RULES).endpoint
    kill_at("decision.asked", step, endpoint, journal_url, LONG)
    assert run_coroutine(step, endpoint, journal_url, LONG).result == "waiting"

    kill_at("decision.seen", person, endpoint, journal_url, "Ann", True)
    assert run_coroutine(step, endpoint, journal_url, LONG).result == "waiting"  # nothing was committed

    kill_at("decision.decided", person, endpoint, journal_url, "Ann", True)
    again = run_coroutine(person, endpoint, journal_url, "Ann", True).result
    assert again == "approved by Ann"
    other = run_coroutine(person, endpoint, journal_url, "Bob", False).result
    assert "was approved by Ann" in other

    kill_at("decision.taken", step, endpoint, journal_url, LONG)
    kill_at("turn.started", step, endpoint, journal_url, LONG)
    assert run_coroutine(step, endpoint, journal_url, LONG).result == "Ann: sent"

    log = ServiceLog(endpoint)
    duplicates = duplicate_effects(log.requests())
    verdict = log.verdict()
    points = {"decision.asked", "decision.seen", "decision.decided", "decision.taken"}
    counted(pytestconfig).add(
        points=points, kills=5, duplicates=len(duplicates), leaks=verdict["left_over"]["count"]
    )
    assert duplicates == []
    assert verdict["ok"], verdict
    assert len(log.requests("runs.create_thread_and_run")) == 1
    assert len(log.requests("runs.create")) == 1


@pytest.mark.timeout(180)
def test_a_time_limit_is_over_although_everything_was_killed_meanwhile(
    service: ServiceFactory, journal_url: str
) -> None:
    endpoint = service(rules=RULES).endpoint
    kill_at("decision.asked", step, endpoint, journal_url, 0.001)
    kill_at("decision.taken", step, endpoint, journal_url, 0.001)
    late = run_coroutine(person, endpoint, journal_url, "Ann", True).result
    assert "rejected by its time limit" in late
    assert run_coroutine(step, endpoint, journal_url, 0.001).result == "None: Dear Sir"
    assert ServiceLog(endpoint).verdict()["ok"]
