"""A decision resumes the suspended flow run that waits for it; what can't be resumed is said in words."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow, get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.settings import PREFECT_API_URL

from agent_tasks import AgentsProject, approve, session
from agent_tasks.cli import approvals
from agent_tasks.operations import list_questions
from agent_tasks.prefect.suspended_runs import flow_run_of
from agent_tasks.prefect.sweep import sweep
from tests.conftest import ServiceFactory

pytestmark = pytest.mark.timeout(300)


@flow
async def letter(limit: float | None = None) -> str:
    async with session():
        within = None if limit is None else timedelta(seconds=limit)
        decision = await approve("Send it?", shown="Dear Sir", time_limit=within, at_limit="reject")
        return f"{decision.by}: {decision.approved}"


@pytest.fixture(autouse=True)
def project(
    prefect_server: str, service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJECT_ENDPOINT", service(rules={"rules": []}).endpoint)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))


async def suspended(client: Any, **given: Any) -> Any:
    """A flow run of a deployment that waits for a person."""
    deployment = await client.create_deployment(flow_id=await client.create_flow(letter), name="letter")
    run = await client.create_flow_run_from_deployment(deployment, parameters=given)
    with pytest.raises(Pause):
        await run_flow_async(letter, flow_run=run, parameters=given, return_type="state")
    return await client.read_flow_run(run.id)


async def asked() -> str:
    async with AgentsProject().workspace() as ws:
        [question] = await list_questions(ws)
        return question.key


async def test_who_decides_resumes_the_flow_run(capsys: pytest.CaptureFixture[str]) -> None:
    async with get_client() as client:
        run = await suspended(client)
        key = await asked()
        assert await approvals._decide([key], "Ida", "", approved=True) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert f"The flow run {run.name} ({run.id}) resumes." in said
        assert "Start the run again" not in said
        resumed = await client.read_flow_run(run.id)
        assert resumed.state.is_scheduled()
        # Decided once more, after a lost connection: nothing is resumed twice.
        assert await approvals._decide([key], "Ida", "", approved=True) == 0
        assert "is due, and takes the decision when it runs" in " ".join(capsys.readouterr().err.split())
        state = await run_flow_async(letter, flow_run=resumed, parameters={}, return_type="state")
        assert await state.aresult() == "Ida: True"
        assert await approvals._decide([key], "Ida", "", approved=True) == 0
        assert "is Completed" in " ".join(capsys.readouterr().err.split())


async def test_a_time_limit_that_passes_while_nothing_runs_counts_when_it_is_resumed() -> None:
    async with get_client() as client:
        run = await suspended(client, limit=0.2)
        # Prefect fails a run whose suspension is over: that is not to come before the question's own policy.
        assert run.state.state_details.pause_timeout > datetime.now(UTC) + timedelta(days=1)
        await asyncio.sleep(0.3)
        assert (await sweep(dry_run=True, return_state=True)).is_completed()
        assert (await client.read_flow_run(run.id)).state.is_paused()
        assert (await sweep(dry_run=False, return_state=True)).is_completed()
        resumed = await client.read_flow_run(run.id)
        assert resumed.state.is_scheduled()
        state = await run_flow_async(letter, flow_run=resumed, parameters={"limit": 0.2}, return_type="state")
        assert await state.aresult() == "None: False"


async def test_a_flow_run_that_cannot_be_asked_about_is_told_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with get_client() as client:
        run = await suspended(client)
        key = await asked()
        monkeypatch.delenv("PREFECT_API_URL")
        assert await approvals._decide([key], "Ida", "", approved=False) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert f"The flow run {run.id} waits for it, and no Prefect server runs here" in said
        assert (await client.read_flow_run(run.id)).state.is_paused()


def test_only_the_run_of_a_flow_is_one() -> None:
    run = uuid4()
    assert flow_run_of(f"offer:{run}") == run
    assert flow_run_of(f"offer:{run}/{uuid4()}") == run
    for owner in ("letters:1/a.txt", f"script:{run.hex}", f"{run}", "contracts:6b1f0e2d9c3a/lease.pdf"):
        assert flow_run_of(owner) is None
