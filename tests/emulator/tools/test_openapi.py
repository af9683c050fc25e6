"""OpenAPI tools: operations really called, credentials from the tools file, failures as outputs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from agents_emulator.server import listen
from tests.emulator.helpers import Json, agent, needs_recordings, post, recording, stream, turn, wait_run
from tests.emulator.tools.conftest import Turns, rules_for
from tests.support.service import RunningService

OPERATIONS = ("GetItem", "AddItem", "Moved", "Away", "Broken", "Huge", "Slow")


async def _echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "id": request.path_params["id"],
            "query": request.query_params.multi_items(),
            "tag": request.headers.get("x-tag"),
            "key": request.headers.get("x-api-key"),
            "authorization": request.headers.get("authorization"),
            "body": json.loads(body) if body else None,
        }
    )


async def _slow(request: Request) -> Response:
    await asyncio.sleep(5)
    return PlainTextResponse("late")


@contextlib.contextmanager
def serve(app: Any) -> Iterator[str]:
    """Serve an application in a thread; yields its origin."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    app = Starlette(
        routes=[
            Route("/v1/items/{id:path}", _echo, methods=["GET", "POST"]),
            Route("/v1/moved", lambda request: RedirectResponse("/v1/items/7")),
            Route("/v1/away", lambda request: RedirectResponse("http://127.0.0.2:1/v1/items/7")),
            Route("/v1/broken", lambda request: PlainTextResponse("no such thing", 404)),
            Route("/v1/huge", lambda request: PlainTextResponse("x" * 50_000)),
            Route("/v1/slow", _slow),
        ]
    )
    with serve(app) as address:
        yield address


def tool(origin: str, auth: Json | None = None, **fields: Any) -> Json:
    """Definition of a tool `shop` over the test server."""
    item_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    query = {"name": "q", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}}
    lang = {"name": "lang", "in": "query", "schema": {"type": "string", "default": "en"}}
    paths: Json = {
        "/items/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "operationId": "GetItem",
                "parameters": [query, lang, {"name": "X-Tag", "in": "header", "schema": {"type": "string"}}],
            },
            "post": {
                "operationId": "AddItem",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}},
                },
            },
        },
        **{f"/{name.lower()}": {"get": {"operationId": name}} for name in OPERATIONS[2:]},
    }
    item = {"type": "object", "properties": {"name": {"type": "string"}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": f"{origin}/{{version}}", "variables": {"version": {"default": "v1"}}}],
        "paths": paths,
        "components": {"parameters": {"Id": item_id}, "schemas": {"Item": item}},
    }
    details = {"name": "shop", "spec": document, "auth": auth or {"type": "anonymous"}, **fields}
    return {"type": "openapi", "openapi": details}


@pytest.fixture(scope="module")
def running(start: Any) -> RunningService:
    started: RunningService = start(
        rules_for(*(f"shop_{name}" for name in OPERATIONS)),
        connections={"keys": {"header": "x-api-key", "value": "k-1", "hosts": ["127.0.0.1"]}},
        managed_identity={"api://shop": {"value": "t-1", "hosts": ["127.0.0.1"]}},
        request_seconds=1.0,
        response_bytes=20_000,
    )
    return started


@pytest.fixture
def turns(running: RunningService, origin: str) -> Iterator[Turns]:
    with running.http() as client:
        yield Turns(client, agent(client, tools=[tool(origin)]))


def output(call: Json) -> str:
    text: str = call["function"]["output"]
    return text


def test_parameters_go_to_path_query_and_header_and_the_step_is_as_recorded(turns: Turns) -> None:
    call = turns.call("shop_GetItem", {"id": "a/b ?", "q": ["x", "y"], "X-Tag": "t"})
    assert list(call) == ["id", "type", "function"]
    assert call["type"] == "openapi"
    assert call["function"]["name"] == "shop_GetItem"
    seen = json.loads(turns.answer_text())
    assert seen["id"] == "a/b ?"
    assert seen["query"] == [["q", "x"], ["q", "y"], ["lang", "en"]]
    assert seen["tag"] == "t"
    assert output(call) == str(seen), "recorded: JSON is shown as the text of a Python value"
    assert turns.run["status"] == "completed"


@needs_recordings
def test_the_step_has_the_recorded_keys(turns: Turns) -> None:
    recorded = recording("py_open_api_tool_step.json")[0]["ResponseBody"]["data"][0]
    turns.call("shop_GetItem", {"id": "1"})
    mine = next(step for step in turns.steps() if step["type"] == "tool_calls")
    assert list(mine) == list(recorded)
    theirs = recorded["step_details"]["tool_calls"][0]
    ours = mine["step_details"]["tool_calls"][0]
    assert list(ours) == list(theirs)
    assert list(ours["function"]) == list(theirs["function"])


def test_a_body_is_sent_as_json(turns: Turns) -> None:
    turns.call("shop_AddItem", {"id": "1", "body": {"name": "chair"}})
    assert json.loads(turns.answer_text())["body"] == {"name": "chair"}


def test_a_redirect_stays_on_the_host(turns: Turns) -> None:
    turns.call("shop_Moved", {})
    assert json.loads(turns.answer_text())["id"] == "7"
    turns.call("shop_Away", {})
    assert "leads to another host (127.0.0.2)" in turns.answer_text()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("shop_Broken", "{}", "answered 404: no such thing"),
        ("shop_Huge", "{}", "larger than 20000 bytes"),
        ("shop_Slow", "{}", "TimeoutError"),
        ("shop_GetItem", "{}", "The argument 'id' is missing."),
        ("shop_AddItem", '{"id": "1"}', "The argument 'body' is missing."),
        ("shop_GetItem", "null", "The argument 'id' is missing."),
        ("shop_GetItem", "[1]", "must be a JSON object"),
        ("shop_GetItem", "no json", "are not JSON"),
    ],
)
def test_failures_are_outputs(turns: Turns, name: str, arguments: str, message: str) -> None:
    call = turns.call(name, arguments)
    assert message in json.loads(output(call))["error"]
    assert turns.run["status"] == "completed"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "connection", "security_scheme": {"connection_id": "keys"}}, "key", "k-1"),
        (
            {"type": "managed_identity", "security_scheme": {"audience": "api://shop"}},
            "authorization",
            "Bearer t-1",
        ),
    ],
)
def test_credentials_come_from_the_tools_file(
    running: RunningService, origin: str, auth: Json, header: str, value: str
) -> None:
    with running.http() as client:
        turns = Turns(client, agent(client, tools=[tool(origin, auth)]))
        turns.call("shop_GetItem", {"id": "1"})
        assert json.loads(turns.answer_text())[header] == value
        unknown = {**auth, "security_scheme": dict.fromkeys(auth["security_scheme"], "?")}
        turns = Turns(client, agent(client, tools=[tool(origin, unknown)]))
        turns.call("shop_GetItem", {"id": "1"})
        assert "The tools file has no" in turns.answer_text()


def test_only_http_is_spoken(running: RunningService) -> None:
    with running.http() as client:
        turns = Turns(client, agent(client, tools=[tool("file:///etc")]))
        turns.call("shop_GetItem", {"id": "passwd"})
        assert "neither http nor https" in turns.answer_text()


def test_a_document_without_operation_ids_fails_the_run(running: RunningService, origin: str) -> None:
    broken = tool(origin)
    del broken["openapi"]["spec"]["paths"]["/huge"]["get"]["operationId"]
    with running.http() as client:
        run = wait_run(client, post(client, "/threads/runs", turn(agent(client, tools=[broken]), "hi")))
    assert run["last_error"]["code"] == "invalid_tools"
    assert "GET /huge has no operationId" in run["last_error"]["message"]


def test_default_parameters_are_not_the_models(start: Any, origin: str) -> None:
    rules = {"default": {"reply": {"text": "ok"}}}
    with start(rules).http() as client:
        plain = agent(client, tools=[tool(origin)])
        fewer = agent(client, tools=[tool(origin, default_params=["lang"])])
        used = [
            wait_run(client, post(client, "/threads/runs", turn(a, "hi")))["usage"] for a in (plain, fewer)
        ]
    assert used[1]["prompt_tokens"] < used[0]["prompt_tokens"]


def test_a_stream_shows_the_call_and_its_output(turns: Turns) -> None:
    events = stream(turns.client, "/threads/runs", turn(turns.agent_id, 'call shop_GetItem {"id": "1"}'))
    deltas = [body["delta"]["step_details"] for name, body in events if name == "thread.run.step.delta"]
    assert [delta["type"] for delta in deltas] == ["openapi", "openapi"]
    first, second = (delta["tool_calls"][0] for delta in deltas)
    assert first["openapi"] == {"name": "shop_GetItem", "arguments": '{"id": "1"}'}
    assert "'id': '1'" in second["openapi"]["output"]
