"""Runs (`/threads/{id}/runs`, `/threads/runs`), plain and streamed."""

from __future__ import annotations

import sqlite3

from starlette.responses import Response, StreamingResponse

from agent_tasks.wire import (
    CreateRunRequest,
    CreateThreadAndRunRequest,
    SubmitToolOutputsRequest,
    UpdateRunRequest,
)
from agents_emulator import validation
from agents_emulator.endpoints import Call, Operation, common_headers
from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import run_body
from agents_emulator.engine.broker import Event
from agents_emulator.engine.newrun import new_run
from agents_emulator.engine.toolwork import REFUSED, finish_item, open_step_of
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.resources.messages import add_messages
from agents_emulator.resources.threads import insert_thread, thread_body
from agents_emulator.resources.tool_resources import check_tool_resources
from agents_emulator.store import AGENTS, FILES, RUN_STEPS, RUNS, THREADS, Record
from agents_emulator.tools.computer_use import COMPUTER_USE, screenshot_block
from agents_emulator.tools.mcp import secret_headers, without_secrets


def _new_run(db: sqlite3.Connection, call: Call, thread: Record, body: Record) -> tuple[Record, list[Record]]:
    """Add a run and return it with the files to read; what is left out comes from the agent, as it is now."""
    agent = AGENTS.get(db, body["assistant_id"])
    resources, unread = check_tool_resources(db, without_secrets(body.get("tool_resources")))
    service = call.service
    run = new_run(
        *(db, agent, thread["id"], body),
        tool_resources=resources,
        include=call.include,
        run_ttl=service.config.run_ttl,
    )
    if call.run_fault is not None:
        run["fault"] = call.run_fault
        RUNS.put(db, run, thread["id"])
    if any(tool["type"] == "mcp" for tool in run["tools"]) and body.get("stream") is not True:
        # Recorded: such a run is in progress from the first answer on.
        run["status"], run["started_at"] = "in_progress", run["created_at"]
        RUNS.put(db, run, thread["id"])
    headers = secret_headers(agent["tool_resources"], body.get("tool_resources"))
    if headers:
        service.tools.secrets[run["id"]] = headers
    return run, unread


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
    body = await call.service.assets.taken_in(call.parsed(CreateRunRequest))

    def insert(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        thread = THREADS.get(db, call.path["thread_id"])
        active = lifecycle.active_run(db, thread["id"])
        if active is not None:
            raise bad_request(f"Thread {thread['id']} already has an active run {active['id']}.")
        _, unread = add_messages(db, thread, body.get("additional_messages") or [])
        run, unread_too = _new_run(db, call, thread, body)
        return run, unread + unread_too

    run, unread = await call.service.store.write(insert)
    call.service.ingestion.start(unread)
    return _launch(call, run, streamed=body.get("stream") is True, first=_birth(run))


async def create_thread_and_run(call: Call) -> Response | Record:
    """POST /threads/runs: thread, messages and run in one request and one transaction."""
    body = await call.service.assets.taken_in(call.parsed(CreateThreadAndRunRequest))

    def insert(db: sqlite3.Connection) -> tuple[Record, Record, list[Record]]:
        thread, unread = insert_thread(db, body.get("thread") or {})
        run, unread_too = _new_run(db, call, thread, body)
        return thread, run, unread + unread_too

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
        return await _submit_approvals(call, body)
    given = [_output(item, index) for index, item in enumerate(body.get("tool_outputs") or [])]

    def resume(db: sqlite3.Connection) -> tuple[Record, list[Event]]:
        run = _waiting_run(db, call, "submit_tool_outputs", [call_id for call_id, _ in given])
        step = _open_step(db, run)
        for index, item in enumerate(step["work"]):
            if item["state"] == "client":
                _take_output(db, step, index, dict(given)[item["id"]])
        events = [lifecycle.close_step(db, run, step, step["usage"])]
        run["status"], run["required_action"] = "queued", None
        return run, [*events, lifecycle.save_run(db, run)]

    run, events = await call.service.store.write(resume)
    return _launch(call, run, streamed=body.get("stream") is True, first=events)


async def _submit_approvals(call: Call, body: Record) -> Response | Record:
    """Approvals of MCP calls: the run is in progress again (recorded), refused calls get a fixed output."""
    given = {item["tool_call_id"]: item for item in body["tool_approvals"]}

    def resume(db: sqlite3.Connection) -> tuple[Record, list[Event]]:
        run = _waiting_run(db, call, "submit_tool_approval", list(given))
        step = _open_step(db, run)
        for index, item in enumerate(step["work"]):
            if item["id"] in given and given[item["id"]]["approve"] is True:
                item["state"] = "ready"
            elif item["id"] in given:
                finish_item(
                    step, index, REFUSED, {**step["step_details"]["tool_calls"][index], "output": REFUSED}
                )
        RUN_STEPS.put(db, step, run["id"])
        run["status"], run["required_action"], run["started_at"] = "in_progress", None, lifecycle.now()
        return run, [lifecycle.save_run(db, run)]

    run, events = await call.service.store.write(resume)
    vault = call.service.tools.secrets.setdefault(run["id"], {})
    for call_id, approval in given.items():
        if approval.get("headers"):
            vault[call_id] = dict(approval["headers"])
    return _launch(call, run, streamed=body.get("stream") is True, first=events)


def _waiting_run(db: sqlite3.Connection, call: Call, kind: str, answered: list[str]) -> Record:
    """Return the run that waits for exactly these calls, in this way; refuse the request otherwise."""
    run = _run(db, call)
    if run["status"] != "requires_action":
        raise bad_request(f'Runs in status "{run["status"]}" do not accept tool outputs.')
    action = run["required_action"]
    param, noun = (
        ("tool_outputs", "outputs") if kind == "submit_tool_outputs" else ("tool_approvals", "approvals")
    )
    if action["type"] != kind:
        raise bad_request(f"The run waits for '{action['type']}', not for tool {noun}.", param=param)
    waiting = [item["id"] for item in action[kind]["tool_calls"]]
    if sorted(waiting) != sorted(answered):
        raise bad_request(f"Expected tool {noun} for call_ids {waiting}, got {answered}.", param=param)
    run["fault"] = call.run_fault
    return run


def _open_step(db: sqlite3.Connection, run: Record) -> Record:
    step = open_step_of(db, run)
    if step is None:
        raise bad_request(f"The run {run['id']} has no open tool calls.")
    return step


def _output(item: Record, index: int) -> tuple[str, Record]:
    """Return call id and content of a tool output, a text or a screenshot."""
    call_id, output = item.get("tool_call_id"), item.get("output", "")
    if not isinstance(call_id, str):
        raise missing_parameter(f"tool_outputs[{index}].tool_call_id")
    is_picture = item.get("type") == "computer_call_output" and isinstance(output, dict)
    if not isinstance(output, str | None) and not is_picture:
        raise bad_request(
            f"Invalid type for 'tool_outputs[{index}].output': expected a string.",
            param=f"tool_outputs[{index}].output",
            code="invalid_type",
        )
    return call_id, item


def _take_output(db: sqlite3.Connection, step: Record, index: int, given: Record) -> None:
    """Put what the client answered into the step."""
    body = step["step_details"]["tool_calls"][index]
    output = given.get("output") or ""
    wants_picture = body["type"] == COMPUTER_USE
    if wants_picture != isinstance(output, dict):
        expected = "a 'computer_call_output' with a screenshot" if wants_picture else "a text"
        raise bad_request(f"The call {body['id']} expects {expected}.", param="tool_outputs")
    if isinstance(output, dict):
        picture = screenshot_block(output)
        if picture["type"] == "image_file":
            FILES.get(db, picture["image_file"]["file_id"])
        details = {**body[COMPUTER_USE], "output": output}
        if given.get("acknowledged_safety_checks"):
            details["acknowledged_safety_checks"] = given["acknowledged_safety_checks"]
        finish_item(step, index, "The action was carried out.", {**body, COMPUTER_USE: details})
        step["work"][index]["picture"] = picture
        return
    finish_item(step, index, output, {**body, "function": {**body["function"], "output": output}})


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
