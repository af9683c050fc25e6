"""A worker of the suites that share a batch: a child process that runs it as `agent-tasks run` does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agent_tasks.operations import Workspace
from flows.pipeline import load_pipeline
from flows.run import run_batch

PIPELINE = """\
name: papers
model: test-model
agents:
  extractor: {instructions: Extract., prompt: "{{ document.text }}"}
  reviewer: {instructions: Review., prompt: "{{ document.text }}"}
  analyst: {instructions: Analyse.}
output:
  name: paper
  fields: {number: string, total: number}
questions:
  - {id: sum, text: "What is the sum?"}
limits: {concurrency: 4, chunk_size: 50}
"""

RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"schema": "paper", "message": r"Paper (?P<number>\S+), total (?P<total>[\d.]+)"},
            "reply": {"json": {"number": "{{ groups.number }}", "total": "{{ groups.total | float }}"}},
            "delay": 0.05,
        },
        {"when": {"schema": "review"}, "reply": {"json": {"approved": True, "problems": []}}, "delay": 0.05},
    ],
    "default": {"reply": {"text": "The sum is 42."}},
}

TURNS_A_DOCUMENT = 2
LEASE_SECONDS = 3.0


def lay_out(folder: Path, documents: int) -> None:
    """The folder of documents and the pipeline file."""
    (folder / "documents").mkdir(parents=True)
    for number in range(documents):
        text = f"Paper P-{number:03}, total {number}.5"
        (folder / "documents" / f"{number:03}.txt").write_text(text)
    (folder / "pipeline.yaml").write_text(PIPELINE)


async def work(endpoint: str, journal_url: str, folder: str, out: str) -> dict[str, Any]:
    """Take part in the batch to its end; returns the summary."""
    here = Path(folder)
    async with Workspace.open(endpoint, None, journal_url, scope="test", lease_seconds=LEASE_SECONDS) as ws:
        summary = await run_batch(ws, load_pipeline(here / "pipeline.yaml"), here / "documents", here / out)
    return {"pid": os.getpid(), **summary.model_dump(mode="json")}
