"""A tool that needs something on the service has it made, once, and by its content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.base import AgentSpec
from agent_tasks.errors import ConfigurationError, NotAwaitedError
from agent_tasks.operations import RemoteStore, build_vector_store, release_owner, upload_file
from agent_tasks.steps import Agent, CodeInterpreter, FileSearch, Session
from agent_tasks.tools import FileSearchTool, McpTool
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import session
from tests.support.mcp_server import mcp_ledger

FOUND = ("crown", "white", "black", "fly")
SEARCHES = {  # what was found stands in the instructions of the model
    "rules": [{"when": {"instructions": word}, "reply": {"text": f"It says {word}."}} for word in FOUND],
    "default": {"reply": {"text": "Nothing was found."}},
}


async def test_a_store_of_files_is_built_and_searched(
    service: ServiceFactory, open_workspace: OpenWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "law").mkdir()
    (tmp_path / "law" / "swans.txt").write_text("Swans belong to the crown.")
    running = service(rules=SEARCHES)
    lawyer = Agent("lawyer", tools=[FileSearch(tmp_path / "law")])
    async with open_workspace(running) as ws:
        here = session(ws)
        answer = await lawyer.ask("Whose are swans?", session=here)
        live = await ws.journal.resources.live(ws.scope, owner=here.root, parts=True)
        assert sorted(found.kind for found in live) == ["agent", "conversation", "file", "store"]
        await release_owner(ws, here.root)
        again = await lawyer.ask("Whose are swans?", session=session(ws))
    assert "crown" in answer.value
    assert again.reused
    assert len(running.requests("files.upload")) == 1


async def test_what_is_searched_makes_the_question_another_one(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=SEARCHES)
    async with open_workspace(running) as ws:
        for color in ("white", "black"):
            agent = Agent("a", tools=[FileSearch({"s.txt": f"Swans are {color}."})])
            assert color in (await agent.ask("Swans?", session=session(ws))).value


async def test_a_store_that_is_there_is_searched(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=SEARCHES)
    async with open_workspace(running) as ws:
        file = await upload_file(ws, b"Swans can fly.", "s.txt", owner="keeper")
        store = await build_vector_store(ws, "birds", [file], owner="keeper")
        answer = await Agent("a", tools=[FileSearch(store, max_num_results=1)]).ask(
            "Swans?", session=session(ws)
        )
    assert "fly" in answer.value
    [made] = running.requests("agents.create")
    assert made["body"]["tool_resources"]["file_search"]["vector_store_ids"] == [store.id]


async def test_files_are_read_once_in_a_session(
    service: ServiceFactory, open_workspace: OpenWorkspace, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("Swans are white.")
    running = service(rules=SEARCHES)
    agent = Agent("a", tools=[FileSearch(tmp_path / "a.txt")])
    async with open_workspace(running) as ws:
        here = session(ws)
        await agent.ask("One?", session=here)
        (tmp_path / "a.txt").unlink()
        assert (await agent.ask("Two?", session=here.at("deeper"))).value == "It says white."


async def test_calls_of_an_mcp_server_are_decided_by_its_tool(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    def script(line: str) -> dict[str, Any]:
        call = {"name": "write", "arguments": {"line": line}}
        return {"when": {"message": line, "tool_results": False}, "reply": {"tool_calls": [call]}}

    rules = {"rules": [script("good"), script("bad")], "default": {"reply": {"text": "Done."}}}
    with mcp_ledger() as ledger:
        running = service(rules=rules)
        tool = McpTool("ledger", ledger.url, approve=lambda call: "good" in call.arguments)
        agent = Agent("clerk", tools=[tool])
        async with open_workspace(running) as ws:
            for line in ("good", "bad"):
                await agent.ask(line, session=session(ws))
        assert dict(ledger.written) == {"good": 1}


async def test_code_gets_its_files(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service()
    async with open_workspace(running) as ws:
        await Agent("coder", tools=[CodeInterpreter({"a.csv": "1,2"})]).ask("?", session=session(ws))
        [file] = await ws.journal.resources.live(ws.scope, kind="file")
    [made] = running.requests("agents.create")
    assert made["body"]["tool_resources"]["code_interpreter"]["file_ids"] == [file.remote_id]


async def test_an_agent_is_a_tool_of_another_one(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    rules = {"default": {"reply": {"text": "He says: {{ results[0] }}"}}, "rules": [
        {"when": {"instructions": "prices"}, "reply": {"text": "Oak is 12."}},
        {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "price_clerk", "arguments":
        {"message": "Oak?"}}]}},
    ]}  # fmt: skip
    running = service(rules=rules)
    clerk = Agent("price clerk", instructions="You know prices.")
    chief = Agent("chief", tools=[clerk.as_tool("Knows prices.")])
    async with open_workspace(running) as ws:
        answer = await chief.ask("What is oak?", session=session(ws))
    assert "Oak is 12." in answer.value
    assert len(running.requests("agents.create")) == 2


def test_mistakes_with_tools_are_told_at_once(tmp_path: Path) -> None:
    def book(name: str) -> str:
        """Book."""
        return name

    store = RemoteStore(id="s", key="k", name="n", file_ids=[])
    with pytest.raises(ConfigurationError, match="no file_search tool"):
        AgentSpec(name="a", model="m", instructions="", stores=[store])
    with pytest.raises(ConfigurationError, match="without a store"):
        Agent("a", tools=[FileSearchTool()])
    with pytest.raises(ConfigurationError, match=r"can't call its functions \(book\)"):
        Agent("a", tools=[book]).as_tool("Books.")
    with pytest.raises(ConfigurationError, match="max_num_results"):
        FileSearch(store, max_num_results=99)
    with pytest.raises(ConfigurationError, match="one file_search tool at most"):
        Agent("a", tools=[FileSearch(store), FileSearch(store)])


@pytest.mark.parametrize(
    ("files", "told"),
    [("nowhere", "no file and no folder"), ({}, "no files"), (["a/x.txt", "b/x.txt"], "two files are named")],
)
async def test_files_that_can_not_be_are_refused(
    files: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    agent = Agent("a", model="m", tools=[FileSearch(files)])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=told):
        await agent.ask("?", session=Session(object(), owner="o"))  # type: ignore[arg-type]


async def test_a_call_without_await_is_told_of() -> None:
    here = Session(object(), owner="o", model="m")  # type: ignore[arg-type]
    agent = Agent("helper")
    asked = agent.ask("?", session=here)
    with pytest.raises(NotAwaitedError, match=r"helper.ask\(...\) was called without `await`.*`value`"):
        _ = asked.value  # type: ignore[attr-defined]
    with pytest.raises(NotAwaitedError, match=r"`follows` of helper.ask\(...\)"):
        agent.ask("?", follows=asked)  # type: ignore[call-overload]
