"""What a flow made goes with it: transactions rolled back, and hooks of flows that end early."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.transactions import atransaction, transaction

from agent_tasks.journal import Journal
from agent_tasks.operations import AgentSpec
from agent_tasks.prefect import tasks
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.hooks import cancel_on_end, release_on_end
from tests.conftest import ServiceFactory
from tests.support.service import RunningService

OWNER = "papers"
SPEC = AgentSpec(name="a", model="test-model", instructions="Answer.", tools=[{"type": "file_search"}])
OTHER = AgentSpec(name="b", model="test-model", instructions="Ask.")

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(300)]


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    started: RunningService = service()
    return started


@pytest.fixture
def project(running: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentsProject:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    return AgentsProject(
        endpoint=running.endpoint, credential="token", token="local",
        journal_url=f"sqlite+aiosqlite:///{tmp_path}/journal.db",
    )  # fmt: skip


def there(running: RunningService) -> dict[str, list[str]]:
    """What is on the service."""
    with running.http() as http:
        return {
            kind: sorted(one.get("name") or one.get("filename", "") for one in http.get(path).json()["data"])
            for kind, path in (("agents", "/assistants"), ("files", "/files"), ("stores", "/vector_stores"))
        }


NOTHING: dict[str, list[str]] = {"agents": [], "files": [], "stores": []}


async def make_all(project: AgentsProject) -> None:
    file = await tasks.upload_file(project, b"text", "a.txt", owner=OWNER)
    store = await tasks.build_vector_store(project, "papers", [file], owner=OWNER)
    await tasks.ensure_agent(project, SPEC.model_copy(update={"stores": [store]}), owner=OWNER)


@flow(persist_result=False)
async def fails_in_a_transaction(project: AgentsProject, is_async: bool) -> None:
    await tasks.ensure_agent(project, OTHER, owner=OWNER)
    if is_async:
        async with atransaction():
            await tasks.ensure_agent(project, OTHER, owner=OWNER)
            await make_all(project)
            raise LookupError("no")
    with transaction():
        await tasks.ensure_agent(project, OTHER, owner=OWNER)
        await make_all(project)
        raise LookupError("no")


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_transaction_that_is_rolled_back_takes_what_it_made_and_no_more(
    running: RunningService, project: AgentsProject, is_async: bool
) -> None:
    with pytest.raises(LookupError):
        await fails_in_a_transaction(project, is_async)
    assert there(running) == {**NOTHING, "agents": ["b"]}
    async with project.workspace() as ws:
        assert [one.name for one in await ws.journal.resources.live(ws.scope)] == ["b"]


async def test_a_commit_that_fails_deletes_nothing(running: RunningService, project: AgentsProject) -> None:
    """Prefect rolls the task back then, although it ends Completed and its agent is about to be used."""

    @flow(persist_result=False)
    async def goes_on(is_nested: bool) -> str:
        ensure = tasks.ensure_agent.with_options()

        @ensure.on_commit
        def refuse(transaction: Any) -> None:
            raise OSError("the results can't be stored")

        if is_nested:
            async with atransaction():
                return (await ensure(project, SPEC, owner=OWNER)).id
        return (await ensure(project, OTHER, owner=OWNER)).id

    for is_nested in (True, False):
        agent = await goes_on(is_nested)
        with running.http() as http:
            assert http.get(f"/assistants/{agent}").status_code == 200


@asynccontextmanager
async def at_work(running: RunningService, project: AgentsProject, owner: str) -> AsyncIterator[None]:
    """A living worker elsewhere that carries something out for an owner."""
    url = project.settings().journal_url.get_secret_value()
    async with Journal(url) as other:
        await other.operations.claim(running.endpoint, "theirs", "turn", {"owner": owner, "step": "s"})
        yield


async def test_what_a_living_worker_uses_is_not_rolled_back(
    running: RunningService, project: AgentsProject
) -> None:
    async with at_work(running, project, f"{OWNER}/a.txt"):
        with pytest.raises(LookupError):
            await fails_in_a_transaction(project, True)
    assert there(running)["agents"] == ["a", "b"]
    async with project.workspace() as ws:
        assert len(await ws.journal.resources.live(ws.scope, owner=OWNER)) == 4


async def test_hooks_release_what_a_failed_flow_made_unless_it_is_in_use(
    running: RunningService, project: AgentsProject
) -> None:
    release = release_on_end(lambda run: f"{OWNER}-{run.parameters['name']}", project=project)

    @flow(on_failure=[release, cancel_on_end(OWNER, project=project)], persist_result=False)
    async def fails(name: str) -> None:
        await tasks.ensure_agent(project, SPEC, owner=f"{OWNER}-{name}")
        raise LookupError("no")

    async with at_work(running, project, f"{OWNER}-one"):
        for name in ("one", "two"):
            with pytest.raises(LookupError):
                await fails(name)
        async with project.workspace() as ws:
            live = await ws.journal.resources.live(ws.scope)
    assert [one.owner for one in live] == [f"{OWNER}-one"]
    assert there(running)["agents"] == ["a"]
