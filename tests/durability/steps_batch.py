"""A batch whose pipeline has every kind of step, run in child processes that the kill suite ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_tasks.batch.run import run_batch
from agent_tasks.operations import Workspace, decide, list_questions
from agent_tasks.pipeline.loader import load_pipeline
from tests.steps.all_kinds import INNER, LEASE, RULES, STEPS
from tests.steps.all_kinds import TURNS as STEP_TURNS

CORPUS = """\
corpus:
  - id: overall
    vote: {agent: judge, samples: 2, by: fair}
    prompt: "Overall{% for one in documents %} {{ one.name }} is {{ one.status }}{% endfor %}."
  - {id: closing, agent: clerk, prompt: "Close{% for one in documents %} {{ one.status }}{% endfor %}."}
"""
"""Steps over all documents. They are carried out when the document waits, and again when it is done."""
CORPUS_TURNS = 3
PIPELINE = STEPS.replace("steps:\n", "  clerk: {tools: [{file_search: corpus}]}\nsteps:\n", 1) + CORPUS
SERVICE: dict[str, Any] = {
    **RULES,
    "rules": [{"when": {"message": "^Close"}, "reply": {"text": "Closed."}}, *RULES["rules"]],
}

UNTIL_WAITING = STEP_TURNS + CORPUS_TURNS
"""Turns of the run that leaves the document waiting."""
AFTERWARDS = 1 + CORPUS_TURNS
"""Turns of the run that takes the decision."""
IN_THE_MIDDLE = {
    "agent": "turn.attached:1",
    "extract": "turn.started:2",
    "ground": "step.ended:3",
    "switch": "turn.attached:2",
    "each": "turn.committed:3",
    "repeat": "turn.committed:6",
    "follows": "turn.attached:7",
    "parallel": "turn.committed:9",
    "vote": "turn.ended:12",
    "hand_off": "turn.committed:14",
    "pipeline": "turn.attached:16",
    "review": "turn.ended:17",
    "approve": "decision.asked:1",
    "waiting": "batch.document:1",
    "corpus_store": "store.ingested:1",
    "corpus_vote": f"turn.committed:{STEP_TURNS + 1}",
    "corpus_search": f"turn.attached:{STEP_TURNS + CORPUS_TURNS}",
}
"""Where to kill the run up to its question, for each kind; a test holds that it is in the middle of it."""
WHEN_GOING_ON = {"when": "turn.attached:1"}
"""The one that goes on from there: only the last step of it has a `when`."""


def prepare(folder: Path) -> None:
    """A folder with the pipeline and its document."""
    (folder / "documents").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "inner.yaml").write_text(INNER)
    (folder / "documents" / "a.txt").write_text(LEASE)


def _workspace(endpoint: str, journal: str) -> Any:
    return Workspace.open(endpoint, None, journal, scope="kill", lease_seconds=2)


async def run(endpoint: str, journal: str, folder: str) -> dict[str, Any]:
    """Run the batch as far as it goes; returns the document's row, with the answers over all documents."""
    out = Path(folder) / "out"
    async with _workspace(endpoint, journal) as ws:
        pipeline = load_pipeline(Path(folder) / "pipeline.yaml")
        summary = await run_batch(ws, pipeline, Path(folder) / "documents", out)
    (line,) = (out / "results.jsonl").read_text().splitlines()
    row: dict[str, Any] = json.loads(line)
    return {**row, "answers": {answer.id: answer.answer for answer in summary.answers}}


async def approve(endpoint: str, journal: str) -> str:
    """Decide what the document waits for."""
    async with _workspace(endpoint, journal) as ws:
        (question,) = await list_questions(ws, states=())
        decided = await decide(ws, question.key, approved=True, by="Ann", note="fine")
        return decided.state.value
