"""Responses (`/openai/v1/responses`): made, asked for, followed, cancelled, deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from agents_emulator.endpoints import Call, Operation, common_headers
from agents_emulator.engine import lifecycle
from agents_emulator.engine.responses import feeds
from agents_emulator.engine.responses.bodies import page_body, page_of, response_body, stored_response
from agents_emulator.engine.responses.feed import ResponseFeed, first_number
from agents_emulator.engine.responses.history import find_response, items_before
from agents_emulator.engine.responses.refusals import response_gone
from agents_emulator.errors import bad_request
from agents_emulator.guard import connection_of
from agents_emulator.paging import page_from_query
from agents_emulator.responses.new_response import Made, add_response, asked_of, forget_response
from agents_emulator.responses.served import below
from agents_emulator.store import RESPONSE_EVENTS, RESPONSES, RUN_STEPS, RUNS, Record


async def create(call: Call) -> Response | Record:
    """POST .../responses: answered when it is done; at once in the background; or as events."""
    asked = asked_of(call.json_object(), call.path.get("agent_name"))
    asked.fault, asked.listed_after = call.run_fault, call.listed_after
    made = await call.service.store.write(lambda db: add_response(db, asked))
    run = made.run
    call.created(run)
    _note_version(call, made)
    if made.headers:
        call.service.tools.secrets[run["id"]] = made.headers
    if asked.stream:
        return await _streamed(call, run)
    if asked.background:
        call.service.engine.start(run)
        return response_body(run)
    return await _waited_for(call, run)


def _note_version(call: Call, made: Made) -> None:
    reference = made.run["response"]["agent_reference"]
    if reference is not None and "agent_name" in call.path:
        call.headers["x-agent-version-resolution"] = str(made.resolution)
        call.headers["x-agent-version-resolved"] = reference["version"]


async def _streamed(call: Call, run: Record) -> Response:
    broker = call.service.broker
    subscription = broker.subscribe(run["id"])
    feeds.begin(broker, run, await call.service.store.read(lambda db: RUN_STEPS.select(db, run["id"])))
    call.service.engine.start(run)
    return _events(subscription.frames())


def _events(frames: AsyncIterator[bytes]) -> Response:
    headers = {
        **common_headers(),
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
    }
    return StreamingResponse(frames, headers=headers)


async def _waited_for(call: Call, run: Record) -> Response | Record:
    """Answer when the response is done. A client that goes away stops nothing.

    A service that stops cuts the connection, as a kill does: any answer would say that nothing was done.
    """
    service = call.service
    ended = service.broker.ended(run["id"])
    service.engine.start(run)
    if not await ended:
        await connection_of(call.request.scope).abort()
        return Response(status_code=503)

    def read(db: sqlite3.Connection) -> Record:
        stored = RUNS.find(db, run["id"], run["thread_id"])
        if stored is None:
            raise response_gone(run["id"])
        if not stored["response"]["store"]:
            forget_response(db, stored)
        return stored_response(db, stored)

    return await service.store.write(read)


def _run(db: sqlite3.Connection, call: Call) -> Record:
    run = find_response(db, call.path["response_id"])
    if run is None:
        raise response_gone(call.path["response_id"])
    return run


async def get(call: Call) -> Response | Record:
    """GET .../responses/{id}; with `stream=true` its events, after `starting_after` if that is given."""
    if call.query.get("stream") == "true":
        return await _replayed(call)
    return await call.service.store.read(lambda db: stored_response(db, _run(db, call)))


async def _replayed(call: Call) -> Response:
    run = await call.service.store.read(lambda db: _run(db, call))
    face = run["response"]
    for name in ("background", "stream"):
        if not face[name]:
            raise bad_request(
                f"This response cannot be streamed because it was not created with {name}=true.",
                param="stream",
            )
    number = _starting_after(call)
    broker = call.service.broker
    feed = broker.feed_of(run["id"])
    if isinstance(feed, ResponseFeed):
        return _events(broker.subscribe(run["id"], feed.after(number)).frames())
    frames = await call.service.store.read(lambda db: feeds.frames_of(db, _run(db, call)))
    first = max(0, number + 1 - first_number(run))

    async def rest() -> AsyncIterator[bytes]:
        # Who has seen all the numbers there are still gets the last event: it has the whole response.
        yield b"".join(frames[first:] or frames[-1:])

    return _events(rest())


def _starting_after(call: Call) -> int:
    text = call.query.get("starting_after")
    if text is None:
        return -1
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise bad_request(
            f"Invalid 'starting_after': expected a sequence number, but got '{text[:80]}'.",
            param="starting_after",
            code="invalid_value",
        )
    return int(text)


async def list_all(call: Call) -> Record:
    """GET .../responses: those of a conversation, of an agent or of a version of one; newest first.

    All that are stored, also while they are queued or in progress (whether the service lists those is not
    known).
    """
    page = page_from_query(call.query)
    names = ("conversation_id", "agent_name", "agent_id")
    where = {name: call.query[name] for name in names if call.query.get(name)}
    if "agent_name" in call.path:
        where["agent_name"] = call.path["agent_name"]

    def read(db: sqlite3.Connection) -> Record:
        rows, has_more = RESPONSES.page(db, page, "", where, at_most={"listed_at": call.moment})
        runs = [RUNS.get(db, row["id"], row["thread_id"]) for row in rows]
        return page_body([stored_response(db, run) for run in runs], has_more)

    return await call.service.store.read(read)


async def cancel(call: Call) -> Record:
    """POST .../responses/{id}/cancel: in the background only; again for one that is cancelled already."""
    run = await call.service.store.read(lambda db: _run(db, call))
    if not run["response"]["background"]:
        raise bad_request("Cannot cancel a synchronous response.")
    if run["status"] in lifecycle.ACTIVE:
        await call.service.engine.end(run, "cancelled")
        run = await call.service.store.read(lambda db: _run(db, call))
    if run["status"] != "cancelled":
        raise bad_request(_NOT_CANCELLED.get(run["status"], "Cannot cancel a response in terminal state."))
    return call.created(await call.service.store.read(lambda db: stored_response(db, run)))


_NOT_CANCELLED = {
    "completed": "Cannot cancel a completed response.",
    "failed": "Cannot cancel a failed response.",
}
"""Of one that has ended, in the words of Microsoft's own server library."""


async def delete(call: Call) -> Record:
    """DELETE .../responses/{id}; what it added to its conversation stays there."""

    def remove(db: sqlite3.Connection) -> Record:
        run = _run(db, call)
        if run["status"] in lifecycle.ACTIVE:
            raise bad_request("Cannot delete an in-flight response.")
        for collection, parent in ((RESPONSES, ""), (RESPONSE_EVENTS, ""), (RUNS, run["thread_id"])):
            collection.delete(db, run["id"], parent)
        return {"id": run["id"], "object": "response", "deleted": True}

    return call.created(await call.service.store.write(remove))


async def input_items(call: Call) -> Record:
    """GET .../responses/{id}/input_items: what it answers to, with what was said before; newest first."""
    page = page_from_query(call.query)

    def read(db: sqlite3.Connection) -> Record:
        run = _run(db, call)
        return page_of([item["body"] for item in items_before(db, run)], page)

    return await call.service.store.read(read)


_ONE = "/responses/{response_id}"
_TABLE: tuple[tuple[str, str, str, Any], ...] = (
    ("responses.create", "POST", "/responses", create),
    ("responses.list", "GET", "/responses", list_all),
    ("responses.get", "GET", _ONE, get),
    ("responses.cancel", "POST", f"{_ONE}/cancel", cancel),
    ("responses.delete", "DELETE", _ONE, delete),
    ("responses.input_items", "GET", f"{_ONE}/input_items", input_items),
)
OPERATIONS: tuple[Operation, ...] = below(_TABLE)
AGENT_OPERATIONS: tuple[Operation, ...] = below(_TABLE, of_agent=True)
