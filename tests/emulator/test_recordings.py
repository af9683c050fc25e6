"""Recorded requests, sent again: the answers have the recorded keys, in the recorded order, and values."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.emulator.helpers import (
    ENDED,
    Json,
    needs_recordings,
    parse_events,
    recording,
    stream,
    upload,
    wait_for,
    wait_run,
)

pytestmark = needs_recordings

_ID = re.compile(r"^((asst|thread|msg|run|step|call|vs|vsfb)_\w+|assistant-\w+)$")
# What differs from one run of the same requests to the next.
_FREE = {"usage_bytes", "score", "value", "text", "prompt_tokens", "completion_tokens", "total_tokens"}
RULES: Json = {
    "rules": [
        {
            "when": {"message": "time", "tool_results": False},
            "reply": {"tool_calls": [{"name": "fetch_current_datetime_recordings", "arguments": {}}]},
        },
        {"when": {"message": "time"}, "reply": {"text": "Hello! It is {{ results[0].current_time }}."}},
    ],
    "default": {"reply": {"text": "A joke."}, "delay": 0.15},
}


class Replay:
    """Sends recorded requests, with our ids in the place of the recorded ones."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.ids: dict[str, str] = {}

    def ours(self, value: Any) -> Any:
        """The value with recorded ids replaced."""
        if isinstance(value, dict):
            return {key: self.ours(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.ours(item) for item in value]
        if isinstance(value, str):
            for recorded, mine in self.ids.items():
                value = value.replace(recorded, mine)
        return value

    def same(self, recorded: Any, mine: Any, where: str = "") -> None:
        """Fail where our answer differs from the recorded one; learns which id is which."""
        if isinstance(recorded, dict):
            assert isinstance(mine, dict), where
            assert list(mine) == list(recorded), where
            for key, value in recorded.items():
                self.same(value, mine[key], f"{where}.{key}")
        elif isinstance(recorded, list):
            assert isinstance(mine, list), where
            assert len(mine) == len(recorded), where
            for index, value in enumerate(recorded):
                self.same(value, mine[index], f"{where}[{index}]")
        elif isinstance(recorded, str) and _ID.match(recorded):
            assert _ID.match(mine), f"{where}: {mine}"
            assert len(mine) == len(recorded), f"{where}: {mine}"
            assert self.ids.setdefault(recorded, mine) == mine, where
        elif where.endswith("_at") or where.rpartition(".")[2] in _FREE:
            assert type(mine) is type(recorded), f"{where}: {mine}"
        else:
            assert mine == recorded, where

    def send(self, entry: Json) -> Any:
        """Send the recorded request; returns the answer."""
        path = self.ours(entry["RequestPath"])
        if entry["RequestMethod"] == "POST" and path.startswith("/files"):
            return {"id": upload(self.client, "filename.txt", b"fileContent")}
        response = self.client.request(
            entry["RequestMethod"], path, json=self.ours(entry["RequestBody"]), params=None
        )
        assert response.status_code == entry["StatusCode"], response.text
        return response.json()

    def play(self, entry: Json) -> None:
        """Send the recorded request and compare; a polled object is polled until it is as far as recorded."""
        recorded = entry["ResponseBody"]
        answer = self.send(entry)
        wanted = recorded.get("status")
        if entry["RequestMethod"] == "GET" and wanted not in (None, answer.get("status")):
            if wanted not in (*ENDED, "requires_action"):
                return  # a moment that has passed
            answer = wait_for(lambda: (again := self.send(entry))["status"] == wanted and again)
        self.same(recorded, answer)


@pytest.fixture
def replay(service: Any) -> Replay:
    endpoint = service(rules=RULES).endpoint
    return Replay(httpx.Client(base_url=endpoint, timeout=20))


@pytest.mark.parametrize("name", ["py_get_run_step.json", "py_submit_tool_outputs_to_run.json"])
def test_plain_runs_answer_as_recorded(replay: Replay, name: str) -> None:
    for entry in recording(name):
        replay.play(entry)


def test_a_list_of_runs_answers_as_recorded(service: Any) -> None:
    """The recorded list shows a run at work: this one is at work for as long as the test takes."""
    slow = {**RULES, "default": {**RULES["default"], "delay": 60}}
    replay = Replay(httpx.Client(base_url=service(rules=slow).endpoint, timeout=20))
    created = replay.client.post(
        "/assistants?api-version=v1", json={"model": "gpt-4o", "instructions": "You are helpful agent"}
    ).json()
    thread = replay.client.post("/threads?api-version=v1", json={}).json()
    replay.ids = {
        "asst_eSV2WIaktEQxSzyUfR6KkT8V": created["id"],
        "thread_iSwUZDnV4xZxB8RGnynxe6NQ": thread["id"],
    }
    message, run, *later = recording("js_create_and_list_runs.json")
    replay.play(message)
    replay.play(run)
    started = {"thread_id": thread["id"], "id": replay.ids["run_mvLdyYU4CksoGTqeYEjscQaL"]}
    with httpx.Client(base_url=replay.client.base_url, params={"api-version": "v1"}) as client:
        wait_run(client, started, "in_progress")
    for entry in later:
        replay.play(entry)


def test_vector_store_files_answer_as_recorded(replay: Replay) -> None:
    for entry in recording("js_vector_store_file.json"):
        if entry["RequestPath"].startswith("/files?"):
            # The recorded body is base64 of a multipart body; ours is sent by httpx.
            answer = replay.client.post(
                "/files?api-version=v1",
                files={"file": ("filename.txt", b"fileContent")},
                data={"purpose": "assistants"},
            ).json()
            replay.same(entry["ResponseBody"], answer)
        else:
            replay.play(entry)


def test_a_refused_file_type_answers_as_recorded(service: Any) -> None:
    with service().http() as client:
        store = client.post("/vector_stores", json={"name": "UnsupportedFileTestStore"}).json()
        file_id = upload(client, "sales_data.csv", b"product,quarter\n")
        response = client.post(f"/vector_stores/{store['id']}/files", json={"file_id": file_id})
    recorded = recording("v2/unsupported_file_type_400.json")[2]
    assert response.status_code == recorded["StatusCode"]
    assert response.json() == recorded["ResponseBody"]


@pytest.mark.parametrize(
    ("name", "entry", "note"),
    [
        ("py_mcp_tool.json", 0, "MCP gains allowed_tools"),
        ("py_azure_function_call.json", 0, "azure_function is kept"),
        ("py_submit_tool_outputs_to_run.json", 0, "function gains strict"),
    ],
)
def test_agents_echo_tools_as_recorded(replay: Replay, name: str, entry: int, note: str) -> None:
    replay.play(recording(name)[entry])


def test_mcp_headers_of_a_run_come_back_redacted(replay: Replay) -> None:
    entries = [entry for entry in recording("py_mcp_tool.json") if entry["RequestMethod"] == "POST"][:4]
    for entry in entries[:3]:
        replay.play(entry)
    answer = replay.send(entries[3])
    assert answer["tool_resources"] == entries[3]["ResponseBody"]["tool_resources"]


def test_a_file_search_stream_has_the_recorded_events(service: Any) -> None:
    entries = recording("py_include_file_search_results_stream.json")
    recorded = parse_events("".join(next(e for e in entries if "/runs?" in e["RequestPath"])["ResponseBody"]))
    running = service(
        rules={"default": {"reply": {"text": "Contoso Galaxy Innovations produces Smart Eyewear."}}}
    )
    with running.http() as client:
        file_id = upload(client, "product_info_1.md", b"Contoso Galaxy Innovations produces Smart Eyewear.\n")
        store = client.post("/vector_stores", json={"file_ids": [file_id], "name": "my_vectorstore"}).json()
        agent = client.post(
            "/assistants",
            json={
                "model": "gpt-4o",
                "name": "my-agent",
                "instructions": "Hello, you are helpful agent and can search information from uploaded files",
                "tools": [{"type": "file_search"}],
                "tool_resources": {"file_search": {"vector_store_ids": [store["id"]]}},
            },
        ).json()
        thread = client.post("/threads", json={}).json()
        question = "What Contoso Galaxy Innovations produces?"
        client.post(f"/threads/{thread['id']}/messages", json={"role": "user", "content": question})
        events = stream(
            client,
            f"/threads/{thread['id']}/runs",
            {"assistant_id": agent["id"]},
            **{"include[]": "step_details.tool_calls[*].file_search.results[*].content"},
        )
    # The recording was trimmed of `thread.message.completed`.
    mine = [event for event in events if event[0] != "thread.message.completed"]
    comparison = Replay(httpx.Client())
    for recorded_event, my_event in zip(_collapsed(recorded), _collapsed(mine), strict=True):
        assert my_event[0] == recorded_event[0]
        if recorded_event[0] != "done":
            comparison.same(_comparable(recorded_event[1]), _comparable(my_event[1]), recorded_event[0])


def _collapsed(events: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Events without all but the first of a row of deltas."""
    kept: list[tuple[str, Any]] = []
    for event in events:
        if not (kept and kept[-1][0] == event[0] and event[0].endswith(".delta")):
            kept.append(event)
    return kept


def _comparable(body: Json) -> Json:
    details = body.get("step_details", {})
    for call in details.get("tool_calls", []):
        for result in call["file_search"]["results"]:
            result["file_name"] = "the recorded one is an address in a workspace"
    return body
