"""What the steps of a document came to, as its row has it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.documents.grounding import FieldGrounding
from agent_tasks.errors import WaitingForPersonError
from agent_tasks.operations import Citation, Usage
from agent_tasks.pipeline.output_schema import json_schema_format

MAX_VALUE_CHARS = 4000
"""Characters of a step's outcome, as JSON, that a row holds; a longer one is left out, and said to be."""

MAX_CITATIONS = 50


class StepStatus(StrEnum):
    """How far a step has come for a document."""

    DONE = "done"
    SKIPPED = "skipped"
    """Its `when` was not true."""
    WAITING = "waiting"
    """For a person."""
    STOPPED = "stopped"
    """A person has to look at the document; what comes after it was left out."""
    FAILED = "failed"


class StepRecord(BaseModel):
    """One step of a document's row."""

    model_config = ConfigDict(extra="forbid")

    step: str
    """Its place in the pipeline, without numbers of items and rounds."""
    kind: str
    status: StepStatus = StepStatus.DONE
    value: Any = None
    """Its outcome, unless that is longer than `MAX_VALUE_CHARS`, or is the row's `fields`."""
    note: str | None = None
    """Why it was stopped, or what is left out of the value."""
    usage: Usage = Field(default_factory=Usage)
    """Tokens of its own turns."""
    turns: dict[str, str] = Field(default_factory=dict)
    """Ids of its own turns on the service, by their names."""
    citations: list[Citation] = Field(default_factory=list)
    """Where its answers say that they have something from; of many the first `MAX_CITATIONS`."""

    def keep(self, value: Any) -> None:
        """Take the outcome, if it is short enough for a row."""
        length = len(json.dumps(value, ensure_ascii=False))
        if length > MAX_VALUE_CHARS:
            self.note = f"the value is left out: it has {length:,} characters"
        else:
            self.value = value


class Review(BaseModel):
    """The reviewer's verdict, as it answers and as the row has it."""

    model_config = ConfigDict(extra="ignore")  # models add remarks of their own

    approved: bool
    problems: list[str] = Field(default_factory=list)

    @classmethod
    def response_format(cls, *, strict: bool) -> dict[str, Any]:
        """The `response_format` of a review; without strict mode the list has bounds: some models ramble."""
        problem: dict[str, Any] = {"type": "string"} if strict else {"type": "string", "maxLength": 200}
        problems: dict[str, Any] = {"type": "array", "items": problem}
        if not strict:
            problems["maxItems"] = 5
        schema = {
            "type": "object",
            "properties": {"approved": {"type": "boolean"}, "problems": problems},
            "required": list(cls.model_fields),
            "additionalProperties": False,
        }
        return json_schema_format("review", schema, strict=strict)


@dataclass
class DocumentOutcome:
    """What came of a document so far; steps add to it."""

    reasons: list[tuple[tuple[int, ...], str]] = field(default_factory=list)
    """Why a person has to look at it, each with the place of the step that says so."""
    notes: list[str] = field(default_factory=list)
    """What is to be known of it, one sentence each."""
    fields: dict[str, Any] | None = None
    answer: str | None = None
    """An answer that was not valid."""
    grounding: list[FieldGrounding] = field(default_factory=list)
    review: Review | None = None
    waiting: list[WaitingForPersonError] = field(default_factory=list)
    """What it waits for."""
    steps: dict[str, tuple[tuple[int, ...], StepRecord]] = field(default_factory=dict)
    """By runtime path, each with its place."""

    def said(self) -> list[str]:
        """The reasons, in the order of the steps, each once."""
        ordered = [text for _, text in sorted(self.reasons, key=lambda reason: reason[0])]
        return list(dict.fromkeys(ordered))

    def records(self) -> dict[str, StepRecord]:
        """The steps, in their order."""
        ordered = sorted(self.steps.items(), key=lambda item: item[1][0])
        return {name: record for name, (_, record) in ordered}
