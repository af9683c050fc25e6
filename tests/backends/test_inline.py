"""Inline mode: any server of responses, with the agent in the request; functions run once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.base import ImageInput, Mark, TurnRequest
from agent_tasks.backends.responses import ResponsesBackend, stateless
from agent_tasks.backends.responses.answers import message
from agent_tasks.backends.responses.words import VersionWords
from agent_tasks.errors import (
    ConfigurationError,
    DocumentTooLongError,
    TransportError,
    UnreadableDocumentError,
)
from agent_tasks.journal import Journal
from agent_tasks.operations import (
    AgentSpec,
    TurnResult,
    TurnSpec,
    Workspace,
    ensure_agent,
    release_owner,
    run_turn,
)
from agent_tasks.testing import ServiceLog
from agent_tasks.tools import ToolSet, function_tool
from tests.backends.inline_servers import Lesser
from tests.conftest import ServiceFactory
from tests.support.service import ThreadService, start_in_thread, write_rules

RULES = {
    "rules": [
        {
            "when": {"message": "^Twice", "call": [1, 2, 4, 5, 7, 8]},
            "reply": {"tool_calls": [{"name": "status", "arguments": {"name": "x"}}]},
        },
        {
            "when": {"message": "^Once", "tool_results": False},
            "reply": {"tool_calls": [{"name": "status", "arguments": {"name": "x"}}]},
        },
        {"when": {"tool_results": True}, "reply": {"text": "It says: {{ tool_results | join(' and ') }}"}},
        {"when": {"message": "^What"}, "reply": {"text": "Hello again."}},
    ],
    "default": {"reply": {"text": "Hello."}},
}


class Statuses:
    """A function that gives something else each time."""

    def __init__(self) -> None:
        self.calls = 0

        @function_tool
        def status(name: str) -> str:
            """Tell the status of something."""
            self.calls += 1
            return f"status {self.calls}"

        self.tools = ToolSet([status])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("service")
    service = start_in_thread(folder / "data", write_rules(folder, RULES))
    yield service
    service.stop()


@asynccontextmanager
async def workspace(running: ThreadService, way: Lesser, folder: Path) -> AsyncIterator[Workspace]:
    url = f"{running.endpoint}/openai/v1"
    async with (
        Journal(f"sqlite+aiosqlite:///{folder}/journal.db") as journal,
        ResponsesBackend.of_server(url, None, transport=way) as backend,
    ):
        yield Workspace(backend, journal, scope="test")


@asynccontextmanager
async def project(running: ThreadService, way: Lesser, folder: Path) -> AsyncIterator[Workspace]:
    """With agents."""
    async with (
        Journal(f"sqlite+aiosqlite:///{folder}/journal.db") as journal,
        ResponsesBackend.of_project(running.endpoint, None, transport=way) as backend,
    ):
        yield Workspace(backend, journal, scope="test")


async def ask(ws: Workspace, prompt: str, tools: ToolSet, after: TurnResult | None = None) -> TurnResult:
    spec = AgentSpec(name="clerk", model="scripted", instructions="Work.", tools=tools.definitions)
    agent = await ensure_agent(ws, spec, owner="doc")
    more = {"conversation": after.conversation, "after": after.key} if after is not None else {}
    return await run_turn(
        ws, TurnSpec(step=prompt, agent=agent, prompt=prompt, owner="doc", **more), tools=tools
    )


SERVERS = {"lists": (True, True), "no lists": (False, True), "nothing kept": (False, False)}


@pytest.mark.parametrize(("lists", "keeps"), SERVERS.values(), ids=SERVERS.keys())
async def test_a_turn_with_rounds_and_one_after_it(
    running: ThreadService, tmp_path: Path, lists: bool, keeps: bool
) -> None:
    way, told = Lesser(lists=lists, keeps=keeps), Statuses()
    async with workspace(running, way, tmp_path) as ws:
        can = ws.backend.capabilities
        assert (can.turns_once, can.keeps_conversations, can.keeps_agents) == (lists, keeps, False)
        first = await ask(ws, f"Twice {lists} {keeps}", told.tools)
        assert first.text == "It says: status 1 and status 2"
        again = await ask(ws, f"Twice {lists} {keeps}", told.tools)
        assert again.reused
        second = await ask(ws, "What was said?", told.tools, after=first)
        assert second.text == "Hello again."
        calls = told.calls
        assert [call.output for call in first.tool_calls] == [f"status {n}" for n in range(1, calls + 1)]
        assert len(way.sent) == calls + 2
        await release_owner(ws, "doc")
        assert await ws.journal.resources.live(ws.scope, owner="doc") == []
    for body in way.sent:
        assert body["model"] == "scripted"
        assert body["instructions"] == "Work."
        assert body["tools"][0]["name"] == "status"
        assert "agent_reference" not in body
    if not keeps:
        assert way.sent[-1]["input"][0]["role"] == "user"
        assert len(way.sent[-1]["input"]) > len(way.sent[0]["input"])


@pytest.mark.parametrize("server", ["agents", *SERVERS])
async def test_a_call_that_is_asked_for_is_asked_for_once(
    running: ThreadService, tmp_path: Path, server: str
) -> None:
    """A turn whose first round has to call a function would otherwise have to in each round, for ever."""
    lists, keeps = SERVERS.get(server, (True, True))
    way, told = Lesser(lists=lists, keeps=keeps), Statuses()
    of_server = workspace(running, way, tmp_path)
    async with of_server if server in SERVERS else project(running, way, tmp_path) as ws:
        tools = told.tools.definitions
        spec = AgentSpec(name="clerk", model="scripted", instructions="Work.", tools=tools)
        agent = await ensure_agent(ws, spec, owner="doc")
        choice = {"type": "function", "function": {"name": "status"}}
        turn = TurnSpec(step="forced", agent=agent, prompt="Once", owner="doc", tool_choice=choice)
        assert (await run_turn(ws, turn, tools=told.tools)).text == "It says: status 1"
        await release_owner(ws, "doc")
    first, second = way.sent
    assert first["tool_choice"] == {"type": "function", "name": "status"}
    assert "tool_choice" not in second


@pytest.mark.parametrize(("choice", "later"), [("none", "none"), ("auto", "auto"), ("required", None)])
def test_what_is_no_order_to_call_holds_for_all_rounds(choice: str, later: str | None) -> None:
    request = TurnRequest("clerk:1", "Hello", tool_choice=choice)
    assert VersionWords().fields(request)["tool_choice"] == choice
    assert VersionWords().fields(request, later=True).get("tool_choice") == later


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "no lists"])
async def test_a_lost_answer_in_a_new_conversation_is_not_paid_for_again(
    running: ThreadService, tmp_path: Path, lists: bool
) -> None:
    way, told = Lesser(lists=lists), Statuses()
    async with workspace(running, way, tmp_path) as ws:
        way.lose = 1
        assert (await ask(ws, "Once, first round lost", told.tools)).text == "It says: status 1"
        assert len(way.sent) == 2, "the call, and the answer to its output"


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "no lists"])
async def test_a_lost_second_round_is_not_paid_for_again(
    running: ThreadService, tmp_path: Path, lists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, told = Lesser(lists=lists), Statuses()
    async with workspace(running, way, tmp_path) as ws:
        answer = ws.backend.answer_tools

        def lost(*given: Any) -> Any:
            way.lose = 1
            monkeypatch.setattr(ws.backend, "answer_tools", answer)
            return answer(*given)

        monkeypatch.setattr(ws.backend, "answer_tools", lost)
        assert (await ask(ws, f"Once, second round lost, {lists}", told.tools)).text == "It says: status 1"
        assert (len(way.sent), told.calls) == (2, 1)


async def test_a_lost_answer_of_a_server_that_keeps_nothing_costs_tokens_only(
    running: ThreadService, tmp_path: Path
) -> None:
    way, told = Lesser(lists=False, keeps=False), Statuses()
    async with workspace(running, way, tmp_path) as ws:
        assert "twice" in ws.backend.capabilities.guarantee
        way.lose = 1
        assert (await ask(ws, "Once, nothing kept", told.tools)).text == "It says: status 1"
        assert (len(way.sent), told.calls) == (3, 1)


async def test_a_turn_that_was_cut_between_rounds_goes_on_from_the_journal(
    running: ThreadService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, told = Lesser(lists=False, keeps=False), Statuses()

    def broken(*_: Any) -> Any:
        raise TransportError("The process was cut off.")

    async with workspace(running, way, tmp_path) as ws:
        monkeypatch.setattr(ws.backend, "answer_tools", broken)
        monkeypatch.setattr("agent_tasks.operations.attempts._BREAKS", 0)
        with pytest.raises(TransportError):
            await ask(ws, "Once, then cut", told.tools)
        assert (len(way.sent), told.calls) == (1, 1)
    async with workspace(running, way, tmp_path) as ws:
        assert (await ask(ws, "Once, then cut", told.tools)).text == "It says: status 1"
        assert (len(way.sent), told.calls) == (2, 1), "neither the first round nor the function again"


async def test_an_agent_that_is_known_by_its_id_alone_is_refused(running: ThreadService) -> None:
    async with ResponsesBackend.of_server(f"{running.endpoint}/openai/v1", None) as backend:
        updates = backend.start_turn(TurnRequest("inline:x", "Hello"), Mark("k" * 40))
        with pytest.raises(ConfigurationError, match="known by its id alone"):
            await anext(updates)


@pytest.mark.parametrize(
    "then",
    [
        {"lose_answer": True},
        {"gateway_timeout": 0.01},
        {"status": 500, "after_effect": True},
        {"status": 500},
    ],
    ids=str,
)
async def test_what_a_server_has_is_asked_again_and_nothing_of_it_is_left(
    service: ServiceFactory, then: dict[str, Any]
) -> None:
    running = service(rules=RULES)
    rule = {"when": {"operation": "conversations.create"}, "then": then, "count": 1}
    with running.http() as http:
        http.put(f"{running.origin}/_emulator/faults", json={"rules": [rule]}).raise_for_status()
    async with ResponsesBackend.of_server(f"{running.endpoint}/openai/v1", None) as backend:
        assert backend.capabilities.turns_once
    verdict = ServiceLog(running.endpoint).verdict()
    assert verdict["left_over"]["details"] == []


async def test_images_that_cannot_be_shown_again_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def content() -> bytes:
        return b"12345"

    known = ImageInput(key="k", name="page-1.jpg", content=content)
    request = TurnRequest("a", "b", earlier_images=(known,))
    monkeypatch.setattr(stateless, "MAX_IMAGE_BYTES", 10)
    [item] = await stateless._with_images([message("b", [known, known])], request)
    assert [part.get("image_url") for part in item["content"][1:]] == ["data:image/jpeg;base64,MTIzNDU="] * 2
    with pytest.raises(DocumentTooLongError, match=r"more than 10 bytes together \(at page-1\.jpg\)\. Lower"):
        await stateless._with_images([message("b", [known] * 3)], request)
    with pytest.raises(UnreadableDocumentError, match=r"page-7\.jpg, and nothing here draws it again"):
        await stateless._with_images([message("b", [ImageInput(key="x", name="page-7.jpg")])], request)
