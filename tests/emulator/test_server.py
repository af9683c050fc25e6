"""The process: ready file, signals, concurrency."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.local.child_environment import for_service
from agent_tasks.pipeline.schema import LimitsSection
from agent_tasks.secret_arguments import TOKEN_VARIABLE
from agents_emulator.app import OPERATIONS, SUCCESSOR_OPERATIONS
from agents_emulator.server import build_parser, check_variables, main
from agents_emulator.service import DEFAULT_CONCURRENT_RUNS, ServiceConfig
from tests.emulator.helpers import agent, get, post, stream, turn, wait_run


def test_a_signal_ends_it_within_three_seconds_despite_open_streams(service: Any) -> None:
    running = service(rules={"default": {"reply": {"text": "Late."}, "delay": 60}}, process=True)
    ready = json.loads((running.data_dir / "ready.json").read_text(encoding="utf-8"))
    assert ready == {"endpoint": running.endpoint, "pid": running.process.pid, "model": "scripted"}
    opened, ended = threading.Event(), threading.Event()

    def listen() -> None:
        with running.http() as client:
            body = turn(agent(client), "hi", stream=True)
            with client.stream("POST", "/threads/runs", json=body) as response:
                for line in response.iter_lines():
                    if line == "event: thread.run.in_progress":
                        opened.set()
                    assert line != "event: done"
        ended.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert opened.wait(10)
    started = time.monotonic()
    running.process.terminate()
    assert running.process.wait(5) == 0
    assert time.monotonic() - started < 3
    listener.join(5)
    assert ended.is_set()
    log = (running.data_dir / "service.log").read_text(encoding="utf-8")
    assert "Traceback" not in log


def test_eight_streams_at_once_are_all_served_completely(service: Any) -> None:
    rules = {
        "rules": [
            {
                "when": {"message": "no (?P<n>\\d+)"},
                "reply": {"text": "{{ groups.n }} " * 40},
                "chunk": 6,
                "pause": 0.005,
            }
        ]
    }
    running = service(rules=rules, config=ServiceConfig(max_concurrent_runs=8))
    with running.http() as client:
        agent_id = agent(client)

    def one(number: int) -> str:
        with running.http() as own:
            events = stream(own, "/threads/runs", turn(agent_id, f"no {number}"))
            assert events[-1][0] == "done"
            assert events[-2][0] == "thread.run.completed"
            deltas = [
                body["delta"]["content"][0]["text"]["value"]
                for name, body in events
                if name.endswith("message.delta")
            ]
            return "".join(deltas)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(16)))
    assert answers == [f"{number} " * 40 for number in range(16)]
    assert len(running.generations()) == 16


def test_health_names_the_model(service: Any) -> None:
    health = httpx.get(f"{service().origin}/_emulator/health").json()
    assert health == {
        "status": "ok",
        "model": "scripted",
        "operations": len((*OPERATIONS, *SUCCESSOR_OPERATIONS)),
    }


def test_eight_writers_at_once_lose_nothing(service: Any) -> None:
    running = service()

    def write(number: int) -> None:
        with running.http() as client:
            for _ in range(10):
                client.post("/threads", json={"metadata": {"n": str(number)}}).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with running.http() as client:
        assert len(get(client, "/threads", limit=100)["data"]) == 80
    assert len(running.requests("threads.create")) == 80


def test_as_many_runs_are_at_work_as_a_pipeline_may_have_in_flight(service: Any) -> None:
    """Without an option, as the embedded service is started; four at a time is what it was."""
    (widest,) = (
        rule.le for rule in LimitsSection.model_fields["concurrency"].metadata if hasattr(rule, "le")
    )
    assert widest == DEFAULT_CONCURRENT_RUNS
    running = service(rules={"default": {"reply": {"text": "Late."}, "delay": 60}}, process=True)
    with running.http() as client:
        agent_id = agent(client)
        runs = [post(client, "/threads/runs", turn(agent_id, f"{number}")) for number in range(12)]
        for run in runs:
            wait_run(client, run, "in_progress")


@pytest.mark.parametrize(
    ("name", "value", "options", "said"),
    [
        ("AGENTS_EMULATOR_TOKN", "t0p-secret", [], "AGENTS_EMULATOR_TOKN is no setting. Did you mean"),
        ("AGENTS_EMULATOR_TOKEN", "", [], "AGENTS_EMULATOR_TOKEN is set, but empty"),
        ("AGENTS_EMULATOR_OPENAI_API_KEY", " ", [], "AGENTS_EMULATOR_OPENAI_API_KEY is set, but empty"),
        ("UNRELATED", "x", ["--token", ""], "--token is empty"),
        ("UNRELATED", "x", ["--tokn", "t0p"], "unrecognized arguments"),
    ],
)
def test_a_wrong_variable_or_option_never_leaves_it_open_to_anybody(
    name: str,
    value: str,
    options: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(["--data-dir", str(tmp_path), "--model", "scripted:none.yaml", *options])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert "t0p-secret" not in told


def test_it_knows_every_variable_that_it_is_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    given = for_service("scripted:rules.yaml", None) | {TOKEN_VARIABLE: "t0p"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    parser = build_parser()
    check_variables(parser, parser.parse_args(["--data-dir", "data"]))
