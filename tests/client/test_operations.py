"""Every operation of the spec: method, path, query and body as they go out, and the model that comes back."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks import wire
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.errors import ConfigurationError, TransportError
from tests.client.conftest import AGENT, RUN, Network

SPEC = Path(__file__).parents[3] / "shared" / "wire" / "spec" / "openapi-2025-05-15-preview.json"

THREAD = {"id": "thread_1", "object": "thread", "created_at": 1}
MESSAGE = {
    "id": "msg_1",
    "object": "thread.message",
    "created_at": 1,
    "thread_id": "thread_1",
    "role": "user",
}
STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "type": "message_creation",
    "thread_id": "thread_1",
    "run_id": "run_1",
    "status": "completed",
    "created_at": 1,
    "step_details": {"type": "message_creation", "message_creation": {"message_id": "msg_1"}},
}
FILE = {
    "id": "assistant-1",
    "object": "file",
    "bytes": 1,
    "filename": "a.txt",
    "created_at": 1,
    "purpose": "assistants",
}
COUNTS = {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
STORE = {
    "id": "vs_1",
    "object": "vector_store",
    "created_at": 1,
    "status": "completed",
    "file_counts": COUNTS,
}
STORE_FILE = {
    "id": "assistant-1",
    "object": "vector_store.file",
    "created_at": 1,
    "vector_store_id": "vs_1",
    "status": "completed",
}
BATCH = {**STORE, "id": "vsfb_1", "object": "vector_store.file_batch", "vector_store_id": "vs_1"}
FILE_BATCH = "/vector_stores/vs_1/file_batches"


def page(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [item],
        "first_id": item["id"],
        "last_id": item["id"],
        "has_more": False,
    }


def gone(kind: str, id: str) -> dict[str, Any]:
    return {"id": id, "object": kind, "deleted": True}


async def every(items: Any) -> Any:
    return [item async for item in items]


Operation = tuple[
    str, str, Callable[[AsyncAgentsClient], Awaitable[Any]], dict[str, Any], type[wire.WireModel]
]
OPERATIONS: list[Operation] = [
    ("POST", "/assistants", lambda c: c.agents.create(model="m"), AGENT, wire.Agent),
    ("GET", "/assistants", lambda c: every(c.agents.list()), page(AGENT), wire.Agent),
    ("GET", "/assistants/asst_1", lambda c: c.agents.get("asst_1"), AGENT, wire.Agent),
    ("POST", "/assistants/asst_1", lambda c: c.agents.update("asst_1", name="n"), AGENT, wire.Agent),
    (
        "DELETE",
        "/assistants/asst_1",
        lambda c: c.agents.delete("asst_1"),
        gone("assistant.deleted", "asst_1"),
        wire.AgentDeletionStatus,
    ),
    ("POST", "/threads", lambda c: c.threads.create(), THREAD, wire.AgentThread),
    ("GET", "/threads", lambda c: every(c.threads.list()), page(THREAD), wire.AgentThread),
    ("GET", "/threads/thread_1", lambda c: c.threads.get("thread_1"), THREAD, wire.AgentThread),
    (
        "POST",
        "/threads/thread_1",
        lambda c: c.threads.update("thread_1", metadata={}),
        THREAD,
        wire.AgentThread,
    ),
    (
        "DELETE",
        "/threads/thread_1",
        lambda c: c.threads.delete("thread_1"),
        gone("thread.deleted", "thread_1"),
        wire.ThreadDeletionStatus,
    ),
    (
        "POST",
        "/threads/thread_1/messages",
        lambda c: c.messages.create("thread_1", role="user", content="x"),
        MESSAGE,
        wire.ThreadMessage,
    ),
    (
        "GET",
        "/threads/thread_1/messages",
        lambda c: every(c.messages.list("thread_1", run_id="run_1")),
        page(MESSAGE),
        wire.ThreadMessage,
    ),
    (
        "GET",
        "/threads/thread_1/messages/msg_1",
        lambda c: c.messages.get("thread_1", "msg_1"),
        MESSAGE,
        wire.ThreadMessage,
    ),
    (
        "POST",
        "/threads/thread_1/messages/msg_1",
        lambda c: c.messages.update("thread_1", "msg_1", metadata={}),
        MESSAGE,
        wire.ThreadMessage,
    ),
    (
        "DELETE",
        "/threads/thread_1/messages/msg_1",
        lambda c: c.messages.delete("thread_1", "msg_1"),
        gone("thread.message.deleted", "msg_1"),
        wire.MessageDeletionStatus,
    ),
    (
        "POST",
        "/threads/runs",
        lambda c: c.runs.create_thread_and_run(assistant_id="asst_1"),
        RUN,
        wire.ThreadRun,
    ),
    (
        "POST",
        "/threads/thread_1/runs",
        lambda c: c.runs.create("thread_1", assistant_id="asst_1"),
        RUN,
        wire.ThreadRun,
    ),
    ("GET", "/threads/thread_1/runs", lambda c: every(c.runs.list("thread_1")), page(RUN), wire.ThreadRun),
    ("GET", "/threads/thread_1/runs/run_1", lambda c: c.runs.get("thread_1", "run_1"), RUN, wire.ThreadRun),
    (
        "POST",
        "/threads/thread_1/runs/run_1",
        lambda c: c.runs.update("thread_1", "run_1", metadata={}),
        RUN,
        wire.ThreadRun,
    ),
    (
        "POST",
        "/threads/thread_1/runs/run_1/cancel",
        lambda c: c.runs.cancel("thread_1", "run_1"),
        RUN,
        wire.ThreadRun,
    ),
    (
        "POST",
        "/threads/thread_1/runs/run_1/submit_tool_outputs",
        lambda c: c.runs.submit_tool_outputs(
            "thread_1", "run_1", [wire.ToolOutput(tool_call_id="c", output="o")]
        ),
        RUN,
        wire.ThreadRun,
    ),
    (
        "GET",
        "/threads/thread_1/runs/run_1/steps",
        lambda c: every(c.run_steps.list("thread_1", "run_1")),
        page(STEP),
        wire.RunStep,
    ),
    (
        "GET",
        "/threads/thread_1/runs/run_1/steps/step_1",
        lambda c: c.run_steps.get("thread_1", "run_1", "step_1"),
        STEP,
        wire.RunStep,
    ),
    ("GET", "/files", lambda c: every(c.files.list()), {"object": "list", "data": [FILE]}, wire.FileInfo),
    ("POST", "/files", lambda c: c.files.upload(b"x", "a.txt"), FILE, wire.FileInfo),
    ("GET", "/files/assistant-1", lambda c: c.files.get("assistant-1"), FILE, wire.FileInfo),
    (
        "DELETE",
        "/files/assistant-1",
        lambda c: c.files.delete("assistant-1"),
        gone("file", "assistant-1"),
        wire.FileDeletionStatus,
    ),
    ("POST", "/vector_stores", lambda c: c.vector_stores.create(), STORE, wire.VectorStore),
    ("GET", "/vector_stores", lambda c: every(c.vector_stores.list()), page(STORE), wire.VectorStore),
    ("GET", "/vector_stores/vs_1", lambda c: c.vector_stores.get("vs_1"), STORE, wire.VectorStore),
    (
        "POST",
        "/vector_stores/vs_1",
        lambda c: c.vector_stores.update("vs_1", name="n"),
        STORE,
        wire.VectorStore,
    ),
    (
        "DELETE",
        "/vector_stores/vs_1",
        lambda c: c.vector_stores.delete("vs_1"),
        gone("vector_store.deleted", "vs_1"),
        wire.VectorStoreDeletionStatus,
    ),
    (
        "POST",
        "/vector_stores/vs_1/files",
        lambda c: c.vector_store_files.create("vs_1", file_id="assistant-1"),
        STORE_FILE,
        wire.VectorStoreFile,
    ),
    (
        "GET",
        "/vector_stores/vs_1/files",
        lambda c: every(c.vector_store_files.list("vs_1")),
        page(STORE_FILE),
        wire.VectorStoreFile,
    ),
    (
        "GET",
        "/vector_stores/vs_1/files/assistant-1",
        lambda c: c.vector_store_files.get("vs_1", "assistant-1"),
        STORE_FILE,
        wire.VectorStoreFile,
    ),
    (
        "DELETE",
        "/vector_stores/vs_1/files/assistant-1",
        lambda c: c.vector_store_files.delete("vs_1", "assistant-1"),
        gone("vector_store.file.deleted", "assistant-1"),
        wire.VectorStoreFileDeletionStatus,
    ),
    (
        "POST",
        FILE_BATCH,
        lambda c: c.vector_store_file_batches.create("vs_1", file_ids=["assistant-1"]),
        BATCH,
        wire.VectorStoreFileBatch,
    ),
    (
        "GET",
        f"{FILE_BATCH}/vsfb_1",
        lambda c: c.vector_store_file_batches.get("vs_1", "vsfb_1"),
        BATCH,
        wire.VectorStoreFileBatch,
    ),
    (
        "POST",
        f"{FILE_BATCH}/vsfb_1/cancel",
        lambda c: c.vector_store_file_batches.cancel("vs_1", "vsfb_1"),
        BATCH,
        wire.VectorStoreFileBatch,
    ),
    (
        "GET",
        f"{FILE_BATCH}/vsfb_1/files",
        lambda c: every(c.vector_store_file_batches.list_files("vs_1", "vsfb_1")),
        page(STORE_FILE),
        wire.VectorStoreFile,
    ),
]


@pytest.mark.parametrize(("method", "path", "call", "answer", "model"), OPERATIONS)
async def test_operation(
    network: Network,
    method: str,
    path: str,
    call: Callable[[AsyncAgentsClient], Awaitable[Any]],
    answer: dict[str, Any],
    model: type[wire.WireModel],
) -> None:
    network.answers = [httpx.Response(200, json=answer)]
    result = await call(network.client(api_version="2025-05-15-preview"))
    [request] = network.requests
    assert (request.method, request.url.path) == (method, f"/api/projects/local{path}")
    assert request.url.params["api-version"] == "2025-05-15-preview"
    found = result[0] if isinstance(result, list) else result
    assert type(found) is model
    assert found.to_wire() == (answer["data"][0] if "data" in answer else answer)


@pytest.mark.skipif(not SPEC.exists(), reason="the spec is not at hand")
def test_every_operation_of_the_spec_is_there() -> None:
    covered = {(method, path) for method, path, *_ in OPERATIONS}
    covered.add(("GET", "/files/assistant-1/content"))  # tested with the uploads
    spec = {
        (method.upper(), path)
        for path, operations in json.loads(SPEC.read_text())["paths"].items()
        for method in operations
    }
    assert len(spec) == 42
    for method, path in spec:
        pattern = re.sub(r"\{\w+\}", "[a-z]+[_-]1", path)
        assert any(m == method and re.fullmatch(pattern, p) for m, p in covered), f"{method} {path}"
    assert len(covered) == len(spec)


async def test_request_model_and_fields_send_the_same(network: Network) -> None:
    network.answers = [httpx.Response(200, json=AGENT)]
    client = network.client()
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    await client.agents.create(model="m", instructions=None, tools=[tool])
    await client.agents.create(
        wire.CreateAgentRequest(
            model="m",
            instructions=None,
            tools=[
                wire.FunctionToolDefinition(
                    function=wire.FunctionDefinition(name="f", parameters={"type": "object"})
                )
            ],
        )
    )
    first, second = (json.loads(request.content) for request in network.requests)
    assert first == second == {"model": "m", "instructions": None, "tools": [tool]}


async def test_misspelt_field_is_refused_before_anything_is_sent(network: Network) -> None:
    with pytest.raises(TypeError, match="instuctions"):
        await network.client().agents.create(model="m", instuctions="x")
    with pytest.raises(TypeError, match="not both"):
        await network.client().agents.create(wire.CreateAgentRequest(model="m"), model="m")
    assert network.requests == []


async def test_streamed_or_not_is_decided_by_the_method(network: Network) -> None:
    network.answers = [httpx.Response(200, json=RUN)]
    await network.client().runs.create("thread_1", wire.CreateRunRequest(assistant_id="a", stream=True))
    assert json.loads(network.requests[0].content)["stream"] is False


async def test_include_goes_into_the_query(network: Network) -> None:
    network.answers = [httpx.Response(200, json=STEP)]
    include = [wire.RunAdditionalFieldList.FILE_SEARCH_CONTENTS]
    await network.client().run_steps.get("thread_1", "run_1", "step_1", include=include)
    query = network.requests[0].url.params
    assert query.get_list("include[]") == ["step_details.tool_calls[*].file_search.results[*].content"]


@pytest.mark.parametrize("bad", ["", " ", ".", ".."])
async def test_id_that_leads_elsewhere_is_refused(network: Network, bad: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        await network.client().agents.delete(bad)
    assert network.requests == []


async def test_id_is_quoted(network: Network) -> None:
    network.answers = [httpx.Response(200, json=AGENT)]
    await network.client().agents.get("a/../b?x=1#y")
    assert network.requests[0].url.raw_path.startswith(
        b"/api/projects/local/assistants/a%2F..%2Fb%3Fx%3D1%23y?"
    )


async def test_approvals_are_sent(network: Network) -> None:
    network.answers = [httpx.Response(200, json=RUN)]
    approval = {"tool_call_id": "c", "approve": True, "headers": {"a": "b"}}
    await network.client().runs.submit_tool_outputs("thread_1", "run_1", tool_approvals=[approval])
    assert json.loads(network.requests[0].content) == {"stream": False, "tool_approvals": [approval]}


async def test_messages_are_deleted_in_the_preview_only(network: Network) -> None:
    with pytest.raises(ConfigurationError, match="2025-05-15-preview") as caught:
        await network.client().messages.delete("thread_1", "msg_1")
    assert caught.value.setting == "api_version"
    assert network.requests == []


async def test_last_message_by_role(network: Network) -> None:
    network.answers = [
        httpx.Response(200, json={**page(MESSAGE), "data": [MESSAGE, {**MESSAGE, "role": "assistant"}]})
    ]
    messages = network.client().messages
    found = await messages.get_last_message_by_role("thread_1", "assistant")
    assert found is not None
    assert found.role == "assistant"


async def test_last_message_text_by_role(network: Network) -> None:
    picture = {
        **MESSAGE,
        "role": "assistant",
        "content": [{"type": "image_file", "image_file": {"file_id": "f"}}],
    }
    texts = [{"type": "text", "text": {"value": value, "annotations": []}} for value in ("first", "last")]
    said = {**MESSAGE, "role": "assistant", "content": texts}
    network.answers = [httpx.Response(200, json={**page(MESSAGE), "data": [picture, MESSAGE, said]})]
    found = await network.client().messages.get_last_message_text_by_role("thread_1", "assistant")
    assert found is not None
    assert found.text.value == "last"


async def test_any_request_can_be_sent(network: Network) -> None:
    network.answers = [httpx.Response(200, json={"object": "novelty"})]
    client = network.client()
    answer = await client.send_request("POST", "/novelties/n_1", body={"a": 1}, params={"limit": 2})
    assert answer == {"object": "novelty"}
    (request,) = network.requests
    assert request.url.path.endswith("/novelties/n_1")
    assert dict(request.url.params)["limit"] == "2"
    assert "api-version" in request.url.params
    assert json.loads(request.content) == {"a": 1}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "assistants",
        "//elsewhere.example/a",
        "/a/../../b",
        "/a/%2e%2e/b",
        "/a//b",
        "/a?b=c",
        "/a#b",
        "/a\\b",
        "/",
    ],
)
async def test_a_request_stays_within_the_project(network: Network, path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        await network.client().send_request("GET", path)
    assert network.requests == []


async def test_a_request_of_ones_own_is_not_repeated_if_it_creates(network: Network) -> None:
    network.answers = [httpx.ReadTimeout("late")]
    with pytest.raises(TransportError) as caught:
        await network.client().send_request("POST", "/novelties")
    assert caught.value.outcome_unknown
    assert len(network.requests) == 1
