"""The deployment as it is published: `prefect deploy` takes it, and a process worker runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from agent_tasks.embedded import prefect_environment, prefect_server
from agent_tasks.settings import Settings
from tests.embedded.conftest import processes_of
from tests.flows.support import PIPELINE, RULES, TOOLS
from tests.support.service import write_rules

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "deployments" / "prefect.yaml"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_worker_runs_the_deployment_with_a_local_service_of_its_own(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("Paper P-1 of 2026-03-01, total 10.5")
    (documents / "b.txt").write_text("Paper P-2 of 2026-03-02, total 20")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "paper_tools.py").write_text(TOOLS)
    settings = Settings(
        state_dir=tmp_path / "state", local_model=write_rules(tmp_path, RULES), prefect_api_url=None
    )
    with prefect_server(settings) as api_url:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PROJECT_"))
        }
        environment = {
            **clean,
            **prefect_environment(settings),
            "PREFECT_API_URL": api_url,
            "AGENT_TASKS_STATE_DIR": str(settings.state_dir),
            "AGENT_TASKS_LOCAL_MODEL": settings.local_model.get_secret_value(),
        }

        def prefect(*arguments: str) -> str:
            command = [sys.executable, "-m", "prefect", *arguments]
            done = subprocess.run(
                command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        with httpx.Client(base_url=api_url, timeout=30, trust_env=False) as api:
            ask = _asker(api)
            ask("POST", "/work_pools/", {"name": "documents", "type": "process"})
            prefect("--no-prompt", "deploy", "--prefect-file", str(PUBLISHED.relative_to(ROOT)), "--all")
            deployment = ask("GET", "/deployments/name/document-batch/working-days")
            assert deployment["schedules"][0]["schedule"]["cron"] == "0 6 * * 1-5"
            assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
            parameters = {
                "documents": str(documents),
                "pipeline": str(tmp_path / "pipeline.yaml"),
                "out": str(tmp_path / "out"),
            }
            run = ask("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
            log = prefect("worker", "start", "--pool", "documents", "--run-once", "--name", "test")
            ended = ask("GET", f"/flow_runs/{run['id']}")
            assert (ended["state"]["name"], ended["state"]["message"]) == (
                "Completed",
                "2 done, 0 need review, 0 failed",
            ), log
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert {row["document"]: row["status"] for row in rows} == {"a.txt": "done", "b.txt": "done"}
    assert processes_of(tmp_path) == []


def test_published_parameters_are_those_of_the_example() -> None:
    (deployment,) = yaml.safe_load(PUBLISHED.read_text())["deployments"]
    assert (ROOT / deployment["parameters"]["documents"]).is_dir()
    assert (ROOT / deployment["parameters"]["pipeline"]).is_file()
    assert (ROOT / deployment["entrypoint"].partition(":")[0]).is_file()


def _asker(api: httpx.Client) -> Callable[..., dict]:
    def ask(method: str, path: str, body: object = None) -> dict:
        answer = api.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    return ask
