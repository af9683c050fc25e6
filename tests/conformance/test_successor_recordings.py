"""Each recording of the successor's wire: its requests get answers in the recorded shape.

Shape is the keys, their types, kinds of objects, states, the form of ids, texts of refusals. Preview
recordings are played to the released paths: `/openai/…?api-version=` is `/openai/v1/…` there, and `agent` is
`agent_reference`. Where a recording was trimmed (its `Omitted`), what was left out is not looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import Connection, StorageAccount, ToolSettings
from tests.conformance.successor.catalogue import RECORDINGS
from tests.emulator.helpers import Json, needs_recordings, parse_events, recording
from tests.emulator.responses import (
    test_conversations,
    test_files_and_stores,
    test_making_responses,
    test_named_agents,
    test_response_streams,
    test_response_tools,
)
from tests.emulator.responses.helpers import RULES, Wire, calls_of, outputs, wire
from tests.emulator.tools.test_openapi import serve
from tests.emulator.workflows.teaching import ANSWERS, lesson
from tests.support.a2a_server import OtherAgent
from tests.support.azurite import StorageAddresses
from tests.support.jails import needs_jail
from tests.support.queue_function import FakeFunction
from tests.support.service import start_in_thread, write_rules

pytestmark = needs_recordings

mcp_server = test_response_tools.mcp_server
OF_THE_PREVIEW = {
    "user",
    "created_by",
    "partition_key",
    "structured_inputs",
    "input_token_details",
    "output_token_details",
    "prompt_cache_retention",
}
"""Keys that come and go between recordings, and that the local service leaves out."""
_KINDS = {"object", "type", "status", "role"}
_ID = re.compile(r"^(resp|conv|msg|fc|fco|ci|cntr|cfile|ws|wfresp|wfa)_\w+$")
_ASKED = {"parts": [{"kind": "text", "text": "What can the secondary agent do?"}]}
_PLAYED: list[Json] = [
    {
        "when": {"message": "15 plus 27", "tool_results": False},
        "reply": {
            "tool_calls": [{"name": "calculator", "arguments": {"operation": "add", "a": 15, "b": 27}}]
        },
    },
    {
        "when": {"message": "bar chart", "tool_results": False},
        "reply": {
            "tool_calls": [
                {"name": "code_interpreter", "arguments": {"code": "open('a.png', 'w').write('x')"}}
            ]
        },
    },
    {"when": {"message": "bar chart"}, "reply": {"text": "Here: [chart](sandbox:/mnt/data/a.png)"}},
    {
        "when": {"message": "in Seattle", "tool_results": False},
        "reply": {"tool_calls": [{"name": "queue_trigger", "arguments": {"location": "Seattle"}}]},
    },
    {"when": {"message": "in Seattle"}, "reply": {"text": "It is sunny."}},
    {
        "when": {"message": "the secondary agent do", "tool_results": False},
        "reply": {"tool_calls": [{"name": "a2a2", "arguments": {"message": _ASKED}}]},
    },
    {"when": {"message": "the secondary agent do"}, "reply": {"text": "It knows prices."}},
    {"when": {"message": "very long story"}, "delay": 60, "reply": {"text": "Once upon a time."}},
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A service that answers the recorded questions."""
    folder = tmp_path_factory.mktemp("recordings")
    rules = {**RULES, "rules": [*_PLAYED, *ANSWERS, *RULES["rules"]]}
    running = start_in_thread(folder / "data", write_rules(folder, rules))
    with wire(running) as client:
        yield client
    running.stop()


def agrees(recorded: Any, mine: Any, where: str = "", *, unless: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Fail where our answer lacks what was recorded, or has it in another form."""
    key = where.rpartition(".")[2].partition("[")[0]
    if isinstance(recorded, dict):
        assert isinstance(mine, dict), where
        for name, value in recorded.items():
            if name not in OF_THE_PREVIEW | unless:
                assert name in mine, f"{where}.{name} is missing"
                agrees(value, mine[name], f"{where}.{name}", unless=unless)
    elif isinstance(recorded, list):
        assert isinstance(mine, list), where
        for value, own in zip(recorded, mine, strict=False):
            agrees(value, own, f"{where}[]", unless=unless)
    elif key in _KINDS:
        assert mine == recorded, f"{where}: {mine}"
    elif isinstance(recorded, str) and recorded.startswith("call_"):
        assert mine.startswith("call_"), where  # 24 characters, or 32 hexadecimal digits: both were recorded
    elif isinstance(recorded, str) and _ID.match(recorded):
        assert mine.partition("_")[0] == recorded.partition("_")[0], where
        assert len(mine) == len(recorded), f"{where}: {mine}"
    elif isinstance(recorded, bool) or recorded is None:
        assert mine is None or isinstance(mine, bool | dict), f"{where}: {mine}"
    else:
        numbers = isinstance(recorded, int | float) and isinstance(mine, int | float)
        assert mine is None or numbers or isinstance(mine, type(recorded)), f"{where}: {mine}"


def covers(name: str) -> pytest.MarkDecorator:
    """Mark the check of a recording."""
    return pytest.mark.covers("responses recording", name)


def entries(name: str) -> list[Json]:
    """The entries of a recording."""
    assert name in RECORDINGS
    return recording(f"v2/{name}")


def asked(entry: Json, **ours: Any) -> Json:
    """What a recorded request asks for, with our names in it."""
    body = {**entry["RequestBody"], **ours}
    if "agent" in body:
        body["agent_reference"] = body.pop("agent")
    return body


@covers("agents_crud.json")
def test_agents_crud(api: Wire) -> None:
    test_named_agents.test_versions_answer_as_recorded(api)


@covers("preview_conversations_list_and_items.json")
def test_conversations_and_items(api: Wire) -> None:
    test_conversations.test_items_come_back_as_recorded(api)
    _, listed, _ = entries("preview_conversations_list_and_items.json")
    api.conversation()
    mine = api.call("GET", "/openai/v1/conversations", limit=2)
    agrees(listed["ResponseBody"], mine)


@covers("v1_response_without_input_in_conversation.json")
def test_a_response_without_input(api: Wire) -> None:
    test_making_responses.test_a_response_without_input_in_a_conversation_answers_as_recorded(api)
    *_, posted = entries("v1_response_without_input_in_conversation.json")
    path = f"/openai/v1/conversations/{api.conversation()}/items"
    agrees(posted["ResponseBody"], api.call("POST", path, posted["RequestBody"]))


@covers("preview_delete_response_then_get_400.json")
def test_what_was_deleted(api: Wire) -> None:
    test_making_responses.test_what_was_deleted_is_a_bad_request_as_recorded(api)


@covers("reported_not_allowed_when_agent_is_specified.json")
def test_fields_of_the_agent(api: Wire) -> None:
    test_making_responses.test_fields_of_the_agent_are_refused_as_reported(api)


@covers("preview_background_stream_and_replay.json")
def test_background_stream(api: Wire) -> None:
    test_response_streams.test_a_background_stream_has_the_recorded_events(api)


@covers("v1_function_call_stream_with_agent.json")
def test_function_call_stream(api: Wire) -> None:
    test_response_streams.test_a_function_call_has_the_recorded_events(api)


@covers("preview_file_search_stream.json")
def test_file_search_stream(api: Wire) -> None:
    test_response_streams.test_a_file_search_has_the_recorded_events(api)


@covers("unsupported_file_type_400.json")
def test_unsupported_file(api: Wire) -> None:
    test_files_and_stores.test_a_refused_file_type_answers_as_recorded(api)


@covers("preview_mcp_approval.json")
def test_mcp_approval(service: Any, mcp_server: str) -> None:
    with wire(service(rules=test_response_tools.RULES)) as client:
        test_response_tools.test_an_approval_ends_a_response_as_recorded(client, mcp_server)


@covers("function_tool_with_conversation.json")
def test_function_with_conversation(api: Wire) -> None:
    version, conversation, first, second = entries("function_tool_with_conversation.json")
    mine = api.call("POST", version["RequestPath"], version["RequestBody"])
    agrees(version["ResponseBody"], mine)
    assert mine["definition"] == version["ResponseBody"]["definition"]
    made = api.call("POST", "/openai/v1/conversations", conversation["RequestBody"])
    agrees(conversation["ResponseBody"], made)
    body = asked(first, conversation=made["id"])
    called = api.call("POST", "/openai/v1/responses", body)
    agrees(first["ResponseBody"], called)
    assert [item["type"] for item in called["output"]] == [
        item["type"] for item in first["ResponseBody"]["output"]
    ]
    assert json.loads(calls_of(called)[0]["arguments"]) == {"operation": "add", "a": 15, "b": 27}
    answered = asked(second, conversation=made["id"], input=outputs(called, '{"result": 42}'))
    assert api.call("POST", "/openai/v1/responses", answered)["output"][0]["type"] == "message"


@covers("preview_background_poll.json")
def test_background_poll(api: Wire) -> None:
    create, working, done = entries("preview_background_poll.json")
    made = api.call("POST", "/openai/v1/responses", asked(create, input="slow"))
    agrees(create["ResponseBody"], made, unless={"conversation"})
    absent = {"text", "conversation", "usage"}  # of a body that is at work; the recorded GET has no text
    agrees(working["ResponseBody"], api.get(made["id"]), unless={*absent, "status"})
    ended = api.ended(made["id"])
    recorded = {**done["ResponseBody"], "output": done["ResponseBody"]["output"][1:]}  # without reasoning
    agrees(recorded, ended, unless={"conversation"})


@covers("preview_code_interpreter_file.json")
@needs_jail
def test_code_interpreter_file(api: Wire) -> None:
    [entry] = entries("preview_code_interpreter_file.json")
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    reference = api.agent("agent-code-interpreter-with-file", tools=[tool])
    mine = api.call(
        "POST", "/openai/v1/responses", asked(entry, conversation=api.conversation(), agent=reference)
    )
    agrees(entry["ResponseBody"], mine, unless={"tools"})
    assert mine["output"][1]["content"][0]["annotations"][0]["type"] == "container_file_citation"


@covers("preview_list_responses_by_conversation.json")
def test_list_by_conversation(api: Wire) -> None:
    conversation, create, listed = entries("preview_list_responses_by_conversation.json")
    made = api.call("POST", "/openai/v1/conversations", conversation["RequestBody"])
    agrees(conversation["ResponseBody"], made)
    mine = api.call("POST", "/openai/v1/responses", asked(create, conversation={"id": made["id"]}))
    agrees(create["ResponseBody"], mine)
    page = api.call("GET", "/openai/v1/responses", conversation_id=made["id"])
    agrees(listed["ResponseBody"], page)
    assert [one["id"] for one in page["data"]] == [mine["id"]]


@covers("v1_list_responses.json")
def test_list_of_responses(api: Wire) -> None:
    [listed] = entries("v1_list_responses.json")
    api.respond(input="hello", agent_reference=api.agent("listed-as-recorded"))
    page = api.call("GET", "/openai/v1/responses", order="desc", limit=1)
    recorded = listed["ResponseBody"]
    items = [item for item in recorded["data"][0]["output"] if item["type"] == "message"]
    first = {**recorded["data"][0], "output": items, "tools": []}
    agrees({**recorded, "data": [first]}, page, unless={"annotations"})


@covers("v1_agent_not_found_disabled.json")
def test_an_agent_not_found_and_disabled(api: Wire) -> None:
    missing, version, answered, disable, refused, enable = entries("v1_agent_not_found_disabled.json")
    kept = {"instance_identity", "blueprint", "blueprint_reference"}  # identities of Entra
    for entry in (missing, version, answered, disable, refused, enable):
        response = api.http.request(entry["RequestMethod"], entry["RequestPath"], json=entry["RequestBody"])
        assert response.status_code == entry["StatusCode"], response.text
        if isinstance(entry["ResponseBody"], dict):
            agrees(entry["ResponseBody"], response.json(), unless=kept)
        if entry["StatusCode"] >= 400:
            theirs, mine = entry["ResponseBody"]["error"], response.json()["error"]
            assert mine["code"] == theirs["code"]
            assert _untraced(mine["message"]) == _untraced(theirs["message"])
        if entry is answered:
            for name in ("x-agent-version-resolution", "x-agent-version-resolved"):
                assert response.headers[name] == _header(entry, name)


def _untraced(text: str) -> str:
    return re.sub(r"[0-9a-f]{32}", "", text)


def _header(entry: Json, name: str) -> str:
    found = {key.lower(): value for key, value in entry["ResponseHeaders"].items()}[name]
    return str(found if isinstance(found, str) else found[0])


@covers("v1_cancel_background.json")
def test_cancelled_background(api: Wire) -> None:
    create, cancel = entries("v1_cancel_background.json")
    made = api.call("POST", "/openai/v1/responses", create["RequestBody"])
    agrees(create["ResponseBody"], made)
    cancelled = api.call("POST", f"/openai/v1/responses/{made['id']}/cancel")
    agrees(cancel["ResponseBody"], cancelled)
    assert cancelled["output"] == cancel["ResponseBody"]["output"] == []


@covers("v1_gateway_timeout_408_twice.json")
def test_gateway_timeout(api: Wire) -> None:
    for entry in entries("v1_gateway_timeout_408_twice.json"):
        when = {"method": "POST", "path": "/openai/v1/responses"}
        api.faults({"when": when, "then": {"gateway_timeout": 0.05}, "count": 1})
        response = api.http.post("/openai/v1/responses", json={**entry["RequestBody"], "input": "slow"})
        assert response.status_code == entry["StatusCode"]
        assert response.json() == entry["ResponseBody"]


@covers("v1_azure_function_500_three_times.json")
def test_an_error_of_the_server(api: Wire) -> None:
    reference = api.agent("MyAgent")
    for entry in entries("v1_azure_function_500_three_times.json"):
        when = {"method": "POST", "path": "/openai/v1/responses"}
        api.faults({"when": when, "then": {"status": 500, "after_effect": True}, "count": 1})
        body = {**entry["RequestBody"], "tool_choice": "auto", "agent_reference": reference, "input": "hello"}
        response = api.http.post("/openai/v1/responses", json=body)
        assert response.status_code == entry["StatusCode"]
        theirs, mine = entry["ResponseBody"]["error"], response.json()["error"]
        assert list(mine) == list(theirs)
        assert (mine["type"], mine["code"], mine["param"]) == ("server_error", "server_error", None)
        assert mine["message"].startswith("An error occurred while processing your request.")


@covers("v1_azure_function_timeout_408_then_resent.json")
def test_azure_function(service: Any, azurite: StorageAddresses) -> None:
    timeout, answered, deleted = entries("v1_azure_function_timeout_408_then_resent.json")
    address = "https://account.queue.core.windows.net"
    settings = ToolSettings(storage={address: StorageAccount(value=azurite.connection_string)})
    queues = ("successor-asked", "successor-answered")
    bindings = [
        {"type": "storage_queue", "storage_queue": {"queue_service_endpoint": address, "queue_name": name}}
        for name in queues
    ]
    function = {"name": "queue_trigger", "parameters": {"type": "object", "properties": {}}}
    tool = {
        "type": "azure_function",
        "azure_function": {
            "function": function,
            "input_binding": bindings[0],
            "output_binding": bindings[1],
        },
    }
    rules = {**RULES, "rules": [*_PLAYED, *RULES["rules"]]}
    running = service(rules=rules, config=ServiceConfig(tools=settings))
    received: list[Json] = []
    with (
        wire(running) as client,
        FakeFunction(azurite, *queues, lambda call: received.append(call) or "Sunny"),
    ):
        reference = client.agent("MyAgent", tools=[tool])
        when = {"method": "POST", "path": "/openai/v1/responses"}
        client.faults({"when": when, "then": {"gateway_timeout": 0.01}, "count": 1})
        body = asked(timeout, agent_reference=reference)
        lost = client.http.post("/openai/v1/responses", json=body)
        assert (lost.status_code, lost.json()) == (timeout["StatusCode"], timeout["ResponseBody"])
        mine = client.call("POST", "/openai/v1/responses", body)
        assert mine["error"] is None
        agrees(answered["ResponseBody"], mine, unless={"tools"})
        kinds = [item["type"] for item in answered["ResponseBody"]["output"]]
        assert [item["type"] for item in mine["output"]] == kinds
        named = json.loads(mine["output"][0]["arguments"])
        assert named == {"function_name": "queue_trigger", "function_args": {"location": "Seattle"}}
        # What the recording leaves open: here the request that was given up on has put its message, too.
        assert [call["function_args"] for call in received] == [{"location": "Seattle"}] * 2
        path = f"/agents/MyAgent/versions/{reference['version']}"
        gone = client.call("DELETE", path, **{"api-version": "v1"})
        assert gone == {**deleted["ResponseBody"], "version": reference["version"]}


@covers("v1_a2a_stream.json")
def test_an_agent_of_others(service: Any) -> None:
    [entry] = entries("v1_a2a_stream.json")
    theirs = parse_events("".join(entry["ResponseBody"]))
    other = OtherAgent()
    # The recorded name of the function may be that of the connection, as it is here.
    signed = Connection(value="s", header="x-key", hosts=("127.0.0.1",))
    settings = ToolSettings(connections={"connections/a2a2": signed})
    running = service(rules={"rules": _PLAYED}, config=ServiceConfig(tools=settings))
    with serve(other.app) as origin, wire(running) as client:
        tool = {"type": "a2a_preview", "base_url": origin, "project_connection_id": "connections/a2a2"}
        client.agent("MyAgent", tools=[tool])
        events = client.stream(**entry["RequestBody"])
    about_calls = [event for event in events if event[0].startswith("response.output_item")][: len(theirs)]
    assert [name for name, _ in about_calls] == [name for name, _ in theirs]
    for (_, recorded), (_, mine) in zip(theirs, about_calls, strict=True):
        agrees(recorded, mine)
    assert json.loads(about_calls[1][1]["item"]["arguments"]) == {"message": _ASKED}
    assert other.received[-1][0]["params"]["message"]["parts"] == _ASKED["parts"]


@covers("v1_workflow_stream.json")
def test_a_workflow(api: Wire) -> None:
    [entry] = entries("v1_workflow_stream.json")
    theirs = parse_events("".join(entry["ResponseBody"]))
    reference = lesson(api, entry["RequestBody"]["agent_reference"]["name"])
    assert reference == entry["RequestBody"]["agent_reference"]
    events = api.stream(**asked(entry, conversation=api.conversation()))
    mine = {body["sequence_number"]: (name, body) for name, body in events}
    for name, recorded in theirs:
        place = recorded["sequence_number"]
        assert mine[place][0] == name
        agrees(recorded, mine[place][1])
        for same in ("output_index", "sequence_number"):
            assert mine[place][1].get(same) == recorded.get(same)
        told = ("kind", "action_id", "parent_action_id", "previous_action_id")
        item, own = recorded.get("item", {}), mine[place][1].get("item", {})
        assert [own.get(field) for field in told] == [item.get(field) for field in told]
    assert set(theirs[0][1]["response"]) == set(events[0][1]["response"])
