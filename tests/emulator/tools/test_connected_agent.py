"""Connected agents: runs of their own, depth, failures, cancellation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import WEATHER_TOOL, Json, agent, get, post, turn, wait_for, wait_run
from tests.emulator.tools.conftest import Turns
from tests.support.service import RunningService

RULES = {
    "rules": [
        {"when": {"instructions": "slow"}, "reply": {"text": "late"}, "delay": 30},
        {"when": {"instructions": "failing"}, "reply": {"error": {"message": "out of order"}}},
        {
            "when": {"instructions": "asking", "tool_results": False},
            "reply": {"tool_calls": [{"name": "get_weather", "arguments": {}}]},
        },
        {
            "when": {"instructions": "expert"},
            "reply": {"text": "About {{ message }}: 42."},
        },
        {
            "when": {"instructions": "manager", "tool_results": False},
            "reply": {"tool_calls": [{"name": "expert", "arguments": {"message": "prices"}}]},
        },
        {"when": {"tool_results": True}, "reply": {"text": "{{ tool_results[-1] }}"}},
    ]
}


def connected(agent_id: str) -> Json:
    details = {"id": agent_id, "name": "expert", "description": "Knows prices."}
    return {"type": "connected_agent", "connected_agent": details}


@pytest.fixture(scope="module")
def running(start: Any) -> RunningService:
    started: RunningService = start(RULES)
    return started


@pytest.fixture
def client(running: RunningService) -> Iterator[Any]:
    with running.http() as http:
        yield http


def managed(client: Any, agent_id: str) -> Turns:
    return Turns(client, agent(client, instructions="manager", tools=[connected(agent_id)]))


def test_the_connected_agent_runs_in_a_thread_of_its_own(client: Any) -> None:
    expert = agent(client, instructions="expert")
    turns = managed(client, expert)
    call = turns.call("expert", "{}")
    assert call["type"] == "connected_agent"
    details = call["connected_agent"]
    assert list(details) == ["name", "arguments", "output", "run_id", "thread_id", "assistant_id"]
    assert details["output"] == "About prices: 42."
    assert details["assistant_id"] == expert
    assert details["thread_id"] != turns.run["thread_id"]
    child = get(client, f"/threads/{details['thread_id']}/runs/{details['run_id']}")
    assert child["status"] == "completed"
    assert turns.answer_text() == "About prices: 42."


@pytest.mark.parametrize(
    ("instructions", "tools", "message"),
    [
        ("failing", [], "ended as failed: out of order"),
        ("asking", [WEATHER_TOOL], "ended as cancelled: it waited for its client"),
    ],
)
def test_a_child_without_an_answer_is_an_output(
    client: Any, instructions: str, tools: list[Json], message: str
) -> None:
    turns = managed(client, agent(client, instructions=instructions, tools=tools))
    call = turns.call("expert", "{}")
    assert message in json.loads(call["connected_agent"]["output"])["error"]
    assert turns.run["status"] == "completed"


def test_an_agent_that_is_gone_is_an_output(client: Any) -> None:
    turns = managed(client, "asst_gone")
    assert "asst_gone does not exist" in turns.call("expert", "{}")["connected_agent"]["output"]


def test_connected_agents_have_none_of_their_own(client: Any) -> None:
    expert = agent(client, instructions="expert")
    middle = agent(client, instructions="manager", tools=[connected(expert)])
    turns = managed(client, middle)
    assert "2 levels are allowed" in turns.call("expert", "{}")["connected_agent"]["output"]


def test_cancelling_the_run_cancels_its_child(client: Any) -> None:
    turns = managed(client, agent(client, instructions="slow"))
    run = post(client, "/threads/runs", turn(turns.agent_id, "go"))
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"

    def child() -> Json | None:
        threads = get(client, "/threads", limit=100)["data"]
        for thread in threads:
            for found in get(client, f"/threads/{thread['id']}/runs")["data"]:
                if found["instructions"] == "slow" and found["status"] == "in_progress":
                    return dict(found)
        return None

    slow = wait_for(child)
    post(client, f"{path}/cancel")
    assert wait_run(client, run)["status"] == "cancelled"
    assert wait_run(client, slow)["status"] == "cancelled"


def test_children_need_no_place_among_the_runs_at_work(service: Any) -> None:
    running = service(rules=RULES, config=ServiceConfig(max_concurrent_runs=1))
    with running.http() as client:
        turns = managed(client, agent(client, instructions="expert"))
        assert turns.call("expert", "{}")["connected_agent"]["output"] == "About prices: 42."


def test_after_a_kill_the_run_follows_the_child_that_it_had(service: Any) -> None:
    rules = {
        "rules": [
            {"when": {"instructions": "expert"}, "reply": {"text": "Late."}, "delay": 0.6},
            *RULES["rules"],
        ]
    }
    running = service(rules=rules, process=True, options=["--max-concurrent-runs", "1"])
    with running.http() as client:
        turns = managed(client, agent(client, instructions="expert"))
        run = post(client, "/threads/runs", turn(turns.agent_id, "go"))
        wait_for(lambda: len(running.generations()) == 2)
        running.kill()
    running.restart()
    with running.http() as client:
        turns = Turns(client, turns.agent_id)
        turns.run = wait_run(client, run)
        assert turns.tool_call()["connected_agent"]["output"] == "Late."
        assert len(get(client, "/threads")["data"]) == 2
    assert [row["outcome"] for row in running.generations()] == ["tool_calls", "started", "stop", "stop"]
