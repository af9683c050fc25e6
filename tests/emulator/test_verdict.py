"""The verdict on the client that the service has served."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import yaml

from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import (
    WEATHER_RULES,
    WEATHER_TOOL,
    Json,
    agent,
    answer_calls,
    get,
    post,
    stream,
    turn,
    upload,
    wait_run,
)
from tests.support.service import RunningService

MARK = {"agent_tasks_key": "0123456789abcdef01234567", "agent_tasks_attempt": "1"}


def verdict(running: RunningService, **query: Any) -> Json:
    response = httpx.get(f"{running.origin}/_emulator/verdict", params=query)
    response.raise_for_status()
    body: Json = response.json()
    return body


def found(body: Json) -> dict[str, int]:
    return {
        name: value["count"] for name, value in body.items() if isinstance(value, dict) and value["count"]
    }


def test_a_clean_client_is_found_clean(service: Any) -> None:
    running = service()
    with running.http() as client:
        agent_id = agent(client, metadata=MARK)
        run = stream(client, "/threads/runs", turn(agent_id, "hi", metadata=MARK))[-2][1]
        file_id = upload(client, "a.0123456789abcdef0123-1.txt", b"x")
        client.delete(f"/files/{file_id}")
        client.delete(f"/threads/{run['thread_id']}")
        client.delete(f"/assistants/{agent_id}")
    assert verdict(running) == {
        "ok": True,
        "requests": 6,
        "uncertain": 0,
        **{
            name: {"count": 0, "details": []}
            for name in (
                *("duplicate_effects", "too_early", "outputs_twice", "polling_too_fast", "active_runs"),
                "left_over",
            )
        },
    }


def test_effects_with_the_same_mark_are_duplicates(service: Any) -> None:
    running = service()
    with running.http() as client:
        ids = [agent(client, metadata=MARK) for _ in range(2)]
        agent(client, metadata={**MARK, "agent_tasks_attempt": "2"})
        agent(client)
        agent(client)
        for _ in range(2):
            upload(client, "report.0123456789abcdef0123-1.pdf", b"x")
        upload(client, "report.0123456789abcdef0123-2.pdf", b"x")
        post(client, "/assistants", {"metadata": MARK}, status=400)
    body = verdict(running)
    assert found(body) == {"duplicate_effects": 2, "left_over": 8}
    first, second = body["duplicate_effects"]["details"]
    assert (first["operation"], first["ids"], first["count"]) == ("agents.create", ids, 2)
    assert (second["operation"], second["mark"]) == ("files.upload", "0123456789abcdef0123-1")
    assert body["ok"] is False


def test_asking_before_retry_after_is_too_early(service: Any) -> None:
    running = service()
    rules = {"rules": [{"when": {"nth": 1}, "then": {"status": 429, "retry_after": 30}}]}
    httpx.put(f"{running.origin}/_emulator/faults", content=yaml.safe_dump(rules))
    with running.http() as client:
        post(client, "/threads", {"metadata": {"a": "1"}}, status=429)
        thread = post(client, "/threads", {"metadata": {"b": "another request"}})["id"]
        other = post(client, "/threads", {"metadata": {"a": "1"}})["id"]
        for name in (thread, other):
            client.delete(f"/threads/{name}")
    body = verdict(running)
    assert found(body) == {"too_early": 1}
    (early,) = body["too_early"]["details"]
    assert (early["refused"], early["request"]) == (1, 3)
    assert 29 < early["early_seconds"] <= 30


def test_waiting_as_told_is_fine(service: Any) -> None:
    running = service()
    rules = {"rules": [{"when": {"nth": 1}, "then": {"status": 503, "retry_after": 0}}]}
    httpx.put(f"{running.origin}/_emulator/faults", content=yaml.safe_dump(rules))
    with running.http() as client:
        get(client, "/threads", status=503)
        get(client, "/threads")
    assert verdict(running)["ok"] is True


def test_outputs_sent_twice_and_fast_polls_are_found(service: Any) -> None:
    running = service(rules={"rules": WEATHER_RULES})
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[WEATHER_TOOL]), "weather"))
        waiting = wait_run(client, run)
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        outputs = answer_calls(waiting, '{"t": 1}', '{"t": 2}')
        get(client, path)
        get(client, path)
        post(client, f"{path}/submit_tool_outputs", outputs)
        assert client.post(f"{path}/submit_tool_outputs", json=outputs).status_code == 400
        wait_run(client, run)
    body = verdict(running)
    assert found(body) == {"outputs_twice": 2, "polling_too_fast": 1, "left_over": 2}
    assert body["polling_too_fast"]["details"][0]["path"].endswith(path)
    assert "polling_too_fast" not in found(verdict(running, min_poll=0))


def test_what_has_ended_may_be_read_again_at_once(service: Any) -> None:
    """By another operation, say, which has to know whether it is still there."""
    running = service()
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run)
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        before = verdict(running, min_poll=10)["polling_too_fast"]
        for _ in range(3):
            get(client, path)
        store = post(client, "/vector_stores", {"name": "empty"})
        for _ in range(3):
            get(client, f"/vector_stores/{store['id']}")
    assert [row["told"] for row in running.requests("vector_stores.get")] == ["completed"] * 3
    assert verdict(running, min_poll=10)["polling_too_fast"] == before


def test_runs_left_active_are_found(service: Any) -> None:
    running = service(rules={"default": {"reply": {"text": "Late."}, "delay": 60}}, config=ServiceConfig())
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run, "in_progress")
    details = verdict(running)["active_runs"]["details"]
    assert details == [{"run": run["id"], "thread": run["thread_id"], "status": "in_progress"}]


@pytest.mark.parametrize("text", ["soon", "-1", "nan"])
def test_a_wrong_poll_interval_is_refused(shared: RunningService, text: str) -> None:
    response = httpx.get(f"{shared.origin}/_emulator/verdict", params={"min_poll": text})
    assert response.status_code == 400
