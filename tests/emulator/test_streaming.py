"""Streamed runs: frames, order of events, ends, and clients that go away."""

from __future__ import annotations

import time
from typing import Any

from tests.emulator.helpers import (
    WEATHER_RULES,
    WEATHER_TOOL,
    agent,
    answer_calls,
    get,
    names,
    post,
    stream,
    turn,
    wait_for,
    wait_run,
)

MESSAGE_EVENTS = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
]
BIRTH_EVENTS = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]


def test_a_plain_answer_streams_in_the_recorded_order(service: Any) -> None:
    with service(rules={"default": {"reply": {"text": "One two three four."}, "chunk": 4}}).http() as client:
        events = stream(client, "/threads/runs", turn(agent(client), "hi"))
    assert names(events) == ["thread.created", *BIRTH_EVENTS, *MESSAGE_EVENTS, "thread.run.completed", "done"]
    deltas = [body["delta"]["content"][0]["text"] for name, body in events if name == "thread.message.delta"]
    assert "".join(delta["value"] for delta in deltas) == "One two three four."
    assert [delta.get("annotations") for delta in deltas] == [[], None, None, None, None]
    assert [body["status"] for name, body in events if name in BIRTH_EVENTS] == [
        "queued",
        "queued",
        "in_progress",
    ]
    assert events[-1] == ("done", "[DONE]")


def test_a_stream_stops_at_a_tool_call_and_goes_on_with_its_output(service: Any) -> None:
    with service(rules={"rules": WEATHER_RULES}).http() as client:
        first = stream(client, "/threads/runs", turn(agent(client, tools=[WEATHER_TOOL]), "weather"))
        assert names(first) == [
            "thread.created",
            *BIRTH_EVENTS,
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.run.step.delta",
            "thread.run.requires_action",
            "done",
        ]
        run = first[-2][1]
        path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
        second = stream(client, path, answer_calls(run, '{"t": 1}', '{"t": 2}'))
    assert names(second) == [
        "thread.run.step.completed",
        "thread.run.queued",
        "thread.run.in_progress",
        *MESSAGE_EVENTS,
        "thread.run.completed",
        "done",
    ]
    deltas = [
        body["delta"]["step_details"]["tool_calls"][0] for name, body in first if name.endswith("step.delta")
    ]
    assert [delta["index"] for delta in deltas] == [0, 0, 1, 1]
    assert deltas[0]["function"] == {"name": "get_weather", "arguments": "", "output": None}
    assert deltas[1] == {"index": 0, "type": "function", "function": {"arguments": '{"city": "Oslo"}'}}


def test_deltas_arrive_while_the_model_is_at_work(service: Any) -> None:
    rules = {"default": {"reply": {"text": "abcdefgh"}, "chunk": 1, "pause": 0.05}}
    with service(rules=rules).http() as client:
        body = turn(agent(client), "hi", stream=True)
        arrivals = []
        with client.stream("POST", "/threads/runs", json=body) as response:
            for line in response.iter_lines():
                arrivals += [time.monotonic()] if line == "event: thread.message.delta" else []
    assert len(arrivals) == 8
    assert arrivals[-1] - arrivals[0] > 0.2


def test_a_failed_run_ends_its_stream_properly(service: Any) -> None:
    with service(rules={"default": {"reply": {"error": {"code": "server_error"}}}}).http() as client:
        events = stream(client, "/threads/runs", turn(agent(client), "hi"))
    assert names(events) == ["thread.created", *BIRTH_EVENTS, "thread.run.failed", "done"]


def test_a_cancelled_run_ends_its_stream_with_what_was_written(service: Any) -> None:
    rules = {"default": {"reply": {"text": "x" * 4000}, "chunk": 1, "pause": 0.05}}
    running = service(rules=rules)
    with running.http() as client, running.http() as other:
        seen: list[str] = []
        body = turn(agent(client), "hi", stream=True)
        with client.stream("POST", "/threads/runs", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("event: "):
                    seen.append(line.removeprefix("event: "))
                if seen.count("thread.message.delta") == 1 and line.startswith("data: "):
                    run = other.get("/threads").json()["data"][0]
                    latest = get(other, f"/threads/{run['id']}/runs")["data"][0]
                    if latest["status"] == "in_progress":
                        post(other, f"/threads/{run['id']}/runs/{latest['id']}/cancel")
        message = get(other, f"/threads/{run['id']}/messages")["data"][0]
    assert seen[-5:] == [
        "thread.run.cancelling",
        "thread.message.incomplete",
        "thread.run.step.cancelled",
        "thread.run.cancelled",
        "done",
    ]
    assert set(message["content"][0]["text"]["value"]) == {"x"}


def test_a_run_goes_on_when_its_client_goes_away(service: Any) -> None:
    rules = {"default": {"reply": {"text": "abcdefgh"}, "chunk": 1, "pause": 0.03}}
    running = service(rules=rules)
    with running.http() as client:
        with client.stream("POST", "/threads/runs", json=turn(agent(client), "hi", stream=True)) as response:
            next(response.iter_lines())
        thread_id = wait_for(lambda: get(client, "/threads")["data"])[0]["id"]
        run = get(client, f"/threads/{thread_id}/runs")["data"][0]
        assert wait_run(client, run)["status"] == "completed"
        answer = get(client, f"/threads/{thread_id}/messages")["data"][0]
    assert answer["content"][0]["text"]["value"] == "abcdefgh"
    assert len(running.generations()) == 1
