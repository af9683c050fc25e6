"""What makes a Prefect server that idles take less."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
from burner_redis import PubSub
from prefect.server import api  # imports `background_workers` on first use; with Docket, two seconds

from agent_tasks.local import idling
from agent_tasks.local.idling import idle_less, look_less_often, read_automations_less_often, wait_to_be_told


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is given to threads while the background worker looks less often; its pauses are short here."""
    monkeypatch.setattr(api.background_workers, "Worker", api.background_workers.Worker)
    monkeypatch.setattr(PubSub, "get_message", PubSub.get_message)
    look_less_often()
    monkeypatch.setattr(idling, "LOOK_SECONDS", 0.01)
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

    pause = timedelta(seconds=5)
    async with Docket(name="looks", url="memory://looks") as docket:
        worker = api.background_workers.Worker(docket)
        assert (worker.minimum_check_interval, worker.scheduling_resolution) == (pause, pause)
        assert docket.heartbeat_interval == timedelta(seconds=30)
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


async def test_automations_are_read_anew_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.server.events import triggers

    asked: list[timedelta] = []

    async def evaluate_periodically(periodic_granularity: timedelta) -> None:
        asked.append(periodic_granularity)

    monkeypatch.setattr(triggers, "evaluate_periodically", evaluate_periodically)
    read_automations_less_often()
    await triggers.evaluate_periodically(timedelta(seconds=5))
    await triggers.evaluate_periodically(timedelta(minutes=1))
    assert [one.total_seconds() for one in asked] == [10, 60]


@pytest.fixture
def told_server(monkeypatch: pytest.MonkeyPatch) -> type[uvicorn.Server]:
    """Uvicorn's server that waits to be told, for a minute where it is not."""
    monkeypatch.setattr(uvicorn.Server, "main_loop", uvicorn.Server.main_loop)
    monkeypatch.setattr(uvicorn.Server, "handle_exit", uvicorn.Server.handle_exit)
    wait_to_be_told()
    monkeypatch.setattr(idling, "TICK_SECONDS", 60.0)
    return uvicorn.Server


async def test_a_server_that_waits_ends_at_its_signal(told_server: type[uvicorn.Server]) -> None:
    server = told_server(uvicorn.Config("app:none"))
    waiting = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert [name for name, _ in server.server_state.default_headers][:1] == [b"date"]
    handler = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, handler)
    async with asyncio.timeout(10):
        await waiting


async def test_a_signal_before_the_server_waits_is_not_lost(told_server: type[uvicorn.Server]) -> None:
    server = told_server(uvicorn.Config("app:none"))
    server.handle_exit(signal.SIGTERM, None)
    async with asyncio.timeout(10):
        await server.main_loop()


def test_what_is_another_one_is_said_and_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.server.events import triggers

    async def another(seconds: float) -> None:
        await asyncio.sleep(seconds)

    evaluate: Any = another

    class Server:
        async def on_tick(self) -> bool:
            return True

        async def main_loop(self) -> None:
            await self.on_tick()

    loop = Server.main_loop
    monkeypatch.setattr("docket.Worker", Server)
    monkeypatch.setattr(triggers, "evaluate_periodically", evaluate)
    monkeypatch.setattr(uvicorn, "Server", Server)
    idle_less()
    assert triggers.evaluate_periodically is evaluate
    assert Server.main_loop is loop
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "Worker has other intervals",
        "evaluate_periodically takes other arguments",
        "Server.on_tick takes other arguments",
    ]
