"""Transitions of runs, steps and messages, as work inside one store transaction.

Each function changes records and returns the events to publish once the transaction is committed. A
transition that finds the run in another state than it expects raises `RunMovedOnError`: somebody else (a
cancellation, the expiry) was first, and the caller has nothing more to say about the run.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Literal

from agents_emulator.engine.bodies import (
    message_body,
    run_body,
    step_body,
    text_block,
    text_delta,
    usage_body,
)
from agents_emulator.engine.broker import Event
from agents_emulator.engine.responses.bodies import response_body
from agents_emulator.engine.responses.outputs import keep_output
from agents_emulator.ids import new_id
from agents_emulator.store import MESSAGES, RUN_STEPS, RUNS, Record

ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
UNUSABLE = ("run_cancelled", "run_failed", "run_expired")
"""Reasons of incomplete messages that belong to a run without a result."""

Ending = Literal["completed", "incomplete", "failed", "cancelled", "expired"]


class RunMovedOnError(Exception):
    """The run is no longer in the state that this transition starts from."""


def now() -> int:
    """Return the time as the service writes it: whole seconds since 1970."""
    return int(time.time())


def active_run(db: sqlite3.Connection, thread_id: str) -> Record | None:
    """Return the run that occupies the thread, if any."""
    for status in ACTIVE:
        for run in RUNS.select(db, thread_id, {"status": status}):
            return run
    return None


def expect(db: sqlite3.Connection, run: Record, *statuses: str) -> Record:
    """Return the stored run if it is in one of these states; raise `RunMovedOnError` otherwise."""
    stored = RUNS.find(db, run["id"], run["thread_id"])
    if stored is None or stored["status"] not in statuses:
        raise RunMovedOnError(f"{run['id']} is {stored['status'] if stored else 'deleted'}")
    return stored


def save_run(db: sqlite3.Connection, run: Record) -> Event:
    """Store a run in its present state and return the event that announces it."""
    RUNS.put(db, run, run["thread_id"])
    return run_event(run)


def run_event(run: Record, name: str | None = None) -> Event:
    """Return the event `thread.run.<status>` (or another name) of a run; a response has its own body."""
    if "response" in run:
        body = response_body(run, run["response"].get("output", []))
        return Event(f"response.{name or body['status']}", body)
    return Event(f"thread.run.{name or run['status']}", run_body(run, streamed=True))


def begin(db: sqlite3.Connection, run: Record) -> tuple[Record, list[Event]]:
    """Bring a run from queued to in_progress; `started_at` is set again at each resumption (recorded).

    Runs with MCP tools are in progress from the first answer on (recorded).
    """
    run = expect(db, run, "queued", "in_progress")
    if run["status"] == "in_progress":
        return run, []
    run["status"] = "in_progress"
    run["started_at"] = now()
    return run, [save_run(db, run)]


def open_step(
    db: sqlite3.Connection,
    run: Record,
    kind: str,
    details: Any,
    usage: Record | None = None,
    work: list[Record] | None = None,
) -> tuple[Record, list[Event]]:
    """Add a step in progress; `usage` is kept for the time of its completion.

    `work` is the engine's own record of tool calls (see `toolwork`), not on the wire.
    """
    step: Record = {
        "id": new_id("step"),
        "object": "thread.run.step",
        "created_at": now(),
        "run_id": run["id"],
        "assistant_id": run["assistant_id"],
        "thread_id": run["thread_id"],
        "type": kind,
        "status": "in_progress",
        "cancelled_at": None,
        "completed_at": None,
        "expires_at": run["expires_at"],
        "failed_at": None,
        "last_error": None,
        "step_details": {"type": kind, kind: details},
        "usage": usage,
    }
    if work is not None:
        step["work"] = work
    RUN_STEPS.insert(db, step, run["id"])
    announced = dict(step)
    if kind != "message_creation":
        # Recorded: a tool step is announced empty, its calls follow as deltas.
        announced["step_details"] = {"type": kind, kind: []}
    body = step_body(announced, include=run["include"], streamed=True)
    return step, [Event("thread.run.step.created", body), Event("thread.run.step.in_progress", body)]


def close_step(db: sqlite3.Connection, run: Record, step: Record, usage: Record | None) -> Event:
    """Complete a step; a step that cost nothing reports zero tokens."""
    step["status"] = "completed"
    step["completed_at"] = now()
    step["usage"] = usage or usage_body(0, 0)
    RUN_STEPS.put(db, step, run["id"])
    return Event("thread.run.step.completed", step_body(step, include=run["include"], streamed=True))


def new_message(thread_id: str, role: str, content: list[Record], **others: Any) -> Record:
    """Return a whole message that no run has written, but for `others`: fields with other values."""
    moment = now()
    message: Record = {
        "id": new_id("msg"),
        "object": "thread.message",
        "created_at": moment,
        "assistant_id": None,
        "thread_id": thread_id,
        "run_id": None,
        "status": "completed",
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": moment,
        "role": role,
        "content": content,
        "attachments": [],
        "metadata": {},
    }
    return message | others


def open_message(db: sqlite3.Connection, run: Record) -> tuple[Record, Record, list[Event]]:
    """Add an empty assistant message and the step that creates it; returns message, step, events."""
    expect(db, run, "in_progress")
    message = new_message(
        run["thread_id"],
        *("assistant", []),
        assistant_id=run["assistant_id"],
        run_id=run["id"],
        status="in_progress",
        completed_at=None,
    )
    step, events = open_step(db, run, "message_creation", {"message_id": message["id"]})
    MESSAGES.insert(db, message, run["thread_id"])
    body = message_body(message, streamed=True)
    return (
        message,
        step,
        [*events, Event("thread.message.created", body), Event("thread.message.in_progress", body)],
    )


def close_message(
    db: sqlite3.Connection, message: Record, content: list[Record], reason: str | None
) -> Event:
    """Complete a message, or make it incomplete for a `reason` (`max_tokens`, `run_failed`, ...)."""
    message["content"] = content
    if reason is None:
        message["status"], message["completed_at"] = "completed", now()
    else:
        message["status"], message["incomplete_at"] = "incomplete", now()
        message["incomplete_details"] = {"reason": reason}
    MESSAGES.put(db, message, message["thread_id"])
    return Event(f"thread.message.{message['status']}", message_body(message, streamed=True))


def add_interim_message(
    db: sqlite3.Connection, run: Record, text: str, annotations: list[Record]
) -> list[Event]:
    """Add a message that says how the work goes on, complete at once; its step costs nothing by itself.

    The model is not shown it again: it is for whoever follows the run.
    """
    message, step, events = open_message(db, run)
    message["interim"] = True
    numbered = [
        {"index": index, **{key: value for key, value in annotation.items() if key != "text"}}
        for index, annotation in enumerate(annotations)
    ]
    delta = Event("thread.message.delta", text_delta(message["id"], text, numbered))
    closed = close_message(db, message, [text_block(text, annotations)], None)
    return [*events, delta, closed, close_step(db, run, step, None)]


def end_run(
    db: sqlite3.Connection,
    run: Record,
    ending: Ending,
    *,
    error: Record | None = None,
    reason: str | None = None,
    partial: list[Record] | None = None,
) -> list[Event]:
    """Bring a run to a final state, with whatever it left open.

    Args:
        db: the store, in a transaction.
        run: the run as it is stored.
        ending: its final state, and what that brings along.
        error: `last_error` of a failed run, `{code, message}`.
        reason: `incomplete_details.reason` of an incomplete run.
        partial: content of its unfinished message.
    """
    moment = now()
    events = _close_open_parts(db, run, ending, error, partial or [])
    run["status"] = ending
    run["required_action"] = None
    run["last_error"] = error
    run["usage"] = usage_body(run["spent"]["prompt_tokens"], run["spent"]["completion_tokens"])
    if ending != "expired":
        run["expires_at"] = None
    if ending in ("completed", "failed", "cancelled"):
        run[f"{ending}_at"] = moment
    if ending == "incomplete":
        run["incomplete_details"] = {"reason": reason}
    if "response" in run:
        keep_output(db, run)
    return [*events, save_run(db, run)]


def _close_open_parts(
    db: sqlite3.Connection, run: Record, ending: Ending, error: Record | None, partial: list[Record]
) -> list[Event]:
    open_parts = {"run_id": run["id"], "status": "in_progress"}
    events = [
        close_message(db, message, partial, f"run_{ending}")
        for message in MESSAGES.select(db, run["thread_id"], open_parts)
    ]
    for step in RUN_STEPS.select(db, run["id"], {"status": "in_progress"}):
        step["status"] = "failed" if ending in ("failed", "incomplete", "completed") else ending
        if step["status"] in ("failed", "cancelled"):
            step[f"{step['status']}_at"] = now()
        if step["status"] == "failed":
            step["last_error"] = error
        RUN_STEPS.put(db, step, run["id"])
        body = step_body(step, include=run["include"], streamed=True)
        events.append(Event(f"thread.run.step.{step['status']}", body))
    return events


def discard_unfinished(db: sqlite3.Connection, run: Record) -> Record:
    """Put a run that a stopped service left behind back to queued, without its half-written parts.

    A step of tool calls stays: the model has asked for them, and those that are done are not done again.
    """
    for message in MESSAGES.select(db, run["thread_id"], {"run_id": run["id"], "status": "in_progress"}):
        MESSAGES.delete(db, message["id"], run["thread_id"])
    for step in RUN_STEPS.select(db, run["id"], {"status": "in_progress"}):
        if "work" in step:
            continue
        RUN_STEPS.delete(db, step["id"], run["id"])
    run["status"] = "queued"
    RUNS.put(db, run, run["thread_id"])
    return run
