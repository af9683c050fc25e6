"""A batch whose pipeline has every kind of step, run in child processes that the kill suite ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_tasks.batch.run import run_batch
from agent_tasks.operations import Workspace, decide, list_questions
from agent_tasks.pipeline.loader import load_pipeline
from tests.steps.all_kinds import INNER, LEASE, STEPS


def prepare(folder: Path) -> None:
    """A folder with the pipeline and its document."""
    (folder / "documents").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(STEPS)
    (folder / "inner.yaml").write_text(INNER)
    (folder / "documents" / "a.txt").write_text(LEASE)


def _workspace(endpoint: str, folder: str) -> Any:
    return Workspace.open(endpoint, None, f"sqlite+aiosqlite:///{folder}/journal.db", scope="kill")


async def run(endpoint: str, folder: str) -> dict[str, Any]:
    """Run the batch as far as it goes; returns the document's row."""
    async with _workspace(endpoint, folder) as ws:
        pipeline = load_pipeline(Path(folder) / "pipeline.yaml")
        await run_batch(ws, pipeline, Path(folder) / "documents", Path(folder) / "out")
    (line,) = (Path(folder) / "out" / "results.jsonl").read_text().splitlines()
    row: dict[str, Any] = json.loads(line)
    return row


async def approve(endpoint: str, folder: str) -> str:
    """Decide what the document waits for."""
    async with _workspace(endpoint, folder) as ws:
        (question,) = await list_questions(ws)
        decided = await decide(ws, question.key, approved=True, by="Ann", note="fine")
        return decided.state.value
