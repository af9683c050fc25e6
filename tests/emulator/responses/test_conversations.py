"""Conversations and their items."""

from __future__ import annotations

import re

import pytest

from tests.emulator.helpers import needs_recordings, recording
from tests.emulator.responses.helpers import WEATHER, Wire, outputs


@needs_recordings
def test_items_come_back_as_recorded(api: Wire) -> None:
    create, _, listed = recording("v2/preview_conversations_list_and_items.json")
    made = api.call("POST", "/openai/v1/conversations", create["RequestBody"])
    assert re.fullmatch(r"conv_[0-9a-f]{16}00\w{32}", made["id"])
    mine = api.call("GET", f"/openai/v1/conversations/{made['id']}/items")
    assert mine["has_more"] is False
    for recorded, item in zip(listed["ResponseBody"]["data"], mine["data"], strict=True):
        assert {**item, "id": ""} == {**recorded, "id": ""}
        assert item["id"].partition("_")[0] == recorded["id"].partition("_")[0]
        assert len(item["id"]) == len(recorded["id"])


def test_a_conversation_is_made_listed_changed_and_deleted(api: Wire) -> None:
    identifier = api.conversation("hello", metadata={"agent_tasks_key": "k"})
    path = f"/openai/v1/conversations/{identifier}"
    newest = api.call("GET", "/openai/v1/conversations", limit=1)["data"][0]
    assert newest["id"] == identifier
    assert newest["metadata"] == {"agent_tasks_key": "k"}
    assert api.call("POST", path, {"metadata": {"a": "b"}})["metadata"] == {"a": "b"}
    assert api.call("DELETE", path) == {"id": identifier, "object": "conversation.deleted", "deleted": True}
    assert "not found" in api.call("GET", path, status=404)["error"]["message"]


def test_items_are_posted_and_deleted(api: Wire) -> None:
    identifier = api.conversation()
    path = f"/openai/v1/conversations/{identifier}/items"
    items = [{"type": "message", "role": "user", "content": text} for text in ("one", "two")]
    posted = api.call("POST", path, {"items": items})
    assert [item["content"][0]["text"] for item in posted["data"]] == ["one", "two"]
    assert api.call("GET", f"{path}/{posted['first_id']}")["content"][0]["text"] == "one"
    assert api.call("DELETE", f"{path}/{posted['first_id']}")["id"] == identifier
    assert [item["id"] for item in api.items(identifier)] == [posted["last_id"]]
    assert api.items(identifier, item_type="function_call") == []
    api.call("GET", f"{path}/{posted['first_id']}", status=404)


def test_images_of_a_prompt_are_kept_and_listed(api: Wire) -> None:
    shown = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "file_id": "assistant-1", "detail": "high"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
    ]
    made = api.call(
        "POST",
        "/openai/v1/conversations",
        {"items": [{"type": "message", "role": "user", "content": shown}]},
    )
    [item] = api.items(made["id"])
    assert item["content"] == shown


def test_more_than_twenty_items_at_once_are_refused(api: Wire) -> None:
    items = [{"type": "message", "role": "user", "content": str(number)} for number in range(21)]
    api.call("POST", "/openai/v1/conversations", {"items": items}, status=400)
    identifier = api.conversation()
    api.call("POST", f"/openai/v1/conversations/{identifier}/items", {"items": items}, status=400)
    api.call("POST", f"/openai/v1/conversations/{identifier}/items", {"items": items[:20]})


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "user", "content": "x"}, "input[0].type"),
        ({"type": "message", "role": "boss", "content": "x"}, "input[0].role"),
        ({"type": "message", "role": "user"}, "input[0].content"),
        (
            {"type": "message", "role": "user", "content": [{"type": "text", "text": "x"}]},
            "input[0].content[0].type",
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            "input[0].content[0].annotations",
        ),
        ({"type": "function_call_output", "output": "x"}, "input[0].call_id"),
        ({"type": "nonsense"}, "input[0].type"),
    ],
)
def test_an_item_that_is_none_is_refused(api: Wire, item: object, param: str) -> None:
    assert api.respond(input=[item], status=400)["error"]["param"] == param


def test_an_id_of_the_clients_own_making_is_refused(api: Wire) -> None:
    error = api.respond(input="x", conversation="conv_mine", status=400)["error"]
    assert error["message"] == "Invalid conversation id conv_mine, Malformed identifier."
    api.call("GET", "/openai/v1/conversations/conv_mine", status=400)


def test_a_conversation_is_locked_while_a_response_is_made_in_it(api: Wire) -> None:
    identifier = api.conversation("endless")
    running = api.respond(conversation=identifier, background=True)
    error = api.respond(conversation=identifier, status=400)["error"]
    assert error["code"] == "conversation_locked"
    assert error["param"] == "conversation"
    item = {"type": "message", "role": "user", "content": "x"}
    api.call("POST", f"/openai/v1/conversations/{identifier}/items", {"items": [item]}, status=400)
    api.call("POST", f"/openai/v1/responses/{running['id']}/cancel")
    assert len(api.items(identifier)) == 1  # nothing of what was cancelled
    assert api.respond(conversation=identifier, input="hello")["status"] == "completed"


def test_an_open_call_keeps_a_conversation_from_going_on(api: Wire) -> None:
    identifier = api.conversation("weather")
    first = api.respond(conversation=identifier, tools=[WEATHER])
    error = api.respond(conversation=identifier, input="And now?", tools=[WEATHER], status=400)["error"]
    assert error["message"].startswith("No tool output found for function call call_")
    assert error["param"] == "input"
    unknown = {"type": "function_call_output", "call_id": "call_x", "output": ""}
    error = api.respond(input=[unknown], status=400)["error"]
    assert error["message"] == "No tool call found for function call output with call_id call_x."
    one = outputs(first, "4", "20")[:1]
    api.respond(conversation=identifier, input=one, tools=[WEATHER], status=400)
    answered = api.respond(conversation=identifier, input=outputs(first, "4", "20"), tools=[WEATHER])
    assert answered["status"] == "completed"


def test_limits_of_a_conversation(api: Wire) -> None:
    for metadata in ({str(number): "x" for number in range(17)}, {"k" * 65: "x"}, {"k": "x" * 513}):
        api.call("POST", "/openai/v1/conversations", {"metadata": metadata}, status=400)
    long = {"type": "message", "role": "user", "content": "x" * 1_500_001}
    error = api.call("POST", "/openai/v1/conversations", {"items": [long]}, status=400)["error"]
    assert error["code"] == "string_above_max_length"


def test_metadata_is_replaced_as_a_whole(api: Wire) -> None:
    path = f"/openai/v1/conversations/{api.conversation(metadata={'a': 'b', 'c': 'd'})}"
    assert api.call("POST", path, {"metadata": {"a": "e"}})["metadata"] == {"a": "e"}
