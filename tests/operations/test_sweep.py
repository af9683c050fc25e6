"""The sweep deletes what nobody needs any more, and nothing else."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from agent_tasks.errors import ServerError
from agent_tasks.journal import Journal
from agent_tasks.operations import AgentSpec, Workspace, ensure_agent, operation_key, upload_file
from agent_tasks.operations.sweep import Reason, find_leftovers, sweep
from tests.conftest import ServiceFactory
from tests.operations.conftest import OpenWorkspace

SPEC = AgentSpec(name="a", model="test-model", instructions="Answer.")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1).total_seconds()


async def test_only_what_is_past_its_time_is_found(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service()) as ws:
        agent = await ensure_agent(ws, SPEC, owner="o", ttl=HOUR)
        await upload_file(ws, b"text", "a.txt", owner="o", ttl=2 * HOUR)
        assert await find_leftovers(ws) == []
        (found,) = await find_leftovers(ws, now=time.time() + 3700)
        assert (found.kind, found.remote_id, found.owner, found.reason) == (
            "agent", agent.id, "o", Reason.EXPIRED,
        )  # fmt: skip


async def test_a_dry_run_deletes_nothing_and_a_sweep_deletes_and_forgets(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service()) as ws:
        agent = await ensure_agent(ws, SPEC, owner="o", ttl=HOUR)
        file = await upload_file(ws, b"text", "a.txt", owner="o", ttl=HOUR)
        later = time.time() + 3700
        assert len(await sweep(ws, now=later)) == 2
        assert await ws.backend.exists("agent", agent.id)
        assert [left.error for left in await sweep(ws, dry_run=False, now=later)] == [None, None]
        assert not await ws.backend.exists("agent", agent.id)
        assert not await ws.backend.exists("file", file.id)
        assert await ws.journal.resources.live("test") == []
        assert await sweep(ws, dry_run=False, now=later) == []


async def test_what_a_living_worker_is_at_stays(
    service: ServiceFactory, open_workspace: OpenWorkspace, tmp_path: Path
) -> None:
    later = time.time() + 3700
    async with open_workspace(service()) as ws:
        await ensure_agent(ws, SPEC, owner="papers:1", ttl=HOUR)
        async with Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db", clock=lambda: later) as other:
            await other.operations.claim("test", "turn", "turn", {"owner": "papers:1/a.txt"})
            assert await find_leftovers(ws, now=later) == []
        assert len(await find_leftovers(ws, now=later)) == 1  # the other worker is gone


async def test_a_resource_believed_deleted_is_found_on_the_service(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service()) as ws:
        file = await upload_file(ws, b"text", "a.b.txt", owner="o")
        await ws.journal.resources.mark_deleted("test", "file", file.id)
        (found,) = await sweep(ws, dry_run=False)
        assert (found.remote_id, found.reason) == (file.id, Reason.SURVIVED)
        assert not await ws.backend.exists("file", file.id)


async def test_marked_resources_of_a_lost_journal_are_found_when_old_and_others_never(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    with running.http() as http:
        http.post("/assistants", json={"model": "test-model", "name": "somebody's own"}).raise_for_status()
        http.post("/files", files={"file": ("notes-1.txt", b"x")}, data={"purpose": "assistants"})
    async with open_workspace(running) as ws:
        file = await upload_file(ws, b"text", "a.txt", owner="o")
        agent = await ensure_agent(ws, SPEC, owner="o")
        lost = Workspace(ws.backend, ws.journal, scope="a journal that knows nothing")
        assert await find_leftovers(lost) == []
        found = await find_leftovers(lost, now=time.time() + DAY + 60)
        assert [(left.remote_id, left.reason) for left in found] == [
            (agent.id, Reason.UNKNOWN),
            (file.id, Reason.UNKNOWN),
        ]


async def test_a_second_effect_of_a_finished_operation_is_found_at_once(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        await ensure_agent(ws, SPEC, owner="o")
        (resource,) = await ws.journal.resources.live("test")
        twin = {"model": "test-model", "metadata": {"agent_tasks_key": resource.operation_key}}
        with running.http() as http:
            twin_id = http.post("/assistants", json=twin).json()["id"]
        (found,) = await find_leftovers(ws)
        assert (found.remote_id, found.reason) == (twin_id, Reason.DUPLICATE)


async def test_an_effect_whose_operation_is_under_way_stays(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        key = operation_key("agent", name="under way")
        async with ws.hold(key, "agent", {"owner": "o"}):
            with running.http() as http:
                body = {"model": "test-model", "metadata": {"agent_tasks_key": key}}
                http.post("/assistants", json=body).raise_for_status()
            assert await find_leftovers(ws, now=time.time() + DAY + 60) == []


async def test_one_that_cannot_be_deleted_does_not_stop_the_others(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service()) as ws:
        await ensure_agent(ws, SPEC, owner="o", ttl=HOUR)
        await upload_file(ws, b"text", "a.txt", owner="o", ttl=HOUR)
        delete = ws.backend.delete

        async def refuse_agents(kind: str, remote_id: str) -> None:
            if kind == "agent":
                raise ServerError("no", status=500, method="DELETE", path="/assistants")
            await delete(kind, remote_id)  # type: ignore[arg-type]

        ws.backend.delete = refuse_agents  # type: ignore[method-assign, assignment]
        swept = await sweep(ws, dry_run=False, now=time.time() + 3700)
        assert [left.error is None for left in swept] == [False, True]
        assert [left.kind for left in await ws.journal.resources.live("test")] == ["agent"]


async def test_the_sweep_of_one_journal_leaves_what_another_journal_keeps(
    service: ServiceFactory, tmp_path: Path
) -> None:
    running = service()
    ours, theirs = (f"sqlite+aiosqlite:///{tmp_path}/{name}.db" for name in ("ours", "theirs"))
    async with Workspace.open(running.endpoint, None, theirs) as other:
        agent = await ensure_agent(other, SPEC, owner="o", ttl=HOUR)
        async with Workspace.open(running.endpoint, None, ours) as ws:
            assert await sweep(ws, dry_run=False) == []
            (unknown,) = await find_leftovers(ws, now=time.time() + DAY + 60)
            assert (unknown.remote_id, unknown.reason) == (agent.id, Reason.UNKNOWN)
        assert await other.backend.exists("agent", agent.id)


async def test_one_journal_of_two_projects_sweeps_them_apart(service: ServiceFactory, tmp_path: Path) -> None:
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    first, second = service(), service()
    async with (
        Workspace.open(first.endpoint, None, journal) as one,
        Workspace.open(second.endpoint, None, journal) as two,
    ):
        for ws in (one, two):
            await upload_file(ws, b"text", "a.txt", owner="o", ttl=timedelta(seconds=-1))
        assert len(await sweep(one, dry_run=False)) == 1
        assert await one.journal.resources.live(one.scope) == []
        assert len(await two.journal.resources.live(two.scope)) == 1
        assert len(await find_leftovers(two)) == 1
