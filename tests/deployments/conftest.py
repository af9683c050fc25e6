"""A Prefect server of a state folder with the work pool `documents`, as one has for deployments."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.local.server_access import auth_string
from agent_tasks.local.servers import prefect_environment, prefect_server
from agent_tasks.local.supervisor import read_record
from agent_tasks.settings import Settings
from tests.batch.support import PIPELINE, RULES, TOOLS
from tests.support.prefect_api import prefect_api
from tests.support.service import write_rules

ROOT = Path(__file__).parents[2]
POOL = "documents"


@dataclass
class Ground:
    """The server, and a folder with documents and a pipeline."""

    folder: Path
    settings: Settings
    environment: dict[str, str]
    api: httpx.Client

    @property
    def server_pid(self) -> int:
        """The process of the server."""
        record = read_record(self.settings.state_dir / "run" / "prefect.json")
        assert record is not None
        return record.pid

    def parameters(self, out: str) -> dict[str, str]:
        """Of a run of the deployment."""
        return {
            "documents": str(self.folder / "documents"),
            "pipeline": str(self.folder / "pipeline.yaml"),
            "out": str(self.folder / out),
        }

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """A request; returns the answer's JSON."""
        answer = self.api.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def prefect(self, *arguments: str) -> str:
        """The command `prefect`; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A process worker of the pool."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "test"]
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(150)  # it waits for the run that it has just begun


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One server for all tests of a module."""
    folder = tmp_path_factory.mktemp("ground")
    (folder / "documents").mkdir()
    (folder / "documents" / "a.txt").write_text("Paper P-1 of 2026-03-01, total 10.5")
    (folder / "documents" / "b.txt").write_text("Paper P-2 of 2026-03-02, total 20")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "paper_tools.py").write_text(TOOLS)
    model = write_rules(folder, RULES)
    settings = Settings(state_dir=folder / "state", local_model=model, prefect_api_url=None)
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PROJECT_"))
    }
    with prefect_server(settings) as api_url:
        environment = {
            **clean,
            **prefect_environment(settings),
            "PREFECT_API_URL": api_url,
            "AGENT_TASKS_STATE_DIR": str(settings.state_dir),
            "AGENT_TASKS_LOCAL_MODEL": model,
        }
        with prefect_api(api_url, auth_string(settings.state_dir)) as api:
            made = Ground(folder, settings, environment, api)
            made.ask("POST", "/work_pools/", {"name": POOL, "type": "process"})
            yield made
