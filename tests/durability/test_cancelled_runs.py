"""A flow run that is cancelled on the server, and a command that is interrupted in the terminal."""

from __future__ import annotations

import os
import signal
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

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
ROOT = Path(__file__).parents[2]
SERVE = (
    "from flows.document_batch import document_batch; "
    "document_batch.serve(name='served', pause_on_shutdown=False)"
)
SECONDS = 10.0
"""Within which a cancelled flow run has no active turn on the service."""


def _environment(batch: Bench, api_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_API_URL": api_url,
        "PREFECT_HOME": str(batch.folder / "prefect"),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PROJECT_ENDPOINT": batch.service.endpoint,
        "AGENT_TASKS_JOURNAL_URL": batch.journal_url,
        "AGENT_TASKS_STATE_DIR": str(batch.folder / "state"),
    }


@contextmanager
def served(batch: Bench, api_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """The flow, served as a deployment by a process of its own."""
    with (batch.folder / "runner.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], cwd=ROOT, env=_environment(batch, api_url),
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
    api_url = str(PREFECT_API_URL.value())
    with served(batch, api_url), httpx.Client(base_url=api_url, timeout=30) as api:

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

        def state() -> str:
            return str(ask("GET", f"/flow_runs/{run['id']}")["state"]["type"])

        await _until(lambda: state() == "CANCELLED" and not any(batch.left().values()), SECONDS)
        assert time.monotonic() - cancelled < SECONDS
    async with Journal(batch.journal_url) as journal:
        assert await journal.unsettled(batch.service.endpoint) == []
        assert await journal.live_resources(batch.service.endpoint) == []
    assert processes_of(batch.folder) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM] if ALL else [signal.SIGTERM])
async def test_an_interrupted_command_leaves_no_active_turn(
    bench: Callable[..., Bench], number: signal.Signals
) -> None:
    from prefect.settings import PREFECT_API_URL

    batch = bench(rules=SLOW)
    batch.write("a.txt", "Paper 1")
    batch.pipeline_file.write_text(batch.pipeline)
    command = [
        sys.executable,
        "-c",
        "from agent_tasks.cli import main; main()",
        "run",
        str(batch.documents),
        "--out",
        str(batch.out),
    ]
    process = subprocess.Popen(
        [*command, "--pipeline", str(batch.pipeline_file)],
        cwd=ROOT, env=_environment(batch, str(PREFECT_API_URL.value())), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        await _until(lambda: len(_active(batch)) == 1, 60)
        interrupted = time.monotonic()
        process.send_signal(number)
        await _until(lambda: not _active(batch), SECONDS)
        shown, _ = process.communicate(timeout=30)
        assert time.monotonic() - interrupted < SECONDS
    finally:
        process.kill()
    assert process.returncode == 128 + number, shown
    async with Journal(batch.journal_url) as journal:
        assert await journal.unsettled(batch.service.endpoint) == []
        known = {one.remote_id for one in await journal.live_resources(batch.service.endpoint)}
    with batch.service.http() as http:
        left = {one["id"] for path in ("/assistants", "/threads") for one in http.get(path).json()["data"]}
    assert left <= known
