"""Faults on demand: each effect, how rules choose requests, and what is said of a wrong plan."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agents_emulator.faults import FaultPlan, FaultPlanError, Faults, parse_plan
from agents_emulator.server import main
from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import (
    WEATHER_RULES,
    WEATHER_TOOL,
    Json,
    agent,
    answer_calls,
    get,
    names,
    parse_events,
    post,
    stream,
    turn,
    upload,
    wait_run,
)
from tests.support.service import RunningService


@pytest.fixture
def faulty(shared: RunningService) -> Iterator[RunningService]:
    """The shared service; its faults are gone afterwards."""
    yield shared
    httpx.delete(f"{shared.origin}/_emulator/faults")


def plan(running: RunningService, *rules: Json, **fields: Any) -> None:
    text = yaml.safe_dump({"rules": list(rules), **fields})
    httpx.put(f"{running.origin}/_emulator/faults", content=text).raise_for_status()


def report(running: RunningService) -> list[Json]:
    rules: list[Json] = httpx.get(f"{running.origin}/_emulator/faults").json()["rules"]
    return rules


@pytest.mark.parametrize(("status", "code"), [(429, "429"), (500, "server_error"), (503, "server_error")])
def test_a_status_comes_before_the_effect(faulty: RunningService, status: int, code: str) -> None:
    plan(
        faulty,
        {"when": {"operation": "threads.create", "nth": 1}, "then": {"status": status, "retry_after": 1.5}},
    )
    with faulty.http() as client:
        before = len(get(client, "/threads", limit=100)["data"])
        refused = client.post("/threads", json={"metadata": {"n": "1"}})
        assert refused.status_code == status
        assert refused.headers["retry-after"] == "1.5"
        assert refused.json()["error"]["code"] == code
        assert len(get(client, "/threads", limit=100)["data"]) == before
        post(client, "/threads")
    row = faulty.requests("threads.create")[-2]
    assert (row["status"], row["fault"], row["retry_after"]) == (status, f"status {status}", 1.5)
    assert row["body"] == {"metadata": {"n": "1"}}


def test_a_refused_upload_leaves_no_file(faulty: RunningService) -> None:
    plan(faulty, {"when": {"operation": "files.upload"}, "then": {"status": 503}, "count": 1})
    with faulty.http() as client:
        before = len(client.get("/files").json()["data"])
        response = client.post(
            "/files", files={"file": ("a.txt", b"x" * 300_000)}, data={"purpose": "assistants"}
        )
        assert response.status_code == 503
        assert len(client.get("/files").json()["data"]) == before
        upload(client, "a.txt", b"x")


def test_latency_delays_the_answer(faulty: RunningService) -> None:
    plan(faulty, {"when": {"path": "/assistants", "method": "GET"}, "then": {"latency": 0.2}})
    with faulty.http() as client:
        started = time.monotonic()
        get(client, "/assistants")
        assert time.monotonic() - started >= 0.2


def test_an_answer_is_lost_after_the_effect(faulty: RunningService) -> None:
    plan(faulty, {"when": {"operation": "agents.create"}, "then": {"lose_answer": True}, "count": 1})
    with faulty.http() as client:
        with pytest.raises(httpx.TransportError):
            client.post("/assistants", json={"model": "m", "name": "lost"})
        assert [item["name"] for item in get(client, "/assistants")["data"]][:1] == ["lost"]
    row = faulty.requests("agents.create")[-1]
    assert (row["status"], row["fault"]) == (200, "lose_answer")


def test_a_run_goes_on_when_its_answer_is_lost(faulty: RunningService) -> None:
    plan(
        faulty,
        {"when": {"operation": "runs.create_thread_and_run"}, "then": {"lose_answer": True}, "count": 1},
    )
    with faulty.http() as client:
        with pytest.raises(httpx.TransportError):
            stream(client, "/threads/runs", turn(agent(client), "hi"))
        thread = get(client, "/threads", limit=1)["data"][0]["id"]
        run = get(client, f"/threads/{thread}/runs")["data"][0]
        assert wait_run(client, run)["status"] == "completed"


@pytest.mark.parametrize("events", [0, 1, 4])
def test_a_stream_breaks_after_events(faulty: RunningService, events: int) -> None:
    plan(
        faulty,
        {"when": {"operation": "runs.*"}, "then": {"break_stream": {"after_events": events}}, "count": 1},
    )
    with faulty.http() as client:
        received = broken_stream(client, turn(agent(client), "hi"))
        if received:
            expected = ["thread.created", "thread.run.created", "thread.run.queued", "thread.run.in_progress"]
            assert names(parse_events(received)) == expected[:events]
        else:
            assert events == 0


def test_a_stream_breaks_after_bytes(faulty: RunningService) -> None:
    plan(faulty, {"when": {"operation": "runs.*"}, "then": {"break_stream": {"after_bytes": 37}}, "count": 1})
    with faulty.http() as client:
        assert len(broken_stream(client, turn(agent(client), "hi"))) == 37


def broken_stream(client: httpx.Client, body: Json) -> str:
    received: list[str] = []
    with client.stream("POST", "/threads/runs", json={**body, "stream": True}) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(response.iter_text())
    return "".join(received)


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ({"outcome": "throttled", "wait": 41}, "failed", "rate_limit_exceeded"),
        ({"outcome": "server_error"}, "failed", "server_error"),
        ({"outcome": "expired"}, "expired", None),
        ({"outcome": "incomplete", "reason": "max_prompt_tokens"}, "incomplete", None),
    ],
)
def test_a_run_ends_as_planned(faulty: RunningService, outcome: Json, status: str, code: str | None) -> None:
    plan(faulty, {"when": {"operation": "runs.create_thread_and_run"}, "then": {"run": outcome}, "count": 1})
    generations = len(faulty.generations())
    with faulty.http() as client:
        agent_id = agent(client)
        events = stream(client, "/threads/runs", turn(agent_id, "hi"))
        run = events[-2][1]
        assert names(events)[-2:] == [f"thread.run.{status}", "done"]
        assert get(client, f"/threads/{run['thread_id']}/runs/{run['id']}") | {
            "tool_resources": {}
        } == run | {"tool_resources": {}}
        assert run["status"] == status
        if code is not None:
            assert run["last_error"]["code"] == code
        if code == "rate_limit_exceeded":
            assert run["last_error"]["message"] == "Rate limit is exceeded. Try again in 41 seconds."
        if status == "incomplete":
            assert run["incomplete_details"] == {"reason": "max_prompt_tokens"}
        assert len(faulty.generations()) == generations
        again = post(client, f"/threads/{run['thread_id']}/runs", {"assistant_id": agent_id})
        assert wait_run(client, again)["status"] == "completed"


@pytest.mark.parametrize(
    ("outcome", "status"), [("stuck_queued", "queued"), ("stuck_in_progress", "in_progress")]
)
def test_a_stuck_run_stays_until_it_is_cancelled(faulty: RunningService, outcome: str, status: str) -> None:
    plan(faulty, {"when": {"operation": "runs.*"}, "then": {"run": {"outcome": outcome}}, "count": 1})
    with faulty.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run, status)
        time.sleep(0.1)
        assert wait_run(client, run, status)["status"] == status
        post(client, f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")
        assert wait_run(client, run, "cancelled")["last_error"] is None


def test_a_stuck_run_expires(service: Any) -> None:
    faults = parse_plan("rules: [{then: {run: {outcome: stuck_in_progress}}}]", "test")
    with service(config=ServiceConfig(run_ttl=1, faults=faults)).http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        assert wait_run(client, run)["status"] == "expired"


def test_a_run_can_fail_when_it_is_resumed(service: Any) -> None:
    running = service(rules={"rules": WEATHER_RULES})
    plan(
        running,
        {"when": {"operation": "runs.submit_tool_outputs"}, "then": {"run": {"outcome": "throttled"}}},
    )
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[WEATHER_TOOL]), "weather"))
        waiting = wait_run(client, run)
        path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
        post(client, path, answer_calls(waiting, '{"t": 1}', '{"t": 2}'))
        assert wait_run(client, run)["last_error"]["code"] == "rate_limit_exceeded"


def test_faults_are_counted_drawn_and_forgotten(faulty: RunningService) -> None:
    plan(
        faulty,
        {"when": {"operation": "agents.list", "nth": 2}, "then": {"status": 500}},
        {"when": {"operation": "agents.*"}, "then": {"status": 503}, "count": 1},
    )
    with faulty.http() as client:
        assert [client.get("/assistants").status_code for _ in range(4)] == [503, 500, 200, 200]
    assert [(rule["matched"], rule["fired"]) for rule in report(faulty)] == [(4, 1), (4, 1)]
    assert httpx.delete(f"{faulty.origin}/_emulator/faults").json()["rules"] == []


def test_chance_repeats_with_its_seed() -> None:
    def outcomes(seed: int) -> list[bool]:
        text = f"{{seed: {seed}, rules: [{{when: {{probability: 0.5}}, then: {{status: 500}}}}]}}"
        faults = Faults(parse_plan(text, "test"))
        return [faults.draw("agents.get", "GET", "/assistants/x") is not None for _ in range(64)]

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 16 < sum(outcomes(1)) < 48


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rules: 3", "rules"),
        ("rules: [{then: {}}]", "say what happens"),
        ("rules: [{then: {status: 404}}]", "429 or 500..599"),
        ("rules: [{then: {status: 500, lose_answer: true}}]", "not served"),
        ("rules: [{then: {retry_after: 1, lose_answer: true}}]", "needs a status"),
        (
            "rules: [{when: {operation: agents.creat}, then: {status: 500}}]",
            "no operation is named 'agents.creat'",
        ),
        ("rules: [{when: {operations: x}, then: {status: 500}}]", "rules.0.when.operations"),
        ("rules: [{then: {break_stream: {}}}]", "either after_events or after_bytes"),
        ("rules: [{then: {run: {outcome: sad}}}]", "rules.0.then.run.outcome"),
        ("rules: [{then: {latency: -1}}]", "rules.0.then.latency"),
        ("rules: [", "no YAML"),
        ("[" * 1500, "no YAML"),
        (b"\xff\xfe\x00", "no YAML"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_place(
    faulty: RunningService, text: str | bytes, place: str
) -> None:
    with pytest.raises(FaultPlanError, match=r"plan\.yaml") as refused:
        parse_plan(text, "plan.yaml")
    assert place in str(refused.value)
    response = httpx.put(f"{faulty.origin}/_emulator/faults", content=text)
    assert response.status_code == 400
    assert report(faulty) == []


def test_an_empty_plan_has_no_faults() -> None:
    assert parse_plan("", "x") == FaultPlan()


def test_the_faults_file_is_read_at_the_start(
    tmp_path: Path, service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("rules: [{when: {operation: threads.list}, then: {status: 503}}]", encoding="utf-8")
    with service(process=True, options=["--faults", str(path)]).http() as client:
        assert client.get("/threads").status_code == 503
    path.write_text("rules: 1", encoding="utf-8")
    assert main(["--data-dir", str(tmp_path / "d"), "--model", "scripted:none", "--faults", str(path)]) == 2
    assert f"{path}: rules" in capsys.readouterr().err
