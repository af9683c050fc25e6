"""Calls of MCP servers that wait for approval: decided once, journaled, made once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks.errors import ApprovalNeededError, ConfigurationError, WaitingForPersonError
from agent_tasks.operations import (
    AgentSpec,
    RemoteAgent,
    TurnSpec,
    Workspace,
    decide,
    ensure_agent,
    list_questions,
    run_turn,
)
from agent_tasks.operations.approvals import readable
from agent_tasks.tools import AskPerson, McpTool, ToolSet
from agent_tasks.wire import RequiredMcpToolCall
from tests.conftest import ServiceFactory
from tests.operations.conftest import LossyTransport, OpenWorkspace
from tests.support.mcp_server import McpLedger, mcp_ledger

WRITE = {"name": "write", "arguments": {"line": "Oak"}}
RULES = {
    "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": [WRITE]}}],
    "default": {"reply": {"text": "It says: {{ tool_results | join(' and ') }}"}},
}


@pytest.fixture
def ledger() -> Iterator[McpLedger]:
    with mcp_ledger() as running:
        yield running


def tools_of(ledger: McpLedger, approve: Callable[[RequiredMcpToolCall], Any] | None) -> ToolSet:
    return ToolSet([McpTool("ledger", ledger.url, headers={"x-secret": "hush"}, approve=approve)])


async def clerk(ws: Workspace, tools: ToolSet) -> RemoteAgent:
    spec = AgentSpec(name="clerk", model="scripted", instructions="Write.", tools=tools.definitions)
    return await ensure_agent(ws, spec, owner="batch")


def turn(agent: RemoteAgent) -> TurnSpec:
    return TurnSpec(step="write", agent=agent, prompt="Write it down.", owner="doc")


async def test_an_approved_call_is_made_once_with_the_tools_headers(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger
) -> None:
    running = service(rules=RULES)
    asked: list[RequiredMcpToolCall] = []

    def approve(call: RequiredMcpToolCall) -> bool:
        asked.append(call)
        return json.loads(call.arguments) == {"line": "Oak"}

    tools = tools_of(ledger, approve)
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws, tools)), tools=tools)
        records = await ws.journal.calls.of(ws.scope, result.key)
    assert result.text == "It says: line 1"
    assert ledger.written == {"Oak": 1}
    assert ledger.secrets == ["hush"]
    assert [call.name for call in asked] == ["write"]
    assert [(record.name, record.output) for record in records] == [("approve ledger.write", "approved")]
    assert "hush" not in json.dumps(running.requests())


@pytest.mark.parametrize("failing", [False, True], ids=["says no", "raises"])
async def test_a_refused_call_is_not_made(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger, failing: bool
) -> None:
    running = service(rules=RULES)

    async def approve(call: RequiredMcpToolCall) -> bool:
        if failing:
            raise ValueError("no idea")
        return False

    tools = tools_of(ledger, approve)
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws, tools)), tools=tools)
    assert "did not approve" in result.text
    assert ledger.written == {}


async def test_a_decision_whose_answer_was_lost_stands(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger, transport: LossyTransport
) -> None:
    running = service(rules=RULES)
    asked: list[str] = []

    def approve(call: RequiredMcpToolCall) -> bool:
        asked.append(call.id)
        return True

    tools = tools_of(ledger, approve)
    transport.lose.append(("POST", "/submit_tool_outputs"))
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws, tools)), tools=tools)
    assert result.text == "It says: line 1"
    assert ledger.written == {"Oak": 1}
    assert len(asked) == 1


async def test_without_a_tool_that_decides_the_turn_waits(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger
) -> None:
    running = service(rules=RULES)
    undecided = tools_of(ledger, None)
    async with open_workspace(running) as ws:
        agent = await clerk(ws, undecided)
        with pytest.raises(ApprovalNeededError, match="approve"):
            await run_turn(ws, turn(agent), tools=undecided)
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(agent), tools=tools_of(ledger, lambda _: True))
    assert result.text == "It says: line 1"
    assert len(running.requests("runs.create_thread_and_run")) == 1


ASKING = AskPerson(time_limit=timedelta(hours=2), at_limit="reject")


def asking(ledger: McpLedger, how: AskPerson = ASKING) -> ToolSet:
    return ToolSet([McpTool("ledger", ledger.url, headers={"x-secret": "hush"}, approve=how)])


async def test_a_person_decides_two_restarts_later(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger
) -> None:
    running = service(rules=RULES)
    tools = asking(ledger)
    for _ in range(2):  # each a worker of its own, which ends
        async with open_workspace(running) as ws:
            agent = await clerk(ws, tools)
            with pytest.raises(WaitingForPersonError, match="call write of the MCP server ledger"):
                await run_turn(ws, turn(agent), tools=tools)
            [question] = await list_questions(ws)
    assert question.shown == 'write\n{\n  "line": "Oak"\n}'
    assert (question.owner, question.step, question.at_limit) == ("doc", "write", "reject")
    assert ledger.written == {}
    async with open_workspace(running) as ws:
        await decide(ws, question.key, approved=True, by="Ann")
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(agent), tools=tools)
        assert await list_questions(ws) == []
        assert (await run_turn(ws, turn(agent), tools=tools)).reused
    assert result.text == "It says: line 1"
    assert ledger.written == {"Oak": 1}
    assert ledger.secrets == ["hush"]
    assert len(running.requests("runs.create_thread_and_run")) == 1


async def test_a_turn_that_expired_meanwhile_takes_the_decision_when_its_agent_asks_again(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger
) -> None:
    running = service(rules=RULES)
    tools = asking(ledger)
    async with open_workspace(running) as ws:
        agent = await clerk(ws, tools)
        with pytest.raises(WaitingForPersonError):
            await run_turn(ws, turn(agent), tools=tools)
        [question] = await list_questions(ws)
        await decide(ws, question.key, approved=True, by="Ann")
    await running.expire_turns()
    assert [run["status"] for run in running.runs()] == ["expired"]
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(agent), tools=tools)
        assert len(await list_questions(ws, states=())) == 1
    assert (result.text, result.attempts, ledger.written) == ("It says: line 1", 2, {"Oak": 1})


async def test_a_time_limit_that_passes_while_nothing_runs_refuses_the_call(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger
) -> None:
    running = service(rules=RULES)
    tools = asking(ledger, AskPerson(time_limit=timedelta(seconds=0.2)))
    async with open_workspace(running) as ws:
        agent = await clerk(ws, tools)
        with pytest.raises(WaitingForPersonError):
            await run_turn(ws, turn(agent), tools=tools)
    await asyncio.sleep(0.3)
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(agent), tools=tools)
    assert "did not approve" in result.text
    assert ledger.written == {}


async def test_each_of_two_calls_that_are_alike_is_asked_about(
    service: ServiceFactory, open_workspace: OpenWorkspace, ledger: McpLedger
) -> None:
    twice = {"rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": [WRITE, WRITE]}}],
             "default": RULES["default"]}  # fmt: skip
    running = service(rules=twice)
    tools = asking(ledger)
    async with open_workspace(running) as ws:
        agent = await clerk(ws, tools)
        with pytest.raises(WaitingForPersonError) as waiting:
            await run_turn(ws, turn(agent), tools=tools)
        questions = await list_questions(ws)
        assert {question.key for question in questions} == {
            waiting.value.key, *(one.key for one in waiting.value.also)
        }  # fmt: skip
        assert len(questions) == 2
        await decide(ws, questions[0].key, approved=False, by="Ann")
        with pytest.raises(WaitingForPersonError):
            await run_turn(ws, turn(agent), tools=tools)
        await decide(ws, questions[1].key, approved=True, by="Ann")
        await run_turn(ws, turn(agent), tools=tools)
    assert ledger.written == {"Oak": 1}


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"a": 1, "a": 1000}', '{"a": 1, "a": 1000}'),
        ('{"a": 0.1000000000000000000001}', '{"a": 0.1000000000000000000001}'),
        ("no json", "no json"),
        ('{"a": [1, 2.50]}', '{\n  "a": [\n    1,\n    2.5\n  ]\n}'),
    ],
)
def test_arguments_are_shown_as_they_are(arguments: str, shown: str) -> None:
    assert readable(arguments) == shown


def test_a_time_limit_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is no time"):
        AskPerson(timedelta())
    with pytest.raises(ConfigurationError, match="approve, reject or fail"):
        AskPerson(at_limit="later")  # type: ignore[arg-type]
