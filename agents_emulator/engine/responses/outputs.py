"""The output of a response: items made of the messages and steps of its run.

While the run is at work they are made anew whenever somebody asks; at its end they are kept, and what they
were made of is dropped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from agents_emulator.engine.responses.shown import (
    Shown,
    call_item,
    listing_item,
    message_item,
    output_item,
    search_item,
    wording_of,
)
from agents_emulator.store import CONVERSATION_ITEMS, CONVERSATIONS, MESSAGES, RUN_STEPS, RUNS, Record

KEPT_AFTER = ("completed", "incomplete")
"""How a response has to end for its items to be added to the conversation."""


def output_items(db: sqlite3.Connection, run: Record) -> list[Record]:
    """Return the items of a response so far, as they are stored."""
    if "output" in run["response"]:
        kept: list[Record] = run["response"]["output"]
        return kept
    shown = Shown.of(run)
    steps = RUN_STEPS.select(db, run["id"])
    messages = {m["id"]: m for m in MESSAGES.select(db, run["thread_id"], {"run_id": run["id"]})}
    names = file_names(steps)
    items: list[Record] = []
    for step in steps:
        items += _of_step(shown, step, messages, names, run["response"].get("query", ""))
    return items


def file_names(steps: Sequence[Record]) -> dict[str, str]:
    """Return the names of the files that the searches of a run have found."""
    return {
        result["file_id"]: result["file_name"]
        for step in steps
        for call in step["step_details"].get("tool_calls", [])
        for result in call.get("file_search", {}).get("results", [])
    }


def _of_step(
    shown: Shown, step: Record, messages: Mapping[str, Record], names: Mapping[str, str], query: str
) -> Iterator[Record]:
    details, created_at = step["step_details"], step["created_at"]
    if step["type"] == "message_creation":
        message = messages.get(details["message_creation"]["message_id"])
        if message is not None:
            content = wording_of(shown, message["content"], names)
            parts = [] if message["status"] == "in_progress" else [content.part()]
            yield _item(message_item(shown, message, parts, message["status"]))
    elif step["type"] == "activities":
        for activity in details["activities"]:
            yield _item(listing_item(shown, activity, created_at))
    elif "work" in step:
        yield from _of_calls(shown, step)
    else:
        for call in details["tool_calls"]:
            yield _item(search_item(shown, step["id"], created_at, call, query))


def _of_calls(shown: Shown, step: Record) -> Iterator[Record]:
    """Calls in their order, then outcomes in the order in which they came."""
    pairs = list(zip(step["work"], step["step_details"]["tool_calls"], strict=True))
    for work, body in pairs:
        item = _item(call_item(shown, work, body, step["created_at"]))
        item["engine"] = {"call": {key: work[key] for key in ("id", "name", "arguments")}}
        if output_item(shown, work, body, step["created_at"]) is None and work["state"] == "done":
            item["engine"]["call"]["output"] = work.get("output") or ""
        yield item
    for work, body in sorted(pairs, key=lambda pair: pair[0].get("finished", 0)):
        outcome = output_item(shown, work, body, step["created_at"])
        if outcome is not None:
            yield {**_item(outcome), "engine": {"output_of": work["id"], "output": work.get("output") or ""}}


def _item(body: Record) -> Record:
    return {"id": body["id"], "body": body}


def keep_output(db: sqlite3.Connection, run: Record) -> None:
    """Keep the items of a response that has come to its end, in its run and in its conversation."""
    face = run["response"]
    face["output"] = output_items(db, run)
    RUN_STEPS.delete_children(db, run["id"])
    for message in MESSAGES.select(db, run["thread_id"], {"run_id": run["id"]}):
        MESSAGES.delete(db, message["id"], run["thread_id"])
    RUNS.put(db, run, run["thread_id"])
    conversation_id = face["conversation"]
    if conversation_id and run["status"] in KEPT_AFTER and CONVERSATIONS.find(db, conversation_id):
        CONVERSATION_ITEMS.insert_all(db, [*face["input"], *face["output"]], conversation_id)
