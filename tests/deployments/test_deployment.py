"""The deployment as it is published: `prefect deploy` takes it, and a process worker runs it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

from agent_tasks.doctor import Status
from agent_tasks.doctor.prefect_server import check_prefect
from tests.deployments.conftest import POOL, ROOT, Ground
from tests.local.conftest import processes_of
from tests.support.processor import descendants, shares

PUBLISHED = ROOT / "deployments" / "prefect.yaml"
MAINTENANCE = ROOT / "deployments" / "maintenance.yaml"

STARTS_WITHIN = 90.0
"""Seconds from the deployment of a schedule of every minute until a run of it has started."""

_COMPLETED = {"state": {"type": {"any_": ["COMPLETED"]}}}
_UNDER_WAY = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}

IDLE_SHARE = 0.15
"""Of a core, for a program that has nothing to do; it takes about 0.03. One that spins takes all of it."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_schedule_starts_a_run_by_itself_and_who_waits_for_it_takes_no_processor(ground: Ground) -> None:
    """Server, scheduler, worker and flow of what is pinned, together."""
    published = yaml.safe_load(PUBLISHED.read_text())
    (every_minute,) = published["deployments"]
    every_minute |= {
        "name": "every-minute",
        "schedules": [{"cron": "* * * * *", "timezone": "UTC", "active": True}],
        "parameters": ground.parameters("scheduled"),
    }
    sweeping, pruning, watching = yaml.safe_load(MAINTENANCE.read_text())["deployments"]
    assert all(one["schedules"][0]["active"] for one in (sweeping, pruning, watching))
    pruning["schedules"] = [{"cron": "* * * * *", "timezone": "UTC", "active": True}]
    published["deployments"] += [sweeping, pruning]
    file = ground.folder / "prefect.yaml"
    file.write_text(yaml.safe_dump(published))
    with ground.worker() as worker:
        ground.prefect("--no-prompt", "deploy", "--prefect-file", str(file), "--all")
        deployed = time.monotonic()
        deployment = ground.ask("GET", "/deployments/name/document-batch/every-minute")

        def runs() -> list[dict[str, Any]]:
            body = {"deployments": {"id": {"any_": [deployment["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
            found: list[dict[str, Any]] = ground.ask("POST", "/flow_runs/filter", body)
            return found

        def started() -> list[dict[str, Any]]:
            return [run for run in runs() if run["start_time"]]

        log = ground.folder / "worker.log"
        (first, *_) = _until(started, deployed + STARTS_WITHIN, lambda: f"{runs()}\n{log.read_text()}")
        print(f"it started after {time.monotonic() - deployed:.0f} s")
        assert first["auto_scheduled"]
        assert first["created_by"]["type"] == "SCHEDULE"

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = ground.ask("GET", f"/flow_runs/{first['id']}")
            return run if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        run = _until(ended, time.monotonic() + 90, log.read_text)
        assert run["state"]["message"] == "2 done, 0 need review, 0 failed", log.read_text()
        results = (ground.folder / "scheduled" / "results.jsonl").read_text().splitlines()
        rows = {row["document"]: row["status"] for row in map(json.loads, results)}
        assert rows == {"a.txt": "done", "b.txt": "done"}
        maintenance = ground.ask("GET", "/deployments/name/prune/weekly")
        told = {"deployments": {"id": {"any_": [maintenance["id"]]}}, "flow_runs": _COMPLETED}

        def pruned() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = ground.ask("POST", "/flow_runs/filter", told)
            return found

        (first, *_) = _until(pruned, time.monotonic() + STARTS_WITHIN, log.read_text)
        assert first["auto_scheduled"]
        assert first["state"]["message"] == "0 batches (0 documents), 0 operations, 0 transcripts forgotten"
        for scheduled in (maintenance, deployment):
            schedule = f"/deployments/{scheduled['id']}/schedules/{scheduled['schedules'][0]['id']}"
            ground.api.delete(schedule).raise_for_status()  # with the runs that it has planned

        def at_rest() -> bool:
            return not (ground.ask("POST", "/flow_runs/filter", _UNDER_WAY) or descendants(worker.pid))

        # A run that the worker has begun meanwhile is work, and is waited for.
        _until(at_rest, time.monotonic() + STARTS_WITHIN, log.read_text)
        assert processes_of(ground.settings.state_dir / "service") == []  # each run had a local service
        taken = dict(zip(("worker", "server"), shares(worker.pid, ground.server_pid), strict=True))
    print(taken)
    assert max(taken.values()) < IDLE_SHARE, taken


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_doctor_sees_what_the_deployments_of_a_real_server_lack(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.doctor.prefect_server.YOUNG", timedelta())
    ground.prefect("--no-prompt", "deploy", "--prefect-file", str(PUBLISHED.relative_to(ROOT)), "--all")
    deployment = ground.ask("GET", "/deployments/name/document-batch/working-days")
    assert deployment["schedules"][0]["schedule"]["cron"] == "0 6 * * 1-5"
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    for worker in ground.ask("POST", f"/work_pools/{POOL}/workers/filter", {}):  # one of another test
        ground.api.delete(f"/work_pools/{POOL}/workers/{worker['name']}").raise_for_status()
    found = {}
    for _ in range(60):  # the scheduler looks for new deployments every 5 seconds
        found = {finding.check: finding async for finding in check_prefect(ground.settings)}
        if found["scheduler"].status is Status.OK:
            break
        await asyncio.sleep(1)
    assert {check: finding.status for check, finding in found.items()} == {
        "prefect server": Status.OK,
        "deployment": Status.OK,
        "scheduler": Status.OK,
        "work pool documents": Status.WARNING,
        "automations": Status.WARNING,
    }, found
    assert "No worker lives" in found["work pool documents"].detail
    assert found["work pool documents"].remedy == "agent-tasks prefect worker start --pool documents"


def _until(look: Callable[[], Any], deadline: float, told: Callable[[], str]) -> Any:
    while not (found := look()):
        assert time.monotonic() < deadline, f"{datetime.now()}: {told()}"
        time.sleep(0.5)
    return found


def test_published_parameters_are_those_of_the_example() -> None:
    (deployment,) = yaml.safe_load(PUBLISHED.read_text())["deployments"]
    assert (ROOT / deployment["parameters"]["documents"]).is_dir()
    assert (ROOT / deployment["parameters"]["pipeline"]).is_file()
    assert (ROOT / deployment["entrypoint"].partition(":")[0]).is_file()
