"""A script that is told to end while agents run: nothing is left behind, or it is handed over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.testing import ServiceLog
from tests.conftest import ServiceFactory

ROOT = Path(__file__).parents[2]


def slow(seconds: float) -> dict[str, Any]:
    """A model that takes its time for one question."""
    return {
        "rules": [{"when": {"message": "^Slow"}, "reply": {"text": "Done."}, "delay": seconds}],
        "default": {"reply": {"text": "At once."}},
    }


ASYNC = """
import asyncio
from agent_tasks import Agent, session

async def main():
    async with session(owner="script", RUN):
        helper = Agent("helper", model="scripted")
        await helper.ask("Hello?")
        print("running", flush=True)
        print((await helper.ask("Slow?")).value, flush=True)

BEFORE
asyncio.run(main())
"""
BLOCKING = """
from agent_tasks import Agent, session

BEFORE
with session(owner="script", RUN):
    helper = Agent("helper", model="scripted")
    helper.ask_sync("Hello?")
    print("running", flush=True)
    print(helper.ask_sync("Slow?").value, flush=True)
"""
OWN_HANDLER = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("mine", flush=True), sys.exit(7)))
"""
BOUND = 25.0  # seconds


class Script:
    """The process of a script, which asks something that takes a while."""

    def __init__(self, folder: Path, endpoint: str, code: str, *, run: str = "", before: str = "") -> None:
        named = f"run={run!r}" if run else "run=None"
        kept = ("PREFECT_", "AGENT_TASKS_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(kept)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code.replace("RUN", named).replace("BEFORE", before)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environment, "PROJECT_ENDPOINT": endpoint, "AGENT_TASKS_STATE_DIR": str(folder / "state")},
        )  # fmt: skip

    def told(self, number: signal.Signals, log: ServiceLog) -> tuple[int, str, str]:
        """Send it a signal when its second turn is under way; its exit code, output and errors."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "running\n", self.process.communicate()
        _until_under_way(log)
        began = time.monotonic()
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=90)
        assert time.monotonic() - began < BOUND
        return self.process.returncode, output, errors


def _until_under_way(log: ServiceLog) -> None:
    deadline = time.monotonic() + 60
    while log.verdict()["active_runs"]["count"] < 1:
        assert time.monotonic() < deadline, log.requests()
        time.sleep(0.05)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("code", [ASYNC, BLOCKING], ids=["async", "blocking"])
def test_its_turns_are_cancelled_and_nothing_is_left(
    code: str, number: signal.Signals, service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(rules=slow(120.0))
    log = ServiceLog(running.endpoint)
    exit_code, output, errors = Script(tmp_path, running.endpoint, code).told(number, log)
    assert exit_code in (128 + number, -number), errors
    assert "Done." not in output
    verdict = log.verdict()
    assert verdict["ok"], (verdict, errors)
    assert len(log.requests("runs.cancel")) == 1


@pytest.mark.timeout(240)
def test_a_run_with_a_name_is_handed_over(service: ServiceFactory, tmp_path: Path) -> None:
    running = service(rules=slow(4.0))
    log = ServiceLog(running.endpoint)
    script = Script(tmp_path, running.endpoint, ASYNC, run="monday")
    exit_code, _, errors = script.told(signal.SIGTERM, log)
    assert exit_code == 128 + signal.SIGTERM, errors
    assert log.requests("runs.cancel") == []
    again = Script(tmp_path, running.endpoint, ASYNC, run="monday").process
    output, errors = again.communicate(timeout=120)
    assert output.splitlines() == ["running", "Done."], errors
    assert len(running.generations()) == 2
    assert log.verdict()["ok"], log.verdict()


@pytest.mark.timeout(240)
def test_a_program_that_handles_the_signal_itself_keeps_its_handler(
    service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(rules=slow(120.0))
    log = ServiceLog(running.endpoint)
    script = Script(tmp_path, running.endpoint, BLOCKING, before=OWN_HANDLER)
    exit_code, output, errors = script.told(signal.SIGTERM, log)
    assert (exit_code, output) == (7, "mine\n"), errors
