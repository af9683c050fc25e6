"""A flow run of a deployment that is cancelled mid-batch, for real: server, runner, a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.journal import Journal
from tests.embedded.conftest import processes_of
from tests.flows.support import Bench
from tests.flows.test_cancelling import SLOW, _active, _until

ROOT = Path(__file__).parents[2]
SERVE = "from flows.document_batch import document_batch; document_batch.serve(name='served', pause_on_shutdown=False)"
SECONDS = 10.0
"""Within which a cancelled flow run has no active turn on the service."""


@contextmanager
def served(batch: Bench) -> Iterator[subprocess.Popen[bytes]]:
    """The flow, served as a deployment by a process of its own."""
    environment = {
        **os.environ,
        "PROJECT_ENDPOINT": batch.service.endpoint,
        "AGENT_TASKS_JOURNAL_URL": batch.journal_url,
        "AGENT_TASKS_STATE_DIR": str(batch.folder / "state"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    }
    with (batch.folder / "runner.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], cwd=ROOT, env=environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_a_cancelled_flow_run_leaves_no_active_turn_and_no_resource(
    bench: Callable[..., Bench],
) -> None:
    from prefect.settings import PREFECT_API_URL

    batch = bench(rules=SLOW)
    for number in range(4):
        batch.write(f"{number}.txt", f"Paper {number}")
    batch.pipeline_file.write_text(batch.pipeline)
    with served(batch), httpx.Client(base_url=str(PREFECT_API_URL.value()), timeout=30) as api:

        def ask(method: str, path: str, body: object = None) -> Any:
            answer = api.request(method, path, json=body)
            answer.raise_for_status()
            return answer.json()

        def is_deployed() -> bool:
            return api.get("/deployments/name/document-batch/served").status_code == 200

        await _until(is_deployed, 60)
        deployment = ask("GET", "/deployments/name/document-batch/served")
        parameters = {
            "documents": str(batch.documents),
            "pipeline": str(batch.pipeline_file),
            "out": str(batch.out),
        }
        run = ask("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        await _until(lambda: len(_active(batch)) == 2, 60)

        cancelled = time.monotonic()
        ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})
        await _until(lambda: not _active(batch), SECONDS)
        print("no active turn after", time.monotonic() - cancelled)

        def state() -> str:
            return str(ask("GET", f"/flow_runs/{run['id']}")["state"]["type"])

        await _until(lambda: state() == "CANCELLED", 30)
        print("cancelled after", time.monotonic() - cancelled)
        await _until(lambda: not any(batch.left().values()), 30)
        print("released after", time.monotonic() - cancelled)
    async with Journal(batch.journal_url) as journal:
        assert await journal.unsettled(batch.service.endpoint) == []
        assert await journal.live_resources(batch.service.endpoint) == []
    assert processes_of(batch.folder) == []
