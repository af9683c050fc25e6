"""Open for what is unknown, exact about what was set."""

from inspect import ismodule
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent_tasks import wire

PUBLIC_NAMES = Path(__file__).with_name("public_names.txt")
RUN = {
    "id": "run_1",
    "object": "thread.run",
    "thread_id": "t",
    "assistant_id": "a",
    "status": "queued",
    "created_at": 1,
}


def test_unknown_fields_survive_at_every_depth() -> None:
    body = {
        **RUN,
        "novelty": {"x": [1, None]},
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "reasoning": 4},
    }
    assert wire.ThreadRun.model_validate(body).to_wire() == body


def test_known_values_become_enum_members_and_unknown_ones_stay_strings() -> None:
    run = wire.ThreadRun.model_validate(RUN)
    assert run.status is wire.RunStatus.QUEUED
    assert run.status == "queued"
    strange = wire.ThreadRun.model_validate({**RUN, "status": "paused"})
    assert strange.status == "paused"
    assert not strange.is_terminal
    assert strange.to_wire()["status"] == "paused"


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (
            wire.Agent,
            {
                "id": "a",
                "object": "assistant",
                "created_at": 1,
                "model": "m",
                "tools": [{"type": "telepathy", "range": 3}],
            },
        ),
        (
            wire.ThreadMessage,
            {
                "id": "m",
                "object": "thread.message",
                "created_at": 1,
                "thread_id": "t",
                "role": "critic",
                "content": [
                    {"type": "hologram", "hologram": {"v": 1}},
                    {"type": "text", "text": {"value": "x", "annotations": [{"type": "aura", "hue": 3}]}},
                ],
            },
        ),
        (
            wire.RunStep,
            {
                "id": "s",
                "object": "thread.run.step",
                "type": "dream",
                "thread_id": "t",
                "run_id": "r",
                "status": "x",
                "created_at": 1,
                "step_details": {"type": "dream", "dream": 1},
            },
        ),
        (
            wire.RunStep,
            {
                "id": "s",
                "object": "thread.run.step",
                "type": "tool_calls",
                "thread_id": "t",
                "run_id": "r",
                "status": "completed",
                "created_at": 1,
                "step_details": {
                    "type": "tool_calls",
                    "tool_calls": [{"id": "c", "type": "telepathy", "telepathy": {}}],
                },
            },
        ),
        (
            wire.RunStepDeltaChunk,
            {
                "id": "s",
                "object": "thread.run.step.delta",
                "delta": {"step_details": {"type": "dream", "a": 1}},
            },
        ),
        (
            wire.MessageDeltaChunk,
            {
                "id": "m",
                "object": "thread.message.delta",
                "delta": {"content": [{"index": 0, "type": "smell", "smell": 2}, {"index": 1}]},
            },
        ),
        (
            wire.ThreadRun,
            {
                **RUN,
                "required_action": {"type": "sing", "song": 1},
                "response_format": {"type": "grammar", "g": "x"},
                "tool_choice": {"type": "telepathy"},
            },
        ),
        (
            wire.VectorStoreFile,
            {
                "id": "f",
                "object": "vector_store.file",
                "created_at": 1,
                "vector_store_id": "v",
                "status": "completed",
                "chunking_strategy": {"type": "magic", "n": 1},
            },
        ),
    ],
)
def test_unknown_kinds_survive_a_round_trip(model: type[wire.WireModel], body: dict[str, Any]) -> None:
    assert model.model_validate(body).to_wire() == body
    assert (
        model.model_validate_json(model.model_validate(body).model_dump_json(exclude_unset=True)).to_wire()
        == body
    )


def test_known_kind_with_a_wrong_body_is_refused() -> None:
    with pytest.raises(ValidationError, match="function"):
        wire.CreateAgentRequest.model_validate({"model": "m", "tools": [{"type": "function"}]})


def test_constants_are_sent_when_a_model_is_built_in_code() -> None:
    tool = wire.FunctionToolDefinition(
        function=wire.FunctionDefinition(name="f", parameters={"type": "object"})
    )
    request = wire.CreateAgentRequest(model="m", tools=[tool, wire.FileSearchToolDefinition()])
    assert request.to_wire() == {
        "model": "m",
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "file_search"},
        ],
    }


def test_json_schema_format_keeps_its_name_on_the_wire() -> None:
    body = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}}
    request = wire.CreateAgentRequest.model_validate({"model": "m", "response_format": body})
    assert isinstance(request.response_format, wire.ResponseFormatJsonSchemaType)
    assert request.response_format.json_schema.schema_ == {"type": "object"}
    assert request.to_wire()["response_format"] == body


@pytest.mark.parametrize(
    "choice",
    ["auto", "none", "required", {"type": "function", "function": {"name": "f"}}, {"type": "file_search"}],
)
def test_tool_choice_survives(choice: Any) -> None:
    assert wire.ThreadRun.model_validate({**RUN, "tool_choice": choice}).to_wire()["tool_choice"] == choice


def test_null_and_absent_are_told_apart() -> None:
    assert "usage" not in wire.ThreadRun.model_validate(RUN).to_wire()
    assert wire.ThreadRun.model_validate({**RUN, "usage": None}).to_wire()["usage"] is None


def test_events_of_known_things_get_their_model() -> None:
    event = wire.parse_event(
        "thread.run.paused", '{"id":"r","thread_id":"t","assistant_id":"a","status":"paused","created_at":1}'
    )
    assert isinstance(event.data, wire.ThreadRun)
    assert type(wire.parse_event("weather.changed", '{"sun": 1}').data) is wire.WireModel
    assert wire.parse_event("done", "[DONE]").data == "[DONE]"


@pytest.mark.parametrize("name", list(wire.AgentStreamEvent))
def test_every_event_of_the_spec_has_a_model(name: str) -> None:
    if name not in {"error", "done"}:
        assert wire.event_model(name) is not wire.WireModel


@pytest.mark.parametrize(
    "data", ['{"error":{"message":"no","code":"c"}}', '{"message":"no","code":"c"}', "no", '"no"']
)
def test_error_event_is_read_in_every_shape(data: str) -> None:
    error = wire.parse_event("error", data).data
    assert isinstance(error, wire.AgentV1Error)
    assert error.error.message == "no"


@pytest.mark.parametrize("data", ["{", "[]", '{"id": 3}'])
def test_event_that_does_not_fit_is_a_value_error(data: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wire.parse_event("thread.run.created", data)


def test_texts_are_joined() -> None:
    message = wire.ThreadMessage.model_validate(
        {
            "id": "m",
            "created_at": 1,
            "thread_id": "t",
            "role": "assistant",
            "content": [
                {"type": "text", "text": {"value": "a"}},
                {"type": "image_file", "image_file": {"file_id": "f"}},
                {"type": "text", "text": {"value": "b"}},
            ],
        }
    )
    assert message.text == "ab"
    delta = wire.MessageDeltaChunk.model_validate(
        {"id": "m", "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "c"}}]}}
    )
    assert delta.text == "c"


def test_the_public_names_are_these() -> None:
    assert sorted(wire.__all__) == PUBLIC_NAMES.read_text(encoding="utf-8").split()
    assert len(wire.__all__) == len(set(wire.__all__)), "two modules offer the same name"
    visible = {name for name, value in vars(wire).items() if not name.startswith("_") and not ismodule(value)}
    assert set(wire.__all__) == visible - {"annotations"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Rate limit is exceeded. Try again in 22 seconds.", 22),
        ("Rate limit is exceeded. Try again in 86400 seconds.", 86400),
        ("Please retry after 1 second.", 1),
        ("please try again in 1.5s", 1.5),
        ("Try again in 300ms", 0.3),
        ("Try again in 2 minutes", 120),
        ("Sorry, something went wrong.", None),
        (None, None),
    ],
)
def test_wait_is_read_from_the_text(text: str | None, seconds: float | None) -> None:
    assert wire.wait_in_text(text) == (pytest.approx(seconds) if seconds is not None else None)
