"""Agents: defaults, changes, limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.helpers import WEATHER_TOOL, agent, get, post
from tests.support.service import RunningService


def test_an_agent_has_the_recorded_defaults(shared: RunningService) -> None:
    with shared.http() as client:
        created = post(client, "/assistants", {"model": "gpt-4o"})
    fixed = {key: value for key, value in created.items() if key not in ("id", "created_at")}
    assert fixed == {
        "object": "assistant",
        "name": None,
        "description": None,
        "model": "gpt-4o",
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
    }


def test_a_function_without_parameters_gains_an_empty_schema(shared: RunningService) -> None:
    tool = {"type": "function", "function": {"name": "now", "parameters": {}}}
    with shared.http() as client:
        created = post(client, "/assistants", {"model": "m", "tools": [tool]})
    assert created["tools"] == [
        {
            "type": "function",
            "function": {"name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False},
        }
    ]


def test_an_update_changes_only_what_it_names(shared: RunningService) -> None:
    with shared.http() as client:
        identifier = agent(client, name="a", instructions="Be brief.", tools=[WEATHER_TOOL])
        post(client, f"/assistants/{identifier}", {"name": "b", "metadata": {"k": "v"}})
        changed = get(client, f"/assistants/{identifier}")
    assert changed["name"] == "b"
    assert changed["metadata"] == {"k": "v"}
    assert changed["instructions"] == "Be brief."
    assert changed["tools"][0]["function"]["name"] == "get_weather"


def test_unknown_tools_and_their_fields_survive(shared: RunningService) -> None:
    tool = {"type": "tool_of_tomorrow", "tool_of_tomorrow": {"deep": [1, {"x": None}]}}
    with shared.http() as client:
        identifier = agent(client, tools=[tool])
        assert get(client, f"/assistants/{identifier}")["tools"] == [tool]


def test_a_description_that_is_null_is_none(shared: RunningService) -> None:
    """In answers it is a text, or it is not there."""
    told = {"name": "paper", "schema": {"type": "object"}}
    form = {"type": "json_schema", "json_schema": {**told, "description": None}}
    with shared.http() as client:
        made = post(client, f"/assistants/{agent(client)}", {"response_format": form})
    assert made["response_format"] == {"type": "json_schema", "json_schema": told}


def test_a_deleted_agent_is_gone(shared: RunningService) -> None:
    with shared.http() as client:
        identifier = agent(client)
        deleted = client.delete(f"/assistants/{identifier}").json()
        assert deleted == {"id": identifier, "object": "assistant.deleted", "deleted": True}
        message = get(client, f"/assistants/{identifier}", status=404)["error"]["message"]
    assert message == f"No assistant found with id '{identifier}'."


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "model"),
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"model": "m", "metadata": {f"k{n}": "v" for n in range(17)}}, "metadata"),
        ({"model": "m", "metadata": {"k" * 65: "v"}}, "metadata"),
        ({"model": "m", "metadata": {"k": "v" * 513}}, "metadata"),
        ({"model": "m", "tools": [WEATHER_TOOL] * 129}, "tools"),
        ({"model": "m", "temperature": 2.5}, "temperature"),
        ({"model": "m", "top_p": -1}, "top_p"),
        ({"model": "m", "name": "n" * 257}, "name"),
        (
            {"model": "m", "tool_resources": {"file_search": {"vector_store_ids": ["vs_a", "vs_b"]}}},
            "tool_resources.file_search.vector_store_ids",
        ),
        (
            {"model": "m", "response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
            None,
        ),
    ],
)
def test_values_beyond_the_limits_are_refused(
    shared: RunningService, fields: dict[str, Any], param: str | None
) -> None:
    with shared.http() as client:
        error = post(client, "/assistants", fields, status=400)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    if param is not None:
        assert error["param"] == param


def test_metadata_at_the_limits_is_kept(shared: RunningService) -> None:
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    with shared.http() as client:
        assert post(client, "/assistants", {"model": "m", "metadata": metadata})["metadata"] == metadata
