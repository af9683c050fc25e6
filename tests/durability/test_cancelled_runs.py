"""A flow run that is cancelled on the server, or whose process is told to end.

What Ctrl-C in the terminal leaves is in tests/cli/test_run.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks.journal import Journal
from tests.batch.support import RULES, Bench
from tests.durability.counts import counted
from tests.durability.served import ROOT, Api, descendants, environment, served
from tests.local.conftest import processes_of
from tests.prefect.test_batch_hooks import SLOW, _active
from tests.support.waiting import eventually

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
SECONDS = 10.0
"""Within which a cancelled flow run has no active turn on the service."""
ENDS_WITHIN = 30.0
"""Seconds for what follows, on a busy machine too: resources are deleted, processes end."""


def _count_leaks(batch: Bench, config: pytest.Config) -> None:
    counted(config).add(leaks=len(_active(batch)) + sum(batch.left().values()))


def _command(batch: Bench, api_url: str) -> subprocess.Popen[str]:
    """`agent-tasks run` over a bench's batch."""
    program = [sys.executable, "-c", "from agent_tasks.cli import main; main()"]
    arguments = ["run", str(batch.documents), "--out", str(batch.out), "--pipeline", str(batch.pipeline_file)]
    return subprocess.Popen(
        [*program, *arguments], cwd=ROOT, env=environment(batch, api_url), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_a_cancelled_flow_run_leaves_no_active_turn_and_no_resource(
    bench: Callable[..., Bench], pytestconfig: pytest.Config
) -> None:
    from prefect.settings import PREFECT_API_URL

    batch = bench(rules=SLOW)
    for number in range(4):
        batch.write(f"{number}.txt", f"Paper {number}")
    batch.pipeline_file.write_text(batch.pipeline)
    api_url = str(PREFECT_API_URL.value())
    api = Api(api_url)
    with served(batch, api_url):
        await eventually(api.is_deployed, seconds=60)
        run = api.run(batch)
        await eventually(lambda: len(_active(batch)) == 2, seconds=60)

        api.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        await eventually(lambda: not _active(batch), seconds=SECONDS)

        def is_over() -> bool:
            return api.flow_run(run)["state"]["type"] == "CANCELLED" and not any(batch.left().values())

        try:
            await eventually(is_over, seconds=ENDS_WITHIN)
        finally:
            _count_leaks(batch, pytestconfig)
    async with Journal(batch.journal_url) as journal:
        assert await journal.operations.unsettled(batch.service.endpoint) == []
        assert await journal.resources.live(batch.service.endpoint) == []
    assert processes_of(batch.folder) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_a_run_of_the_terminal_is_cancelled_on_the_server(
    bench: Callable[..., Bench], pytestconfig: pytest.Config
) -> None:
    """Nobody but the run itself can hear of it."""
    from prefect.settings import PREFECT_API_URL

    batch = bench(rules=SLOW)
    batch.write("a.txt", "Paper 1")
    batch.pipeline_file.write_text(batch.pipeline)
    api_url = str(PREFECT_API_URL.value())
    api = Api(api_url)
    process = _command(batch, api_url)
    try:
        await eventually(lambda: len(_active(batch)) == 1, seconds=60)
        (run,) = api.ask("POST", "/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
        cancelled = time.monotonic()
        api.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
        await eventually(lambda: not _active(batch), seconds=SECONDS)
        seconds = time.monotonic() - cancelled
        shown, _ = process.communicate(timeout=ENDS_WITHIN)
    finally:
        process.kill()
        _count_leaks(batch, pytestconfig)
    assert process.returncode == 1, shown
    assert "cancelled on the Prefect server" in " ".join(shown.split())
    assert seconds < SECONDS
    assert api.flow_run(run["id"])["state"]["type"] == "CANCELLED"
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    async with Journal(batch.journal_url) as journal:
        assert await journal.operations.unsettled(batch.service.endpoint) == []
        assert await journal.resources.live(batch.service.endpoint) == []


SLOWLY: dict[str, Any] = {**RULES, "rules": [{**rule, "delay": 6} for rule in RULES["rules"]]}
"""Long enough for a process to end while a turn is under way."""


async def _is_handed_over(batch: Bench) -> None:
    """Turns go on, and their leases are over."""
    async with Journal(batch.journal_url) as journal:
        turns = [
            one for one in await journal.operations.unsettled(batch.service.endpoint) if one.kind == "turn"
        ]
    assert turns
    assert all(one.lease_until <= time.time() for one in turns)
    assert batch.service.requests("runs.cancel") == []


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="a flow run's process does the same in the short form; make durability")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_a_command_that_is_told_to_end_hands_its_turns_over(
    bench: Callable[..., Bench], pytestconfig: pytest.Config
) -> None:
    from prefect.settings import PREFECT_API_URL

    batch = bench(rules=SLOWLY)
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    batch.pipeline_file.write_text(batch.pipeline)
    api_url = str(PREFECT_API_URL.value())
    process = _command(batch, api_url)
    try:
        await eventually(lambda: len(_active(batch)) == 1, seconds=60)
        process.terminate()
        shown, _ = process.communicate(timeout=ENDS_WITHIN)
        assert process.returncode == 128 + signal.SIGTERM, shown
        assert "Handing over" in shown
        await _is_handed_over(batch)
        (run,) = Api(api_url).ask("POST", "/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})
        assert (run["state"]["type"], "SIGTERM" in run["state"]["message"]) == ("CRASHED", True)
        process = _command(batch, api_url)
        shown, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, shown
    assert batch.turns() == 3
    assert batch.service.requests("runs.cancel") == []
    _count_leaks(batch, pytestconfig)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_a_flow_run_whose_process_is_told_to_end_hands_its_turns_over(
    bench: Callable[..., Bench], pytestconfig: pytest.Config
) -> None:
    """The process of a flow run gets SIGTERM from elsewhere than the server: Prefect calls it crashed."""
    from prefect.settings import PREFECT_API_URL

    batch = bench(rules=SLOWLY)
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    batch.pipeline_file.write_text(batch.pipeline)
    api_url = str(PREFECT_API_URL.value())
    api = Api(api_url)
    with served(batch, api_url) as runner:
        await eventually(api.is_deployed, seconds=60)
        run = api.run(batch)
        await eventually(lambda: len(_active(batch)) == 1, seconds=60)
        for pid in descendants(runner.process.pid):
            os.kill(pid, signal.SIGTERM)
        await eventually(lambda: api.flow_run(run)["state"]["type"] == "CRASHED", seconds=30)
        await _is_handed_over(batch)
        again = api.run(batch)
        await eventually(lambda: api.flow_run(again)["state"]["type"] == "COMPLETED", seconds=90)
    assert batch.turns() == 3
    assert batch.service.requests("runs.cancel") == []
    _count_leaks(batch, pytestconfig)
