"""A process that is told to end by SIGTERM hands its turns over; every other end cancels them, once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agent_tasks import detaching
from agent_tasks.detaching import detach, hearing_sigterm, is_detaching
from agent_tasks.errors import ToolOutcomeUnknownError
from agent_tasks.journal import Claim, ToolCallState
from agent_tasks.operations import answer_call, list_interrupted_calls, run_turn
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.operations.turns import turn_key
from tests.conftest import ServiceFactory
from tests.operations.conftest import OpenWorkspace, begun
from tests.operations.test_attempts import BOOKING, Booking, clerk, turn
from tests.support.waiting import eventually

SLOW: dict[str, Any] = {"default": {"reply": {"text": "At last."}, "delay": 2.0}}


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told in a test ends with it."""
    monkeypatch.setattr(detaching, "_told", threading.Event())


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_turn_of_a_process_that_detaches_goes_on_and_its_successor_need_not_wait(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=SLOW)
    async with open_workspace(running) as ws:
        task = await begun(ws, turn(await clerk(ws)))
        detach()
        await _cancelled(task)
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        assert (
            await ws.journal.operations.claim(ws.scope, turn_key(turn(agent)), "turn", {})
        ).claim is Claim.ORPHAN
        result = await run_turn(ws, turn(agent))
    assert (result.text, result.attempts) == ("At last.", 1)
    assert running.requests("runs.cancel") == []
    assert len(running.generations()) == 1


async def test_a_call_under_way_ends_before_its_process_does(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(takes=1.0)
    async with open_workspace(running) as ws:
        task = await begun(ws, turn(await clerk(ws)), tools=booking.tools)
        await eventually(lambda: booking.keys)
        detach()
        await _cancelled(task)
        assert await ws.journal.calls.unfinished(ws.scope) == []
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
    assert result.text == "It says: Oak booked"
    assert len(booking.keys) == 1
    assert len(running.requests("runs.submit_tool_outputs")) == 1


async def test_a_call_that_takes_too_long_is_cut_off(
    service: ServiceFactory, open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.operations.dispatch.DETACH_SECONDS", 0.2)
    running = service(rules=BOOKING)
    booking = Booking(takes=30)
    async with open_workspace(running) as ws:
        task = await begun(ws, turn(await clerk(ws)), tools=booking.tools)
        await eventually(lambda: booking.keys)
        detach()
        await _cancelled(task)
        (call,) = await ws.journal.calls.unfinished(ws.scope)
    assert call.state is ToolCallState.STARTED
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
    assert "ToolOutcomeUnknownError" in result.text
    assert len(booking.keys) == 1


# --- a turn that is cancelled ----------------------------------------------------------------------------


@pytest.mark.parametrize("when_unknown", ["tell_agent", "stop"])
async def test_a_call_interrupted_in_a_cancelled_turn_is_not_under_way_for_ever(
    service: ServiceFactory, open_workspace: OpenWorkspace, when_unknown: str
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(takes=30, when_unknown=when_unknown)
    async with open_workspace(running) as ws:
        task = await begun(ws, turn(await clerk(ws)), tools=booking.tools)
        await eventually(lambda: booking.keys)
        await _cancelled(task)
        (call,) = await ws.journal.calls.of(ws.scope, turn_key(turn(await clerk(ws))))
        assert (call.state, call.output) == (ToolCallState.UNKNOWN, None)
        assert await list_interrupted_calls(ws) == []
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        if when_unknown == "stop":
            with pytest.raises(ToolOutcomeUnknownError):
                await run_turn(ws, turn(agent), tools=booking.tools)
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        if when_unknown == "stop":
            (again,) = await list_interrupted_calls(ws)
            assert again.call_id != call.call_id
            await answer_call(ws, again.call_id, "booked, number 4711")
        result = await run_turn(ws, turn(agent), tools=booking.tools)
        calls = await ws.journal.calls.of(ws.scope, turn_key(turn(agent)))
    told = {"stop": "It says: booked, number 4711", "tell_agent": "ToolOutcomeUnknownError"}
    assert told[when_unknown] in result.text
    assert {one.state for one in calls} <= {ToolCallState.UNKNOWN, ToolCallState.DONE}
    assert len(booking.keys) == 1


async def test_a_turn_that_has_just_completed_is_cancelled_once_at_most_and_its_answer_is_taken(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "At last."}, "delay": 0.5}})
    async with open_workspace(running) as ws:
        task = await begun(ws, turn(await clerk(ws)))
        (operation,) = await ws.journal.operations.unsettled(ws.scope)
        path = f"/threads/{operation.remote['conversation']}/runs/{operation.remote['turn_id']}"
        with running.http() as http:  # it blocks the loop, so that nobody hears of the end
            while http.get(path).json()["status"] != "completed":
                pass
        await _cancelled(task)
        assert await cancel_owner(ws, "doc") == 0
    assert len(running.requests("runs.cancel")) <= 1
    async with open_workspace(running) as ws:
        assert (await run_turn(ws, turn(await clerk(ws)))).text == "At last."
    assert len(running.generations()) == 1


# --- hearing of it ---------------------------------------------------------------------------------------


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """SIGTERM has a handler, as in the process of a flow run."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_heard_and_left_to_its_handler(handled: list[int]) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with hearing_sigterm(), hearing_sigterm():
        assert signal.getsignal(signal.SIGTERM) is handler, "Prefect asks for its own handler"
        assert not is_detaching()
        os.kill(os.getpid(), signal.SIGTERM)
        assert is_detaching()
    assert handled == [signal.SIGTERM]
    assert is_detaching()
    assert signal.set_wakeup_fd(-1) == -1


def test_other_signals_are_not_meant(handled: list[int]) -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    try:
        with hearing_sigterm():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert not is_detaching()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_whoever_listens_already_goes_on_hearing(handled: list[int]) -> None:
    async def main() -> list[str]:
        heard: list[str] = []
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.append, "theirs")
        with hearing_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
            await eventually(lambda: heard)
        return heard

    assert asyncio.run(main()) == ["theirs"]
    assert not is_detaching()
