"""MCP tools against a real MCP server: listing, approvals, headers, failures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from mcp.server.mcpserver import Context, MCPServer

from tests.emulator.helpers import (
    Json,
    agent,
    get,
    needs_recordings,
    post,
    recording,
    stream,
    turn,
    wait_run,
)
from tests.emulator.tools.conftest import Turns, rules_for
from tests.emulator.tools.test_openapi import serve
from tests.support.service import RunningService


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server with the tools add, secret (gives back a header) and fail."""
    mcp: Any = MCPServer("numbers", log_level="CRITICAL")

    @mcp.tool()
    def add(a: int, b: int) -> str:
        """Adds two numbers."""
        return str(a + b)

    @mcp.tool()
    def secret(context: Context) -> str:
        """Returns a header of the request."""
        headers = context.headers or {}
        return str(headers.get("x-secret"))

    @mcp.tool()
    def fail() -> str:
        """Always fails."""
        raise ValueError("it broke")

    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    with serve(mcp.streamable_http_app(stateless_http=True, json_response=True)) as origin:
        yield f"{origin}/mcp"


@pytest.fixture(scope="module")
def running(start: Any) -> RunningService:
    started: RunningService = start(rules_for("add", "secret", "fail"), request_seconds=5.0)
    return started


@pytest.fixture
def turns(running: RunningService, server: str) -> Iterator[Turns]:
    with running.http() as client:
        yield Turns(client, agent(client, tools=[tool(server)]))


def tool(server: str, **fields: Any) -> Json:
    return {"type": "mcp", "server_label": "numbers", "server_url": server, **fields}


def resources(approval: Any = "always", headers: Json | None = None) -> Json:
    return {
        "tool_resources": {
            "mcp": [{"server_label": "numbers", "headers": headers or {}, "require_approval": approval}]
        }
    }


def approve(run: Json, *decisions: bool, **fields: Any) -> Json:
    calls = run["required_action"]["submit_tool_approval"]["tool_calls"]
    approvals = [
        {"tool_call_id": call["id"], "approve": decision, **fields}
        for call, decision in zip(calls, decisions, strict=True)
    ]
    return {"tool_approvals": approvals}


def test_without_approval_the_tools_are_listed_and_called(turns: Turns) -> None:
    call = turns.call("add", {"a": 2, "b": 3}, **resources("never"))
    assert call["output"] == "5"
    listing, calls, message = turns.steps()
    assert [step["type"] for step in (listing, calls, message)] == [
        "activities",
        "tool_calls",
        "message_creation",
    ]
    activity = listing["step_details"]["activities"][0]
    assert activity["id"].startswith("activity_")
    assert list(activity["tools"]) == ["add", "secret", "fail"]
    assert activity["tools"]["add"]["description"] == "Adds two numbers."
    assert turns.answer_text() == "5"


@needs_recordings
def test_an_approved_call_has_the_recorded_bodies(turns: Turns) -> None:
    entries = recording("py_mcp_tool.json")
    created, approved = (
        next(e["ResponseBody"] for e in entries if e["RequestPath"].split("?")[0].endswith(end))
        for end in ("/runs", "/submit_tool_outputs")
    )
    steps = next(e["ResponseBody"] for e in entries if "/steps" in e["RequestPath"])["data"][::-1]
    headers = {"SuperSecret": "123456"}
    body = turn(turns.agent_id, 'call add {"a": 1, "b": 1}', **resources(headers=headers))
    run = post(turns.client, "/threads/runs", body)
    assert list(run) == list(created)
    assert run["status"] == created["status"] == "in_progress"
    assert run["started_at"] is not None
    assert run["tool_resources"]["mcp"][0]["headers"] == created["tool_resources"]["mcp"][0]["headers"]
    turns.run = wait_run(turns.client, run, "requires_action")
    required = turns.run["required_action"]
    assert required["type"] == "submit_tool_approval"
    waiting = required["submit_tool_approval"]["tool_calls"][0]
    assert {**waiting, "id": "x"} == {
        "id": "x",
        "type": "mcp",
        "arguments": '{"a": 1, "b": 1}',
        "name": "add",
        "server_label": "numbers",
    }
    answer = post(
        turns.client, f"{turns.path}/submit_tool_outputs", approve(turns.run, True, headers=headers)
    )
    assert list(answer) == list(approved)
    assert answer["status"] == approved["status"] == "in_progress"
    turns.run = wait_run(turns.client, run, "completed")
    for mine, theirs in zip(turns.steps(), steps, strict=True):
        assert list(mine) == list(theirs)
        assert mine["type"] == theirs["type"]
        kind = mine["type"]
        if kind != "message_creation":
            first, second = mine["step_details"][kind][0], theirs["step_details"][kind][0]
            assert list(first) == list(second)
    assert turns.steps()[0]["usage"]["total_tokens"] == 0


def test_a_refused_call_is_not_made(turns: Turns) -> None:
    turns.call("fail", {})
    turns.run = wait_run(
        turns.client, post(turns.client, f"{turns.path}/submit_tool_outputs", approve(turns.run, False))
    )
    assert "did not approve" in turns.answer_text()
    assert turns.tool_call()["output"] == turns.answer_text()


def test_approval_may_be_asked_for_some_tools_only(turns: Turns) -> None:
    some = {"never": {"tool_names": ["add"]}}
    assert turns.call("add", {"a": 1, "b": 1}, **resources(some))["output"] == "2"
    turns.call("fail", {}, **resources(some))
    assert turns.run["status"] == "requires_action"


def test_headers_reach_the_server_and_come_back_nowhere(turns: Turns, running: RunningService) -> None:
    call = turns.call("secret", {}, **resources("never", {"x-secret": "hush-1"}))
    assert call["output"] == "hush-1"
    assert turns.run["tool_resources"]["mcp"][0]["headers"] == {"x-secret": "REDACTED"}
    assert "hush-1" not in json.dumps(running.requests())
    turns.call("secret", {}, **resources("always", {"x-secret": "hush-1"}))
    body = approve(turns.run, True, headers={"x-secret": "hush-2"})
    turns.run = wait_run(turns.client, post(turns.client, f"{turns.path}/submit_tool_outputs", body))
    assert turns.answer_text() == "hush-2"
    assert "hush-2" not in json.dumps(running.requests())


def test_headers_of_an_agent_serve_its_runs(running: RunningService, server: str) -> None:
    with running.http() as client:
        resource = resources("never", {"x-secret": "hush-3"})
        agent_id = agent(client, tools=[tool(server)], **resource)
        shown = get(client, f"/assistants/{agent_id}")["tool_resources"]["mcp"][0]
        assert shown["headers"] == {"x-secret": "REDACTED"}
        assert Turns(client, agent_id).call("secret", {})["output"] == "hush-3"


def test_approvals_must_match_the_calls(turns: Turns) -> None:
    turns.call("add", {"a": 1, "b": 1})
    path = f"{turns.path}/submit_tool_outputs"
    wrong = {"tool_approvals": [{"tool_call_id": "call_x", "approve": True}]}
    assert "Expected tool approvals" in post(turns.client, path, wrong, status=400)["error"]["message"]
    outputs = {"tool_outputs": [{"tool_call_id": "call_x", "output": "1"}]}
    error = post(turns.client, path, outputs, status=400)["error"]
    assert "submit_tool_approval" in error["message"]
    assert get(turns.client, turns.path)["status"] == "requires_action"


def test_only_allowed_tools_are_offered(running: RunningService, server: str) -> None:
    with running.http() as client:
        turns = Turns(client, agent(client, tools=[tool(server, allowed_tools=["add"])]))
        turns.call("add", {"a": 1, "b": 1}, **resources("never"))
        assert list(turns.steps()[0]["step_details"]["activities"][0]["tools"]) == ["add"]


def test_a_failing_tool_is_an_output(turns: Turns) -> None:
    assert "Error executing tool fail" in turns.call("fail", {}, **resources("never"))["output"]
    assert turns.run["status"] == "completed"


def test_a_server_that_cannot_be_reached_fails_the_run(running: RunningService) -> None:
    with running.http() as client:
        agent_id = agent(client, tools=[tool("http://127.0.0.1:9/mcp")])
        run = wait_run(client, post(client, "/threads/runs", turn(agent_id, "hi")))
    assert run["status"] == "failed"
    assert run["last_error"]["code"] == "tool_user_error"
    assert "MCP server: 'numbers'" in run["last_error"]["message"]


def test_a_stream_ends_at_the_approval_and_goes_on_after_it(turns: Turns) -> None:
    body = turn(turns.agent_id, 'call add {"a": 4, "b": 4}')
    events = stream(turns.client, "/threads/runs", body)
    assert [name for name, _ in events[-2:]] == ["thread.run.requires_action", "done"]
    kinds = [b["step_details"]["type"] for n, b in events if n == "thread.run.step.completed"]
    assert kinds == ["activities"]
    deltas = [b["delta"]["step_details"] for n, b in events if n == "thread.run.step.delta"]
    assert [delta["type"] for delta in deltas] == ["mcp"]
    turns.run = events[-2][1]
    more = stream(turns.client, f"{turns.path}/submit_tool_outputs", approve(turns.run, True))
    names = [name for name, _ in more]
    assert names[0] == "thread.run.in_progress"
    assert names[-2:] == ["thread.run.completed", "done"]
    finished = next(b for n, b in more if n == "thread.run.step.completed")
    assert finished["step_details"]["tool_calls"][0]["output"] == "8"


def test_headers_do_not_outlive_the_service(service: Any, server: str) -> None:
    running = service(rules=rules_for("secret"))
    with running.http() as client:
        body = turn(agent(client, tools=[tool(server)]), "hi", **resources("never", {"x-secret": "hush-4"}))
        run = wait_run(client, post(client, "/threads/runs", body))
    running.stop()
    assert run["status"] == "completed"
    kept = b"".join(path.read_bytes() for path in running.data_dir.rglob("*") if path.is_file())
    assert b"REDACTED" in kept
    assert b"hush-4" not in kept
