"""Starts the drivers, each against a service of its own, and keeps what they found."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from agent_tasks.local.azurite import Azurite, StorageAddresses
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.conformance import official, ours
from tests.conformance.catalogue import Driver
from tests.conformance.checks import Finding
from tests.conformance.rules import RULES, STORAGE, browsing, stock_level
from tests.conformance.tool_scenarios import QUEUE_NAMES, QUEUES, Surroundings
from tests.emulator.tools.test_openapi import serve
from tests.support.a2a_server import OtherAgent
from tests.support.azurite import STATE_DIR
from tests.support.queue_function import FakeFunction
from tests.support.service import start_in_thread, write_rules

REPOSITORY = Path(__file__).resolve().parents[2]
PREVIEW_FOLDER = REPOSITORY / ".venv" / "official-preview"
SEARCH_FOLDER = Path(__file__).with_name("search")
SECONDS = 90
"""Longest time of a driver in a process of its own."""


def once(drive: Callable[..., Drive]) -> Callable[..., Drive]:
    """Have a method called once for the same arguments; what it raised is raised again."""

    @functools.cache
    def outcome(*arguments: object) -> Future[Drive]:
        ended: Future[Drive] = Future()
        try:
            ended.set_result(drive(*arguments))
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
            ended.set_exception(error)
        return ended

    return lambda *arguments: outcome(*arguments).result()


@dataclass(frozen=True)
class Drive:
    """What a driver found in one part of the scenarios, and what the service saw of it."""

    findings: list[Finding]
    served: set[tuple[str, str]]
    """Operations that were answered well, with the query's api-version."""

    def fail_unless_passed(self, kind: str, name: str) -> None:
        """Fail the test unless this was checked and passed."""
        found = [error for its_kind, its_name, error in self.findings if (its_kind, its_name) == (kind, name)]
        if not found:
            errors = [
                f"{its_kind} {its_name}: {error}" for its_kind, its_name, error in self.findings if error
            ]
            pytest.fail(f"{kind} {name} was not reached\n" + "\n".join(errors), pytrace=False)
        for error in found:
            if error is not None:
                pytest.fail(f"{kind} {name}: {error}", pytrace=False)


class Drivers:
    """The drives of a test session; each happens once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()

    @once
    def drive(self, driver: Driver, part: str) -> Drive:
        """Let a driver play the scenarios of a part."""
        if driver.client == "1.2.0b6" and not PREVIEW_FOLDER.is_dir():
            pytest.skip("the preview of the official client is not installed: run `make official-preview`")
        folder = self._folder / f"{driver}-{part}"
        folder.mkdir()
        settings = ToolSettings(search_folder=SEARCH_FOLDER, assets={STORAGE: SEARCH_FOLDER})
        rules = RULES
        with contextlib.ExitStack() as stack:
            if part == "tools":
                around = self.surroundings()
                around.write(folder)
                rules = {**RULES, "rules": [*browsing(f"{around.openapi}/oak"), *RULES["rules"]]}
                storage = self.storage()
                account = StorageAccount(value=storage.connection_string)
                settings = settings.model_copy(update={"storage": {QUEUES: account}})
                # For this drive alone: it looks into its queue all the time.
                stack.enter_context(FakeFunction(storage, *QUEUE_NAMES, lambda call: stock_level(**call)))
            config = ServiceConfig(tools=settings)
            service = start_in_thread(folder / "data", write_rules(folder, rules), config)
            stack.callback(service.stop)
            findings = _findings(driver, service.endpoint, part, folder)
            served = {
                (str(row["operation"]), str(row["query"]).partition("api-version=")[2].partition("&")[0])
                for row in service.requests()
                if row["status"] is not None and row["status"] < 300
            }
        return Drive(findings, served)

    @functools.cache  # noqa: B019 - lives as long as the session
    def surroundings(self) -> Surroundings:
        """The servers that tools of the service ask."""
        app = Starlette(routes=[Route("/price", _price), Route("/oak", _oak)])
        numbers = MCPServer("numbers", log_level="CRITICAL")
        numbers.tool(name="add")(_add)
        mcp = numbers.streamable_http_app(stateless_http=True, json_response=True)
        return Surroundings(
            openapi=self._stack.enter_context(serve(app)),
            mcp=f"{self._stack.enter_context(serve(mcp))}/mcp",
            a2a=self._stack.enter_context(serve(OtherAgent("1.0").app)),
        )

    @functools.cache  # noqa: B019
    def storage(self) -> StorageAddresses:
        """An Azurite that stands for the account of the drivers' queues."""
        return self._stack.enter_context(Azurite(state_dir=STATE_DIR))

    def close(self) -> None:
        """Stop the servers and forget what was found."""
        self._stack.close()
        Drivers.surroundings.cache_clear()
        Drivers.storage.cache_clear()


async def _price(request: Request) -> JSONResponse:
    """The stand-in for a server with an OpenAPI document."""
    return JSONResponse({"item": request.query_params["item"], "euros": 40})


async def _oak(request: Request) -> HTMLResponse:
    """A page for the browser."""
    return HTMLResponse("<title>Oak</title><p>Oak boards cost 40 euros a square metre.</p>")


def _add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


def _findings(driver: Driver, endpoint: str, part: str, folder: Path) -> list[Finding]:
    if driver.client == "ours":
        return asyncio.run(ours.drive(endpoint, driver.style, part, folder, driver.api_version))
    if driver.client == "1.1.0":
        return asyncio.run(official.drive(endpoint, driver.style, part, folder))
    command = [sys.executable, "-m", "tests.conformance.official", endpoint, driver.style, part, str(folder)]
    path = os.pathsep.join((str(PREVIEW_FOLDER), str(REPOSITORY)))
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"the driver of {driver} failed: {done.stderr[-2000:]}", pytrace=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if lines[0] != {"version": driver.client}:
        pytest.fail(f"the driver used {lines[0]}, not {driver.client}", pytrace=False)
    return [(line["kind"], line["name"], line["error"]) for line in lines[1:]]
