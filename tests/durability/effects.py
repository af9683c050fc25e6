"""What the crash pipeline makes the service do, and what of it was done more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent_tasks.backends.marks import ATTEMPT_FIELD, KEY_FIELD
from agent_tasks.backends.responses.words import ROUND_FIELD
from tests.durability.crash_pipeline import AGENTS, ONCE, TURNS, UPLOADS

CREATIONS = {
    "files.upload": UPLOADS,
    "vector_stores.create": 1,
    "file_batches.create": 1,
    "agents.create": AGENTS,
    "runs.create_thread_and_run": 1,
    "runs.create": TURNS - 1,
    "runs.submit_tool_outputs": 2,
}
"""Successful requests of one run of the pipeline, on the classic service."""

_FILES = {name: CREATIONS[name] for name in ("files.upload", "vector_stores.create", "file_batches.create")}
_TURNS = {"conversations.create": 1, "responses.create": TURNS + 2}
SERVICES: dict[str, dict[str, int]] = {
    "classic": CREATIONS,
    "responses": {**_FILES, "agent_versions.create": AGENTS, **_TURNS},
    "inline": {**_FILES, **_TURNS},
    "unlisted": {**_FILES, **_TURNS},
    "stateless": {**_FILES, "responses.create": TURNS + 2},
}
"""The same by service."""

_UNMARKED = ("conversations.create", "responses.create")
"""What need not be ours: what asks a server what it has, and what is not kept and so not marked."""

_ALL = {name for made in SERVICES.values() for name in made}


def duplicate_effects(log: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Marks, names of uploads and answered calls that the service was sent more than once."""
    sent: Counter[Any] = Counter()
    for row in log:
        body = row["body"] if isinstance(row["body"], dict) else {}
        marked = body.get("metadata") or {}
        if row["operation"] not in _ALL or (row["status"] or 0) >= 400:
            continue
        if KEY_FIELD in marked:
            sent[row["operation"], marked[KEY_FIELD], marked[ATTEMPT_FIELD], marked.get(ROUND_FIELD)] += 1
        elif row["operation"] in _UNMARKED:
            continue
        elif row["operation"] == "files.upload":
            sent[row["operation"], body["filename"]] += 1
        elif row["operation"] == "runs.submit_tool_outputs":
            answers = body.get("tool_outputs") or body["tool_approvals"]
            sent.update((row["path"], answer["tool_call_id"]) for answer in answers)
        else:
            sent.update((row["path"], file) for file in body["file_ids"])
    return [effect for effect, times in sent.items() if times > 1]


def is_of_turns(row: Mapping[str, Any]) -> bool:
    """Whether a request of the log is one of ours, and not of those that ask a server what it has."""
    body = row["body"] if isinstance(row["body"], dict) else {}
    return row["operation"] != "conversations.create" or KEY_FIELD in (body.get("metadata") or {})


def repeated_calls(folder: Path) -> list[str]:
    """Calls of the function that must not be repeated, by arguments and document, that were made again.

    Whatever turn or operation they were asked for in: the marks of these differ where a turn is told anew.
    """
    made: Counter[str] = Counter()
    for path in folder.rglob(f"{ONCE}.txt"):
        made.update(path.read_text().splitlines())
    return [call for call, times in made.items() if times > 1]
