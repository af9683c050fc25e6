"""A journal that goes on with another service than the one it was begun with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_tasks.errors import OtherServiceError, TransportError
from agent_tasks.operations import (
    AgentSpec,
    TurnResult,
    TurnSpec,
    Workspace,
    ensure_agent,
    release_owner,
    run_turn,
    turn_key,
)
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.settings import ServiceKind
from agent_tasks.testing import ServiceLog
from agent_tasks.tools import ToolSet, function_tool
from tests.conftest import ServiceFactory
from tests.support.service import RunningService

RULES = {
    "rules": [
        {
            "when": {"message": "^Book", "tool_results": False},
            "reply": {"tool_calls": [{"name": "book", "arguments": {"name": "Oak"}}]},
        },
        {"when": {"message": "^Refused", "call": 1}, "reply": {"error": {"code": "invalid_prompt"}}},
    ],
    "default": {"reply": {"text": "Done."}},
}
PAID = ("runs.create_thread_and_run", "runs.create", "responses.create")
BOTH = pytest.mark.parametrize(
    ("there", "here"), [("classic", "responses"), ("responses", "classic")], ids=["moved", "moved back"]
)


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    return service(rules=RULES)


class Booking:
    """A function with an effect that must not happen twice."""

    def __init__(self) -> None:
        self.times = 0

        @function_tool
        def book(name: str) -> str:
            """Book something."""
            self.times += 1
            return f"{name} booked"

        self.tools = ToolSet([book])


def at(running: RunningService, folder: Path, kind: str) -> Any:
    journal = f"sqlite+aiosqlite:///{folder}/journal.db"
    return Workspace.open(running.endpoint, None, journal, service=ServiceKind(kind))


async def ask(
    ws: Workspace, prompt: str, tools: ToolSet | None = None, after: TurnResult | None = None
) -> TurnResult:
    definitions = tools.definitions if tools is not None else []
    spec = AgentSpec(name="clerk", model="scripted", instructions="Work.", tools=definitions)
    agent = await ensure_agent(ws, spec, owner="doc")
    more = {"conversation": after.conversation, "after": after.key} if after is not None else {}
    turn = TurnSpec(step=prompt, agent=agent, prompt=prompt, owner="doc", **more)
    return await run_turn(ws, turn, tools=tools)


def paid(running: RunningService) -> int:
    return sum(len(running.requests(operation)) for operation in PAID)


async def cut_off(ws: Workspace, monkeypatch: pytest.MonkeyPatch, prompt: str, tools: ToolSet) -> None:
    """Leave a turn where a worker would that died before it could send the outputs."""

    def broken(*_: Any) -> Any:
        raise TransportError("The process was cut off.")

    with monkeypatch.context() as patch:
        patch.setattr(ws.backend, "answer_tools", broken)
        patch.setattr("agent_tasks.operations.attempts._BREAKS", 0)
        with pytest.raises(TransportError):
            await ask(ws, prompt, tools)


@BOTH
async def test_what_is_done_is_not_done_again(
    running: RunningService, tmp_path: Path, there: str, here: str
) -> None:
    async with at(running, tmp_path, there) as ws:
        first = await ask(ws, "Hello")
    async with at(running, tmp_path, here) as ws:
        again = await ask(ws, "Hello")
    assert (again.text, again.reused, first.reused) == ("Done.", True, False)
    assert paid(running) == 1


@BOTH
async def test_an_open_turn_is_settled_by_the_service_that_has_it(
    running: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, here: str
) -> None:
    booking = Booking()
    async with at(running, tmp_path, there) as ws:
        await cut_off(ws, monkeypatch, "Book", booking.tools)
    async with at(running, tmp_path, here) as ws:
        told = await ask(ws, "Book", booking.tools)
        assert (told.text, told.attempts, told.reused) == ("Done.", 1, False)
        assert (await ask(ws, "Book", booking.tools)).reused
        await release_owner(ws, "doc")
        assert await ws.journal.resources.live(ws.scope, owner="doc") == []
    assert booking.times == 1
    assert paid(running) == (1 if there == "classic" else 2), "a response for each round"
    assert ServiceLog(running.endpoint).verdict()["ok"]


@BOTH
async def test_an_open_turn_is_cancelled_on_the_service_that_has_it(
    running: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, here: str
) -> None:
    booking = Booking()
    async with at(running, tmp_path, there) as ws:
        await cut_off(ws, monkeypatch, "Book", booking.tools)
    before = paid(running)
    async with at(running, tmp_path, here) as ws:
        assert await cancel_owner(ws, "doc") == 1
        assert (await ask(ws, "Book", booking.tools)).text == "Done."
        await release_owner(ws, "doc")
    assert booking.times == 1, "what was called for the attempt on the other service counts"
    assert paid(running) - before == (1 if here == "classic" else 2), "it was begun anew here"
    assert ServiceLog(running.endpoint).verdict()["ok"]


@BOTH
async def test_an_open_turn_is_left_where_it_is_if_that_service_is_not_there(
    running: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, here: str
) -> None:
    booking = Booking()
    async with at(running, tmp_path, there) as ws:
        await cut_off(ws, monkeypatch, "Book", booking.tools)
    with monkeypatch.context() as patch:
        patch.setattr("agent_tasks.backends.other_side.has_service", _has_none)
        async with at(running, tmp_path, here) as ws:
            with pytest.raises(OtherServiceError, match=rf"begun on another service .*{_told(there)}"):
                await ask(ws, "Book", booking.tools)
            assert await cancel_owner(ws, "doc") == 0, "nothing here can cancel it"
            with pytest.raises(OtherServiceError, match="stays as it is"):
                await release_owner(ws, "doc")
            left = {one.kind for one in await ws.journal.resources.live(ws.scope, owner="doc")}
            assert left == {"agent", "conversation"}
    async with at(running, tmp_path, there) as ws:
        assert (await ask(ws, "Book", booking.tools)).text == "Done."
        await release_owner(ws, "doc")
        assert await ws.journal.resources.live(ws.scope, owner="doc") == []
    assert booking.times == 1
    assert paid(running) == (1 if there == "classic" else 2), "a response for each round"


@BOTH
async def test_a_turn_that_failed_is_tried_again_here_and_belongs_here(
    running: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, here: str
) -> None:
    booking = Booking()
    async with at(running, tmp_path, there) as ws:
        await cut_off(ws, monkeypatch, "Book", booking.tools)
        assert await cancel_owner(ws, "doc") == 1
    async with at(running, tmp_path, here) as ws:
        await cut_off(ws, monkeypatch, "Book", booking.tools)
    before = paid(running)
    async with at(running, tmp_path, there) as ws:
        assert (await ask(ws, "Book", booking.tools)).text == "Done."
    assert booking.times == 1, "what was called for the attempt on the other service counts"
    assert paid(running) - before == (0 if here == "classic" else 1)


@BOTH
async def test_a_conversation_is_continued_where_it_is(
    running: RunningService, tmp_path: Path, there: str, here: str
) -> None:
    async with at(running, tmp_path, there) as ws:
        first = await ask(ws, "Hello")
    async with at(running, tmp_path, here) as ws:
        second = await ask(ws, "And then?", after=first)
        assert second.conversation == first.conversation
        third = await ask(ws, "And then?!", after=second)
        assert third.conversation == first.conversation
        assert await ws.exists("conversation", first.conversation)
        await ws.delete("conversation", first.conversation)
        assert not await ws.exists("conversation", first.conversation)
        await release_owner(ws, "doc")
    assert paid(running) == 3
    assert ServiceLog(running.endpoint).verdict()["ok"]


@BOTH
async def test_a_conversation_is_not_continued_if_its_service_is_not_there(
    running: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, here: str
) -> None:
    async with at(running, tmp_path, there) as ws:
        first = await ask(ws, "Hello")
    with monkeypatch.context() as patch:
        patch.setattr("agent_tasks.backends.other_side.has_service", _has_none)
        async with at(running, tmp_path, here) as ws:
            for _ in range(2):  # nothing of it is left open that would be taken for sent
                with pytest.raises(OtherServiceError, match="conversations do not move"):
                    await ask(ws, "And then?", after=first)
    assert paid(running) == 1
    async with at(running, tmp_path, here) as ws:
        assert (await ask(ws, "And then?", after=first)).conversation == first.conversation


async def test_what_was_claimed_beside_its_conversation_is_claimed_anew_where_that_is(
    running: RunningService, tmp_path: Path
) -> None:
    async with at(running, tmp_path, "classic") as ws:
        first = await ask(ws, "Hello")
    async with at(running, tmp_path, "responses") as ws:
        agent = await ensure_agent(
            ws, AgentSpec(name="clerk", model="scripted", instructions="Work."), owner="doc"
        )
        turn = TurnSpec(
            step="then", agent=agent, prompt="Then?", owner="doc",
            conversation=first.conversation, after=first.key,
        )  # fmt: skip
        wrong = {"step": "then", "owner": "doc", "service": "agents"}
        await ws.journal.operations.claim(ws.scope, turn_key(turn), "turn", wrong)
        assert (await run_turn(ws, turn)).conversation == first.conversation
    assert paid(running) == 2


async def _has_none(*_: Any) -> bool:
    return False


def _told(kind: str) -> str:
    return "agents" if kind == "responses" else kind
