"""Small things that the tests of the successor's wire share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.emulator.helpers import Events, Json, parse_events, wait_for
from tests.support.service import RunningService

MODEL = "gpt-4o"
ENDED = ("completed", "failed", "cancelled", "incomplete")
WEATHER: Json = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
RULES: Json = {
    "rules": [
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
            "reply": {"text": "{{ tool_results[0] }} and {{ tool_results[1] }} degrees."},
        },
        {"when": {"message": "slow"}, "reply": {"text": "At last."}, "delay": 1.5},
        {"when": {"message": "endless"}, "reply": {"text": "Never."}, "delay": 600},
        {"when": {"message": "json"}, "reply": {"json": {"total": 3}}},
        {"when": {"message": "who"}, "reply": {"text": "{{ instructions }}"}},
        {"when": {"message": "long"}, "reply": {"text": "word " * 40}},
    ],
    "default": {"reply": {"text": "You said {{ message }}."}},
}


class Wire:
    """A client of one service."""

    def __init__(self, running: RunningService, http: httpx.Client) -> None:
        self.running = running
        self.http = http

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **query: Any) -> Any:
        """Send a request, whose answer must have the given status; returns its JSON."""
        response = self.http.request(method, path, json=body, params=query or None)
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        return response.json() if response.content else None

    def agent(self, name: str, **definition: Any) -> Json:
        """Create a version of an agent; returns the reference to it."""
        body = {"definition": {"kind": "prompt", "model": MODEL, **definition}}
        made = self.call("POST", f"/agents/{name}/versions", body, **{"api-version": "v1"})
        return {"type": "agent_reference", "name": name, "version": made["version"]}

    def conversation(self, *texts: str, **fields: Any) -> str:
        """Create a conversation with user messages; returns its id."""
        items = [{"type": "message", "role": "user", "content": text} for text in texts]
        made: str = self.call("POST", "/openai/v1/conversations", {"items": items, **fields})["id"]
        return made

    def respond(self, *, status: int = 200, **fields: Any) -> Json:
        """Create a response; by the model itself unless an agent is named."""
        named = {} if fields.get("agent_reference") else {"model": MODEL}
        answer: Json = self.call("POST", "/openai/v1/responses", {**named, **fields}, status=status)
        return answer

    def stream(self, method: str = "POST", path: str = "/openai/v1/responses", **fields: Any) -> Events:
        """Return all events of a stream."""
        query = fields if method == "GET" else None
        body = None if method == "GET" else {"model": MODEL, **fields, "stream": True}
        if fields.get("agent_reference") and body:
            del body["model"]
        with self.http.stream(method, path, json=body, params=query) as response:
            response.read()
            assert response.status_code == 200, response.text
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            return parse_events(response.text)

    def get(self, response_id: str) -> Json:
        """Return a response as it is now."""
        answer: Json = self.call("GET", f"/openai/v1/responses/{response_id}")
        return answer

    def ended(self, response_id: str) -> Json:
        """Poll a response to its end."""
        answer: Json = wait_for(
            lambda: (now := self.get(response_id))["status"] in ENDED and now,
        )
        return answer

    def items(self, conversation_id: str, **query: Any) -> list[Json]:
        """Return the items of a conversation, oldest first."""
        path = f"/openai/v1/conversations/{conversation_id}/items"
        found: list[Json] = self.call("GET", path, **{"order": "asc", "limit": 100, **query})["data"]
        return found

    def faults(self, *rules: Json) -> None:
        """Put faults in force."""
        answer = httpx.put(f"{self.running.origin}/_emulator/faults", content=json.dumps({"rules": rules}))
        assert answer.status_code == 200, answer.text

    def verdict(self) -> Json:
        """Return the verdict on this client."""
        answer: Json = httpx.get(f"{self.running.origin}/_emulator/verdict").json()
        return answer


@contextmanager
def wire(running: RunningService) -> Iterator[Wire]:
    """Speak to a service."""
    with httpx.Client(base_url=running.endpoint, timeout=20) as http:
        yield Wire(running, http)


def text_of(response: Json) -> str:
    """Return the text of the last message of a response."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    text: str = messages[-1]["content"][0]["text"]
    return text


def calls_of(response: Json) -> list[Json]:
    """Return the function calls of a response."""
    return [item for item in response["output"] if item["type"] == "function_call"]


def outputs(response: Json, *texts: str) -> list[Json]:
    """Return what answers the calls of a response."""
    return [
        {"type": "function_call_output", "call_id": call["call_id"], "output": text}
        for call, text in zip(calls_of(response), texts, strict=True)
    ]


def names(events: Events) -> list[str]:
    """Names of events; deltas in a row count once. Fails unless they are numbered from the first one on."""
    numbers = [body["sequence_number"] for _, body in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(body["type"] == name for name, body in events)
    found: list[str] = []
    for name, _ in events:
        if not (found and found[-1] == name and name.endswith(".delta")):
            found.append(name)
    return found
