"""A verdict on the client that the service has served, from its request log and what is still there.

It finds what a durable client must never do: cause an effect twice, ask again before it was told to, leave
resources or runs behind, answer tool calls twice, poll too fast. What it cannot see: effects of requests that
a kill of the service left without a status (counted as `uncertain`), what a client did elsewhere, whether two
requests without a mark were meant to be one, and which of several clients sent a request.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from agents_emulator.engine.lifecycle import ACTIVE
from agents_emulator.store import (
    AGENTS,
    CONVERSATIONS,
    FILES,
    NAMED_AGENTS,
    RESPONSES,
    RUNS,
    THREADS,
    VECTOR_STORES,
    Record,
    Store,
)

DEFAULT_MIN_POLL_SECONDS = 0.1
KEY_FIELD, ATTEMPT_FIELD, ROUND_FIELD = "agent_tasks_key", "agent_tasks_attempt", "agent_tasks_round"
"""Metadata of an effect's mark: the key of the operation, the attempt and, of a response, the round in it."""

_MARKED_NAME = re.compile(r"\.([0-9a-f]{12,40}-\d+)(?:\.|$)")
_CREATIONS = (
    *("agents.create", "files.upload", "threads.create", "messages.create", "runs.create"),
    *("runs.create_thread_and_run", "vector_stores.create"),
    *("agent_versions.create", "named_agents.create", "conversations.create", "responses.create"),
)
_LEFT = (AGENTS, FILES, THREADS, VECTOR_STORES, NAMED_AGENTS, CONVERSATIONS, RESPONSES)
"""What a client has to delete. Containers are not among it: those that nobody uses expire."""
_POLLED = ("runs.get", "responses.get", "file_batches.get", "vector_stores.get", "vector_store_files.get")
_ENDED = ("completed", "failed", "cancelled", "expired", "incomplete")
"""States in which nothing is waited for any more."""
_SHOWN = 50


async def verdict(store: Store, *, min_poll_seconds: float = DEFAULT_MIN_POLL_SECONDS) -> Record:
    """Return the verdict: `ok`, and for each kind of finding its `count` and up to 50 `details`.

    `ok` is about what is always wrong; `left_over` counts as wrong too, since a finished client cleans up.
    """
    return await store.read(lambda db: _judge(db, min_poll_seconds))


def _judge(db: sqlite3.Connection, min_poll_seconds: float) -> Record:
    rows = _log(db)
    findings: dict[str, list[Record]] = {
        "duplicate_effects": _duplicates(rows),
        "too_early": _too_early(rows),
        "outputs_twice": _outputs_twice(rows),
        "polling_too_fast": _fast_polls(rows, min_poll_seconds),
        "active_runs": [
            {"run": run["id"], "thread": run["thread_id"], "status": run["status"]}
            for status in ACTIVE
            for run in RUNS.select(db, None, {"status": status})
        ],
        "left_over": [
            {
                "kind": collection.noun,
                "id": record["id"],
                "name": record.get("name") or record.get("filename"),
            }
            for collection in _LEFT
            for record in collection.select(db)
            if "asset" not in record  # read by the service itself, see `assets`
        ],
    }
    uncertain = [row for row in rows if row["status"] is None and row["method"] != "GET"]
    return {
        "ok": not any(findings.values()),
        "requests": len(rows),
        "uncertain": len(uncertain),
        **{name: {"count": len(found), "details": found[:_SHOWN]} for name, found in findings.items()},
    }


def _log(db: sqlite3.Connection) -> list[Record]:
    names = (
        "id",
        "time",
        "method",
        "path",
        "query",
        "operation",
        "status",
        "body",
        "response_id",
        "retry_after",
        "told",
        "ms",
    )
    cursor = db.execute(f"SELECT {', '.join(names)} FROM requests ORDER BY id")  # noqa: S608 - our own names
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [{**row, "body": None if row["body"] is None else json.loads(row["body"])} for row in rows]


def _succeeded(row: Record) -> bool:
    return row["status"] is not None and row["status"] < 300


def _had_effect(row: Record) -> bool:
    """Whether a request did what it asked for, whatever the client was told (a 408 of the gateway, say)."""
    return _succeeded(row) or row["response_id"] is not None


def _grouped(rows: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    groups: dict[Any, list[Record]] = defaultdict(list)
    for row in rows:
        value = key(row)
        if value is not None:
            groups[value].append(row)
    return groups


def _duplicates(rows: Sequence[Record]) -> list[Record]:
    """Creations that had their effect more than once with the same mark."""
    made = _grouped((row for row in rows if row["operation"] in _CREATIONS and _had_effect(row)), _mark)
    return [
        {
            "operation": operation,
            "mark": mark,
            "count": len(group),
            "requests": [row["id"] for row in group],
            "ids": [row["response_id"] for row in group],
        }
        for (operation, mark), group in made.items()
        if len(group) > 1
    ]


def _mark(row: Record) -> tuple[str, str] | None:
    body = row["body"]
    if not isinstance(body, dict):
        return None
    if row["operation"] == "files.upload":
        found = _MARKED_NAME.search(str(body.get("filename", "")))
        return (row["operation"], found[1]) if found else None
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or KEY_FIELD not in metadata:
        return None
    parts = [metadata[KEY_FIELD], metadata.get(ATTEMPT_FIELD, "1")]
    if ROUND_FIELD in metadata:
        parts.append(metadata[ROUND_FIELD])
    return row["operation"], "-".join(str(part) for part in parts)


def _too_early(rows: Sequence[Record]) -> list[Record]:
    """Requests sent again (same method, path and body) before the Retry-After of a refusal had passed."""
    found: list[Record] = []
    for group in _grouped(rows, _sameness).values():
        until, refused = 0.0, 0
        for row in group:
            if row["time"] < until:
                early = round(until - row["time"], 3)
                found.append({"request": row["id"], "refused": refused, "early_seconds": early})
            if row["retry_after"] is not None:
                answered = row["time"] + (row["ms"] or 0) / 1000
                until, refused = answered + row["retry_after"], row["id"]
    return found


def _sameness(row: Record) -> tuple[str, str, str]:
    # A refused upload was not read, so nothing but its path is known of it.
    body = "" if row["operation"] == "files.upload" else json.dumps(row["body"], sort_keys=True)
    return row["method"], row["path"], body


def _outputs_twice(rows: Sequence[Record]) -> list[Record]:
    """Tool calls whose outputs were sent more than once although the service had taken them."""
    taken: dict[str, int] = {}
    found: list[Record] = []
    for row in rows:
        calls = _answered_calls(row)
        found += [{"call": call, "first": taken[call], "again": row["id"]} for call in calls if call in taken]
        if _had_effect(row):
            taken |= {call: int(row["id"]) for call in calls}
    return found


def _answered_calls(row: Record) -> list[str]:
    """Return the calls that a request answers; on the successor's wire, those of one attempt.

    What an attempt answered that failed is not in the conversation: the next one has to answer it again.
    """
    body = row["body"]
    if not isinstance(body, dict):
        return []
    if row["operation"] == "runs.submit_tool_outputs":
        outputs = [*(body.get("tool_outputs") or []), *(body.get("tool_approvals") or [])]
        return [str(item.get("tool_call_id")) for item in outputs if isinstance(item, dict)]
    given = body.get("input")
    if row["operation"] != "responses.create" or not isinstance(given, list):
        return []
    metadata = body.get("metadata")
    attempt = metadata.get(ATTEMPT_FIELD) if isinstance(metadata, dict) else None
    behind = f" in attempt {attempt}" if attempt else ""
    answers = (
        item.get("call_id") if item.get("type") == "function_call_output" else item.get("approval_request_id")
        for item in given
        if isinstance(item, dict) and item.get("type") in ("function_call_output", "mcp_approval_response")
    )
    return [f"{answer}{behind}" for answer in answers]


def _fast_polls(rows: Sequence[Record], least: float) -> list[Record]:
    """Resources at work that were read again within less than `least` seconds, with how often and how fast.

    Whoever reads again what was told to have ended does not wait for it.
    """
    polls = _grouped(
        (row for row in rows if row["operation"] in _POLLED and "stream=true" not in row["query"]),
        lambda row: row["path"],
    )
    found: list[Record] = []
    for path, group in polls.items():
        gaps = [
            later["time"] - earlier["time"]
            for earlier, later in pairwise(group)
            if earlier["told"] not in _ENDED
        ]
        fast = [gap for gap in gaps if gap < least]
        if fast:
            found.append({"path": path, "times": len(fast), "shortest_seconds": round(min(fast), 4)})
    return found
