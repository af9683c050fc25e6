"""Runs that end badly on demand (see `agents_emulator.faults`)."""

from __future__ import annotations

import asyncio
import sqlite3

from agents_emulator.engine import lifecycle
from agents_emulator.engine.asking import throttling_message
from agents_emulator.engine.broker import Event, EventBroker
from agents_emulator.store import Record, Store


async def suffer(store: Store, broker: EventBroker, run: Record) -> Record:
    """Bring a queued run to the outcome in its `fault`, without asking the model; returns it as it is then.

    A run that is to be stuck never comes back from here: whoever cancels or expires it cancels this.
    """
    fault: Record = run["fault"]
    if fault["outcome"] == "stuck_queued":
        await asyncio.Event().wait()
    run, events = await store.write(lambda db: lifecycle.begin(db, run))
    broker.publish(run["id"], events)
    if fault["outcome"] == "stuck_in_progress":
        await asyncio.Event().wait()
    await asyncio.sleep(fault["after"])

    def end(db: sqlite3.Connection) -> tuple[Record, list[Event]]:
        stored = lifecycle.expect(db, run, "in_progress")
        return stored, _end(db, stored, fault)

    run, events = await store.write(end)
    broker.publish(run["id"], events)
    return run


def _end(db: sqlite3.Connection, run: Record, fault: Record) -> list[Event]:
    match fault["outcome"]:
        case "throttled":
            error = {"code": "rate_limit_exceeded", "message": throttling_message("", fault["wait"])}
            return lifecycle.end_run(db, run, "failed", error=error)
        case "server_error":
            error = {"code": "server_error", "message": "Sorry, something went wrong."}
            return lifecycle.end_run(db, run, "failed", error=error)
        case "incomplete":
            return lifecycle.end_run(db, run, "incomplete", reason=fault["reason"])
        case _ if "response" in run:  # nothing expires there
            error = {"code": "server_error", "message": "The response was given up."}
            return lifecycle.end_run(db, run, "failed", error=error)
        case _:
            return lifecycle.end_run(db, run, "expired")
