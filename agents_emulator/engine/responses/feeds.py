"""Which responses are told by a feed, and what becomes of it: kept at the end, begun anew after a restart."""

from __future__ import annotations

import sqlite3

from agents_emulator.engine.broker import EventBroker
from agents_emulator.engine.responses.bodies import response_body, stored_response
from agents_emulator.engine.responses.feed import ResponseFeed
from agents_emulator.store import RESPONSE_EVENTS, RUN_STEPS, RUNS, Record, Store


def begin(broker: EventBroker, run: Record, steps: list[Record]) -> ResponseFeed:
    """Have a response told from its beginning."""
    feed = ResponseFeed(run)
    broker.attach(run["id"], feed)
    so_far = [*feed.steps_so_far(steps), *feed.items_so_far(run)]
    broker.publish(run["id"], [*feed.begin(response_body(run)), *so_far])
    return feed


async def resume(store: Store, broker: EventBroker, run: Record) -> None:
    """Tell a response anew that a stopped service had left unfinished; its numbers begin at 0 again.

    A model that answers the same again makes the same events, so whoever resumes misses nothing of them; in
    any case the last event has the whole response.
    """
    face = run.get("response")
    if face is not None and face["background"] and face["stream"]:
        begin(broker, run, await store.read(lambda db: RUN_STEPS.select(db, run["id"])))


async def keep(store: Store, broker: EventBroker, run_id: str) -> None:
    """Keep what was told of a response that has come to its end; remove one that was not to be stored."""
    feed = broker.feed_of(run_id)
    if not isinstance(feed, ResponseFeed):
        return
    if not feed.stored:
        await store.write(lambda db: RUNS.delete(db, run_id, feed.thread_id))
    if not feed.resumable:
        return
    record = {"id": run_id, "frames": [frame.decode() for frame in feed.frames]}

    def write(db: sqlite3.Connection) -> None:
        RESPONSE_EVENTS.delete(db, run_id)
        RESPONSE_EVENTS.insert(db, record)

    await store.write(write)


def frames_of(db: sqlite3.Connection, run: Record) -> list[bytes]:
    """Return what was told of a response that is over; told again from its items if it was not kept."""
    kept = RESPONSE_EVENTS.find(db, run["id"])
    if kept is not None:
        return [frame.encode() for frame in kept["frames"]]
    feed = ResponseFeed(run)
    feed.retell(stored_response(db, run))
    return feed.frames
