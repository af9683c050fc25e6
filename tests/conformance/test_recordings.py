"""Each recording: its bodies pass through our models, and the local service answers it in its shape.

Shape is keys and their order, types, kinds of objects, states, form of ids, and the order of events. Where a
recording was trimmed (its `Omitted`), what was left out is named here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from agent_tasks.local.azurite import StorageAddresses
from agents_emulator.models.base import ChatRequest, Finished, TextDelta, ToolCall
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.conformance.catalogue import RECORDINGS
from tests.emulator import test_recordings as replays
from tests.emulator.helpers import needs_recordings, parse_events, recording, wait_for, wait_run
from tests.emulator.tools.test_openapi import serve
from tests.support.jails import needs_jail
from tests.support.queue_function import FakeFunction
from tests.wire import test_recordings as bodies

pytestmark = needs_recordings

DATASTORE = (
    "azureml://subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/00000/workspaces/00000"
    "/datastores/workspaceblobstore/paths/"
)
DATA_ASSET = "azureai://accounts/0000-0000/projects/0000000/data/00000/versions/1.0"
"""Addresses of recorded data sources: the beginning of one, and a whole one."""
_KINDS = {"object", "type", "status", "role", "ranker"}
"""Keys whose values are part of the shape."""
_CONTENTS = {"outputs", "annotations", "require_approval"}
"""Keys whose contents depend on what happened. `require_approval` changes for one answer, as recorded."""


class Shapes(replays.Replay):
    """Compares shapes instead of values."""

    def same(self, recorded: Any, mine: Any, where: str = "") -> None:
        """Fail where our answer has another shape than the recorded one; learns which id is which."""
        key = where.rpartition(".")[2].partition("[")[0]
        if key in _CONTENTS and not where.endswith("]"):
            assert isinstance(mine, type(recorded) | dict | str), where
        elif isinstance(recorded, dict) and where.endswith(".tools"):
            # By name: the tools of an MCP server, each with a JSON schema of the server's own.
            assert list(mine) == list(recorded), where
            for name, tool in mine.items():
                assert list(tool) == list(recorded[name]), where
        elif isinstance(recorded, str) and key not in _KINDS and not replays._ID.match(recorded):
            assert isinstance(mine, str), f"{where}: {mine}"
        else:
            super().same(recorded, mine, where)

    def events(self, recorded: list[tuple[str, Any]], mine: list[tuple[str, Any]], omitted: set[str]) -> None:
        """Fail unless ours are the recorded events, and between them only those that were omitted."""
        waiting = replays._collapsed(recorded)
        for name, body in mine:
            if waiting and name == waiting[0][0] and self._fits(waiting[0], (name, body)):
                waiting.pop(0)
                continue
            assert name.endswith(".delta") or name in omitted, name
        assert waiting == [], f"not seen: {[name for name, _ in waiting]}"

    def _fits(self, recorded: tuple[str, Any], mine: tuple[str, Any]) -> bool:
        if recorded[0] == "done":
            return True
        known = dict(self.ids)
        try:
            self.same(recorded[1], mine[1], recorded[0])
        except AssertionError:
            self.ids = known
            if recorded[0].endswith(".delta") or recorded[0].startswith("thread.run.step"):
                return False  # the first delta of a call differs from those that follow, which were kept
            raise
        return True


@pytest.fixture
def replay(service: Any) -> replays.Replay:
    return replays.Replay(httpx.Client(base_url=service(rules=replays.RULES).endpoint, timeout=20))


@pytest.fixture
def shapes(service: Any, tmp_path: Path) -> Any:
    """A service whose tools file has the recorded workspaces, each with the product's description."""
    document = tmp_path / "assets" / "LocalUpload" / "00000000000" / "product_info_1.md"
    document.parent.mkdir(parents=True)
    document.write_text("# Smart Eyewear\n\nIt sees.\n", encoding="utf-8")
    assets = {DATASTORE: tmp_path / "assets", DATA_ASSET: document}

    def start(model: Any, config: ServiceConfig | None = None) -> Shapes:
        config = config or ServiceConfig(tools=ToolSettings(assets=assets))
        return Shapes(httpx.Client(base_url=service(model=model, config=config).endpoint, timeout=20))

    return start


class Turns:
    """A fake: a model that says and calls what it is told, one turn after the other."""

    name = "turns"
    context_tokens = 4000

    def __init__(self, *turns: tuple[str, ToolCall | None]) -> None:
        self._turns = list(turns)

    async def generate(self, request: ChatRequest) -> AsyncIterator[TextDelta | Finished]:
        """The next turn."""
        text, call = self._turns.pop(0)
        for start in range(0, len(text), 8):
            yield TextDelta(text[start : start + 8])
        yield Finished((call,) if call else (), "tool_calls" if call else "stop", 10, 5)

    async def aclose(self) -> None:
        """Nothing to release."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.covers("recording", n)) for n in RECORDINGS]
)
def test_bodies_pass_through_our_models(name: str) -> None:
    played = 0
    for parameters in bodies.ENTRIES:
        if str(parameters.id).startswith(name.removesuffix(".json") + "-"):
            bodies.test_recorded_answer_survives_a_round_trip(*parameters.values)
            bodies.test_recorded_request_survives_a_round_trip(*parameters.values)
            played += 1
    assert played == len(recording(name))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.covers("recording", name))
        for name in ("py_get_run_step.json", "py_submit_tool_outputs_to_run.json")
    ],
)
def test_runs(replay: replays.Replay, name: str) -> None:
    replays.test_plain_runs_answer_as_recorded(replay, name)


@pytest.mark.covers("recording", "js_create_and_list_runs.json")
def test_list_of_runs(service: Any) -> None:
    replays.test_a_list_of_runs_answers_as_recorded(service)


@pytest.mark.covers("recording", "js_vector_store_file.json")
def test_vector_store_file(replay: replays.Replay) -> None:
    replays.test_vector_store_files_answer_as_recorded(replay)


@pytest.mark.covers("recording", "py_include_file_search_results_stream.json")
def test_file_search_stream(service: Any) -> None:
    replays.test_a_file_search_stream_has_the_recorded_events(service)


@pytest.mark.covers("recording", "py_create_vector_store_batch_azure.json")
def test_batch_of_data_sources(shapes: Any) -> None:
    played: Shapes = shapes(Turns())
    for entry in recording("py_create_vector_store_batch_azure.json"):
        played.play(entry)


@pytest.mark.covers("recording", "py_code_interpreter_tool_streaming.json")
@needs_jail
def test_code_interpreter_stream(shapes: Any) -> None:
    code = ToolCall("call_1", "code_interpreter", json.dumps({"code": "print('Smart Eyewear')"}))
    played: Shapes = shapes(Turns(("I'll need to look into the file first.", code), ("It sees.", None)))
    for entry in recording("py_code_interpreter_tool_streaming.json"):
        if isinstance(entry["ResponseBody"], list):
            response = played.client.request(
                "POST", played.ours(entry["RequestPath"]), json=played.ours(entry["RequestBody"])
            )
            assert response.headers["content-type"].startswith("text/event-stream")
            omitted = {
                "thread.message.completed",
                "thread.run.step.completed",
                "thread.run.step.created",
                "thread.run.step.in_progress",
            }
            played.events(parse_events("".join(entry["ResponseBody"])), parse_events(response.text), omitted)
        else:
            played.play(entry)


@pytest.mark.covers("recording", "py_open_api_tool_step.json")
def test_openapi_step(shapes: Any) -> None:
    call = ToolCall(
        "call_1",
        "get_weather_GetCurrentWeather",
        json.dumps({"location": "Centralia, PA", "format": "j1"}),
    )
    played: Shapes = shapes(Turns(("", call), ("28 degrees.", None)))
    app = Starlette(routes=[Route("/{location}", lambda request: PlainTextResponse("{'FeelsLikeC': '28'}"))])
    with serve(app) as origin:
        location = {"name": "location", "in": "path", "required": True, "schema": {"type": "string"}}
        how = {"name": "format", "in": "query", "schema": {"type": "string"}}
        operation = {
            "operationId": "GetCurrentWeather",
            "parameters": [location, how],
            "responses": {"200": {"description": "The weather."}},
        }
        document = {
            "openapi": "3.1.0",
            "info": {"title": "weather", "version": "1"},
            "servers": [{"url": origin}],
            "paths": {"/{location}": {"get": operation}},
        }
        tool = {"name": "get_weather", "spec": document, "auth": {"type": "anonymous"}}
        with httpx.Client(
            base_url=played.client.base_url, params={"api-version": "v1"}, timeout=20
        ) as client:
            agent = client.post(
                "/assistants", json={"model": "m", "tools": [{"type": "openapi", "openapi": tool}]}
            ).json()
            thread = {"messages": [{"role": "user", "content": "What is the weather in Centralia, PA?"}]}
            run = client.post("/threads/runs", json={"assistant_id": agent["id"], "thread": thread}).json()
            wait_run(client, run, "completed")
        (entry,) = recording("py_open_api_tool_step.json")
        played.ids = {
            "thread_RmTYAbWBHl9gdUxJlGmdsVlV": run["thread_id"],
            "run_euChst6gTxHOXeU5HO1KbFjD": run["id"],
        }
        answer = played.send(entry)
    recorded = {**entry["ResponseBody"]["data"][0], "usage": ...}  # not read when it was recorded
    mine = {**next(step for step in answer["data"] if step["type"] == "tool_calls"), "usage": ...}
    played.same(recorded, mine)
    assert mine["step_details"]["tool_calls"][0]["function"]["name"] == call.name


@pytest.mark.covers("recording", "py_mcp_tool.json")
def test_mcp(shapes: Any) -> None:
    call = ToolCall("call_1", "fetch_azure_rest_api_docs", "{}")
    played: Shapes = shapes(Turns(("", call), ("It is about specifications.", None)))
    server = MCPServer("github", log_level="CRITICAL")
    server.tool(name="fetch_azure_rest_api_docs")(lambda: "# Documentation")
    server.tool(name="search_azure_rest_api_docs")(_search)
    with serve(server.streamable_http_app(stateless_http=True, json_response=True)) as origin:
        played.ids["https://gitmcp.io/Azure/azure-rest-api-specs"] = f"{origin}/mcp"
        for entry in recording("py_mcp_tool.json"):
            if entry["RequestPath"].partition("?")[0].endswith("/submit_tool_outputs"):
                asked = {"RequestMethod": "GET", "RequestBody": None, "StatusCode": 200}
                path = entry["RequestPath"].replace("/submit_tool_outputs", "")
                waiting = wait_for(
                    lambda asked=asked, path=path: (
                        (run := played.send({**asked, "RequestPath": path}))["required_action"] and run
                    )
                )
                (approval,) = entry["RequestBody"]["tool_approvals"]
                (mine,) = waiting["required_action"]["submit_tool_approval"]["tool_calls"]
                played.ids[approval["tool_call_id"]] = mine["id"]
            played.play(entry)


def _search(query: str) -> str:
    """Searches in the documentation."""
    return query


@pytest.mark.covers("recording", "py_azure_function_call.json")
def test_azure_function(shapes: Any, azurite: StorageAddresses) -> None:
    entries = recording("py_azure_function_call.json")
    (tool,) = entries[0]["RequestBody"]["tools"]
    queues = [
        tool["azure_function"][binding]["storage_queue"] for binding in ("input_binding", "output_binding")
    ]
    (call,) = entries[-4]["ResponseBody"]["data"][1]["step_details"]["tool_calls"]
    asked = ToolCall("1", "foo", call["azure_function"]["arguments"])
    account = StorageAccount(value=azurite.connection_string)
    settings = ToolSettings(storage={queues[0]["queue_service_endpoint"]: account})
    played: Shapes = shapes(Turns(("", asked), ("Foo says Bar.", None)), ServiceConfig(tools=settings))
    with FakeFunction(azurite, *(queue["queue_name"] for queue in queues), lambda arguments: "Bar"):
        for entry in entries:
            played.play(entry)
            if entry["RequestPath"].partition("?")[0].endswith("/runs"):
                run = {"id": entry["ResponseBody"]["id"], "thread_id": entry["ResponseBody"]["thread_id"]}
                with httpx.Client(base_url=played.client.base_url, params={"api-version": "v1"}) as client:
                    assert wait_run(client, played.ours(run))["status"] == "completed"
