"""Runs (`/threads/{id}/runs`, `/threads/runs`), plain and streamed."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.responses import Response, StreamingResponse

from agent_tasks.wire import (
    CreateRunRequest,
    CreateThreadAndRunRequest,
    SubmitToolOutputsRequest,
    UpdateRunRequest,
)
from agents_emulator import validation
from agents_emulator.dispatch import Call, Operation, common_headers
from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import run_body
from agents_emulator.engine.broker import Event
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.ids import new_id
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.resources.messages import add_message
from agents_emulator.resources.threads import insert_thread, thread_body
from agents_emulator.resources.tool_resources import check_tool_resources
from agents_emulator.store import AGENTS, RUN_STEPS, RUNS, THREADS, Record

_MIN_TOKEN_LIMIT = 1


def _new_run(db: sqlite3.Connection, call: Call, thread: Record, body: Record) -> Record:
    """Add a queued run; what the request leaves out comes from the agent, as it is now."""
    agent = AGENTS.get(db, body["assistant_id"])
    created = lifecycle.now()
    tools = validation.check_tools(body["tools"]) if body.get("tools") is not None else agent["tools"]
    run: Record = {
        "id": new_id("run"),
        "object": "thread.run",
        "created_at": created,
        "assistant_id": agent["id"],
        "thread_id": thread["id"],
        "status": "queued",
        "started_at": None,
        "expires_at": created + call.service.config.run_ttl,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": body.get("model") or agent["model"],
        "instructions": _instructions(agent, body),
        "tools": tools,
        "tool_resources": check_tool_resources(db, _without_secrets(body.get("tool_resources"))),
        "metadata": validation.check_metadata(body.get("metadata")),
        "temperature": validation.or_default(
            validation.check_number(body, "temperature", 0, 2), agent["temperature"]
        ),
        "top_p": validation.or_default(validation.check_number(body, "top_p", 0, 1), agent["top_p"]),
        "max_completion_tokens": validation.check_count(body, "max_completion_tokens", _MIN_TOKEN_LIMIT),
        "max_prompt_tokens": validation.check_count(body, "max_prompt_tokens", _MIN_TOKEN_LIMIT),
        "truncation_strategy": _truncation(body.get("truncation_strategy")),
        "incomplete_details": None,
        "usage": None,
        "response_format": validation.check_response_format(body["response_format"])
        if body.get("response_format") is not None
        else agent["response_format"],
        "tool_choice": validation.check_tool_choice(body.get("tool_choice"), tools),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        # Not on the wire: what the engine needs besides.
        "agent_tool_resources": agent["tool_resources"],
        "include": call.include,
        "spent": {"prompt_tokens": 0, "completion_tokens": 0},
    }
    RUNS.insert(db, run, thread["id"])
    return run


def _instructions(agent: Record, body: Record) -> str:
    parts = [body.get("instructions") or agent["instructions"], body.get("additional_instructions")]
    return "\n".join(part for part in parts if part)


def _truncation(value: Any) -> Record:
    if not value:
        return {"type": "auto", "last_messages": None}
    return {"type": value["type"], "last_messages": validation.check_count(value, "last_messages")}


def _without_secrets(resources: Any) -> Any:
    """Redact the headers of MCP servers, which the service never gives back (recorded)."""
    if not isinstance(resources, dict) or not isinstance(resources.get("mcp"), list):
        return resources
    servers = [
        {**server, "headers": dict.fromkeys(server["headers"], "REDACTED")}
        if server.get("headers")
        else server
        for server in resources["mcp"]
    ]
    return {**resources, "mcp": servers}


def _launch(call: Call, run: Record, *, streamed: bool, first: list[Event]) -> Response | Record:
    """Set the engine to work on a queued run and answer with it, or with its events from `first` on."""
    call.created(run)
    if not streamed:
        call.service.engine.start(run)
        return run_body(run)
    subscription = call.service.broker.subscribe(run["id"])
    call.service.broker.publish(run["id"], first)
    call.service.engine.start(run)
    return StreamingResponse(
        subscription.frames(),
        headers={
            **common_headers(),
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
        },
    )


async def create(call: Call) -> Response | Record:
    """POST /threads/{id}/runs; with `stream: true` the answer is the run's events."""
    body = call.parsed(CreateRunRequest)

    def insert(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        thread = THREADS.get(db, call.path["thread_id"])
        active = lifecycle.active_run(db, thread["id"])
        if active is not None:
            raise bad_request(f"Thread {thread['id']} already has an active run {active['id']}.")
        unread: list[Record] = []
        for message in body.get("additional_messages") or []:
            unread += add_message(db, thread, message)[1]
        return _new_run(db, call, thread, body), unread

    run, unread = await call.service.store.write(insert)
    call.service.ingestion.start(unread)
    return _launch(call, run, streamed=body.get("stream") is True, first=_birth(run))


async def create_thread_and_run(call: Call) -> Response | Record:
    """POST /threads/runs: thread, messages and run in one request and one transaction."""
    body = call.parsed(CreateThreadAndRunRequest)

    def insert(db: sqlite3.Connection) -> tuple[Record, Record, list[Record]]:
        thread, unread = insert_thread(db, body.get("thread") or {})
        return thread, _new_run(db, call, thread, body), unread

    thread, run, unread = await call.service.store.write(insert)
    call.service.ingestion.start(unread)
    first = [Event("thread.created", thread_body(thread)), *_birth(run)]
    return _launch(call, run, streamed=body.get("stream") is True, first=first)


def _birth(run: Record) -> list[Event]:
    return [lifecycle.run_event(run, "created"), lifecycle.run_event(run)]


async def list_all(call: Call) -> Record:
    """GET /threads/{id}/runs."""
    page = page_from_query(call.query)

    def read(db: sqlite3.Connection) -> Record:
        thread_id = THREADS.get(db, call.path["thread_id"])["id"]
        runs, has_more = RUNS.page(db, page, thread_id)
        return list_body([run_body(run) for run in runs], has_more)

    return await call.service.store.read(read)


def _run(db: sqlite3.Connection, call: Call) -> Record:
    thread_id = THREADS.get(db, call.path["thread_id"])["id"]
    return RUNS.get(db, call.path["run_id"], thread_id)


async def get(call: Call) -> Record:
    """GET /threads/{id}/runs/{run_id}."""
    return run_body(await call.service.store.read(lambda db: _run(db, call)))


async def update(call: Call) -> Record:
    """POST /threads/{id}/runs/{run_id}: metadata."""
    body = call.parsed(UpdateRunRequest)

    def change(db: sqlite3.Connection) -> Record:
        run = _run(db, call)
        if "metadata" in body:
            run["metadata"] = validation.check_metadata(body["metadata"])
        RUNS.put(db, run, run["thread_id"])
        return run

    return call.created(run_body(await call.service.store.write(change)))


async def cancel(call: Call) -> Record:
    """POST .../cancel: the run is `cancelling`, and `cancelled` a moment later."""

    def change(db: sqlite3.Connection) -> tuple[Record, Event]:
        run = _run(db, call)
        if run["status"] not in ("queued", "in_progress", "requires_action"):
            raise bad_request(f"Cannot cancel run with status '{run['status']}'.")
        run["status"] = "cancelling"
        return run, lifecycle.save_run(db, run)

    run, event = await call.service.store.write(change)
    call.service.broker.publish(run["id"], [event])
    call.service.engine.end_soon(run, "cancelled")
    return call.created(run_body(run))


async def submit_tool_outputs(call: Call) -> Response | Record:
    """POST .../submit_tool_outputs: one output for each waiting call; the run is queued again."""
    body = call.parsed(SubmitToolOutputsRequest)
    if body.get("tool_approvals"):
        raise bad_request(
            "The local service executes no tool that asks for an approval; no call of this run waits "
            "for one.",
            param="tool_approvals",
        )
    given = [_output(item, index) for index, item in enumerate(body.get("tool_outputs") or [])]

    def resume(db: sqlite3.Connection) -> tuple[Record, list[Event]]:
        run = _run(db, call)
        if run["status"] != "requires_action":
            raise bad_request(f'Runs in status "{run["status"]}" do not accept tool outputs.')
        waiting = [item["id"] for item in run["required_action"]["submit_tool_outputs"]["tool_calls"]]
        answered = [call_id for call_id, _ in given]
        if sorted(waiting) != sorted(answered):
            raise bad_request(
                f"Expected tool outputs for call_ids {waiting}, got {answered}.", param="tool_outputs"
            )
        events = [_close_tool_step(db, run, dict(given))]
        run["status"], run["required_action"] = "queued", None
        return run, [*events, lifecycle.save_run(db, run)]

    run, events = await call.service.store.write(resume)
    return _launch(call, run, streamed=body.get("stream") is True, first=events)


def _output(item: Record, index: int) -> tuple[str, str]:
    """Return call id and text of a tool output; no tool of the local service takes structured outputs."""
    call_id, text = item.get("tool_call_id"), item.get("output", "")
    if not isinstance(call_id, str):
        raise missing_parameter(f"tool_outputs[{index}].tool_call_id")
    if not isinstance(text, str | None):
        raise bad_request(
            f"Invalid type for 'tool_outputs[{index}].output': expected a string.",
            param=f"tool_outputs[{index}].output",
            code="invalid_type",
        )
    return call_id, text or ""


def _close_tool_step(db: sqlite3.Connection, run: Record, outputs: dict[str, str]) -> Event:
    step = RUN_STEPS.select(db, run["id"], {"status": "in_progress"})[-1]
    for tool_call in step["step_details"]["tool_calls"]:
        tool_call["function"]["output"] = outputs[tool_call["id"]]
    return lifecycle.close_step(db, run, step, step["usage"])


_PATH = "/threads/{thread_id}/runs"
OPERATIONS = (
    Operation("runs.create_thread_and_run", "POST", "/threads/runs", create_thread_and_run),
    Operation("runs.create", "POST", _PATH, create),
    Operation("runs.list", "GET", _PATH, list_all),
    Operation("runs.get", "GET", f"{_PATH}/{{run_id}}", get),
    Operation("runs.update", "POST", f"{_PATH}/{{run_id}}", update),
    Operation("runs.cancel", "POST", f"{_PATH}/{{run_id}}/cancel", cancel),
    Operation(
        "runs.submit_tool_outputs", "POST", f"{_PATH}/{{run_id}}/submit_tool_outputs", submit_tool_outputs
    ),
)
