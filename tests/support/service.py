"""The local Agents service for tests, over real HTTP.

Two ways to run it, with one interface (`RunningService`):

* `start_in_thread` serves from a thread of the test process: ready in milliseconds, takes any model object.
* `start_process` runs it in a process of its own: ready in a second or two, can be killed and started again.

Either way its answers are kept and checked against the published schemas at the end of the test.

The fixture `service` (tests/conftest.py) wraps both and stops what it started::

    def test_something(service):
        running = service(rules={"default": {"reply": {"text": "Hello."}}})          # thread
        running = service(rules=..., process=True, options=["--run-ttl", "1"])       # process
        client = AsyncAgentsClient(running.endpoint, None)
        running.requests("runs.create_thread_and_run")      # the service's own request log
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from starlette.applications import Starlette
from typing_extensions import override

from agent_tasks.client.certificates import trusted_certificates
from agents_emulator.app import create_app
from agents_emulator.engine import lifecycle
from agents_emulator.models import ChatModel, load_model
from agents_emulator.server import EmulatorServer, listen
from agents_emulator.service import Service, ServiceConfig
from agents_emulator.store import RUNS, Record
from tests.support.answers import ANSWERS, CheckedAnswers
from tests.support.checked_service import ANSWER_FILE

START_SECONDS = 30.0
STOP_SECONDS = 5.0
_REPOSITORY = Path(__file__).resolve().parents[2]
HELLO: dict[str, Any] = {"default": {"reply": {"text": "Hello from the scripted model."}}}

Rules = Mapping[str, Any]

_DUMPER: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
"""libyaml's writes rules in a tenth of the time."""


def write_rules(folder: Path, rules: Rules) -> str:
    """Write rules of the scripted model into a file; returns the model specification that names it."""
    path = folder / "rules.yaml"
    path.write_text(yaml.dump(dict(rules), Dumper=_DUMPER), encoding="utf-8")
    return f"scripted:{path}"


@dataclass
class RunningService:
    """A service that answers at `endpoint` and keeps its state in `data_dir`."""

    endpoint: str
    data_dir: Path

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.endpoint.partition("/api/")[0]

    def http(self, **options: Any) -> httpx.Client:
        """A plain client at the endpoint that sends `api-version=v1`."""
        known = {"params": {"api-version": "v1"}, "timeout": 20, "verify": trusted_certificates()}
        return httpx.Client(base_url=self.endpoint, **known, **options)

    def requests(self, operation: str | None = None) -> list[dict[str, Any]]:
        """Rows of the request log, of one operation if given (`agents.create`, `runs.create`, ...)."""
        rows = self._rows("requests")
        return [row for row in rows if operation is None or row["operation"] == operation]

    def generations(self) -> list[dict[str, Any]]:
        """Model invocations so far."""
        return self._rows("generations")

    def runs(self) -> list[dict[str, Any]]:
        """All runs of all threads, as they are now; a thread that is deleted meanwhile has none."""
        with self.http() as http:
            threads = http.get("/threads").json()["data"]
            asked = [http.get(f"/threads/{one['id']}/runs") for one in threads]
        return [run for one in asked if one.status_code != 404 for run in one.json()["data"]]

    def _rows(self, page: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            after = rows[-1]["id"] if rows else 0
            response = httpx.get(
                f"{self.origin}/_emulator/{page}",
                params={"after": after},
                timeout=10,
                verify=trusted_certificates(),  # httpx reads them anew for each request
            )
            response.raise_for_status()
            more: list[dict[str, Any]] = response.json()["data"]
            if not more:
                return rows
            rows += more

    def stop(self) -> None:
        """Stop it gracefully; harmless if it has stopped already."""
        raise AssertionError("an abstract service cannot be stopped")


class PromptServer(EmulatorServer):
    """One that ends as soon as it is told to: Uvicorn looks ten times a second, and then waits as long."""

    def __init__(self, app: Starlette, listener: socket.socket, *, model_name: str) -> None:
        super().__init__(app, listener, model_name=model_name)
        self.loop = asyncio.new_event_loop()
        self._told = asyncio.Event()

    @override
    async def main_loop(self) -> None:
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 0.1)

    def end(self) -> None:
        """Tell it to end, from any thread; harmless if it has ended."""
        self.should_exit = True
        with suppress(RuntimeError):  # its loop is closed
            self.loop.call_soon_threadsafe(self._told.set)


@dataclass
class ThreadService(RunningService):
    """A service in a thread of this process."""

    app: Starlette
    server: PromptServer
    thread: threading.Thread

    async def expire_turns(self) -> None:
        """Have each run that is active expire now, as it does when its time is over."""
        service: Service = self.app.state.service

        async def expire() -> None:
            for run in await service.store.read(_active_runs):
                await service.engine.end(run, "expired")

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(expire(), self.server.loop))

    def stop(self) -> None:
        self.server.end()
        self.thread.join(STOP_SECONDS)
        assert not self.thread.is_alive(), "the service did not stop"


@dataclass
class ProcessService(RunningService):
    """A service in a process of its own."""

    process: subprocess.Popen[bytes]
    command: Sequence[str] = field(default_factory=list)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(STOP_SECONDS)
        ANSWERS.load(self.data_dir / ANSWER_FILE)

    def kill(self) -> None:
        """SIGKILL: what a crash or the end of a container does."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Start again (after `kill` or `stop`) on the same data directory and the same port."""
        command = [*self.command]
        command[command.index("--port") + 1] = self.origin.rpartition(":")[2]
        self.process = _spawn(command, self.data_dir).process


def start_in_thread(
    data_dir: Path, model: ChatModel | str, config: ServiceConfig | None = None
) -> ThreadService:
    """Serve from a thread. `model` is a model object or a specification such as `scripted:RULES.yaml`."""
    loaded = load_model(model) if isinstance(model, str) else model
    data_dir.mkdir(parents=True, exist_ok=True)
    listener = listen("127.0.0.1", 0)
    app = create_app(data_dir, loaded, config)
    server = PromptServer(app, listener, model_name=loaded.name)
    server.config.app = CheckedAnswers(app)

    def serve() -> None:
        with asyncio.Runner(loop_factory=lambda: server.loop) as runner:
            runner.run(server.serve([listener]))

    thread = threading.Thread(target=serve, name="agents-emulator", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        assert thread.is_alive(), "the service failed to start"
        assert time.monotonic() < deadline, "the service did not start in time"
        time.sleep(0.005)
    return ThreadService(server.endpoint, data_dir, app, server, thread)


def _active_runs(db: sqlite3.Connection) -> list[Record]:
    return [run for status in lifecycle.ACTIVE for run in RUNS.select(db, None, {"status": status})]


def start_process(data_dir: Path, model: str, options: Sequence[str] = ()) -> ProcessService:
    """Run the service as `python -m agents_emulator` does, with further `options`."""
    command = [
        sys.executable,
        "-m",
        "tests.support.checked_service",
        "--port",
        "0",
        "--data-dir",
        str(data_dir),
        "--model",
        model,
    ]
    return _spawn([*command, *options], data_dir)


def _spawn(command: Sequence[str], data_dir: Path) -> ProcessService:
    data_dir.mkdir(parents=True, exist_ok=True)
    ready_file = data_dir / "ready.json"
    ready_file.unlink(missing_ok=True)
    log_path = data_dir / "service.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--ready-file", str(ready_file)],
            cwd=_REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + START_SECONDS
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(f"the service did not start: {log_path.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.02)
    endpoint = json.loads(ready_file.read_text(encoding="utf-8"))["endpoint"]
    return ProcessService(endpoint, data_dir, process, command)
