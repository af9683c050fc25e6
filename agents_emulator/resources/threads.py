"""Threads (`/threads`)."""

from __future__ import annotations

import asyncio
import sqlite3

from agent_tasks.wire import CreateThreadRequest, UpdateThreadRequest
from agents_emulator import validation
from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.lifecycle import now
from agents_emulator.ids import new_id
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.resources.messages import add_messages
from agents_emulator.resources.tool_resources import check_tool_resources
from agents_emulator.store import MESSAGES, RUN_STEPS, RUNS, THREADS, Record


def thread_body(thread: Record) -> Record:
    """Return a thread in the recorded key order, which is the order it is stored in."""
    return thread


def insert_thread(db: sqlite3.Connection, body: Record) -> tuple[Record, list[Record]]:
    """Add a thread with its first messages; returns it and the files to read."""
    resources, unread = check_tool_resources(db, body.get("tool_resources"))
    thread: Record = {
        "id": new_id("thread"),
        "object": "thread",
        "created_at": now(),
        "metadata": validation.check_metadata(body.get("metadata")),
        "tool_resources": resources,
    }
    THREADS.insert(db, thread)
    _, attached = add_messages(db, thread, body.get("messages") or [])
    return thread, unread + attached


async def create(call: Call) -> Record:
    """POST /threads."""
    body = await call.service.assets.taken_in(call.parsed(CreateThreadRequest))
    thread, unread = await call.service.store.write(lambda db: insert_thread(db, body))
    call.service.ingestion.start(unread)
    return call.created(thread_body(thread))


async def list_all(call: Call) -> Record:
    """GET /threads."""
    page = page_from_query(call.query)
    threads, has_more = await call.service.store.read(lambda db: THREADS.page(db, page))
    return list_body([thread_body(thread) for thread in threads], has_more)


async def get(call: Call) -> Record:
    """GET /threads/{id}."""
    return thread_body(await call.service.store.read(lambda db: THREADS.get(db, call.path["thread_id"])))


async def update(call: Call) -> Record:
    """POST /threads/{id}: metadata, tool_resources."""
    body = await call.service.assets.taken_in(call.parsed(UpdateThreadRequest))

    def change(db: sqlite3.Connection) -> tuple[Record, list[Record]]:
        thread = THREADS.get(db, call.path["thread_id"])
        unread: list[Record] = []
        if "metadata" in body:
            thread["metadata"] = validation.check_metadata(body["metadata"])
        if "tool_resources" in body:
            thread["tool_resources"], unread = check_tool_resources(db, body["tool_resources"])
        THREADS.put(db, thread)
        return thread, unread

    thread, unread = await call.service.store.write(change)
    call.service.ingestion.start(unread)
    return call.created(thread_body(thread))


async def delete(call: Call) -> Record:
    """DELETE /threads/{id}, with its messages and runs; a run at work is stopped."""

    def remove(db: sqlite3.Connection) -> tuple[str, list[Record]]:
        thread_id = THREADS.get(db, call.path["thread_id"])["id"]
        runs = RUNS.select(db, thread_id)
        for run in runs:
            RUN_STEPS.delete_children(db, run["id"])
        RUNS.delete_children(db, thread_id)
        MESSAGES.delete_children(db, thread_id)
        THREADS.delete(db, thread_id)
        return thread_id, runs

    thread_id, runs = await call.service.store.write(remove)
    for run in runs:
        await call.service.engine.forget(run)
    await asyncio.to_thread(call.service.tools.forget_thread, thread_id)
    return call.created({"id": thread_id, "object": "thread.deleted", "deleted": True})


OPERATIONS = (
    Operation("threads.create", "POST", "/threads", create),
    Operation("threads.list", "GET", "/threads", list_all),
    Operation("threads.get", "GET", "/threads/{thread_id}", get),
    Operation("threads.update", "POST", "/threads/{thread_id}", update),
    Operation("threads.delete", "DELETE", "/threads/{thread_id}", delete),
)
