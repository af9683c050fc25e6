"""The request log: complete, in order, durable, free of secrets and file contents."""

from __future__ import annotations

from typing import Any

from tests.emulator.helpers import agent, get, post, stream, turn, upload


def test_every_request_is_logged_with_what_it_made(service: Any) -> None:
    running = service()
    with running.http() as client:
        agent_id = agent(client, metadata={"key": "k1"})
        file_id = upload(client, "secret.txt", b"file contents")
        run = stream(client, "/threads/runs", turn(agent_id, "hi"))[-2][1]
        get(client, "/threads/thread_x", status=404)
        client.delete(f"/assistants/{agent_id}")
    rows = running.requests()
    assert [(row["operation"], row["method"], row["status"], row["response_id"]) for row in rows] == [
        ("agents.create", "POST", 200, agent_id),
        ("files.upload", "POST", 200, file_id),
        ("runs.create_thread_and_run", "POST", 200, run["id"]),
        ("threads.get", "GET", 404, None),
        ("agents.delete", "DELETE", 200, agent_id),
    ]
    assert rows[0]["body"] == {"model": "gpt-4o", "metadata": {"key": "k1"}}
    assert rows[1]["body"] == {"purpose": "assistants", "filename": "secret.txt", "bytes": 13}
    assert rows[2]["path"] == "/api/projects/local/threads/runs"
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5]
    assert "file contents" not in str(rows)


def test_refusals_are_logged_too(service: Any) -> None:
    running = service()
    with running.http() as client:
        post(client, "/assistants", {"metadata": {}}, status=400)
        get(client, "/nothing", status=404)
    rows = running.requests()
    assert [(row["operation"], row["status"]) for row in rows] == [("agents.create", 400), (None, 404)]


def test_headers_in_bodies_are_redacted(service: Any) -> None:
    running = service()
    server = {"server_label": "x", "headers": {"Authorization": "Bearer hidden"}}
    with running.http() as client:
        body = turn(agent(client), "hi", tool_resources={"mcp": [server]})
        run = post(client, "/threads/runs", body)
    logged = running.requests("runs.create_thread_and_run")[0]["body"]
    assert logged["tool_resources"]["mcp"][0]["headers"] == {"Authorization": "REDACTED"}
    assert run["tool_resources"]["mcp"][0]["headers"] == {"Authorization": "REDACTED"}


def test_model_invocations_are_logged_with_their_tokens(service: Any) -> None:
    running = service()
    with running.http() as client:
        run = stream(client, "/threads/runs", turn(agent(client), "hi"))[-2][1]
    (row,) = running.generations()
    assert (row["run_id"], row["outcome"], row["model"]) == (run["id"], "stop", "scripted")
    assert row["prompt_tokens"] == run["usage"]["prompt_tokens"]
    assert row["completion_tokens"] == run["usage"]["completion_tokens"]
    assert row["ms"] >= 0


def test_the_log_survives_a_restart_and_pages(service: Any) -> None:
    first = service()
    with first.http() as client:
        for _ in range(3):
            post(client, "/threads")
    first.stop()
    second = service(data_dir=first.data_dir)
    with second.http() as client:
        post(client, "/threads")
        after = client.get(f"{second.origin}/_emulator/requests", params={"after": 3}).json()["data"]
    assert len(second.requests("threads.create")) == 4
    assert [row["id"] for row in after] == [4]
