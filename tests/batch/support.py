"""A small pipeline, its documents and the scripted model that plays all agents."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_tasks.batch.records import BatchSummary
from agent_tasks.batch.run import run_batch
from agent_tasks.operations import Workspace
from agent_tasks.operations.transcript_rules import NO_TRANSCRIPTS, TranscriptRules
from agent_tasks.pipeline.loader import load_pipeline
from tests.support.service import RunningService

PIPELINE = """\
name: papers
description: Papers of a test.
model: test-model
agents:
  extractor:
    instructions: Extract.
    prompt: "{{ document.text }}"
    tools:
      - {function: "paper_tools:look_up", idempotent: true, timeout: 5}
  reviewer:
    instructions: Review.
    prompt: |
      {{ document.text }}
      Extracted: {{ extraction | json }}
  analyst:
    instructions: Analyse.
output:
  name: paper
  fields:
    number: string
    total: {type: number, minimum: 0}
    issued: {type: date, optional: true}
questions:
  - {id: sum, text: "What is the sum?"}
limits: {concurrency: 2, chunk_size: 2}
"""

SMALL = """\
name: papers
model: test-model
agents: {extractor: {}}
output: {fields: {number: string}}
"""

TOOLS = '''
CALLS = []

def look_up(number: str) -> dict[str, str]:
    """Look a paper up.

    Args:
        number: The paper's number.
    """
    CALLS.append(number)
    return {"number": number, "known": "yes"}
'''

_TEXT = r"Paper (?P<number>\S+) of (?P<issued>\S+), total (?P<total>[\d.]+)"
_VALUES = {
    "number": "{{ groups.number }}",
    "total": "{{ groups.total | float }}",
    "issued": "{{ groups.issued }}",
}

RULES: dict[str, Any] = {
    "rules": [
        {
            "name": "look the paper up",
            "when": {"schema": "paper", "message": _TEXT + ", look up", "tool_results": False},
            "reply": {"tool_calls": [{"name": "look_up", "arguments": {"number": "{{ groups.number }}"}}]},
        },
        {
            "name": "wrong at first",
            "when": {"schema": "paper", "message": "^(?!Your answer)(.|\n)*needs repair"},
            "reply": {"json": {"number": "P-3", "total": "a lot"}},
        },
        {
            "name": "always wrong",
            "when": {"schema": "paper", "message": "hopeless|Field required"},
            "reply": {"json": {"number": "P-9"}},
        },
        {
            "name": "repaired",
            "when": {"schema": "paper", "message": "total: Input should be a valid number"},
            "reply": {"json": {"number": "P-3", "total": 30, "issued": "2026-03-03"}},
        },
        {
            "name": "invents",
            "when": {"schema": "paper", "message": "unclear"},
            "reply": {"json": {"number": "P-4", "total": 999.0, "issued": None}},
        },
        {
            "name": "breaks",
            "when": {"schema": "paper", "message": "breaks"},
            "reply": {"error": {"code": "content_filter", "message": "Refused."}},
        },
        {"name": "extract", "when": {"schema": "paper", "message": _TEXT}, "reply": {"json": _VALUES}},
        {
            "name": "disapprove",
            "when": {"schema": "review", "message": "disputed"},
            "reply": {"json": {"approved": False, "problems": ["The total is disputed."]}},
        },
        {
            "name": "approve",
            "when": {"schema": "review"},
            "reply": {"json": {"approved": True, "problems": []}},
        },
    ],
    "default": {"reply": {"text": "The paper P-1 has a total of 10.5 in all. That is the sum."}},
}


@dataclass
class Bench:
    """A service with the scripted model, a folder of documents, a pipeline file, and a journal."""

    service: RunningService
    folder: Path
    pipeline: str = PIPELINE
    tools: str = TOOLS
    transcripts: TranscriptRules = NO_TRANSCRIPTS
    documents: Path = field(init=False)
    out: Path = field(init=False)
    pipeline_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.documents = self.folder / "documents"
        self.documents.mkdir()
        self.out = self.folder / "out"
        self.pipeline_file = self.folder / "pipeline.yaml"
        (self.folder / "paper_tools.py").write_text(self.tools)

    @property
    def journal_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.folder}/journal.db"

    def write(self, name: str, text: str | bytes) -> None:
        path = self.documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Workspace]:
        async with Workspace.open(self.service.endpoint, None, self.journal_url, scope="test") as ws:
            ws.transcripts = self.transcripts
            yield ws

    async def run(self) -> BatchSummary:
        self.pipeline_file.write_text(self.pipeline)
        async with self.workspace() as ws:
            return await run_batch(ws, load_pipeline(self.pipeline_file), self.documents, self.out)

    def rows(self) -> dict[str, dict[str, Any]]:
        lines = (self.out / "results.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert [row["document"] for row in rows] == sorted(row["document"] for row in rows)
        return {row["document"]: row for row in rows}

    def turns(self) -> int:
        """Turns that the service has begun."""
        return sum(
            len(self.service.requests(operation))
            for operation in ("runs.create", "runs.create_thread_and_run")
        )

    def left(self) -> dict[str, int]:
        """What is left on the service."""
        with self.service.http() as http:
            return {
                kind: len(http.get(path).json()["data"])
                for kind, path in (
                    ("agents", "/assistants"),
                    ("files", "/files"),
                    ("stores", "/vector_stores"),
                    ("threads", "/threads"),
                )
            }
