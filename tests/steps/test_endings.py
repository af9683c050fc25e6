"""What becomes of questions that nobody waits for any more, and of those after a session's end."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import session
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import Workspace
from agent_tasks.steps import Agent, Session
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace

AGENT = Agent("helper", model="scripted")
LATE = {"default": {"reply": {"text": "Late."}, "delay": 30}}


async def left(ws: Workspace, work: Session) -> list[str]:
    return [one.kind for one in await ws.journal.resources.live(ws.scope, owner=work.root, parts=True)]


async def attached(ws: Workspace) -> None:
    """Wait until the journal knows of a turn on the service."""
    async with asyncio.timeout(60):
        while not any("turn_id" in one.remote for one in await ws.journal.operations.unsettled(ws.scope)):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["break", "error"])
async def test_the_answer_of_a_stream_that_was_left_too_late_is_kept(
    service: ServiceFactory, open_workspace: OpenWorkspace, how: str
) -> None:
    """It had completed, and is paid for: its conversation goes, and nobody pays again."""
    running = service(rules={"default": {"reply": {"text": "One. Two. Three."}, "chunk": 5}})
    async with open_workspace(running) as ws:
        async with session(ws, owner="w", run="one") as work:
            try:
                async with AGENT.stream("?") as stream:
                    async for _ in stream:
                        time.sleep(3)  # noqa: ASYNC251 - the loop is to hear nothing while the turn completes
                        if how == "error":
                            raise KeyError("mine")
                        break
            except KeyError:
                assert how == "error"
        assert await left(ws, work) == []
        async with session(ws, owner="w", run="one"):
            again = await AGENT.ask("?")
    assert again.value == "One. Two. Three."
    assert again.reused
    assert len(running.requests("runs.create_thread_and_run")) == 1


async def test_two_callers_of_one_turn_that_give_it_up_pay_once(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=LATE)
    async with open_workspace(running) as ws:
        async with session(ws, owner="w", run="one") as work:
            asking = [asyncio.create_task(asked()) for _ in range(2)]
            await attached(ws)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        assert await left(ws, work) == []
    assert len(running.requests("runs.create_thread_and_run")) == 1


async def test_what_is_asked_when_the_block_ends_is_cancelled(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=LATE)
    async with open_workspace(running) as ws:
        async with session(ws, owner="w") as work:
            asking = asyncio.create_task(asked())
            await attached(ws)
        assert await left(ws, work) == []
        with pytest.raises(ConfigurationError, match=r"session has ended \(owner w:.* is cancelled"):
            await asking
    assert len(running.requests("runs.cancel")) == 1


async def test_who_presses_ctrl_c_does_not_see_pages_of_the_client(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service(rules=LATE)) as ws, session(ws, owner="w"):
        asking = asyncio.create_task(asked())
        await attached(ws)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await asking
    shown = "".join(traceback.format_exception(caught.value))
    assert "httpcore" not in shown
    assert shown.count("File ") < 15


async def test_nothing_is_asked_after_the_end(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service()
    go = asyncio.Event()

    async def later() -> Any:
        await go.wait()
        return await AGENT.ask("?")

    async with open_workspace(running) as ws:
        async with session(ws, owner="w") as work:
            asking = asyncio.create_task(later())  # in the context of the block, which it outlives
            await asyncio.sleep(0)
        go.set()
        for call in (asking, AGENT.ask("?", session=work), AGENT.ask("?", session=work.at("deeper"))):
            with pytest.raises(ConfigurationError, match="session has ended"):
                await call
        assert await left(ws, work) == []
    assert running.requests("runs.create_thread_and_run") == []


def test_a_blocking_session_ends_as_well(
    service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = service(rules=LATE)
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    seen: list[BaseException] = []

    def ask(work: Session) -> None:
        try:
            AGENT.ask_sync("?", session=work)
        except BaseException as error:
            seen.append(error)

    with session(owner="w") as work:
        thread = threading.Thread(target=ask, args=(work,))
        thread.start()
        until = time.monotonic() + 60
        while not running.requests("runs.create_thread_and_run") and time.monotonic() < until:
            time.sleep(0.05)
    thread.join(30)
    ask(work)
    assert [str(error).partition(" (")[0] for error in seen] == ["This session has ended"] * 2


async def asked() -> Any:
    return await AGENT.ask("?")
