"""The check of answers itself: recorded answers pass it, wrong ones do not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.emulator.helpers import RECORDINGS, Json, agent, needs_recordings, recording
from tests.support.answers import ANSWERS, Answer, check, check_stream
from tests.support.derive_schemas import NAMES


@needs_recordings
def test_every_recorded_answer_passes() -> None:
    found: list[str] = []
    checked = 0
    for path in sorted(RECORDINGS.glob("*.json")):
        for entry in recording(path.name):
            body, place = entry["ResponseBody"], entry["RequestPath"].partition("?")[0]
            generic = re.sub(r"/[a-z]+(_|-)[A-Za-z0-9]{10,}", "/{}", place)
            operation = NAMES[entry["RequestMethod"], generic]
            if isinstance(body, list):
                problems = check_stream("".join(body))
            elif isinstance(body, dict):
                kind = "error" if entry["StatusCode"] >= 400 else "operations"
                problems = check(kind, operation, body)
            else:
                continue
            checked += 1
            found += [f"{path.name} {operation}: {problem}" for problem in problems]
    assert checked > 60
    assert not found, "\n".join(dict.fromkeys(found))


def test_wrong_answers_are_found(service: Any) -> None:
    with service().http() as client:
        client.post("/threads", json={})
        agent(client)
        body: Json = client.get("/assistants").json()
    assert check("operations", "agents.list", body) == []
    body["data"][0]["instrctions"] = body["data"][0].pop("instructions")
    assert len(check("operations", "agents.list", body)) == 2
    assert check("error", "error", {"message": "x"})
    assert check("operations", "no.such", {})
    assert check_stream('event: thread.run.created\ndata: {"id": 1}\n\n')
    assert check_stream("data: x\nevent: done\n\n")
    assert ANSWERS.checked >= 0


def test_wrong_answers_about_agents_are_found() -> None:
    request = "GET /api/projects/local/agents/a"
    assert Answer(request, "named_agents.get", 200, "application/json", '{"object": "agent"}').violations()
    assert Answer(request, "named_agents.get", 404, "application/json", '{"error": "x"}').violations()
    assert Answer(request, "named_agents.enable", 204, "", "x").violations()


@pytest.mark.parametrize(
    ("kind", "body"),
    [("text/plain", "x"), ("application/json", '{"id": "asst_x"}'), ("text/event-stream", "event: x\n\n")],
)
def test_an_answer_knows_what_is_wrong_with_it(kind: str, body: str) -> None:
    assert Answer("GET /assistants/x", "agents.get", 200, kind, body).violations()
    assert not Answer(
        "GET /files/x/content", "files.content", 200, "application/octet-stream", ""
    ).violations()
