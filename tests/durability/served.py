"""The flow `document-batch` served as a deployment by a process of its own, and what it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.batch.support import Bench
from tests.support.prefect_api import prefect_api

ROOT = Path(__file__).parents[2]
SERVE = (
    "from agent_tasks.prefect.document_batch import document_batch; "
    "document_batch.serve(name='served', pause_on_shutdown=False)"
)


def environment(batch: Bench, api_url: str, auth: str = "") -> dict[str, str]:
    """Of a process that works on a bench's batch, and talks to a Prefect server."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_API_URL": api_url,
        **({"PREFECT_API_AUTH_STRING": auth} if auth else {}),
        "PREFECT_HOME": str(batch.folder / "prefect"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PROJECT_ENDPOINT": batch.service.endpoint,
        "AGENT_TASKS_JOURNAL_URL": batch.journal_url,
        "AGENT_TASKS_STATE_DIR": str(batch.folder / "state"),
    }


class Runner:
    """A process that serves the flow."""

    def __init__(self, batch: Bench, api_url: str, auth: str = "") -> None:
        self.log = batch.folder / "runner.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE], cwd=ROOT, env=environment(batch, api_url, auth),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """SIGTERM; flow runs that are under way end with it."""
        self.process.terminate()
        self.process.wait(60)

    def kill(self) -> None:
        """SIGKILL to the runner and to all flow runs it has started, as when a machine is lost."""
        started = descendants(self.process.pid)
        self.process.kill()
        _kill(started)
        self.process.wait(10)

    def kill_flow_run(self) -> None:
        """SIGKILL to the flow run; the runner lives and notices."""
        _kill(descendants(self.process.pid))


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in children for found in [int(child), *descendants(int(child))]]


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def served(batch: Bench, api_url: str) -> Iterator[Runner]:
    """A runner for the block."""
    runner = Runner(batch, api_url)
    try:
        yield runner
    finally:
        runner.stop()


class Api:
    """A Prefect server's API, and the deployment on it."""

    def __init__(self, url: str, auth: str = "") -> None:
        self.http = prefect_api(url, auth)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """A request; returns the answer's JSON."""
        answer = self.http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def is_deployed(self) -> bool:
        """Whether a runner has come up."""
        return self.http.get("/deployments/name/document-batch/served").status_code == 200

    def run(self, batch: Bench) -> str:
        """Start a run of the deployment over a bench's batch; returns its id."""
        deployment = self.ask("GET", "/deployments/name/document-batch/served")
        parameters = {
            "documents": str(batch.documents),
            "pipeline": str(batch.pipeline_file),
            "out": str(batch.out),
        }
        path = f"/deployments/{deployment['id']}/create_flow_run"
        return str(self.ask("POST", path, {"parameters": parameters})["id"])

    def flow_run(self, flow_run_id: str) -> dict[str, Any]:
        """A flow run as the server has it."""
        found: dict[str, Any] = self.ask("GET", f"/flow_runs/{flow_run_id}")
        return found
