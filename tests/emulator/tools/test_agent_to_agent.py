"""Agents of others, asked by A2A: both versions of the protocol, tasks, secrets, failures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import Connection, ToolSettings
from tests.conftest import ServiceFactory
from tests.emulator.helpers import Json
from tests.emulator.responses.helpers import text_of, wire
from tests.emulator.tools.test_openapi import serve
from tests.support.a2a_server import ANSWER, OtherAgent

MESSAGE = {"parts": [{"kind": "text", "text": "What does oak cost?"}]}
CONNECTION = "/subscriptions/s/projects/p/connections/pricer"


def rules(name: str, message: Any = MESSAGE) -> Json:
    call = {"name": name, "arguments": {"message": message}}
    return {
        "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": [call]}}],
        "default": {"reply": {"text": "{{ tool_results | join }}"}},
    }


def asked(service: ServiceFactory, tool: Json, *, name: str = "price_list", **config: Any) -> Json:
    """A response to which another agent was asked."""
    settings = ToolSettings(request_seconds=5, **config)
    running = service(rules=rules(name), config=ServiceConfig(tools=settings))
    with wire(running) as client:
        return client.respond(input="How much is oak?", tools=[{"type": "a2a_preview", **tool}])


@pytest.mark.parametrize("version", ["0.3.0", "1.0"])
@pytest.mark.parametrize("tasks", [False, True], ids=["message", "task"])
def test_an_agent_answers_in_each_version(service: ServiceFactory, version: str, tasks: bool) -> None:
    other = OtherAgent(version, tasks)
    with serve(other.app) as origin:
        response = asked(service, {"base_url": origin})
    assert text_of(response) == ANSWER
    call, outcome, _ = response["output"]
    assert (call["type"], outcome["type"]) == ("a2a_preview_call", "a2a_preview_call_output")
    assert (call["name"], json.loads(call["arguments"])) == ("price_list", {"message": MESSAGE})
    assert outcome["output"] == ANSWER
    sent = other.received[1][0]["params"]["message"]
    assert [part["text"] for part in sent["parts"]] == ["What does oak cost?"]
    assert len(other.received) == (3 if tasks else 2)


def test_the_released_tool_has_items_of_its_own_name(service: ServiceFactory) -> None:
    with serve(OtherAgent("1.0").app) as origin:
        response = asked(service, {"type": "a2a", "a2a_version": "1.0", "base_url": origin})
    assert [item["type"] for item in response["output"]] == ["a2a_call", "a2a_call_output", "message"]
    assert response["tools"][0]["a2a_version"] == "1.0"


def test_a_connection_names_the_function_and_signs_what_is_for_its_hosts(service: ServiceFactory) -> None:
    other = OtherAgent()
    kept = {CONNECTION: Connection(value="s3cret", header="x-key", hosts=("127.0.0.1",))}
    with serve(other.app) as origin:
        tool = {"base_url": origin, "project_connection_id": CONNECTION}
        response = asked(service, tool, name="pricer", connections=kept)
        assert text_of(response) == ANSWER
        keys = [headers.get("x-key") for _, headers in other.received]
        assert keys == [None, "s3cret"], "the card is asked for without, unless the tool says so"
        asked(service, {**tool, "send_credentials_for_agent_card": True}, name="pricer", connections=kept)
        assert other.received[2][1]["x-key"] == "s3cret"
        elsewhere = {CONNECTION: Connection(value="s3cret", header="x-key", hosts=("prices.test",))}
        refused = asked(service, tool, name="pricer", connections=elsewhere)
    assert "the secret is not for 127.0.0.1" in text_of(refused)
    assert len(other.received) == 5, "nothing was sent with a secret to another host"


def test_a_task_that_fails_is_what_the_model_hears(service: ServiceFactory) -> None:
    with serve(OtherAgent(tasks=True, ends="failed").app) as origin:
        response = asked(service, {"base_url": origin})
    assert response["status"] == "completed"
    assert json.loads(text_of(response))["error"] == "The agent's task ended as failed."


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ({"base_url": "http://127.0.0.1:9"}, "Error retrieving the agent card from http://127.0.0.1:9/.well"),
        ({"agent_card_path": "/moved"}, "answered 307"),
        ({"base_url": "http://[::1"}, "Error retrieving the agent card from http://[::1/.well"),
        (
            {"base_url": "http://\\ud800", "project_connection_id": CONNECTION},
            "Error retrieving the agent card from http://",
        ),
        ({"project_connection_id": CONNECTION, "base_url": None}, "no base_url of http or https"),
    ],
)
def test_an_agent_that_cannot_be_found_fails_the_response(
    service: ServiceFactory, tool: Json, said: str
) -> None:
    with serve(OtherAgent().app) as origin:
        response = asked(service, {"base_url": origin, **tool})
    assert response["status"] == "failed"
    assert response["error"]["code"] == "tool_user_error"
    assert said in response["error"]["message"]


def test_a_tool_that_names_nobody_is_refused(service: ServiceFactory) -> None:
    with wire(service(rules=rules("x"))) as client:
        for given in ({}, {"base_url": 7, "project_connection_id": "x"}):
            refused = client.respond(input="Hello", tools=[{"type": "a2a_preview", **given}], status=400)
            assert refused["error"]["param"] == "tools[0].base_url"
