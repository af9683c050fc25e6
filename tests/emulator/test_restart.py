"""What a kill of the service leaves behind, and what its next start makes of it."""

from __future__ import annotations

import sqlite3
from typing import Any

import httpx

from tests.emulator.helpers import (
    WEATHER_RULES,
    WEATHER_TOOL,
    agent,
    answer_calls,
    get,
    post,
    turn,
    upload,
    wait_for,
    wait_run,
)

# The third model invocation of a slow message answers at once: the ones before it were cut off by kills.
SLOW_TWICE = {
    "rules": [
        *WEATHER_RULES,
        {"when": {"message": "slow"}, "reply": {"text": "abcdefgh" * 20}, "chunk": 2, "pause": 0.1},
    ],
    "default": {"reply": {"text": "Quick."}},
}
FAST = {"rules": WEATHER_RULES, "default": {"reply": {"text": "Redone."}}}


def rewrite_rules(running: Any, rules: dict[str, Any]) -> None:
    """Give the next start of a service other rules."""
    import yaml

    (running.data_dir.parent / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")


def test_runs_go_on_after_a_kill(service: Any) -> None:
    running = service(rules=SLOW_TWICE, process=True)
    with running.http() as client:
        agent_id = agent(client, tools=[WEATHER_TOOL])
        body = turn(agent_id, "slow", stream=True)
        frames = 0
        try:
            with client.stream("POST", "/threads/runs", json=body) as response:
                for line in response.iter_lines():
                    frames += line == "event: thread.message.delta"
                    if frames == 2:
                        # A half-written message, a run that waits for outputs, and one that waits for a slot.
                        waiting = post(client_of(running), "/threads/runs", turn(agent_id, "weather"))
                        wait_run(client_of(running), waiting, "requires_action")
                        running.kill()
        except httpx.HTTPError:
            pass
    assert frames >= 2
    rewrite_rules(running, FAST)
    running.restart()
    with running.http() as client:
        thread = next(t for t in get(client, "/threads")["data"] if t["id"] != waiting["thread_id"])
        (run,) = get(client, f"/threads/{thread['id']}/runs")["data"]
        done = wait_run(client, run)
        messages = get(client, f"/threads/{thread['id']}/messages")["data"]
        steps = get(client, f"/threads/{thread['id']}/runs/{run['id']}/steps")["data"]
        assert done["status"] == "completed"
        assert [m["content"][0]["text"]["value"] for m in messages] == ["Redone.", "slow"]
        assert [step["status"] for step in steps] == ["completed"]
        # The run that waited for its client still does, for the same calls.
        again = wait_run(client, waiting)
        assert again["status"] == "requires_action"
        path = f"/threads/{waiting['thread_id']}/runs/{waiting['id']}/submit_tool_outputs"
        post(client, path, answer_calls(again, '{"t": 1}', '{"t": 2}'))
        assert wait_run(client, waiting)["status"] == "completed"
    # One run for one request, though the model was asked twice; the interrupted time is on record.
    assert len(running.requests("runs.create_thread_and_run")) == 2
    asked = [row["outcome"] for row in running.generations() if row["run_id"] == run["id"]]
    assert asked == ["started", "stop"]


def client_of(running: Any) -> httpx.Client:
    client: httpx.Client = running.http()
    return client


def test_a_graceful_stop_continues_the_same_run(service: Any) -> None:
    slow = {"default": {"reply": {"text": "Late."}, "delay": 30}}
    first = service(rules=slow)
    with first.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run, "in_progress")
    first.stop()
    second = service(data_dir=first.data_dir)
    with second.http() as client:
        assert wait_run(client, run)["status"] == "completed"
    assert [row["outcome"] for row in second.generations()] == ["interrupted", "stop"]


def test_a_run_that_expired_while_the_service_was_down_is_expired(service: Any) -> None:
    slow = {"default": {"reply": {"text": "Late."}, "delay": 30}}
    first = service(rules=slow)
    with first.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run, "in_progress")
    first.stop()
    with sqlite3.connect(first.data_dir / "service.db") as db:
        db.execute("UPDATE runs SET body = json_set(body, '$.expires_at', 1)")
    db.close()
    second = service(data_dir=first.data_dir)
    with second.http() as client:
        assert wait_run(client, run)["status"] == "expired"


def test_a_cancellation_that_was_cut_off_is_finished(service: Any) -> None:
    slow = {"default": {"reply": {"text": "Late."}, "delay": 30}}
    first = service(rules=slow)
    with first.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run, "in_progress")
    first.stop()
    with sqlite3.connect(first.data_dir / "service.db") as db:
        db.execute("UPDATE runs SET body = json_set(body, '$.status', 'cancelling')")
    db.close()
    second = service(data_dir=first.data_dir)
    with second.http() as client:
        assert wait_run(client, run)["status"] == "cancelled"


def test_unread_files_are_read_and_cut_off_uploads_removed(service: Any) -> None:
    first = service()
    with first.http() as client:
        store = post(
            client, "/vector_stores", {"file_ids": [upload(client, "a.txt", b"Some words to read.")]}
        )
        path = f"/vector_stores/{store['id']}"
        wait_for(lambda: get(client, path)["status"] == "completed")
    first.stop()
    (first.data_dir / "files" / "assistant-cutoff.partial").write_bytes(b"half")
    with sqlite3.connect(first.data_dir / "service.db") as db:
        db.execute("UPDATE vector_store_files SET body = json_set(body, '$.status', 'in_progress')")
    db.close()
    second = service(data_dir=first.data_dir)
    with second.http() as client:
        wait_for(lambda: get(client, path)["file_counts"]["completed"] == 1)
    assert len(list((second.data_dir / "files").iterdir())) == 1
