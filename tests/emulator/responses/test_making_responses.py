"""Responses: made, waited for, polled, listed, cancelled, deleted."""

from __future__ import annotations

import re

import pytest

from tests.emulator.helpers import Json, needs_recordings, recording, wait_for
from tests.emulator.responses.helpers import WEATHER, Wire, calls_of, outputs, text_of

_ID = re.compile(r"(resp|msg|fc|fs)_[0-9a-f]{50}")


@needs_recordings
def test_a_response_without_input_in_a_conversation_answers_as_recorded(api: Wire) -> None:
    _, recorded, *_ = recording("v2/v1_response_without_input_in_conversation.json")
    reference = api.agent("recorded", instructions="You are a helpful assistant")
    identifier = api.conversation("How many feet in a mile?")
    mine = api.respond(conversation=identifier, agent_reference=reference)
    theirs = recorded["ResponseBody"]
    assert [key for key in mine if key in theirs] == list(theirs)
    assert list(mine["output"][0]) == list(theirs["output"][0])
    assert list(mine["output"][0]["content"][0]) != []
    assert mine["agent_reference"] == reference
    assert mine["usage"].keys() == theirs["usage"].keys()
    for found in (mine["id"], mine["output"][0]["id"]):
        assert _ID.fullmatch(found), found
        assert found.partition("_")[2][:16] == identifier.partition("_")[2][:16]


def test_function_calls_end_a_response_and_their_outputs_begin_another(api: Wire) -> None:
    identifier = api.conversation("What is the weather?")
    first = api.respond(conversation=identifier, tools=[WEATHER])
    assert first["status"] == "completed"
    assert [call["arguments"] for call in calls_of(first)] == ['{"city": "Oslo"}', '{"city": "Rome"}']
    second = api.respond(conversation=identifier, input=outputs(first, "4", "20"), tools=[WEATHER])
    assert text_of(second) == "4 and 20 degrees."
    kinds = [item["type"] for item in api.items(identifier)]
    assert kinds == ["message", *["function_call"] * 2, *["function_call_output"] * 2, "message"]
    assert first["usage"]["total_tokens"] > 0
    assert second["usage"]["total_tokens"] > 0


def test_a_chain_by_previous_response_remembers(api: Wire) -> None:
    first = api.respond(input="What is the weather?", tools=[WEATHER])
    second = api.respond(previous_response_id=first["id"], input=outputs(first, "1", "2"), tools=[WEATHER])
    assert text_of(second) == "1 and 2 degrees."
    third = api.respond(previous_response_id=second["id"], input="hello")
    assert text_of(third) == "You said hello."
    given = api.call("GET", f"/openai/v1/responses/{third['id']}/input_items", order="asc")["data"]
    assert [item["type"] for item in given].count("function_call_output") == 2
    error = api.respond(previous_response_id="resp_none", input="x", status=400)["error"]
    assert error["code"] == "previous_response_not_found"


def test_a_client_may_keep_the_history_itself(api: Wire) -> None:
    question = {"type": "message", "role": "user", "content": "What is the weather?"}
    first = api.respond(input=[question], tools=[WEATHER], store=False)
    again = [question, *first["output"], *outputs(first, "5", "6")]
    assert text_of(api.respond(input=again, tools=[WEATHER], store=False)) == "5 and 6 degrees."
    api.call("GET", f"/openai/v1/responses/{first['id']}", status=400)


def test_background_is_queued_then_polled(api: Wire) -> None:
    made = api.respond(input="slow", background=True)
    assert made["status"] == "queued"
    assert made["output"] == []
    assert "usage" in made
    assert text_of(api.ended(made["id"])) == "At last."


def test_the_list_finds_responses_at_work_by_conversation(api: Wire) -> None:
    identifier = api.conversation("endless")
    made = api.respond(conversation=identifier, background=True, metadata={"agent_tasks_key": "k"})

    def listed(**query: str) -> list[Json]:
        found: list[Json] = api.call("GET", "/openai/v1/responses", **query)["data"]
        return found

    [found] = listed(conversation_id=identifier)
    assert (found["id"], found["metadata"]) == (made["id"], {"agent_tasks_key": "k"})
    assert found["status"] in ("queued", "in_progress")
    assert listed(conversation_id=api.conversation()) == []
    api.call("POST", f"/openai/v1/responses/{made['id']}/cancel")
    reference = api.agent("listed")
    of_agent = api.respond(input="x", agent_reference=reference)
    assert [one["id"] for one in listed(agent_name="listed")] == [of_agent["id"]]
    assert [one["id"] for one in listed(agent_id="listed:1")] == [of_agent["id"]]
    assert listed(agent_id="listed:2") == []


def test_cancelling(api: Wire) -> None:
    made = api.respond(input="endless", background=True)
    path = f"/openai/v1/responses/{made['id']}"
    message = api.call("DELETE", path, status=400)["error"]["message"]
    assert message == "Cannot delete an in-flight response."
    assert api.call("POST", f"{path}/cancel")["status"] == "cancelled"
    assert api.call("POST", f"{path}/cancel")["status"] == "cancelled"
    done = api.ended(api.respond(input="x", background=True)["id"])
    error = api.call("POST", f"/openai/v1/responses/{done['id']}/cancel", status=400)["error"]
    assert error["message"] == "Cannot cancel a completed response."
    plain = api.respond(input="x")
    error = api.call("POST", f"/openai/v1/responses/{plain['id']}/cancel", status=400)["error"]
    assert error["message"] == "Cannot cancel a synchronous response."


@needs_recordings
def test_what_was_deleted_is_a_bad_request_as_recorded(api: Wire) -> None:
    deleted, gone = recording("v2/preview_delete_response_then_get_400.json")
    made = api.respond(input="x")
    path = f"/openai/v1/responses/{made['id']}"
    assert api.call("DELETE", path) == {**deleted["ResponseBody"], "id": made["id"]}
    error = api.call("GET", path, status=gone["StatusCode"])["error"]
    theirs = gone["ResponseBody"]["error"]
    assert list(error) == list(theirs)
    assert (error["code"], error["message"]) == ("bad_request", f"{made['id']} not found")


@needs_recordings
def test_fields_of_the_agent_are_refused_as_reported(api: Wire) -> None:
    [reported] = recording("v2/reported_not_allowed_when_agent_is_specified.json")
    reference = api.agent("strict")
    error = api.respond(
        input="x", agent_reference=reference, temperature=1, top_p=1, status=reported["StatusCode"]
    )["error"]
    theirs = reported["ResponseBody"]["error"]
    assert {**error, "additionalInfo": 0} == {**theirs, "additionalInfo": 0}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "metadata"),
        ({"metadata": {"k": "x" * 513}}, "metadata"),
        ({"temprature": 1}, "temprature"),
        ({"background": True, "store": False}, "background"),
        ({"input": None}, "input"),
        ({"model": None}, "model"),
        ({"text": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "text.format.name"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].vector_store_ids"),
        ({"tool_choice": {"type": "function", "name": "none"}}, "tool_choice"),
        ({"conversation": "conv_x", "previous_response_id": "resp_x"}, "conversation"),
        ({"safety_identifier": "x" * 129}, "safety_identifier"),
        ({"tools": [{**WEATHER, "name": f"f{number}"} for number in range(129)]}, "tools"),
        ({"truncation": "some"}, "truncation"),
        ({"include": ["everything"]}, "include[0]"),
        ({"structured_inputs": {"a": "b"}}, "structured_inputs"),
    ],
)
def test_a_wrong_request_is_refused(api: Wire, fields: Json, param: str) -> None:
    assert api.respond(**{"input": "x", **fields}, status=400)["error"]["param"] == param


def test_an_agent_that_is_not_there(api: Wire) -> None:
    for reference in ({"name": "nobody"}, {**api.agent("somebody"), "version": "9"}):
        error = api.respond(input="x", agent_reference={"type": "agent_reference", **reference}, status=404)[
            "error"
        ]
        assert error["code"] == "not_found"


def test_answers_follow_a_schema(api: Wire) -> None:
    schema = {"type": "object", "properties": {"total": {"type": "integer"}}}
    described = {"format": {"type": "json_schema", "name": "Total", "schema": schema}}
    assert text_of(api.respond(input="json", text=described)) == '{"total": 3}'
    reference = api.agent("schematic", text=described)
    shown = api.call("GET", "/agents/schematic/versions/1", **{"api-version": "v1"})
    assert shown["definition"]["text"]["format"]["strict"] is True
    assert text_of(api.respond(input="json", agent_reference=reference)) == '{"total": 3}'


def test_structured_inputs_fill_the_definition(api: Wire) -> None:
    declared = {"name": {"default_value": "nobody"}, "place": {"required": True}}
    reference = api.agent("filled", instructions="I am {{name}} of {{ place }}.", structured_inputs=declared)
    answer = api.respond(input="who", agent_reference=reference, structured_inputs={"place": "Rome"})
    assert text_of(answer) == "I am nobody of Rome."
    api.respond(input="who", agent_reference=reference, status=400)


def test_a_response_cut_by_its_limit_is_incomplete(api: Wire) -> None:
    answer = api.respond(input="long", max_output_tokens=16)
    assert answer["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}


def test_nothing_is_left_once_all_is_deleted(service: object) -> None:
    from tests.emulator.responses.helpers import RULES, wire

    running = service(rules=RULES)  # type: ignore[operator]
    with wire(running) as api:
        api.agent("kept")
        identifier = api.conversation("hello")
        made = api.respond(conversation=identifier)
        left = api.verdict()["left_over"]["details"]
        assert {one["kind"] for one in left} == {"agent", "conversation", "response"}
        api.call("DELETE", f"/openai/v1/responses/{made['id']}")
        api.call("DELETE", f"/openai/v1/conversations/{identifier}")
        api.call("DELETE", "/agents/kept", **{"api-version": "v1"})
        assert api.verdict()["ok"] is True


def test_a_restarted_service_goes_on_with_what_it_was_at(service: object) -> None:
    from tests.emulator.responses.helpers import RULES, wire

    running = service(rules=RULES, process=True)  # type: ignore[operator]
    with wire(running) as api:
        made = api.respond(input="slow", background=True, stream=False)
        wait_for(lambda: api.get(made["id"])["status"] == "in_progress")
        running.kill()
        running.restart()
        assert text_of(api.ended(made["id"])) == "At last."


def test_an_empty_model_beside_an_agent_passes_as_agent_framework_sends_it(api: Wire) -> None:
    reference = api.agent("empty-model")
    assert api.respond(input="x", agent_reference=reference, model="")["status"] == "completed"
    error = api.respond(input="x", agent_reference=reference, model="gpt-4o", status=400)["error"]
    assert [detail["param"] for detail in error["details"]] == ["model"]


@pytest.mark.parametrize("limit", [0, 101])
def test_a_page_has_one_to_a_hundred(api: Wire, limit: int) -> None:
    for path in ("responses", "conversations"):
        assert api.call("GET", f"/openai/v1/{path}", status=400, limit=limit)["error"]["param"] == "limit"


def test_a_response_that_is_incomplete_cannot_be_cancelled(api: Wire) -> None:
    incomplete = {"outcome": "incomplete", "reason": "max_completion_tokens"}
    api.faults({"when": {"operation": "responses.create"}, "then": {"run": incomplete}, "count": 1})
    made = api.ended(api.respond(input="x", background=True)["id"])
    assert (made["status"], made["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    error = api.call("POST", f"/openai/v1/responses/{made['id']}/cancel", status=400)["error"]
    assert error["message"] == "Cannot cancel a response in terminal state."
