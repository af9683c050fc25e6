"""Programs that wait take next to no processor time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_tasks.local.embedded_server import UrlServer
from agent_tasks.local.servers import local_service
from agent_tasks.local.supervisor import read_record
from agent_tasks.settings import Settings
from tests.conftest import ServiceFactory
from tests.durability.batch_worker import QUESTIONS, TURNS_A_DOCUMENT, Fleet, lay_out, rules
from tests.support.processor import shares
from tests.support.service import HELLO, write_rules

IDLE_SHARE = 0.15
"""Of a core; what is measured here takes 0.01 to 0.05, and what spins takes all of it."""


def test_the_idle_local_service_and_its_guardian_take_no_processor(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", local_model=write_rules(tmp_path, HELLO))
    server = local_service(settings)
    with server:
        taken = sum(shares(_pid(server), _guardian(server)))
    print(f"local service: {taken:.3f}")
    assert taken < IDLE_SHARE


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_workers_that_wait_for_a_leader_and_for_its_answer_take_no_processor(
    service: ServiceFactory, postgresql_address: str, tmp_path: Path
) -> None:
    lay_out(tmp_path, 2)
    slow = rules(0.0)
    slow["default"] |= {"delay": 100}
    running = service(rules=slow, process=True)
    fleet = Fleet(running, postgresql_address, tmp_path, 2)
    fleet.start()
    try:
        begun = TURNS_A_DOCUMENT * 2 + QUESTIONS
        _until(lambda: len(running.generations()) == begun)
        time.sleep(6)  # the pauses between two looks grow to 5 seconds
        taken = shares(*(worker.process.pid or 0 for worker in fleet._workers.values()))
    finally:
        for worker in fleet._workers.values():
            worker.process.kill()
            worker.process.join(10)
    print(f"leader and follower: {taken}")
    assert len(taken) == 2
    assert max(taken) < IDLE_SHARE


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _pid(server: UrlServer) -> int:
    record = read_record(server.record_path)
    assert record is not None
    return record.pid


def _guardian(server: UrlServer) -> int:
    assert server._guardian is not None
    return server._guardian.pid
