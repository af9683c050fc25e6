"""Whether a Prefect server does what deployments need: schedules, work pools, workers, automations."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from agent_tasks.display import several
from agent_tasks.doctor.findings import Finding, failed, not_configured, ok, warning
from agent_tasks.errors import ConfigurationError
from agent_tasks.local.server_access import auth_string, basic
from agent_tasks.local.servers import prefect_server
from agent_tasks.settings import Settings

__all__ = ["check_prefect"]

FLOW = "document-batch"
"""The flow whose deployment is looked for."""

OVERDUE = timedelta(seconds=60)
"""How long after its time a run that no worker started is overdue; workers look every 10 or 15 seconds."""

YOUNG = timedelta(minutes=3)
"""How old a schedule is before its runs are missed; the scheduler looks for new ones every 5 s."""

_TIMEOUT = 10.0  # seconds
_PAGE = 200
_DEPLOY = "prefect --no-prompt deploy --prefect-file deployments/prefect.yaml --all"


@dataclass(frozen=True)
class _Server:
    """A server, how to ask it, and how a person runs Prefect's command there."""

    http: httpx.AsyncClient
    url: str
    command: str

    async def ask(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self.http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    async def all(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(page := await self.ask(path, {**body, "limit": _PAGE, "offset": len(found)})) == _PAGE:
            found += page
        return [*found, *page]


async def check_prefect(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the Prefect server answers, and what it does for deployments.

    Without `PREFECT_API_URL` the server of the state folder is looked at if it runs; none is started.
    """
    check, remedy = "prefect server", "Start it (`prefect server start`), or correct PREFECT_API_URL."
    try:
        url = prefect_server(settings).running()
        if url is None:
            yield not_configured(
                check,
                "PREFECT_API_URL is not set: each run uses a server of the state folder, started as needed. "
                "It does not run now, so no schedule of a deployment there starts anything.",
                "For deployments, keep it running (agent-tasks dashboard), or set PREFECT_API_URL.",
            )
            return
        async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT, headers=_headers(settings)) as http:
            answers = await _answers(http, url)
            yield answers
            if answers.status == "ok":
                own = settings.prefect_api_url is None
                async for finding in _deployments(_Server(http, url, "agent-tasks " if own else "")):
                    yield finding
    except ConfigurationError as error:
        yield failed(check, str(error), remedy)
    except httpx.HTTPStatusError as error:
        detail = f"{error.request.url.path} of {url} answers {error.response.status_code}."
        yield failed(check, detail, "Install the version of Prefect there that is installed here.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield failed(check, f"{url} does not answer: {type(error).__name__}.", remedy)


async def _answers(http: httpx.AsyncClient, url: str) -> Finding:
    check = "prefect server"
    health, version = await http.get("/health"), await http.get("/admin/version")
    if {health.status_code, version.status_code} & {401, 403}:
        return failed(
            check,
            f"{url} refuses the key.",
            "Set PREFECT_API_AUTH_STRING (a server of your own) or PREFECT_API_KEY (Prefect Cloud).",
        )
    if health.status_code != 200:
        remedy = "Start it (`prefect server start`), or correct PREFECT_API_URL (it ends in /api)."
        return failed(check, f"{url}/health answers {health.status_code}.", remedy)
    told = version.text.strip().strip('"') if version.status_code == 200 else "unknown"
    return ok(check, f"{url} answers, version {told}.")


def _headers(settings: Settings) -> dict[str, str]:
    if settings.prefect_api_url is None:
        return {"Authorization": basic(auth_string(settings.state_dir))}
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": basic(auth)}
    key = os.environ.get("PREFECT_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


async def _deployments(server: _Server) -> AsyncIterator[Finding]:
    of_flow = {"flows": {"name": {"any_": [FLOW]}}}
    deployments = await server.all("/deployments/filter", of_flow)
    if not deployments:
        yield not_configured(
            "deployment",
            f"{server.url} has no deployment of the flow {FLOW}; a schedule or a worker needs one.",
            f"Deploy it (docs/deploying.md): {server.command}{_DEPLOY}",
        )
        return
    names = ", ".join(sorted(one["name"] for one in deployments))
    yield ok("deployment", f"{len(deployments)} of the flow {FLOW}: {names}.")
    yield await _scheduler(server, deployments)
    overdue = await _overdue(server, deployments)
    pools = {one["name"]: one for one in await server.all("/work_pools/filter", {})}
    for name in sorted({one["work_pool_name"] for one in deployments if one["work_pool_name"]}):
        yield await _pool(server, name, pools.get(name), overdue.get(name, 0))
    for one in deployments:
        if not one["work_pool_name"]:
            yield _served(one, overdue.get("", 0), server)
    yield await _automations(server)


async def _scheduler(server: _Server, deployments: list[dict[str, Any]]) -> Finding:
    check = "scheduler"
    before = datetime.now(UTC) - YOUNG
    due = {
        one["id"]: one["name"]
        for one in deployments
        if not one["paused"] and any(_is_awaited(schedule, before) for schedule in one["schedules"])
    }
    if not due:
        return not_configured(check, "No deployment has a schedule that is active for some minutes.")
    ahead = {
        "deployments": {"id": {"any_": list(due)}},
        "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "expected_start_time": {"after_": datetime.now(UTC).isoformat()},
        },
    }
    scheduled = {run["deployment_id"] for run in await server.all("/flow_runs/filter", ahead)}
    missing = sorted(name for id_, name in due.items() if id_ not in scheduled)
    if not missing:
        return ok(check, f"There are runs to come for each of {len(due)} deployments with a schedule.")
    if not scheduled:
        return failed(
            check,
            f"The server schedules nothing: there is no run to come for {', '.join(missing)}, whose schedule "
            "is active.",
            "Look for errors of `prefect.server.services.scheduler` in its log. Its packages must go "
            "together: Prefect 3.8 schedules nothing with SQLAlchemy 2.1, nor 3.9 with whenever 0.10. See "
            "that PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED is not false there, and start it again.",
        )
    return warning(
        check,
        f"There is no run to come for {', '.join(missing)}, although its schedule is active.",
        "See whether the schedule has ended, or its next time is more than 100 days ahead.",
    )


def _is_awaited(schedule: dict[str, Any], before: datetime) -> bool:
    return bool(schedule["active"]) and datetime.fromisoformat(schedule["updated"]) < before


async def _overdue(server: _Server, deployments: list[dict[str, Any]]) -> dict[str, int]:
    """How many runs no worker has started in time, by work pool; "": of deployments without one."""
    late = {
        "deployments": {"id": {"any_": [one["id"] for one in deployments]}},
        "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "expected_start_time": {"before_": (datetime.now(UTC) - OVERDUE).isoformat()},
        },
    }
    pools = {one["id"]: one["work_pool_name"] or "" for one in deployments}
    counts: dict[str, int] = {}
    for run in await server.all("/flow_runs/filter", late):
        pool = pools.get(run["deployment_id"], "")
        counts[pool] = counts.get(pool, 0) + 1
    return counts


async def _pool(server: _Server, name: str, pool: dict[str, Any] | None, overdue: int) -> Finding:
    check = f"work pool {name}"
    if pool is None:
        create = f"{server.command}prefect work-pool create {name} --type process"
        detail = f"{server.url} has no work pool {name}, which a deployment names."
        return failed(check, detail, f"{create}, then deploy again: {server.command}{_DEPLOY}")
    if pool["is_paused"]:
        resume = f"{server.command}prefect work-pool resume {name}"
        return warning(check, "It is paused: its runs wait.", resume)
    workers = await server.all(f"/work_pools/{name}/workers/filter", {})
    alive = [one["name"] for one in workers if one["status"] == "ONLINE"]
    start = f"{server.command}prefect worker start --pool {name}"
    late, lives = _late(overdue), several(len(alive), "worker lives", "workers live")
    if not alive and overdue:
        return failed(check, f"No worker lives, and {late}.", start)
    if not alive:
        return warning(check, "No worker lives; runs of its deployments will wait.", start)
    if overdue:
        return warning(
            check,
            f"{lives} ({', '.join(alive)}); {late}.",
            "Look at the limits of pool, queues and deployments, and at the workers' logs.",
        )
    return ok(check, f"{lives}: {', '.join(alive)}.")


def _late(overdue: int) -> str:
    return several(overdue, "run waits that should", "runs wait that should") + " have begun"


def _served(deployment: dict[str, Any], overdue: int, server: _Server) -> Finding:
    check = f"deployment {deployment['name']}"
    if deployment["status"] == "READY":
        return ok(check, "It has no work pool; a process serves it.")
    waits = f", and {_late(overdue)}" if overdue else ""
    return (failed if overdue else warning)(
        check,
        f"It has no work pool (or its pool was deleted), and no process serves it{waits}.",
        f"Start the process that serves it, or create the pool and deploy again: {server.command}{_DEPLOY}",
    )


async def _automations(server: _Server) -> Finding:
    # Looked up here: Prefect's import takes a second, and most checks need none of it.
    from agent_tasks.prefect.automations import crash_silent_runs, restart_crashed_runs

    check, remedy = "automations", "agent-tasks automations apply"
    wanted = [crash_silent_runs().name, restart_crashed_runs().name]
    found = {one["name"]: one for one in await server.all("/automations/filter", {})}
    missing = [name for name in wanted if name not in found]
    if missing:
        detail = f"Lost flow runs stay Running for ever: {' and '.join(map(repr, missing))} is not applied."
        return warning(check, detail, remedy)
    paused = [name for name in wanted if not found[name]["enabled"]]
    if paused:
        detail = f"{' and '.join(map(repr, paused))} is disabled, so lost flow runs are not started again."
        return warning(check, detail, "Enable it on the dashboard's page Automations.")
    return ok(check, "Silent flow runs are crashed, and crashed ones are started again.")
