"""Events of responses: their order, as recorded, and taking them up again."""

from __future__ import annotations

import threading

import httpx
import pytest

from tests.emulator.helpers import Events, needs_recordings, parse_events, recording, wait_for
from tests.emulator.responses.helpers import RULES, WEATHER, Wire, names, wire


def _recorded(name: str, entry: int = 0) -> Events:
    return parse_events("".join(recording(f"v2/{name}.json")[entry]["ResponseBody"]).rstrip("\n") + "\n\n")


def _kinds(events: Events) -> list[str]:
    found: list[str] = []
    for name, _ in events:
        if not (found and found[-1] == name):
            found.append(name)
    return found


def _keys_agree(recorded: Events, mine: Events, *unless: str) -> None:
    """Fail where an event lacks a key that the recorded one of the same name has."""
    ours = dict(reversed(mine))
    for name, body in recorded:
        missing = set(body) - set(ours[name]) - set(unless)
        assert not missing, (name, missing)
        if "item" in body:
            assert set(body["item"]) - set(ours[name]["item"]) - set(unless) == set(), name


@needs_recordings
def test_a_background_stream_has_the_recorded_events(api: Wire) -> None:
    recorded = _recorded("preview_background_stream_and_replay")
    mine = api.stream(input="long", background=True)
    assert _kinds(mine) == _kinds(recorded)
    _keys_agree(recorded, mine, "created_by")


@needs_recordings
def test_a_function_call_has_the_recorded_events(api: Wire) -> None:
    recorded = _recorded("v1_function_call_stream_with_agent")
    reference = api.agent("streaming", tools=[WEATHER])
    mine = api.stream(input="What is the weather?", agent_reference=reference)
    assert "".join(body["delta"] for name, body in mine if name.endswith("arguments.delta"))
    one_call = [event for event in mine if event[1].get("output_index", 0) == 0]
    assert _kinds(one_call) == _kinds(recorded)
    _keys_agree(recorded, mine)
    # Of the response's own body the recorded v1 keys that say something here.
    for key in ("id", "status", "agent_reference", "tools", "instructions", "output", "usage"):
        assert key in mine[-1][1]["response"]


@needs_recordings
def test_a_file_search_has_the_recorded_events(api: Wire) -> None:
    recorded = _recorded("preview_file_search_stream")
    file_id = api.http.post(
        "/openai/v1/files", files={"file": ("a.md", b"Smart Eyewear.")}, data={"purpose": "assistants"}
    ).json()["id"]
    store = api.call("POST", "/openai/v1/vector_stores", {"file_ids": [file_id]})
    tool = {"type": "file_search", "vector_store_ids": [store["id"]]}
    mine = api.stream(input="Smart Eyewear", tools=[tool], include=["file_search_call.results"])
    assert _kinds(mine)[: len(_kinds(recorded))] == _kinds(recorded)
    [search] = [item for item in mine[-1][1]["response"]["output"] if item["type"] == "file_search_call"]
    assert search["results"][0]["text"] == "Smart Eyewear."
    annotations = [body["annotation"] for name, body in mine if name.endswith("annotation.added")]
    assert annotations[0].keys() == {"type", "file_id", "filename", "index"}
    assert annotations[0]["filename"] == "a.md"
    assert "【" not in mine[-1][1]["response"]["output"][-1]["content"][0]["text"]


def test_the_items_of_a_stream_are_those_that_are_kept(api: Wire) -> None:
    for fields in ({"input": "long"}, {"input": "What is the weather?", "tools": [WEATHER]}):
        events = api.stream(**fields)
        last = events[-1][1]["response"]
        done = [body["item"] for name, body in events if name == "response.output_item.done"]
        assert done == last["output"] == api.get(last["id"])["output"]


@pytest.mark.parametrize("after", [None, 0, 4, 10_000])
def test_a_stream_is_told_again_after_any_event(api: Wire, after: int | None) -> None:
    first = api.stream(input="long", background=True)
    path = f"/openai/v1/responses/{first[0][1]['response']['id']}"
    query = {} if after is None else {"starting_after": after}
    again = api.stream("GET", path, stream="true", **query)
    assert again == (first[(-1 if after is None else after) + 1 :] or first[-1:])


def test_a_stream_is_taken_up_while_the_response_is_made(service: object) -> None:
    rules = {"default": {"reply": {"text": "one two three four five six"}, "pause": 0.2, "chunk": 5}}
    running = service(rules=rules)  # type: ignore[operator]
    with wire(running) as api:
        seen: Events = []
        body = {"model": "m", "input": "x", "stream": True, "background": True}
        with api.http.stream("POST", "/openai/v1/responses", json=body) as response:
            text = ""
            for piece in response.iter_text():
                text += piece
                if text.count("\n\n") > 6:
                    break
        seen = parse_events(text[: text.rindex("\n\n") + 2])
        path = f"/openai/v1/responses/{seen[0][1]['response']['id']}"
        number = seen[-1][1]["sequence_number"]
        rest = api.stream("GET", path, stream="true", starting_after=number)
        names([*seen, *rest])
        assert rest[-1][0] == "response.completed"
        deltas = [body["delta"] for name, body in [*seen, *rest] if name == "response.output_text.delta"]
        assert "".join(deltas) == "one two three four five six"


def test_events_outlive_the_service(service: object) -> None:
    running = service(rules=RULES, process=True)  # type: ignore[operator]
    with wire(running) as api:
        first = api.stream(input="long", background=True)
        running.kill()
        running.restart()
        path = f"/openai/v1/responses/{first[0][1]['response']['id']}"
        assert api.stream("GET", path, stream="true") == first


def test_only_background_streams_are_told_again(api: Wire) -> None:
    for fields in ({"stream": True}, {"background": True}):
        made = (
            api.stream(input="x")[-1][1]["response"]
            if "stream" in fields
            else api.respond(input="x", **fields)
        )
        error = api.call("GET", f"/openai/v1/responses/{made['id']}", stream="true", status=400)["error"]
        assert error["message"].startswith("This response cannot be streamed because it was not created")


def test_a_cancelled_stream_ends_with_the_response(api: Wire) -> None:
    body = {"model": "m", "input": "endless", "stream": True, "background": True}
    told: list[str] = []

    def follow() -> None:
        with httpx.stream(
            "POST", f"{api.running.endpoint}/openai/v1/responses", json=body, timeout=20
        ) as response:
            response.read()
            told.append(response.text)

    follower = threading.Thread(target=follow)
    follower.start()
    found = wait_for(
        lambda: [
            one
            for one in api.call("GET", "/openai/v1/responses", limit=5)["data"]
            if one["status"] == "in_progress"
        ]
    )
    api.call("POST", f"/openai/v1/responses/{found[0]['id']}/cancel")
    follower.join(20)
    name, last = parse_events(told[0])[-1]
    assert (name, last["response"]["status"]) == ("response.cancelled", "cancelled")
