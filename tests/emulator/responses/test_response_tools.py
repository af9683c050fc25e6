"""Tools of responses that the service itself runs, and approvals."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver import MCPServer

from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import ToolSettings
from tests.emulator.helpers import Json, needs_recordings, recording
from tests.emulator.responses.helpers import Wire, names, text_of, wire
from tests.emulator.tools.test_openapi import serve
from tests.support.service import start_in_thread, write_rules

RULES: Json = {
    "rules": [
        {
            "when": {"message": "add", "tool_results": False},
            "reply": {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 2}}]},
        },
        {
            "when": {"message": "plot", "tool_results": False},
            "reply": {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "print(6 * 7)"}}]},
        },
        {
            "when": {"message": "save", "tool_results": False},
            "reply": {
                "tool_calls": [
                    {"name": "code_interpreter", "arguments": {"code": "open('out.txt', 'w').write('kept')"}}
                ]
            },
        },
        {"when": {"message": "save"}, "reply": {"text": "See [it](sandbox:/mnt/data/out.txt)."}},
        {
            "when": {"message": "again", "tool_results": False},
            "reply": {
                "tool_calls": [
                    {"name": "code_interpreter", "arguments": {"code": "print(open('out.txt').read())"}}
                ]
            },
        },
        {
            "when": {"message": "web", "tool_results": False},
            "reply": {"tool_calls": [{"name": "bing_grounding", "arguments": {"query": "tents"}}]},
        },
        {
            "when": {"message": "look it up", "tool_results": False},
            "reply": {"tool_calls": [{"name": "web_search", "arguments": {"query": "tents"}}]},
        },
        {"when": {"tool_results": True}, "reply": {"text": "{{ tool_results | join(' ') }}"}},
    ],
    "default": {"reply": {"text": "Hello."}},
}


@pytest.fixture(scope="module")
def mcp_server() -> Iterator[str]:
    """A server with the tool add."""
    mcp: Any = MCPServer("numbers", log_level="CRITICAL")

    @mcp.tool()
    def add(a: int, b: int) -> str:
        """Adds two numbers."""
        return str(a + b)

    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    with serve(mcp.streamable_http_app(stateless_http=True, json_response=True)) as origin:
        yield f"{origin}/mcp"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A service with a folder to search in."""
    folder = tmp_path_factory.mktemp("tools")
    search = folder / "search"
    search.mkdir()
    Path(search / "tents.md").write_text("Tents cost 5 euros.", encoding="utf-8")
    config = ServiceConfig(tools=ToolSettings(search_folder=search))
    running = start_in_thread(folder / "data", write_rules(folder, RULES), config)
    with wire(running) as client:
        yield client
    running.stop()


def _items(response: Json) -> list[str]:
    return [item["type"] for item in response["output"]]


@needs_recordings
def test_an_approval_ends_a_response_as_recorded(api: Wire, mcp_server: str) -> None:
    asked, approved = recording("v2/preview_mcp_approval.json")
    tool = {"type": "mcp", "server_label": "numbers", "server_url": mcp_server}
    conversation = api.conversation()
    first = api.respond(conversation=conversation, input="add", tools=[tool])
    theirs = asked["ResponseBody"]["output"]
    assert _items(first) == [item["type"] for item in theirs]
    for mine, recorded in zip(first["output"], theirs, strict=True):
        assert set(recorded) <= set(mine)
    request = first["output"][-1]
    answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
    second = api.respond(conversation=conversation, input=[answer], tools=[tool])
    assert _items(second) == ["mcp_call", "message"]
    [call] = approved["ResponseBody"]["output"]
    assert set(call) <= set(second["output"][0])
    assert second["output"][0]["approval_request_id"] == request["id"]
    assert text_of(second) == "3"
    api.respond(conversation=conversation, input=[answer], tools=[tool], status=400)


def test_a_refused_call_is_not_made(api: Wire, mcp_server: str) -> None:
    tool = {"type": "mcp", "server_label": "numbers", "server_url": mcp_server}
    first = api.respond(input="add", tools=[tool])
    answer = {
        "type": "mcp_approval_response",
        "approval_request_id": first["output"][-1]["id"],
        "approve": False,
    }
    second = api.respond(previous_response_id=first["id"], input=[answer], tools=[tool])
    assert _items(second) == ["message"]
    assert "did not approve" in text_of(second)


def test_a_call_without_approval_is_made_at_once(api: Wire, mcp_server: str) -> None:
    tool = {"type": "mcp", "server_label": "numbers", "server_url": mcp_server, "require_approval": "never"}
    events = api.stream(input="add", tools=[tool])
    found = names(events)
    order = [
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
        "response.output_text.done",
    ]
    assert [name for name in found if name in order] == order
    last = events[-1][1]["response"]
    assert _items(last) == ["mcp_list_tools", "mcp_call", "message"]
    done = [body["item"] for name, body in events if name == "response.output_item.done"]
    assert done == last["output"]


def test_code_runs_in_a_container_that_a_conversation_keeps(api: Wire) -> None:
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    conversation = api.conversation()
    first = api.respond(conversation=conversation, input="save", tools=[tool])
    assert _items(first) == ["code_interpreter_call", "message"]
    call, message = first["output"]
    assert call["outputs"] is None
    [citation] = message["content"][0]["annotations"]
    assert citation["type"] == "container_file_citation"
    text = message["content"][0]["text"]
    assert text[citation["start_index"] : citation["end_index"]] == "sandbox:/mnt/data/out.txt"
    path = f"/openai/v1/containers/{citation['container_id']}/files/{citation['file_id']}/content"
    assert api.http.get(path).content == b"kept"
    again = api.respond(
        conversation=conversation, input="again", tools=[tool], include=["code_interpreter_call.outputs"]
    )
    assert again["output"][0]["container_id"] == call["container_id"]
    assert again["output"][0]["outputs"] == [{"type": "logs", "logs": "kept\n"}]


def test_code_sees_the_files_of_its_container(api: Wire) -> None:
    container = api.call("POST", "/openai/v1/containers", {"name": "mine"})
    api.http.post(f"/openai/v1/containers/{container['id']}/files", files={"file": ("out.txt", b"given")})
    tool = {"type": "code_interpreter", "container": container["id"]}
    answer = api.respond(input="again", tools=[tool])
    assert answer["output"][0]["container_id"] == container["id"]
    assert "given" in text_of(answer)
    missing = {**tool, "container": "cntr_none"}
    api.respond(input="again", tools=[missing], status=404)


def test_code_has_its_events(api: Wire) -> None:
    events = api.stream(input="plot", tools=[{"type": "code_interpreter", "container": {"type": "auto"}}])
    found = [name for name in names(events) if "code_interpreter" in name]
    stages = ("in_progress", "code.delta", "code.done", "interpreting", "completed")
    assert found == [
        f"response.code_interpreter_call{'_' if stage.startswith('code') else '.'}{stage}" for stage in stages
    ]


def test_a_tool_with_an_outcome_of_its_own(api: Wire) -> None:
    tool = {"type": "bing_grounding", "bing_grounding": {"search_configurations": []}}
    answer = api.respond(input="web", tools=[tool])
    assert _items(answer) == ["bing_grounding_call", "bing_grounding_call_output", "message"]
    call, outcome, _ = answer["output"]
    assert call["call_id"] == outcome["call_id"]
    assert json.loads(call["arguments"]) == {"query": "tents"}


def test_a_tool_that_is_not_served_fails_the_response(api: Wire) -> None:
    answer = api.respond(input="hello", tools=[{"type": "shell"}])
    assert answer["status"] == "failed"
    assert answer["error"]["code"] == "unsupported_tool"


def test_the_web_is_searched_in_the_folder(api: Wire) -> None:
    answer = api.respond(input="look it up", tools=[{"type": "web_search"}])
    assert _items(answer) == ["web_search_call", "message"]
    assert answer["output"][0]["action"] == {"type": "search", "query": "tents"}
    assert "5 euros" in text_of(answer)
