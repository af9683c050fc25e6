"""Calls of an MCP server that wait for approval, decided by the tool itself while a run is followed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from mcp.server.mcpserver import Context, MCPServer
from pydantic import SecretStr

from agent_tasks.client import AgentsClient, AsyncAgentsClient
from agent_tasks.errors import ToolError
from agent_tasks.tools import McpTool, ToolSet
from agent_tasks.wire import RequiredMcpToolCall
from tests.client.both import as_async
from tests.client.conftest import Network
from tests.client.test_processing import run
from tests.emulator.tools.test_openapi import serve
from tests.support.service import RunningService, start_in_thread, write_rules

PREVIEW = "2025-05-15-preview"
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"message": "secret", "tool_results": False},
            "reply": {"tool_calls": [{"name": "secret", "arguments": {}}]},
        },
        {
            "when": {"message": "twice", "tool_results": False},
            "reply": {
                "tool_calls": [
                    {"name": "add", "arguments": {"a": 2, "b": 3}},
                    {"name": "add", "arguments": {"a": 20, "b": 30}},
                ]
            },
        },
        {"when": {"tool_results": True}, "reply": {"text": "{{ tool_results | join(' and ') }}"}},
    ]
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    numbers: Any = MCPServer("numbers", log_level="CRITICAL")

    @numbers.tool()
    def add(a: int, b: int) -> str:
        """Adds."""
        return str(a + b)

    @numbers.tool()
    def secret(context: Context) -> str:
        """Gives back a header."""
        return str((context.headers or {}).get("x-secret"))

    with serve(numbers.streamable_http_app(stateless_http=True, json_response=True)) as origin:
        yield f"{origin}/mcp"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    service = start_in_thread(folder / "data", write_rules(folder, RULES))
    yield service
    service.stop()


@pytest.fixture(params=["async", "blocking"])
def client(request: pytest.FixtureRequest, running: RunningService) -> Any:
    if request.param == "blocking":
        return as_async(AgentsClient(running.endpoint, None, api_version=PREVIEW))
    return AsyncAgentsClient(running.endpoint, None, api_version=PREVIEW)


@pytest.fixture(autouse=True)
def waits() -> None:
    """Real waits here, instead of those that are only written down."""


def small(call: RequiredMcpToolCall) -> bool:
    """Approves of small numbers."""
    return "20" not in call.arguments


async def small_too(call: RequiredMcpToolCall) -> bool:
    """The same, asynchronously."""
    return small(call)


def asking(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("approve", [small, small_too])
async def test_processed_run_has_its_calls_decided(client: Any, server: str, approve: Any) -> None:
    tools = ToolSet([McpTool("numbers", server, approve=approve)])
    async with client:
        agent = await client.agents.create(model="m")
        done = await client.runs.create_thread_and_process(
            assistant_id=agent.id, thread=asking("twice"), toolset=tools, poll_interval=0.02
        )
        text = await client.messages.get_last_message_text_by_role(done.thread_id)
    assert text.text.value == "5 and The user did not approve this call; it was not made."


async def test_streamed_run_has_its_calls_decided(client: Any, server: str) -> None:
    tools = ToolSet([McpTool("numbers", server, approve=small)])
    async with client:
        agent = await client.agents.create(model="m")
        async with client.runs.stream_thread_and_run(
            assistant_id=agent.id, thread=asking("twice"), toolset=tools
        ) as events:
            names = [str(event.event) async for event in events]
        text = await client.messages.get_last_message_text_by_role(events.thread_id)
    assert text.text.value.startswith("5 and ")
    assert "thread.run.requires_action" in names
    assert names.count("done") == 1
    assert names[-1] == "done"


async def test_headers_go_with_the_approval(client: Any, server: str) -> None:
    tool = McpTool("numbers", server, headers={"x-secret": SecretStr("pass")}, approve=lambda call: True)
    async with client:
        agent = await client.agents.create(model="m", tools=tool.definitions)
        client.enable_auto_function_calls(ToolSet([tool]))
        done = await client.runs.create_thread_and_process(
            assistant_id=agent.id, thread=asking("secret"), poll_interval=0.02
        )
        text = await client.messages.get_last_message_text_by_role(done.thread_id)
    assert text.text.value == "pass"


def waiting(*labels: str) -> httpx.Response:
    calls = [
        {"id": f"call_{label}", "type": "mcp", "arguments": "{}", "name": "n", "server_label": label}
        for label in labels
    ]
    action = {"type": "submit_tool_approval", "submit_tool_approval": {"tool_calls": calls}}
    return run("requires_action", required_action=action)


def broken(call: RequiredMcpToolCall) -> bool:
    """Does not decide."""
    raise RuntimeError("nobody there")


def truthy(call: RequiredMcpToolCall) -> Any:
    """Says something that is neither yes nor no."""
    return "maybe"


@pytest.mark.parametrize("approve", [broken, truthy])
async def test_what_is_not_approved_is_refused(network: Network, approve: Any) -> None:
    network.answers = [waiting("a"), run("in_progress"), run("completed")]
    tools = ToolSet([McpTool("a", "https://a.example", approve=approve)])
    await network.client().runs.wait("thread_1", "run_1", toolset=tools, poll_interval=0.01)
    (sent,) = [request for request in network.requests if request.method == "POST"]
    assert sent.content == b'{"tool_approvals":[{"tool_call_id":"call_a","approve":false}],"stream":false}'


async def test_a_run_with_calls_that_nobody_decides_is_handed_back(network: Network) -> None:
    network.answers = [waiting("a", "b")]
    tools = ToolSet([McpTool("a", "https://a.example", approve=small), McpTool("b", "https://b.example")])
    left = await network.client().runs.wait("thread_1", "run_1", toolset=tools)
    assert left.status == "requires_action"
    assert [request.method for request in network.requests] == ["GET"]


async def test_rounds_of_approvals_are_counted(network: Network) -> None:
    again = waiting("a").json()
    again["required_action"]["submit_tool_approval"]["tool_calls"][0]["id"] = "call_again"
    network.answers = [waiting("a"), httpx.Response(200, json=again), run("cancelling")]
    tools = ToolSet([McpTool("a", "https://a.example", approve=small)])
    with pytest.raises(ToolError, match="more than 1 times"):
        await network.client().runs.wait("thread_1", "run_1", toolset=tools, max_rounds=1, poll_interval=0.01)
