"""Starts the official clients of the successor's wire, each in a process and against a service of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.conformance.checks import Finding
from tests.conformance.drivers import REPOSITORY, SEARCH_FOLDER, Drive, Drivers, once
from tests.conformance.rules import stock_level
from tests.conformance.successor.catalogue import Driver
from tests.conformance.successor.rules import rules
from tests.conformance.tool_scenarios import QUEUE_NAMES, QUEUES
from tests.support.queue_function import FakeFunction
from tests.support.service import start_in_thread, write_rules

SECONDS = 170
"""Longest time of a driver."""


class SuccessorDrivers:
    """The drives of a test session; each happens once, none without `--conformance`: they take minutes."""

    def __init__(self, folder: Path, classic: Drivers, *, drives: bool) -> None:
        self._folder = folder
        self._classic = classic
        self._drives = drives

    @once
    def drive(self, driver: Driver, part: str) -> Drive:
        """Let a driver play the scenarios of a part (`operations`, `tools`)."""
        if not self._drives:
            pytest.skip("official clients of the successor's wire drive in `make conformance`")
        if not driver.client.path.is_dir():
            pytest.skip(f"{driver.client} is not installed: run `make successor-clients`")
        folder = self._folder / f"{driver}-{part}".replace(" ", "-")
        folder.mkdir()
        settings = ToolSettings(search_folder=SEARCH_FOLDER)
        page = None
        with contextlib.ExitStack() as stack:
            if part == "tools":
                around = self._classic.surroundings()
                around.write(folder)
                page = f"{around.openapi}/oak"
                storage = self._classic.storage()
                account = StorageAccount(value=storage.connection_string)
                settings = settings.model_copy(update={"storage": {QUEUES: account}})
                # For this drive alone: it looks into its queue all the time.
                answer = lambda call: stock_level(**call["function_args"])  # noqa: E731
                stack.enter_context(FakeFunction(storage, *QUEUE_NAMES, answer))
            config = ServiceConfig(tools=settings)
            service = start_in_thread(folder / "data", write_rules(folder, rules(page)), config)
            stack.callback(service.stop)
            findings = _findings(driver, service.endpoint, part, folder)
            served = {
                (str(row["operation"]), "")
                for row in service.requests()
                if row["status"] is not None and row["status"] < 300
            }
        return Drive(findings, served)


def _findings(driver: Driver, endpoint: str, part: str, folder: Path) -> list[Finding]:
    # Without the packages of this environment (-S): a client sees its own alone.
    module = f"tests.conformance.successor.{driver.client.module}"
    command = [sys.executable, "-S", "-m", module, endpoint, driver.style, part, str(folder)]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(driver.client.path), str(REPOSITORY)))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"the driver of {driver} failed: {done.stderr[-2000:]}", pytrace=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if lines[0] != {"version": driver.client.name}:
        pytest.fail(f"the driver used {lines[0]}, not {driver.client}", pytrace=False)
    return [(line["kind"], line["name"], line["error"]) for line in lines[1:]]
