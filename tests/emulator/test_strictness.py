"""Requests are validated against the published schemas, unless the service is loose."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agents_emulator.app import OPERATIONS, SUCCESSOR_OPERATIONS
from agents_emulator.errors import ServiceError
from agents_emulator.service import ServiceConfig
from agents_emulator.strictness import MAX_DEPTH, check_body, check_query, operation_names
from tests.emulator.helpers import RECORDINGS, Json, agent, needs_recordings, post, recording
from tests.support.derive_schemas import (
    AGENT_ANSWERS,
    ANSWERS,
    NAMES,
    REQUESTS,
    SPEC,
    derive,
    derive_agent_answers,
)
from tests.support.service import RunningService

MESSAGES = "/threads/thread_x/messages"


@pytest.mark.skipif(not SPEC.exists(), reason="the collected specification is not here")
def test_the_derived_schemas_are_up_to_date() -> None:
    requests, answers = derive()
    assert json.loads(REQUESTS.read_text(encoding="utf-8")) == requests
    assert json.loads(ANSWERS.read_text(encoding="utf-8")) == answers
    assert json.loads(AGENT_ANSWERS.read_text(encoding="utf-8")) == derive_agent_answers()


def test_every_operation_has_its_schema() -> None:
    known = json.loads(REQUESTS.read_text(encoding="utf-8"))["operations"]
    assert sorted(known) == sorted(operation.name for operation in OPERATIONS)
    assert {operation.name for operation in SUCCESSOR_OPERATIONS} <= set(operation_names())


@needs_recordings
def test_every_recorded_request_is_valid() -> None:
    checked = 0
    for path in sorted(RECORDINGS.glob("*.json")):
        for entry in recording(path.name):
            place, _, query = entry["RequestPath"].partition("?")
            name = _operation(entry["RequestMethod"], place)
            parameters = [tuple(part.split("=", 1)) for part in query.split("&")]
            check_query(name, [(key, value) for key, value in parameters if "%" not in value])
            if isinstance(entry["RequestBody"], dict):
                check_body(name, entry["RequestBody"])
                checked += 1
    assert checked > 30


def _operation(method: str, path: str) -> str:
    generic = re.sub(r"/[a-z]+(_|-)[A-Za-z0-9]{10,}", "/{}", re.sub(r"^/api/projects/[^/]+", "", path))
    return NAMES[method, generic]


@pytest.mark.parametrize(
    ("path", "body", "param", "code"),
    [
        ("/assistants", {}, "model", "missing_required_parameter"),
        ("/assistants", {"model": 1}, "model", "invalid_type"),
        ("/assistants", {"model": None}, "model", "invalid_type"),
        ("/assistants", {"model": "m", "temprature": 1}, "temprature", "unknown_parameter"),
        ("/assistants", {"model": "m", "tools": {}}, "tools", "invalid_type"),
        ("/assistants", {"model": "m", "tools": [{}]}, "tools[0].type", "missing_required_parameter"),
        (
            "/assistants",
            {
                "model": "m",
                "tools": [{"type": "file_search"}, {"type": "function", "function": {"name": "f"}}],
            },
            "tools[1].function.parameters",
            "missing_required_parameter",
        ),
        ("/assistants", {"model": "m", "metadata": {"a": 1}}, "metadata.a", "invalid_type"),
        ("/assistants", {"model": "m", "response_format": 3}, "response_format", "invalid_type"),
        (
            "/assistants",
            {"model": "m", "response_format": {"type": "json_schema", "json_schema": {"name": 1}}},
            "response_format.json_schema.name",
            "invalid_type",
        ),
        (MESSAGES, {"role": "system", "content": "x"}, "role", "invalid_value"),
        (MESSAGES, {"role": "user", "content": [{"type": "text"}]}, "content[0].text", None),
        (MESSAGES, {"role": "user", "content": 7}, "content", "invalid_type"),
        ("/threads/thread_x/runs", {"assistant_id": ["a"]}, "assistant_id", "invalid_type"),
        (
            "/threads/thread_x/runs",
            {"assistant_id": "a", "truncation_strategy": {"type": "newest"}},
            "truncation_strategy.type",
            "invalid_value",
        ),
        (
            "/vector_stores",
            {"expires_after": {"anchor": "created_at", "days": 1}},
            "expires_after.anchor",
            None,
        ),
        ("/vector_stores", {"file_ids": [1]}, "file_ids[0]", "invalid_type"),
    ],
)
def test_a_refusal_names_the_parameter(
    shared: RunningService, path: str, body: Json, param: str, code: str | None
) -> None:
    with shared.http() as client:
        error = post(client, path, body, status=400)["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert param.rpartition(".")[2] in error["message"]
    assert code is None or error["code"] == code


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "many"}, "limit"),
        ({"order": "up"}, "order"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
    ],
)
def test_query_parameters_are_checked(shared: RunningService, query: Json, param: str) -> None:
    with shared.http() as client:
        response = client.get("/assistants", params={"api-version": "v1", **query})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_an_unknown_include_is_refused(shared: RunningService) -> None:
    with pytest.raises(ServiceError) as refused:
        check_query("run_steps.list", [("include[]", "everything")])
    assert refused.value.body["error"]["param"] == "include[]"


def test_values_the_document_leaves_open_pass(shared: RunningService) -> None:
    with shared.http() as client:
        created = post(
            client,
            "/assistants",
            {
                "model": "m",
                "name": None,
                "tools": [
                    {"type": "not_yet_known", "anything": {"x": 1}},
                    {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}},
                ],
            },
        )
    assert created["tools"][0] == {"type": "not_yet_known", "anything": {"x": 1}}


def test_a_loose_service_takes_what_it_understands(service: Any) -> None:
    with service(config=ServiceConfig(strict=False)).http() as client:
        identifier = agent(
            client, temprature=1, tools=[{"type": "function", "function": {"name": "without_parameters"}}]
        )
        post(client, f"/assistants/{identifier}", {"nonsense": True})


def test_deep_json_is_refused(shared: RunningService) -> None:
    def nested(levels: int) -> str:
        return '{"model": "m", "metadata": ' + "[" * levels + "]" * levels + "}"

    with shared.http() as client:
        for levels in (MAX_DEPTH, 900, 5_000, 200_000):
            response = client.post(
                "/assistants", content=nested(levels), headers={"content-type": "application/json"}
            )
            assert response.status_code == 400, levels
            assert response.json()["error"]["code"] == "invalid_json"


def test_limits_hold(shared: RunningService) -> None:
    tool = {"type": "code_interpreter"}
    with shared.http() as client:
        for body, param in [
            ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
            ({"metadata": {"k" * 65: ""}}, "metadata"),
            ({"metadata": {"k": "v" * 513}}, "metadata"),
            ({"tools": [tool] * 129}, "tools"),
            (
                {"tool_resources": {"code_interpreter": {"file_ids": ["f"] * 21}}},
                "tool_resources.code_interpreter.file_ids",
            ),
            (
                {"tool_resources": {"file_search": {"vector_store_ids": ["a", "b"]}}},
                "tool_resources.file_search.vector_store_ids",
            ),
        ]:
            assert post(client, "/assistants", {"model": "m", **body}, status=400)["error"]["param"] == param
        store = post(client, "/vector_stores", {"name": "s"})["id"]
        files = {"file_ids": [f"assistant-{n}" for n in range(501)]}
        assert post(client, "/vector_stores", files, status=400)["error"]["param"] == "file_ids"
        batch = post(client, f"/vector_stores/{store}/file_batches", files, status=400)
        assert batch["error"]["param"] == "file_ids"
        for size, overlap in [(99, 10), (4097, 10), (200, 101)]:
            static = {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap}
            strategy = {"file_ids": [], "chunking_strategy": {"type": "static", "static": static}}
            error = post(client, "/vector_stores", strategy, status=400)["error"]
            assert error["param"] == "chunking_strategy"


def test_a_full_thread_takes_no_message(shared: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents_emulator.resources.messages.MAX_THREAD_MESSAGES", 2)
    message = {"role": "user", "content": "x"}
    with shared.http() as client:
        thread = post(client, "/threads", {"messages": [message, message]})["id"]
        assert "A thread holds 2 messages at most" in str(
            post(client, f"/threads/{thread}/messages", message, status=400)
        )
