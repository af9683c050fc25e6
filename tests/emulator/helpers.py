"""Small things that the service tests share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.waiting import pause

Json = dict[str, Any]
Events = list[tuple[str, Any]]

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "wire" / "recordings"
ENDED = ("completed", "failed", "cancelled", "expired", "incomplete")
needs_recordings = pytest.mark.skipif(not RECORDINGS.exists(), reason="the recorded traffic is not here")

WEATHER_TOOL: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
WEATHER_RULES: list[Json] = [
    {
        "when": {"message": "weather", "tool_results": False},
        "reply": {
            "tool_calls": [
                {"name": "get_weather", "arguments": {"city": "Oslo"}},
                {"name": "get_weather", "arguments": {"city": "Rome"}},
            ]
        },
    },
    {
        "when": {"message": "weather", "tool_results": True},
        "reply": {"text": "{{ results[0].t }} and {{ results[1].t }} degrees."},
    },
]


def recording(name: str) -> list[Json]:
    """The entries of a recording."""
    entries: list[Json] = json.loads((RECORDINGS / name).read_text(encoding="utf-8"))["Entries"]
    return entries


def parse_events(text: str) -> Events:
    """Events of a stream; fails on any frame that is not exactly as recorded."""
    assert "\r" not in text
    assert text.endswith("\n\n")
    events: Events = []
    for frame in text[:-2].split("\n\n"):
        first, second = frame.split("\n")
        assert first.startswith("event: ")
        assert second.startswith("data: ")
        data = second.removeprefix("data: ")
        events.append((first.removeprefix("event: "), data if data == "[DONE]" else json.loads(data)))
    return events


def post(
    client: httpx.Client, path: str, body: Json | None = None, *, status: int = 200, **query: Any
) -> Json:
    """POST JSON and return the answer, which must have the given status."""
    response = client.post(path, json={} if body is None else body, params=query or None)
    assert response.status_code == status, response.text
    answer: Json = response.json()
    return answer


def get(client: httpx.Client, path: str, *, status: int = 200, **query: Any) -> Json:
    """GET and return the answer, which must have the given status."""
    response = client.get(path, params={**dict(client.params), **query})
    assert response.status_code == status, response.text
    answer: Json = response.json()
    return answer


def stream(client: httpx.Client, path: str, body: Json, **query: Any) -> Events:
    """POST with `stream: true` and return all events."""
    params = {**dict(client.params), **query}
    with client.stream("POST", path, json={**body, "stream": True}, params=params) as response:
        response.read()
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return parse_events(response.text)


def names(events: Events, *, collapse: bool = True) -> list[str]:
    """Names of events; runs of the same delta count once."""
    found: list[str] = []
    for name, _ in events:
        if not (collapse and found and found[-1] == name and name.endswith(".delta")):
            found.append(name)
    return found


def agent(client: httpx.Client, **fields: Any) -> str:
    """Create an agent and return its id."""
    identifier: str = post(client, "/assistants", {"model": "gpt-4o", **fields})["id"]
    return identifier


def turn(agent_id: str, message: str, **fields: Any) -> Json:
    """Body of a thread-and-run request with one user message."""
    return {
        "assistant_id": agent_id,
        "thread": {"messages": [{"role": "user", "content": message}]},
        **fields,
    }


def wait_for(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """Poll until `condition` gives something true, which is returned."""
    began = time.monotonic()
    deadline = began + seconds
    while not (result := condition()):
        now = time.monotonic()
        assert now < deadline, "waited in vain"
        time.sleep(pause(now - began))
        began = time.monotonic()
    return result


def wait_run(client: httpx.Client, run: Json, *statuses: str) -> Json:
    """Poll a run until it has one of these statuses (by default: until it rests)."""
    wanted: Iterable[str] = statuses or (*ENDED, "requires_action")
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    latest: Json = {}

    def arrived() -> bool:
        nonlocal latest
        latest = get(client, path)
        return latest["status"] in wanted

    wait_for(arrived)
    return latest


def upload(client: httpx.Client, name: str, content: bytes) -> str:
    """Upload a file and return its id."""
    response = client.post("/files", files={"file": (name, content)}, data={"purpose": "assistants"})
    assert response.status_code == 200, response.text
    identifier: str = response.json()["id"]
    return identifier


def answer_calls(run: Json, *outputs: str) -> Json:
    """Body of submit_tool_outputs with these outputs, in the order of the calls."""
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return {
        "tool_outputs": [
            {"tool_call_id": call["id"], "output": output}
            for call, output in zip(calls, outputs, strict=True)
        ]
    }
