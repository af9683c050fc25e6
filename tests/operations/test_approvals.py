"""Calls of MCP servers that wait for approval: decided once, journaled, made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent_tasks.errors import ApprovalNeededError
from agent_tasks.operations import AgentSpec, RemoteAgent, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.tools import McpTool, ToolSet
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
