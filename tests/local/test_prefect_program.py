"""What is done before the Prefect server of a state folder runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from burner_redis import PubSub
from prefect.server import api  # imports `background_workers` on first use; with Docket, two seconds

from agent_tasks.local import prefect_program
from agent_tasks.local.prefect_program import look_less_often


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is given to threads while the background worker looks less often; its pauses are short here."""
    monkeypatch.setattr(api.background_workers, "Worker", api.background_workers.Worker)
    monkeypatch.setattr(PubSub, "get_message", PubSub.get_message)
    look_less_often()
    monkeypatch.setattr(prefect_program, "LOOK_SECONDS", 0.01)
    given: list[Any] = []
    to_thread = asyncio.to_thread

    async def noted(function: Any, *args: Any) -> Any:
        given.append(function)
        return await to_thread(function, *args)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    return given


def test_a_worker_that_is_another_one_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Another:
        def __init__(self, docket: Any, looks: int = 4) -> None:
            pass

    worker, message_at_hand = api.background_workers.Worker, PubSub.get_message
    monkeypatch.setattr("docket.Worker", Another)
    with pytest.raises(AttributeError, match="has other intervals: docket, looks"):
        look_less_often()
    assert PubSub.get_message is message_at_hand
    assert api.background_workers.Worker is worker


async def test_the_background_worker_looks_seldom_and_waits_in_no_thread(threads: list[Any]) -> None:
    from docket import Docket

    pause = timedelta(seconds=2)
    async with Docket(name="looks", url="memory://looks") as docket:
        worker = api.background_workers.Worker(docket)
        assert (worker.minimum_check_interval, worker.scheduling_resolution) == (pause, pause)
        assert docket.heartbeat_interval == timedelta(seconds=10)
        async with docket._pubsub() as pubsub:
            await pubsub.subscribe("told")
            assert (await pubsub.get_message(timeout=0.1))["type"] == "subscribe"
            assert await pubsub.get_message(timeout=0.1) is None
            await docket._publish("told", "something")
            async with asyncio.timeout(10):
                while (message := await pubsub.get_message(timeout=0.1)) is None:
                    pass
            assert message["data"] == b"something"
    assert threads == []


@pytest.mark.usefixtures("threads")
async def test_a_task_that_runs_is_still_cancelled() -> None:
    from docket import Docket

    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Docket(name="cancels", url="memory://cancels") as docket:
        docket.register(endless)
        async with api.background_workers.Worker(docket) as worker:
            running: asyncio.Task[Any] = asyncio.create_task(worker.run_forever())
            execution = await docket.add(endless)()
            async with asyncio.timeout(20):
                await begun.wait()
                await docket.cancel(execution.key)
                await ended.wait()
            running.cancel()
            await asyncio.wait([running])
