"""Agents with versions."""

from __future__ import annotations

from typing import Any

import pytest

from agents_emulator.responses import versions
from tests.emulator.helpers import needs_recordings, recording
from tests.emulator.responses.helpers import MODEL, Wire, text_of

V1 = {"api-version": "v1"}


@needs_recordings
def test_versions_answer_as_recorded(api: Wire) -> None:
    for entry in recording("v2/agents_crud.json"):
        response = api.http.request(entry["RequestMethod"], entry["RequestPath"], json=entry["RequestBody"])
        assert response.status_code == entry["StatusCode"], response.text
        _same(entry["ResponseBody"], response.json())


def _same(recorded: Any, mine: Any, where: str = "") -> None:
    """Fail where a recorded value is not ours; newer answers have keys that the recorded ones lack."""
    if isinstance(recorded, dict):
        common = [key for key in mine if key in recorded]
        assert common == list(recorded), where
        for key, value in recorded.items():
            _same(value, mine[key], f"{where}.{key}")
    elif isinstance(recorded, list):
        assert len(recorded) == len(mine), where
        for index, value in enumerate(recorded):
            _same(value, mine[index], f"{where}[{index}]")
    elif not where.endswith("_at"):
        assert mine == recorded, where


def test_an_equal_version_is_another_one_and_numbers_are_never_used_again(api: Wire) -> None:
    first, second = api.agent("numbers", instructions="A"), api.agent("numbers", instructions="A")
    assert (first["version"], second["version"]) == ("1", "2")
    api.call("DELETE", "/agents/numbers/versions/2", **V1)
    assert api.agent("numbers")["version"] == "3"
    deleted = api.call("DELETE", "/agents/numbers", **V1)
    assert deleted == {"object": "agent.deleted", "name": "numbers", "deleted": True}
    assert api.agent("numbers")["version"] == "4"


def test_an_agent_is_gone_with_its_last_version(api: Wire) -> None:
    api.agent("lonely")
    api.call("DELETE", "/agents/lonely/versions/1", **V1)
    error = api.call("GET", "/agents/lonely", status=404, **V1)["error"]
    assert error["code"] == "not_found"
    assert error["message"].startswith("Agent not found [Request ID: ")


def test_an_update_by_name_makes_no_version_of_what_is_there(api: Wire) -> None:
    body = {"definition": {"kind": "prompt", "model": MODEL, "instructions": "A"}}
    api.call("POST", "/agents", {"name": "updated", **body}, **V1)
    assert api.call("POST", "/agents/updated", body, **V1)["versions"]["latest"]["version"] == "1"
    body["definition"]["instructions"] = "B"
    assert api.call("POST", "/agents/updated", body, **V1)["versions"]["latest"]["version"] == "2"


def test_a_page_past_the_end_has_no_ids(api: Wire) -> None:
    for name in ("page-a", "page-b"):
        api.agent(name)
    page = api.call("GET", "/agents", limit=1, **V1)
    assert page["has_more"] is True
    assert page["last_id"] == "page-b"
    oldest = api.call("GET", "/agents", order="asc", limit=1, **V1)["last_id"]
    assert api.call("GET", "/agents", after=oldest, **V1) == {"data": [], "has_more": False, "object": "list"}


def test_a_disabled_agent_answers_nobody(api: Wire) -> None:
    reference = api.agent("stopped")
    assert api.call("POST", "/agents/stopped:disable", status=204, **V1) is None
    error = api.respond(input="hello", agent_reference=reference, status=403)["error"]
    assert error["code"] == "AgentDisabled"
    api.call("POST", "/agents/stopped:enable", status=204, **V1)
    assert api.respond(input="hello", agent_reference=reference)["status"] == "completed"


def test_the_endpoint_of_an_agent_serves_the_version_that_it_is_told(api: Wire) -> None:
    api.agent("endpoint", instructions="one")
    api.agent("endpoint", instructions="two")
    path = "/agents/endpoint/endpoint/protocols/openai/responses"
    latest = api.http.post(path, params=V1, json={"input": "who"})
    assert text_of(latest.json()) == "two"
    assert latest.headers["x-agent-version-resolution"] == "latest"
    assert latest.headers["x-agent-version-resolved"] == "2"
    rule = {"type": "FixedRatio", "agent_version": "1", "traffic_percentage": 100}
    selector = {"version_selector": {"version_selection_rules": [rule]}}
    patched = api.call("PATCH", "/agents/endpoint", {"agent_endpoint": selector}, **V1)
    assert patched["agent_endpoint"] == selector
    assert api.http.post(path, params=V1, json={"input": "who"}).headers["x-agent-version-resolved"] == "1"


@pytest.mark.parametrize(
    ("definition", "param"),
    [
        ({"kind": "prompt"}, "definition.model"),
        ({"kind": "robot", "model": MODEL}, "definition.kind"),
        ({"kind": "hosted", "model": MODEL}, "definition.kind"),
    ],
)
def test_a_definition_that_cannot_run_is_refused(api: Wire, definition: Any, param: str) -> None:
    error = api.call("POST", "/agents/refused/versions", {"definition": definition}, status=400, **V1)[
        "error"
    ]
    assert error["details"][0]["param"] == param


@pytest.mark.parametrize("name", ["-a", "a_b", "a" * 64])
def test_a_name_that_is_none_is_refused(api: Wire, name: str) -> None:
    body = {"definition": {"kind": "prompt", "model": MODEL}}
    api.call("POST", f"/agents/{name}/versions", body, status=400, **V1)


def test_secrets_of_a_definition_do_not_come_back(api: Wire) -> None:
    tool = {
        "type": "mcp",
        "server_label": "a",
        "server_url": "http://127.0.0.1:1/",
        "authorization": "s3cret",
    }
    api.agent("secretive", tools=[{**tool, "headers": {"x-key": "s3cret"}}])
    response = api.http.get("/agents/secretive", params=V1)
    assert "s3cret" not in response.text
    assert response.json()["versions"]["latest"]["definition"]["tools"][0]["headers"] == {"x-key": "REDACTED"}


def test_agents_need_an_api_version_and_openai_needs_none(api: Wire) -> None:
    assert api.call("GET", "/agents", status=400)["error"]["code"] == "UnsupportedApiVersionValue"
    api.call("GET", "/openai/v1/conversations")


def test_limits_of_an_agent(api: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    path, definition = "/agents/limited/versions", {"kind": "prompt", "model": MODEL}
    tools = [{"type": "function", "name": f"f{number}", "parameters": {}} for number in range(129)]
    for wrong in (
        {"definition": definition, "description": "x" * 513},
        {"definition": definition, "metadata": {"k": "x" * 513}},
        {"definition": {**definition, "tools": tools}},
    ):
        api.call("POST", path, wrong, status=400, **V1)
    monkeypatch.setattr(versions, "MAX_VERSIONS", 2)
    for status in (200, 200, 400):
        api.call("POST", path, {"definition": definition}, status=status, **V1)


def test_a_schema_comes_back_strict_as_recorded(api: Wire) -> None:
    text = {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}
    api.agent("schematic", text=text)
    latest = api.call("GET", "/agents/schematic", **V1)["versions"]["latest"]
    assert latest["definition"]["text"]["format"]["strict"] is True


def test_an_update_is_a_merge_patch_as_the_official_client_sends_it(api: Wire) -> None:
    api.agent("patched")
    kind = {"content-type": "application/merge-patch+json"}
    content = b'{"agent_endpoint": {"version_selector": {"version_selection_rules": []}}}'
    answer = api.http.patch("/agents/patched", params=V1, content=content, headers=kind)
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "enabled"
    refused = api.http.patch(
        "/agents/patched", params=V1, content=content, headers={"content-type": "text/plain"}
    )
    assert refused.status_code == 415
