"""The batches whose half-done journals are stored in `histories/batch`: killed at the last question's turn.

In one journal are then: a finished run with its documents and answers, whose resources are deleted; a run in
the middle, with finished documents, uploads, a vector store, agents, one answer and one open turn; the lease
of the leader, and leases of a document and a member as workers on PostgreSQL hold them; a flow run's owner.

A stored journal is never made anew by newer code. For a new schema, store one more before it changes: run
`both` in `agent_tasks.testing.kill_at("turn.attached:8", ...)` and dump its journal, with the folder replaced
by `{folder}` and the ids of the service that are still needed by `{file_0}`, `{file_1}`, `{extractor}`,
`{analyst}`, `{store}`, `{thread}` and `{run}`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent_tasks.batch import context
from agent_tasks.batch.records import BatchSummary
from agent_tasks.batch.run import run_batch
from agent_tasks.journal import LeaseKind, NewLease
from agent_tasks.operations import Workspace, operation_key
from agent_tasks.pipeline.loader import load_pipeline

SCOPE = "history"
PIPELINE = """\
name: {name}
model: m
agents:
  extractor: {{instructions: Extract., prompt: "{{{{ document.text }}}}"}}
  analyst: {{instructions: Analyse.}}
output: {{name: paper, fields: {{number: string}}}}
questions:
  - {{id: first, text: "Which papers are there?"}}
  - {{id: second, text: "How many are there?"}}
limits: {{concurrency: 1, chunk_size: 1}}
"""
DOCUMENTS = {"a.txt": "Paper P-1.", "b.txt": "Paper P-2."}
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"schema": "paper", "message": r"Paper (?P<number>P-\d+)"},
            "reply": {"json": {"number": "{{ groups.number }}"}},
        },
        {"when": {"message": "Which papers"}, "reply": {"text": "P-1 and P-2."}},
    ],
    "default": {"reply": {"text": "Two."}},
}
FLOW_RUN = "0f1c7a52-8d0e-4c58-9a6f-3f6f5f0f7f10"


def batch_key(pipeline: str, folder: Path) -> str:
    """A batch's key without the folder, which is another one in each test."""
    return operation_key("batch", pipeline=pipeline, folder=f"/{folder.name}")


async def run(ws: Workspace, folder: Path, name: str) -> BatchSummary:
    """One of the two batches: `finished` or `papers`."""
    context.batch_key = batch_key
    documents = folder / name
    documents.mkdir(exist_ok=True)
    for document, text in DOCUMENTS.items():
        (documents / document).write_text(text)
    (folder / f"{name}.yaml").write_text(PIPELINE.format(name=name))
    return await run_batch(ws, load_pipeline(folder / f"{name}.yaml"), documents, folder / f"{name}-out")


async def both(endpoint: str, folder: str, journal: str) -> None:
    """The finished batch, then the one that is killed; what workers on PostgreSQL hold beside it."""
    here = Path(folder)
    context.batch_key = batch_key
    owner = context.batch_owner("papers", here / "papers")
    async with Workspace.open(endpoint, None, journal, scope=SCOPE) as ws:
        await run(ws, here, "finished")
        await ws.journal.flow_runs.note(FLOW_RUN, owner)
        member = NewLease(operation_key("member"), LeaseKind.MEMBER, owner)
        document = NewLease(operation_key("document"), LeaseKind.DOCUMENT, owner, "b.txt")
        await ws.journal.leases.take(ws.scope, [member, document])
        await run(ws, here, "papers")
