"""What `doctor` finds at a Prefect server: schedules that start nothing, pools without workers, ..."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from agent_tasks.doctor import Finding, Status
from agent_tasks.doctor.prefect_server import check_prefect
from agent_tasks.prefect.automations import crash_silent_runs, restart_crashed_runs
from agent_tasks.settings import Settings

API = "http://prefect.example.com/api"
OLD = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def deployment(**values: Any) -> dict[str, Any]:
    """A deployment with a schedule, as the server tells of it."""
    return {
        "id": "d1",
        "name": "working-days",
        "paused": False,
        "status": "READY",
        "work_pool_name": "documents",
        "schedules": [{"active": True, "updated": OLD}],
    } | values


AUTOMATIONS = [
    {"name": one.name, "enabled": True} for one in (crash_silent_runs(("x",)), restart_crashed_runs(("x",)))
]
RUN = {"deployment_id": "d1"}
POOL = {"name": "documents", "is_paused": False}
WORKER = {"name": "one", "status": "ONLINE"}


class Server:
    """What a server answers; each list can be changed."""

    def __init__(self) -> None:
        self.deployments = [deployment()]
        self.ahead = [RUN]
        self.overdue: list[dict[str, Any]] = []
        self.pools = [POOL]
        self.workers = [WORKER]
        self.automations: list[dict[str, Any]] = list(AUTOMATIONS)
        self.headers: list[httpx.Headers] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.headers.append(request.headers)
        path = request.url.path.removeprefix("/api")
        if request.method == "GET":
            return httpx.Response(200, json=True if path == "/health" else "3.9.1")
        body = json.loads(request.content)
        if path == "/flow_runs/filter":
            is_ahead = "after_" in body["flow_runs"]["expected_start_time"]
            return httpx.Response(200, json=self.ahead if is_ahead else self.overdue)
        told = {
            "/deployments/filter": self.deployments,
            "/work_pools/filter": self.pools,
            "/work_pools/documents/workers/filter": self.workers,
            "/automations/filter": self.automations,
        }
        return httpx.Response(200, json=told[path])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)
    return Settings(state_dir=tmp_path / "state", prefect_api_url=API)


async def examined(settings: Settings, server: Server) -> dict[str, Finding]:
    with respx.mock:
        respx.route(host="prefect.example.com").mock(side_effect=server.answer)
        found = {finding.check: finding async for finding in check_prefect(settings)}
    for finding in found.values():
        assert finding.remedy or finding.status in (Status.OK, Status.NOT_CONFIGURED), finding
    return found


async def test_a_server_with_all_that_a_schedule_needs(settings: Settings) -> None:
    found = await examined(settings, Server())
    assert {check: finding.status for check, finding in found.items()} == dict.fromkeys(
        ("prefect server", "deployment", "scheduler", "work pool documents", "automations"), Status.OK
    )
    assert found["prefect server"].detail.endswith("version 3.9.1.")


OTHER = deployment(id="d2", name="other")
YOUNG = [{"active": True, "updated": (datetime.now(UTC) + timedelta(days=1)).isoformat()}]


@pytest.mark.parametrize(
    ("change", "check", "status", "said"),
    [
        ({"ahead": []}, "scheduler", Status.FAILED, "schedules nothing"),
        ({"deployments": [deployment(), OTHER]}, "scheduler", Status.WARNING, "for other"),
        ({"deployments": [deployment(paused=True)], "ahead": []}, "scheduler", Status.NOT_CONFIGURED, ""),
        ({"deployments": [deployment(schedules=YOUNG)], "ahead": []}, "scheduler", Status.NOT_CONFIGURED, ""),
        ({"deployments": []}, "deployment", Status.NOT_CONFIGURED, "no deployment"),
        ({"pools": []}, "work pool documents", Status.FAILED, "no work pool documents"),
        ({"pools": [POOL | {"is_paused": True}]}, "work pool documents", Status.WARNING, "paused"),
        ({"workers": []}, "work pool documents", Status.WARNING, "No worker lives"),
        (
            {"workers": [WORKER | {"status": "OFFLINE"}], "overdue": [RUN, RUN]},
            "work pool documents",
            Status.FAILED,
            "2 runs wait",
        ),
        ({"overdue": [RUN]}, "work pool documents", Status.WARNING, "1 run waits that should have begun"),
        ({"deployments": [deployment(work_pool_name=None)]}, "deployment working-days", Status.OK, "serves"),
        (
            {"deployments": [deployment(work_pool_name=None, status="NOT_READY")], "overdue": [RUN]},
            "deployment working-days",
            Status.FAILED,
            "no process serves it, and 1 run waits",
        ),
        ({"automations": AUTOMATIONS[:1]}, "automations", Status.WARNING, "is not applied"),
        (
            {"automations": [one | {"enabled": False} for one in AUTOMATIONS]},
            "automations",
            Status.WARNING,
            "disabled",
        ),
    ],
)
async def test_what_is_missing(
    settings: Settings, change: dict[str, Any], check: str, status: Status, said: str
) -> None:
    server = Server()
    for name, value in change.items():
        setattr(server, name, value)
    finding = (await examined(settings, server))[check]
    assert (finding.status, said in finding.detail) == (status, True), finding


@pytest.mark.parametrize(
    ("variable", "value", "header"),
    [
        ("PREFECT_API_AUTH_STRING", "me:secret", "Basic bWU6c2VjcmV0"),
        ("PREFECT_API_KEY", "pnu_secret", "Bearer pnu_secret"),
    ],
)
async def test_the_key_goes_along_and_is_never_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, header: str
) -> None:
    monkeypatch.setenv(variable, value)
    server = Server()
    found = await examined(settings, server)
    assert {headers["Authorization"] for headers in server.headers} == {header}
    assert "secret" not in str(found)


@respx.mock
@pytest.mark.parametrize(
    "answer", [httpx.Response(401), httpx.Response(404), httpx.ConnectError("refused")], ids=str
)
async def test_a_server_that_does_not_answer(settings: Settings, answer: Any) -> None:
    respx.route(host="prefect.example.com").mock(side_effect=[answer, answer])
    (finding,) = [one async for one in check_prefect(settings)]
    assert finding.status is Status.FAILED
    assert finding.remedy


async def test_an_older_server_that_lacks_a_request(settings: Settings) -> None:
    server = Server()
    with respx.mock:
        respx.post(f"{API}/automations/filter").respond(404)
        respx.route(host="prefect.example.com").mock(side_effect=server.answer)
        found = [one async for one in check_prefect(settings)]
    assert (found[-1].status, "answers 404" in found[-1].detail) == (Status.FAILED, True)


async def test_a_state_folder_whose_server_does_not_run_is_told_and_left_alone(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", prefect_api_url=None)
    (finding,) = [one async for one in check_prefect(settings)]
    assert finding.status is Status.NOT_CONFIGURED
    assert "agent-tasks dashboard" in (finding.remedy or "")
