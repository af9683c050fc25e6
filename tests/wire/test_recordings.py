"""Recorded traffic of the real service parses into the wire models and dumps back to the same JSON."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks import wire

RECORDINGS = Path(__file__).parents[3] / "shared" / "wire" / "recordings"

# One place that says which model an answer has: (method, pattern of the path, model).
ID = "[^/]+"
ANSWERS: list[tuple[str, str, type[wire.WireModel]]] = [
    ("POST", "/assistants", wire.Agent),
    ("GET", "/assistants", wire.ListPage[wire.Agent]),
    ("GET|POST", f"/assistants/{ID}", wire.Agent),
    ("DELETE", f"/assistants/{ID}", wire.AgentDeletionStatus),
    ("GET", "/files", wire.FileListResponse),
    ("POST", "/files", wire.FileInfo),
    ("GET", f"/files/{ID}", wire.FileInfo),
    ("DELETE", f"/files/{ID}", wire.FileDeletionStatus),
    ("POST", "/threads", wire.AgentThread),
    ("POST", "/threads/runs", wire.ThreadRun),
    ("GET|POST", f"/threads/{ID}", wire.AgentThread),
    ("DELETE", f"/threads/{ID}", wire.ThreadDeletionStatus),
    ("POST", f"/threads/{ID}/messages", wire.ThreadMessage),
    ("GET", f"/threads/{ID}/messages", wire.ListPage[wire.ThreadMessage]),
    ("GET|POST", f"/threads/{ID}/messages/{ID}", wire.ThreadMessage),
    ("POST", f"/threads/{ID}/runs", wire.ThreadRun),
    ("GET", f"/threads/{ID}/runs", wire.ListPage[wire.ThreadRun]),
    ("GET|POST", f"/threads/{ID}/runs/{ID}", wire.ThreadRun),
    ("POST", f"/threads/{ID}/runs/{ID}/(cancel|submit_tool_outputs)", wire.ThreadRun),
    ("GET", f"/threads/{ID}/runs/{ID}/steps", wire.ListPage[wire.RunStep]),
    ("GET", f"/threads/{ID}/runs/{ID}/steps/{ID}", wire.RunStep),
    ("POST", "/vector_stores", wire.VectorStore),
    ("GET|POST", f"/vector_stores/{ID}", wire.VectorStore),
    ("DELETE", f"/vector_stores/{ID}", wire.VectorStoreDeletionStatus),
    ("POST", f"/vector_stores/{ID}/files", wire.VectorStoreFile),
    ("GET", f"/vector_stores/{ID}/files", wire.ListPage[wire.VectorStoreFile]),
    ("GET", f"/vector_stores/{ID}/files/{ID}", wire.VectorStoreFile),
    ("DELETE", f"/vector_stores/{ID}/files/{ID}", wire.VectorStoreFileDeletionStatus),
    ("POST", f"/vector_stores/{ID}/file_batches", wire.VectorStoreFileBatch),
    ("GET", f"/vector_stores/{ID}/file_batches/{ID}", wire.VectorStoreFileBatch),
]

REQUESTS: list[tuple[str, type[wire.WireModel]]] = [
    ("/assistants", wire.CreateAgentRequest),
    ("/threads", wire.CreateThreadRequest),
    ("/threads/runs", wire.CreateThreadAndRunRequest),
    (f"/threads/{ID}/messages", wire.CreateMessageRequest),
    (f"/threads/{ID}/runs", wire.CreateRunRequest),
    (f"/threads/{ID}/runs/{ID}/submit_tool_outputs", wire.SubmitToolOutputsRequest),
    ("/vector_stores", wire.CreateVectorStoreRequest),
    (f"/vector_stores/{ID}/files", wire.CreateVectorStoreFileRequest),
    (f"/vector_stores/{ID}/file_batches", wire.CreateVectorStoreFileBatchRequest),
]


def entries() -> Iterator[Any]:
    for file in sorted(RECORDINGS.glob("*.json")):
        for number, entry in enumerate(json.loads(file.read_text())["Entries"]):
            path = entry["RequestPath"].split("?")[0]
            yield pytest.param(entry, path, id=f"{file.stem}-{number}-{entry['RequestMethod']}-{path}")


ENTRIES = list(entries())
needs_recordings = pytest.mark.skipif(not ENTRIES, reason="the recordings are not at hand")


def round_trip(model: type[wire.WireModel], body: Any) -> wire.WireModel:
    parsed = model.model_validate(body)
    assert parsed.model_dump(mode="json", exclude_unset=True) == body
    assert parsed.to_wire() == body
    return parsed


def frames(body: list[str] | str) -> Iterator[tuple[str, str]]:
    text = "\n".join(body) if isinstance(body, list) else body
    yield from re.findall(r"event: (\S+)\s+data: (.*)", text)


@needs_recordings
@pytest.mark.parametrize(("entry", "path"), ENTRIES)
def test_recorded_answer_survives_a_round_trip(entry: dict[str, Any], path: str) -> None:
    body = entry["ResponseBody"]
    if entry["StatusCode"] >= 400:
        round_trip(wire.AgentV1Error, body)
    elif isinstance(body, dict):
        models = [
            m
            for method, at, m in ANSWERS
            if re.fullmatch(method, entry["RequestMethod"]) and re.fullmatch(at, path)
        ]
        round_trip(models[-1] if path != "/threads/runs" else wire.ThreadRun, body)
    else:
        events = list(frames(body))
        assert len(events) > 5
        assert events[-1] == ("done", "[DONE]")
        for name, data in events:
            event = wire.parse_event(name, data)
            assert event.event == name
            if name != "done":
                assert type(event.data) is not wire.WireModel
                assert isinstance(event.data, wire.WireModel)
                assert event.data.to_wire() == json.loads(data)


@needs_recordings
@pytest.mark.parametrize(("entry", "path"), ENTRIES)
def test_recorded_request_survives_a_round_trip(entry: dict[str, Any], path: str) -> None:
    body = entry["RequestBody"]
    models = [model for at, model in REQUESTS if entry["RequestMethod"] == "POST" and re.fullmatch(at, path)]
    if isinstance(body, dict) and models:
        round_trip(models[0], body)
    else:
        assert not isinstance(body, dict), f"no request model for {path}"
