"""Deep research: planned, searched, reviewed, reported; named as a stand-in, bounded and counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents_emulator.tools.research import derived_queries
from agents_emulator.tools.settings import ResearchLimits
from tests.emulator.helpers import Json, agent, get, post, stream, turn, wait_for, wait_run
from tests.emulator.tools.conftest import Turns, rules_for, write_yaml

TOOL = {
    "type": "deep_research",
    "deep_research": {
        "deep_research_model": "o3-deep-research",
        "bing_grounding_connections": [{"connection_id": "c"}],
    },
}
QUESTION = "How heavy is the Alpine tent, and what do the Trail boots look like?"
REPORT = "The Alpine tent weighs 2300 grams. The Trail boots are blue and waterproof."


def plan(*queries: str, stage: str = "You plan", **fields: Any) -> Json:
    return {
        "when": {"schema": "research_plan", "instructions": stage, **fields},
        "reply": {"json": {"queries": list(queries)}},
    }


def report(text: str = REPORT, **fields: Any) -> Json:
    return {"when": {"instructions": "You write research reports", **fields}, "reply": {"text": text}}


def script(*rules: Json) -> Json:
    outer = rules_for("deep_research")
    outer["rules"][-1]["reply"]["text"] = "{{ tool_results[-1].partition('\n\nSources')[0] }}"
    return {**outer, "rules": [*rules, *outer["rules"]]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tents.md").write_text("# Tents\n\nThe Alpine tent weighs 2300 grams.\n", encoding="utf-8")
    (folder / "boots.md").write_text(
        "# Boots\n\nThe Trail boots are blue and waterproof.\n", encoding="utf-8"
    )
    write_yaml(folder / "urls.yaml", {"tents.md": "https://contoso.example/tents"})
    return folder


@pytest.fixture
def researched(start: Any, folder: Path) -> Iterator[Any]:
    """Starts a service with rules and limits; returns a client of it with an agent that researches."""
    opened: list[httpx.Client] = []

    def go(*rules: Json, limits: ResearchLimits | None = None, **fields: Any) -> Turns:
        running = start(script(*rules), search_folder=folder, research=limits or ResearchLimits())
        client = running.http()
        opened.append(client)
        return Turns(client, agent(client, tools=[TOOL], **fields))

    yield go
    for client in opened:
        client.close()


def generations(turns: Turns) -> list[Json]:
    origin = str(turns.client.base_url).partition("/api/")[0]
    rows: list[Json] = httpx.get(f"{origin}/_emulator/generations").json()["data"]
    return [row for row in rows if row["run_id"] == turns.run["id"]]


def test_it_plans_searches_reviews_and_reports(researched: Any) -> None:
    turns = researched(
        plan("weight of the Alpine tent"),
        plan(
            "look of the Trail boots", stage="You review", message="Asked already: weight of the Alpine tent"
        ),
        report(message="(?s)2300 grams.*blue and waterproof|blue and waterproof.*2300 grams"),
    )
    call = turns.call("deep_research", {"query": QUESTION})
    assert list(call) == ["id", "type", "deep_research"]
    details = call["deep_research"]
    assert details["input"] == QUESTION
    assert "by the local service" in details["stand_in"]
    assert details["output"].startswith(REPORT)
    assert "- tents.md: https://contoso.example/tents" in details["output"]
    assert "- boots.md: https://stand-in.invalid/deep_research/boots.md" in details["output"]


def test_the_answer_cites_the_sources_by_address(researched: Any) -> None:
    turns = researched(plan("weight of the Alpine tent"), plan(stage="You review"), report())
    turns.call("deep_research", {"query": QUESTION})
    annotations = turns.answer()["content"][0]["text"]["annotations"]
    assert [mark["type"] for mark in annotations] == ["url_citation"] * len(annotations)
    assert {"url": "https://contoso.example/tents", "title": "tents.md"} in [
        mark["url_citation"] for mark in annotations
    ]


def test_what_it_asks_the_model_is_logged_and_counted(researched: Any) -> None:
    turns = researched(plan("weight of the Alpine tent"), plan(stage="You review"), report())
    turns.call("deep_research", {"query": QUESTION})
    rows = generations(turns)
    assert len(rows) == 5  # the call, plan, review, report, the answer
    for kind in ("prompt_tokens", "completion_tokens"):
        assert turns.run["usage"][kind] == sum(row[kind] for row in rows)
    usages = [step["usage"] for step in turns.steps()]
    assert sum(usage["total_tokens"] for usage in usages) == turns.run["usage"]["total_tokens"]
    assert usages[0]["completion_tokens"] == sum(row["completion_tokens"] for row in rows[:4])


def test_a_model_that_cannot_plan_gets_queries_by_rule(researched: Any) -> None:
    turns = researched(
        {"when": {"schema": "research_plan"}, "reply": {"text": "I would search the web."}},
        report(message="(?s)2300 grams|blue"),
    )
    output = turns.call("deep_research", {"query": QUESTION})["deep_research"]["output"]
    assert output.startswith(REPORT)
    assert len(generations(turns)) == 5


def test_queries_by_rule() -> None:
    assert derived_queries(f"{QUESTION} Be brief.") == [
        "How heavy is the Alpine tent, and what do the Trail boots look like? Be brief",
        "How heavy is the Alpine tent, and what do the Trail boots look like",
        "How heavy is the Alpine tent",
        "and what do the Trail boots look like",
    ]
    assert derived_queries("Tents") == ["Tents"]


def test_limits_of_queries_rounds_and_tokens(researched: Any) -> None:
    turns = researched(
        plan(*(f"query number {number}" for number in range(9)), stage="You "),
        {**report(), "reply": {"text": "word " * 500}},
        limits=ResearchLimits(queries=3, rounds=1, report_tokens=50),
    )
    turns.call("deep_research", {"query": QUESTION})
    rows = generations(turns)
    assert [row["completion_tokens"] for row in rows[2:3]] == [50]
    assert len(rows) == 4


def test_the_runs_own_limit_holds_within_the_tool(researched: Any) -> None:
    turns = researched(plan("weight of the Alpine tent"), plan(stage="You review"), report("word " * 500))
    body = turn(turns.agent_id, f'call deep_research {{"query": "{QUESTION}"}}', max_completion_tokens=120)
    run = wait_run(turns.client, post(turns.client, "/threads/runs", body), "incomplete")
    assert run["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert run["usage"]["completion_tokens"] == 120


def test_nothing_found_is_said(researched: Any, tmp_path: Path, start: Any) -> None:
    running = start(script(plan("weight"), plan(stage="You review")), search_folder=tmp_path)
    with running.http() as client:
        turns = Turns(client, agent(client, tools=[TOOL]))
        output = turns.call("deep_research", {"query": QUESTION})["deep_research"]["output"]
    assert output.startswith("Nothing about this was found.")


def test_a_throttled_model_fails_the_run_as_always(researched: Any) -> None:
    error = {"code": "rate_limit_exceeded", "message": "too fast", "retry_after": 7}
    turns = researched({"when": {"schema": "research_plan"}, "reply": {"error": error}})
    body = turn(turns.agent_id, f'call deep_research {{"query": "{QUESTION}"}}')
    run = wait_run(turns.client, post(turns.client, "/threads/runs", body), "failed")
    assert run["last_error"] == {
        "code": "rate_limit_exceeded",
        "message": "Rate limit is exceeded. Try again in 7 seconds.",
    }


def test_it_ends_in_time_and_by_cancelling(researched: Any) -> None:
    slow = {**plan("weight"), "delay": 30}
    turns = researched(slow, limits=ResearchLimits(seconds=0.3))
    output = turns.call("deep_research", {"query": QUESTION})["deep_research"]["output"]
    assert "more than 0.3 s" in output
    turns = researched(slow)
    run = post(turns.client, "/threads/runs", turn(turns.agent_id, 'call deep_research {"query": "tents"}'))
    turns.run = run
    wait_for(lambda: len(generations(turns)) > 1)
    started = time.monotonic()
    post(turns.client, f"{turns.path}/cancel")
    wait_run(turns.client, run, "cancelled")
    assert time.monotonic() - started < 5


def test_deltas_of_a_streamed_run(researched: Any) -> None:
    turns = researched(plan("weight of the Alpine tent"), plan(stage="You review"), report())
    body = turn(turns.agent_id, f'call deep_research {{"query": "{QUESTION}"}}')
    events = stream(turns.client, "/threads/runs", body)
    deltas = [
        data["delta"]["step_details"]["tool_calls"][0]
        for name, data in events
        if name == "thread.run.step.delta"
    ]
    assert [delta["type"] for delta in deltas] == ["deep_research"] * 2
    assert "output" not in deltas[0]["deep_research"]
    assert deltas[1]["deep_research"]["output"].startswith(REPORT)


def test_without_a_folder_it_is_not_served(start: Any) -> None:
    with start(script()).http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[TOOL]), "call deep_research {}"))
        error = wait_run(client, run, "failed")["last_error"]
    assert error["code"] == "unsupported_tool"
    assert "--search-folder" in error["message"]


def test_interim_messages_tell_how_it_goes_on(researched: Any) -> None:
    turns = researched(plan("weight of the Alpine tent"), plan(stage="You review"), report())
    turns.call("deep_research", {"query": QUESTION})
    steps = turns.steps()
    assert [step["type"] for step in steps] == ["tool_calls", *["message_creation"] * 4]
    assert [step["usage"]["total_tokens"] for step in steps[1:4]] == [0, 0, 0]
    assert steps[0]["usage"]["total_tokens"] > 0
    thread = f"/threads/{turns.run['thread_id']}/messages"
    messages = get(turns.client, thread, order="asc")["data"][1:]
    texts = [message["content"][0]["text"]["value"] for message in messages]
    assert [text.startswith("cot_summary: ") for text in texts] == [True, True, True, False]
    marks = messages[1]["content"][0]["text"]["annotations"]
    assert "https://contoso.example/tents" in [mark["url_citation"]["url"] for mark in marks]
    assert all(texts[1][mark["start_index"] : mark["end_index"]] == mark["text"] for mark in marks)
    assert {message["run_id"] for message in messages} == {turns.run["id"]}


def test_interim_messages_come_while_it_works_and_are_streamed(researched: Any) -> None:
    turns = researched(plan("weight of the Alpine tent"), plan(stage="You review"), report())
    body = turn(turns.agent_id, f'call deep_research {{"query": "{QUESTION}"}}')
    events = stream(turns.client, "/threads/runs", body)
    said = [
        event["content"][0]["text"]["value"] for name, event in events if name == "thread.message.completed"
    ]
    assert [text.startswith("cot_summary:") for text in said] == [True, True, True, False]
    order = [name for name, _ in events]
    finished = [
        index
        for index, (name, event) in enumerate(events)
        if name == "thread.run.step.completed" and event["type"] == "tool_calls"
    ]
    assert order.index("thread.message.completed") < finished[0]
