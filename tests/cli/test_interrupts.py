"""Ctrl-C and SIGTERM cancel the run in order, SIGTERM without its turns; a second one does not wait."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from agent_tasks.cli.interrupts import run_interruptible

PROGRAM = """
import asyncio, signal, sys
from agent_tasks.cli.errors import InterruptedBySignal
from agent_tasks.cli.interrupts import run_interruptible
from agent_tasks.detaching import is_detaching

async def main():
    print("running", flush=True)
    try:
        await asyncio.sleep(30)
    finally:
        print("cleaning", flush=True)
        await asyncio.sleep(CLEANING)
        print("detached" if is_detaching() else "cleaned", flush=True)

try:
    run_interruptible(main, on_interrupt=lambda number: print("told", number, flush=True))
except InterruptedBySignal as interrupt:
    sys.exit(interrupt.exit_code)
"""


def program(cleaning: float) -> subprocess.Popen[str]:
    code = PROGRAM.replace("CLEANING", str(cleaning))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


@pytest.mark.parametrize(("number", "end"), [(signal.SIGINT, "cleaned"), (signal.SIGTERM, "detached")])
def test_signal_cancels_and_waits_for_the_cleaning_up(number: signal.Signals, end: str) -> None:
    process = program(0.1)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert rest.splitlines() == [f"told {int(number)}", "cleaning", end]
    assert process.returncode == 128 + number


def test_second_signal_does_not_wait() -> None:
    process = program(60)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == f"told {int(signal.SIGINT)}\n"
    assert process.stdout.readline() == "cleaning\n"
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=20)
    assert rest.strip() == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_result_and_error_come_through() -> None:
    async def result() -> int:
        return 7

    async def error() -> int:
        raise LookupError("nothing there")

    assert run_interruptible(result) == 7
    with pytest.raises(LookupError, match="nothing there"):
        run_interruptible(error)


def test_handlers_are_put_back() -> None:
    async def nothing() -> None:
        pass

    before = signal.getsignal(signal.SIGTERM)
    run_interruptible(nothing)
    assert signal.getsignal(signal.SIGTERM) is before
