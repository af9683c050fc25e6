"""A flow run whose process is lost is found by its silence, and goes on where it was.

The whole story, with a server, heartbeats and a killed runner, takes minutes: `make durability` tells it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events import emit_event
from prefect.states import Crashed, Running

from agent_tasks.local.event_ordering import GRACE
from agent_tasks.local.server_access import auth_string
from agent_tasks.local.servers import prefect_server as embedded_server
from agent_tasks.prefect.automations import (
    Outcome,
    apply_automations,
    crash_silent_runs,
    restart_crashed_runs,
)
from agent_tasks.settings import Settings
from tests.batch.support import RULES, Bench
from tests.durability.counts import counted
from tests.durability.served import Api, Runner
from tests.prefect.test_batch_hooks import _active
from tests.support.waiting import eventually

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
SILENT = 60.0


@pytest.fixture
async def client(prefect_server: str) -> AsyncIterator[PrefectClient]:
    async with get_client() as opened:
        yield opened
        for automation in await opened.read_automations():
            await opened.delete_automation(automation.id)


@pytest.mark.timeout(300)
async def test_automations_are_applied_once_and_kept_as_they_should_be(client: PrefectClient) -> None:
    wanted = [crash_silent_runs(("mine",), 90), restart_crashed_runs(("mine",), 2)]
    outcomes = [applied.outcome for applied in await apply_automations(client, wanted)]
    assert outcomes == [Outcome.CREATED, Outcome.CREATED]
    outcomes = [applied.outcome for applied in await apply_automations(client, wanted)]
    assert outcomes == [Outcome.UNCHANGED, Outcome.UNCHANGED]

    first = (await client.read_automations_by_name(wanted[0].name))[0]
    await client.pause_automation(first.id)
    await client.create_automation(wanted[1])  # somebody applied them at the same time
    wanted[0] = crash_silent_runs(("mine",), 120)
    outcomes = [applied.outcome for applied in await apply_automations(client, wanted)]
    assert outcomes == [Outcome.UPDATED, Outcome.UPDATED]
    kept = {automation.name: automation for automation in await client.read_automations()}
    assert len(await client.read_automations()) == len(kept) == 2
    assert kept[wanted[0].name].trigger.within.total_seconds() == 120  # type: ignore[union-attr]
    assert (kept[wanted[0].name].enabled, kept[wanted[1].name].enabled) == (False, True)


@flow(name="document-batch", persist_result=False)
def stand_in() -> None:
    """Has the name of the flow that is watched; never run."""


async def _crashed_run(client: PrefectClient, runs: int) -> UUID:
    """A flow run of a deployment that has run and crashed so often."""
    flow_id = await client.create_flow(stand_in)
    deployment = await client.create_deployment(flow_id, f"stand-in-{time.time_ns()}")
    run = await client.create_flow_run_from_deployment(deployment)
    for _ in range(runs):
        await client.set_flow_run_state(run.id, Running(), force=True)
        await client.set_flow_run_state(run.id, Crashed(message="lost"), force=True)
    return run.id


async def _restarts(client: PrefectClient, run: UUID) -> int:
    return [state.name for state in await client.read_flow_run_states(run)].count("AwaitingRetry")


@pytest.mark.timeout(300)
async def test_a_crash_that_is_told_twice_starts_the_run_once(client: PrefectClient) -> None:
    await apply_automations(client, [restart_crashed_runs(restarts=2)])
    await asyncio.sleep(2)  # the server looks for new automations now and then
    run, worn_out = await _crashed_run(client, 1), await _crashed_run(client, 3)

    async def is_scheduled() -> bool:
        return (await client.read_flow_run(run)).state_type is StateType.SCHEDULED

    await _until_true(is_scheduled)
    assert await _restarts(client, run) == 1
    found = await client.read_flow_run(run)
    related = [
        {
            "prefect.resource.id": f"prefect.{role}.{id_}",
            "prefect.resource.role": role,
            "prefect.resource.name": "document-batch",
        }
        for role, id_ in (("flow", found.flow_id), ("deployment", found.deployment_id))
    ]
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.run-count": "1"}
    await client.set_flow_run_state(run, Running(), force=True)  # a worker has taken it up meanwhile
    emit_event("prefect.flow-run.Crashed", resource, related=related)
    third = await _crashed_run(client, 1)  # told after the repeated event, so that one has been looked at

    async def third_is_scheduled() -> bool:
        return (await client.read_flow_run(third)).state_type is StateType.SCHEDULED

    await _until_true(third_is_scheduled)
    await asyncio.sleep(1)
    assert await _restarts(client, run) == 1
    assert (await client.read_flow_run(run)).state_type is StateType.RUNNING
    # Its first two crashes came in one go: what counts is that the third, beyond the bound, is not acted on.
    assert await _restarts(client, worn_out) <= 2
    assert (await client.read_flow_run(worn_out)).run_count == 3


async def _until_true(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="takes a minute: two servers are started; make durability")
@pytest.mark.timeout(300)
async def test_a_run_that_began_under_the_server_before_is_started_again_as_soon_as_others(
    tmp_path: Path,
) -> None:
    settings = Settings(state_dir=tmp_path / "state", prefect_api_url=None)
    auth = auth_string(settings.state_dir)
    with embedded_server(settings) as api_url:
        async with PrefectClient(api_url, auth_string=auth) as client:
            await apply_automations(client, [restart_crashed_runs()])
            await asyncio.sleep(6)  # the server looks for new automations now and then
            run = await _crashed_run(client, 0)
            await client.set_flow_run_state(run, Running(), force=True)
    with embedded_server(settings) as api_url:
        async with PrefectClient(api_url, auth_string=auth) as client:
            await client.set_flow_run_state(run, Crashed(message="lost"), force=True)
            crashed = time.monotonic()

            async def is_scheduled() -> bool:
                return (await client.read_flow_run(run)).state_type is StateType.SCHEDULED

            await _until_true(is_scheduled, GRACE.total_seconds() + 30)
            print(f"started again {time.monotonic() - crashed:.0f} s after its crash")


@pytest.mark.slow
@pytest.mark.skipif(not ALL, reason="takes minutes: heartbeats are 30 s apart; make durability")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lost", ["machine", "process"])
async def test_a_flow_run_whose_process_is_lost_goes_on_and_pays_for_no_turn_twice(
    lost: str,
    bench: Callable[..., Bench],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
) -> None:
    slow = {**RULES, "rules": [{**rule, "delay": 1.0} for rule in RULES["rules"]]}
    batch = bench(rules=slow)
    documents = 12
    for number in range(documents):
        batch.write(f"{number:02}.txt", f"Paper P-{number} of 2026-03-01, total {number}.5")
    batch.pipeline_file.write_text(batch.pipeline)
    settings = Settings(state_dir=tmp_path / "state", prefect_api_url=None)
    with embedded_server(settings) as api_url:
        auth = auth_string(settings.state_dir)
        monkeypatch.setenv("PREFECT_API_URL", api_url)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", auth)
        async with PrefectClient(api_url, auth_string=auth) as client:
            wanted = [crash_silent_runs(silent_seconds=SILENT), restart_crashed_runs()]
            await apply_automations(client, wanted)
        api = Api(api_url, auth)
        runner = Runner(batch, api_url, auth)
        await eventually(api.is_deployed, seconds=60)
        run = api.run(batch)
        await eventually(lambda: batch.turns() >= 6 and bool(_active(batch)), seconds=90)
        if lost == "machine":
            runner.kill()
        else:
            runner.kill_flow_run()
        killed = time.monotonic()
        turns = batch.turns()
        other = Runner(batch, api_url, auth) if lost == "machine" else runner
        try:
            await eventually(lambda: api.flow_run(run)["state"]["type"] == "COMPLETED", seconds=300)
        finally:
            other.stop()
        told = (
            f"{turns} turns before the kill, {batch.turns()} in all, {time.monotonic() - killed:.0f} s later"
        )
        print(told)
        ended = api.flow_run(run)
    assert ended["run_count"] == 2
    assert batch.turns() == 2 * documents + 1, told
    assert {row["status"] for row in batch.rows().values()} == {"done"}
    left = batch.left()
    counted(pytestconfig).add(kills=1, leaks=sum(left.values()))
    assert not any(left.values()), left
