"""Where a program is run: a service of one kind, an empty folder, and what stands beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_tasks import Session
from agent_tasks.batch.run import run_batch
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.operations import Workspace, decide, list_questions
from agent_tasks.pipeline.loader import load_pipeline
from tests.support.service import RunningService

__all__ = ["MODEL", "Place", "Program", "Work", "run_pipeline", "without_ids"]

MODEL = "scripted"


@dataclass(frozen=True)
class Place:
    """Where a program is run. One that opens a workspace of its own finds the service in the environment."""

    ws: Workspace
    folder: Path
    """Empty, and the working folder."""
    running: RunningService
    mcp_url: str
    weather_url: str
    """Of a server that tells the weather."""
    storage: StorageAddresses | None = None
    """Queues, where the program needs them."""
    queue_prefix: str = ""

    def session(self) -> Session:
        """A session on the workspace, for a block: `with place.session().entered():`."""
        return Session(self.ws, owner="parity", run="one", model=MODEL)


Work = Callable[[Place], Awaitable[Any]]


@dataclass(frozen=True)
class Program:
    """What is run on both services."""

    name: str
    work: Work
    """Does it; returns its outcome without ids."""
    rules: dict[str, Any]
    """What the scripted model says."""
    needs: frozenset[str] = field(default_factory=frozenset)
    """Fixtures: `azurite` (its addresses are in the place) and `prefect_server`."""


async def run_pipeline(
    place: Place, file: Path, documents: Path | dict[str, str], model: str | None = MODEL
) -> Any:
    """Run a pipeline file to its end; people approve what they are asked. Returns summary, rows and answers.

    Args:
        place: where.
        file: the pipeline file.
        documents: a folder, or texts by the names of their files.
        model: for agents that name none.
    """
    source = documents if isinstance(documents, Path) else place.folder / "documents"
    if isinstance(documents, dict):
        source.mkdir()
        for name, text in documents.items():
            (source / name).write_text(text, encoding="utf-8")
    out = place.folder / "out"
    while True:
        summary = await run_batch(place.ws, load_pipeline(file, default_model=model), source, out)
        questions = await list_questions(place.ws)
        if not questions:
            break
        for question in questions:
            await decide(place.ws, question.key, approved=True, by="Ann", note="fine")
    counts = summary.model_dump(mode="json", include={"done", "failed", "needs_review", "turns"})
    answers = [answer.model_dump(mode="json") for answer in summary.answers]
    return [counts, _rows(out), without_ids(answers)]


def _rows(out: Path) -> list[Any]:
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [without_ids(json.loads(line)) for line in lines]


_BY_NATURE = {
    *("call_id", "id", "file_id", "step_usage", "usage", "seconds", "run", "duration", "started_at"),
    *("ended_at", "decided_at", "conversation", "conversations", "turn_id"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "total_tokens"),
    *("mark", "start", "end"),  # of citations: one service puts a mark into the text, the other none
}
_BY_NAME = ("ids", "turns")
"""Ids by the names of their turns: the names are to be the same."""
_KEY = re.compile(r"[0-9a-f]{40,}")
"""Of an operation, where a turn has no other name: it says which service is asked."""
_ID = re.compile(r"\b(?:run|resp)_\w{20,}")  # in the texts of errors
_MARK = re.compile(r" ?【\d+:\d+†[^】]*】")


def without_ids(value: Any) -> Any:
    """A value without what differs by nature: times, tokens, ids, marks of citations."""
    if isinstance(value, dict):
        return {
            key: _names(inner) if key in _BY_NAME and isinstance(inner, dict) else without_ids(inner)
            for key, inner in value.items()
            if key not in _BY_NATURE
        }
    if isinstance(value, str):
        return _MARK.sub("", _ID.sub("(turn)", value))
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


def _names(ids: dict[str, Any]) -> list[str]:
    return sorted(_KEY.sub("(key)", name) for name in ids)
