"""Runs that are followed to their end: by reading them, with their functions called, and how they end."""

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest

from agent_tasks.errors import (
    BadRequestError,
    RunCancelledError,
    RunContentFilteredError,
    RunExpiredError,
    RunFailedError,
    RunIncompleteError,
    RunServerError,
    RunThrottledError,
    ToolError,
)
from tests.client.conftest import RUN, Network


def run(status: str, **fields: Any) -> httpx.Response:
    return httpx.Response(200, json={**RUN, "status": status, **fields})


def asks(*calls: tuple[str, str, str]) -> httpx.Response:
    """A run that waits for functions: ids, names, arguments."""
    tool_calls = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in calls
    ]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": tool_calls}}
    return run("requires_action", required_action=action)


class Tools:
    """A toolset whose functions tell what they were called with."""

    definitions = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]  # noqa: RUF012
    resources: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, str]] = []
        self.meeting: threading.Barrier | None = None

    async def call(self, name: str, arguments: str, *, call_id: str = "", turn_id: str = "") -> str:
        self.calls.append((name, arguments, call_id, turn_id))
        if self.meeting is not None:
            await asyncio.to_thread(self.meeting.wait, 5)
        if name == "fail":
            raise LookupError("nothing there")
        return f"{name}: {arguments}"


def sent(network: Network) -> list[tuple[str, str]]:
    return [(request.method, request.url.path.rpartition("/local")[2]) for request in network.requests]


async def test_completed_run_is_returned_after_growing_pauses(network: Network, waits: list[float]) -> None:
    network.answers = [run("queued"), run("in_progress"), run("in_progress"), run("completed")]
    done = await network.client().runs.create_and_process("thread_1", assistant_id="a", poll_interval=1)
    assert done.status == "completed"
    assert waits == [1, 1.5, 2.25]
    assert (
        sent(network) == [("POST", "/threads/thread_1/runs")] + [("GET", "/threads/thread_1/runs/run_1")] * 3
    )


@pytest.mark.parametrize(
    ("fields", "kind", "detail"),
    [
        (
            {
                "status": "failed",
                "last_error": {"code": "rate_limit_exceeded", "message": "Try again in 22 s"},
            },
            RunThrottledError,
            {"retry_after": 22.0, "retryable": True},
        ),
        ({"status": "failed", "last_error": {"code": "server_error", "message": "x"}}, RunServerError, {}),
        (
            {"status": "failed", "last_error": {"code": "invalid_engine_error", "message": "x"}},
            RunFailedError,
            {"code": "invalid_engine_error", "retryable": False},
        ),
        ({"status": "expired"}, RunExpiredError, {}),
        ({"status": "cancelled"}, RunCancelledError, {}),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_completion_tokens"}},
            RunIncompleteError,
            {"reason": "max_completion_tokens"},
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            RunContentFilteredError,
            {"reason": "content_filter"},
        ),
        (
            {"status": "failed", "last_error": {"code": "content_filter", "message": "x"}},
            RunContentFilteredError,
            {},
        ),
    ],
)
async def test_end_without_an_answer_is_typed(
    network: Network, fields: dict[str, Any], kind: type[RunFailedError], detail: dict[str, Any]
) -> None:
    network.answers = [run("queued"), run(**fields)]
    runs = network.client().runs
    with pytest.raises(RunFailedError) as caught:
        await runs.create_thread_and_process(assistant_id="a")
    assert type(caught.value) is kind
    assert (caught.value.run_id, caught.value.thread_id) == ("run_1", "thread_1")
    assert {name: getattr(caught.value, name) for name in detail} == detail
    assert (await runs.wait("thread_1", "run_1", check=False)).status == fields["status"]


async def test_run_that_outlives_the_deadline_is_cancelled(network: Network) -> None:
    network.answers = [run("queued"), run("in_progress")]
    with pytest.raises(RunExpiredError, match="after 5 s and was cancelled"):
        await network.client().runs.create_and_process("thread_1", assistant_id="a", deadline=5)
    assert sent(network)[-1] == ("POST", "/threads/thread_1/runs/run_1/cancel")


async def test_waiting_ends_with_the_life_of_the_run_and_leaves_it(
    network: Network, waits: list[float]
) -> None:
    network.answers = [run("in_progress", created_at=1000, expires_at=1040)]
    with pytest.raises(RunExpiredError, match="still in_progress after 100 s"):
        await network.client().runs.wait("thread_1", "run_1")
    assert sum(waits) == pytest.approx(100)  # its 40 seconds, and a minute of grace
    assert {method for method, _ in sent(network)} == {"GET"}


async def test_functions_are_called_at_once_and_answered_in_one_request(network: Network) -> None:
    tools = Tools()
    tools.meeting = threading.Barrier(2)
    network.answers = [
        asks(("call_1", "look", '{"a": 1}'), ("call_2", "look", "")),
        run("queued"),
        run("completed"),
    ]
    done = await network.client().runs.create_and_process("thread_1", assistant_id="a", toolset=tools)
    assert done.status == "completed"
    bodies = [json.loads(request.content) for request in network.requests if request.content]
    assert bodies[0]["tools"] == Tools.definitions
    assert "tool_resources" not in bodies[0]
    assert bodies[1] == {
        "stream": False,
        "tool_outputs": [
            {"tool_call_id": "call_1", "output": 'look: {"a": 1}'},
            {"tool_call_id": "call_2", "output": "look: "},
        ],
    }
    assert {call[3] for call in tools.calls} == {"run_1"}


async def test_function_that_fails_is_told_to_the_agent(network: Network) -> None:
    network.answers = [
        asks(("call_1", "fail", ""), ("call_2", "look", "")),
        run("completed"),
    ]
    client = network.client()
    client.enable_auto_function_calls(Tools())
    await client.runs.wait("thread_1", "run_1")
    failed, fine = json.loads(network.requests[-1].content)["tool_outputs"]
    assert json.loads(failed["output"]) == {"error": {"type": "LookupError", "message": "nothing there"}}
    assert fine["output"] == "look: "


async def test_rounds_are_bounded(network: Network) -> None:
    network.answers = [asks((f"call_{n}", "look", "")) for n in range(4)] + [run("cancelling")]
    tools = Tools()
    with pytest.raises(ToolError, match="more than 3 times"):
        await network.client().runs.wait("thread_1", "run_1", toolset=tools, max_rounds=3)
    assert len(tools.calls) == 3
    assert sent(network)[-1] == ("POST", "/threads/thread_1/runs/run_1/cancel")


@pytest.mark.parametrize("there", [True, False])
async def test_outputs_whose_answer_is_lost_are_not_made_twice(network: Network, there: bool) -> None:
    question = asks(("call_1", "look", ""))
    network.answers = [question, httpx.ReadTimeout("slow")]
    network.answers += [run("in_progress")] if there else [question, run("queued")]
    network.answers.append(run("completed"))
    tools = Tools()
    assert (await network.client().runs.wait("thread_1", "run_1", toolset=tools)).status == "completed"
    assert len(tools.calls) == 1
    submitted = [path for method, path in sent(network) if method == "POST"]
    assert len(submitted) == (1 if there else 2)


async def test_outputs_that_are_refused_are_an_error(network: Network) -> None:
    question = asks(("call_1", "look", ""))
    refusal = httpx.Response(400, json={"error": {"message": "Expected tool outputs"}})
    network.answers = [question, refusal, question]
    with pytest.raises(BadRequestError, match="Expected tool outputs"):
        await network.client().runs.wait("thread_1", "run_1", toolset=Tools())


async def test_run_that_waits_for_something_else_is_handed_back(network: Network) -> None:
    call = {"id": "call_1", "type": "mcp", "arguments": "{}", "name": "n", "server_label": "s"}
    action = {"type": "submit_tool_approval", "submit_tool_approval": {"tool_calls": [call]}}
    network.answers = [run("requires_action", required_action=action), run("in_progress"), run("completed")]
    runs = network.client().runs
    waiting = await runs.create_and_process("thread_1", assistant_id="a", toolset=Tools())
    assert waiting.status == "requires_action"
    await runs.submit_tool_approvals("thread_1", "run_1", [{"tool_call_id": "call_1", "approve": True}])
    assert json.loads(network.requests[-1].content) == {
        "stream": False,
        "tool_approvals": [{"tool_call_id": "call_1", "approve": True}],
    }
    assert (await runs.wait("thread_1", "run_1")).status == "completed"
