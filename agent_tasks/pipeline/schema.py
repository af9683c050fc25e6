"""What may stand in a pipeline file, section by section; each field says what it means."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.reading import document_extensions
from agent_tasks.pipeline.output_schema import FieldName, FieldSpec
from agent_tasks.pipeline.vision import VisionSection

SINKS_MARK = "x-sinks"
"""Stands in the JSON Schema where sinks may stand; the whole file's schema puts them there."""

Slug: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]

Suffix: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\.[a-z0-9]+$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentsSection(_Section):
    """Which files of the folder are documents."""

    suffixes: tuple[Suffix, ...] = Field(default_factory=document_extensions)
    """File name endings that are worked on; others are reported as failed. Default: all that can be read."""
    ignore: tuple[str, ...] = ()
    """Patterns (``*``, ``?``) of paths relative to the folder that are no documents at all."""
    recognise: bool = True
    """Whether the text of pages that are pictures is recognised, where something is installed for it."""

    def facts(self) -> dict[str, Any]:
        """What a fingerprint takes of it: nothing where documents are read as they always were."""
        return {} if self.recognise else {"recognise": False}


class ToolEntry(_Section):
    """A tool of an agent: a Python function, or a function of a Function App behind queues."""

    function: str | None = None
    """``module:function``; the module lies next to the pipeline file or is installed."""
    queue: str | None = None
    """Name of one of the queue tools in `QueueToolsSection.definitions`."""
    name: str | None = None
    """Name for the model; default the function's. Not for queue tools."""
    idempotent: bool | None = None
    """Whether an interrupted call may be repeated. For queue tools `QueueToolsSection` says it."""
    timeout: float | None = Field(None, gt=0)
    """Seconds a call may take; of a queue tool, until its answer has to be there."""
    max_output_chars: int | None = Field(None, gt=0)
    """Characters a call may return."""

    @model_validator(mode="after")
    def _one_kind(self) -> ToolEntry:
        if (self.function is None) == (self.queue is None):
            raise ValueError("names a `function` or a `queue`, one of the two")
        if self.queue is not None and (self.name is not None or self.idempotent is not None):
            raise ValueError("a queue tool has its name and its policy from its definition")
        return self


class AgentSection(_Section):
    """What all agents of a pipeline have."""

    name: Slug | None = None
    """Part of the agent's name on the service; default its role."""
    model: str | None = Field(None, min_length=1)
    """Model deployment; default the pipeline's."""
    instructions: str = ""
    """The agent's system prompt; plain text."""
    prompt: str = ""
    """Template of a turn."""
    tools: tuple[ToolEntry, ...] = ()
    tool_choice: str | None = None
    """``auto``, ``none``, ``required``, or the name of one of the tools, which is then called first."""
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    """Tokens of one turn's answers; default `LimitsSection.max_completion_tokens`."""


class ExtractorSection(AgentSection):
    """The agent that returns the fields of a document."""

    read: Literal["whole", "pages", "passages"] = "whole"
    """What of a document goes into its prompt: all of it; one range of pages after the other, as large as
    `LimitsSection.max_document_tokens` allows; or the passages that speak of the fields, in one prompt."""
    vision: VisionSection | None = None
    """Show pages without text, and pictures, as images. Default: only what is recognised of them is read."""
    instructions: str = (
        "You extract fields from a document. Copy values exactly as the document has them; write dates as "
        "YYYY-MM-DD and numbers as plain numbers. Use null for what the document does not say. Never guess."
    )
    prompt: str = (
        "Extract these fields:\n"
        "{% for field in fields %}- {{ field.name }} ({{ field.type }})"
        "{% if field.description %}: {{ field.description }}{% endif %}\n{% endfor %}\n"
        "Document {{ document.name }}:\n\n{{ document.text }}"
    )
    repair_prompt: str = (
        "Your answer was not valid:\n{% for error in errors %}- {{ error }}\n{% endfor %}"
        "Answer again, with these errors corrected."
    )
    """Template of the turn after an answer that was not valid, in the same conversation."""


class ReviewerSection(AgentSection):
    """The agent that checks an extraction against its document."""

    instructions: str = (
        "You check fields that were extracted from a document. Approve if every value is what the document "
        "says and nothing that was asked for is missing; otherwise list the problems."
    )
    prompt: str = (
        "Document {{ document.name }}:\n\n{{ document.text }}\n\nExtracted: {{ extraction | json }}"
        "{% if not_found %}\n\nNot found in the document's text: {{ not_found | join(', ') }}{% endif %}"
    )


class AnalystSection(AgentSection):
    """The agent that answers questions about all documents, by file search."""

    instructions: str = (
        "You answer questions about the documents you can search. Say which document you rely on. If the "
        "documents do not answer the question, say so."
    )
    prompt: str = "{{ question }}"


class AgentsSection(_Section):
    """The agents; without a reviewer there is no review, without an analyst there are no questions."""

    extractor: ExtractorSection
    reviewer: ReviewerSection | None = None
    analyst: AnalystSection | None = None


class OutputSection(_Section):
    """What the extractor returns."""

    name: FieldName = "extraction"
    description: str = ""
    strict: bool = True
    """Whether the service enforces the shape; see `OutputSchema.response_format`."""
    fields: dict[FieldName, FieldSpec] = Field(min_length=1)


def _plain_question(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class QuestionEntry(_Section):
    """A question for the analyst; its text alone may stand for it."""

    id: Slug | None = None
    text: str = Field(min_length=1)


class QueueToolsSection(_Section):
    """Functions behind storage queues that agents of this pipeline may use (docs/queue-tools.md)."""

    definitions: str
    """File with what the Function App serves, relative to the pipeline file."""
    drive: Literal["pipeline", "service"] = "pipeline"
    """Who puts the calls into the queues; the basic agent setup refuses ``service``."""
    connection: str = Field("STORAGE", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Setting that says where the queues are."""
    deadline: float = Field(120.0, gt=0)
    """Seconds until a call is given up (``drive: pipeline``)."""
    idempotent: bool = True
    """Whether the Function App answers a repeated call from the stored first answer."""
    container: str = Field("queue-tool-values", pattern=r"^[a-z0-9](-?[a-z0-9]){2,62}$")
    """Blob container of values too large for a queue (``drive: pipeline``)."""


class LimitsSection(_Section):
    """What bounds a batch."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_number(cls, value: object) -> object:
        if isinstance(value, bool):  # YAML's yes, which would count as 1
            raise ValueError("should be a number, and is yes or no")
        return value

    max_document_tokens: int = Field(50_000, ge=1)
    """Estimated tokens of what of a document goes into one prompt; longer documents fail, unless the
    extractor reads them by pages or passages."""
    max_document_bytes: int = Field(20_000_000, ge=1)
    max_document_pages: int = Field(2_000, ge=1)
    """Pages of a PDF, or of a picture that has several."""
    max_reading_seconds: float = Field(120.0, gt=0)
    """Processor time that reading a document may take; a page that is recognised may take as much more."""
    max_reading_memory: int = Field(3 * 1024**3, ge=512 * 1024**2)
    """Bytes of address space of the process that reads a document."""
    max_document_pictures: int = Field(20, ge=0, le=500)
    """Pictures of places of values in one document, beside the report; 0: none."""
    max_pictures: int = Field(300, ge=0, le=100_000)
    """Such pictures of all documents; those that come first by name have them."""
    concurrency: int = Field(4, ge=1, le=256)
    """Documents in flight at a time."""
    chunk_size: int = Field(50, ge=1, le=10_000)
    """Documents of one Prefect task run."""
    repair_turns: int = Field(1, ge=0, le=5)
    """Turns in which the extractor may correct an answer that is not valid."""
    turn_deadline: float = Field(600.0, gt=0)
    """Seconds until a turn is given up."""
    max_completion_tokens: int = Field(2000, ge=1)
    """Tokens of one turn's answers, for agents that set none."""
    max_consecutive_failures: int = Field(5, ge=1)
    """Failures of the service in a row, all of one kind, after which the batch stops."""

    @property
    def reading(self) -> ReadingLimits:
        """What reading a document may cost."""
        return ReadingLimits(
            max_bytes=self.max_document_bytes,
            max_pages=self.max_document_pages,
            max_seconds=self.max_reading_seconds,
            max_memory=self.max_reading_memory,
        )


class Money(BaseModel):
    """An amount, written as `20.00 USD`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"


_MONEY = re.compile(r"(\d+(?:\.\d+)?) ([A-Z]{3})")


def _money(value: Any) -> Any:
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if match is None or not Decimal(match[1]):
        raise ValueError("is no amount of money: write an amount above 0 and its currency, such as 20.00 USD")
    return Money(amount=Decimal(match[1]), currency=match[2])


class BudgetSection(_Section):
    """What a batch may spend, all its runs and workers together; where it is reached the batch stops."""

    tokens: int | None = Field(None, ge=1)
    """Tokens of prompts and answers."""
    money: Annotated[
        Money | None,
        BeforeValidator(_money),
        WithJsonSchema({"type": "string", "pattern": rf"^{_MONEY.pattern}$"}),
    ] = None
    """An amount with its currency, such as ``20.00 USD``; `AGENT_TASKS_PRICES` says what tokens cost."""
    per: Literal["batch", "day", "month"] = "batch"
    """For how long: for ever, or anew each day or month (UTC)."""

    @model_validator(mode="after")
    def _is_one(self) -> BudgetSection:
        if self.tokens is None and self.money is None:
            raise ValueError("says nothing: set `tokens`, `money`, or both")
        return self


class ResourcesSection(_Section):
    """What becomes of the agents, files and the vector store."""

    on_success: Literal["delete", "keep"] = "delete"
    ttl_hours: float = Field(24.0, gt=0)
    """Hours that the ledger gives what is left behind."""


class ConfidenceSection(_Section):
    """How sure a document has to be for being done."""

    file: str = Field(min_length=1)
    """What `agent-tasks evaluate` wrote (``confidence.json``), relative to the pipeline file."""
    at_least: float | None = Field(None, ge=0, le=1)
    """A document whose confidence is below needs review; default the threshold that the file proposes."""


class FileHead(_Section):
    """What every pipeline file may say."""

    name: Slug
    description: str = ""
    revision: int = 1
    """Part of the fingerprint: another number has every document done again."""
    model: str | None = Field(None, min_length=1)
    """Model deployment of agents that name none; default ``MODEL_DEPLOYMENT_NAME``."""
    documents: DocumentsSection = DocumentsSection()
    queue_tools: QueueToolsSection | None = None
    limits: LimitsSection = LimitsSection()
    budget: BudgetSection | None = None
    """Default: nothing bounds what is spent."""
    resources: ResourcesSection = ResourcesSection()
    confidence: ConfidenceSection | None = None
    """Default: confidence is not worked out."""
    sinks: Annotated[tuple[dict[str, Any], ...], WithJsonSchema({SINKS_MARK: True})] = ()
    """Where the rows go besides results.jsonl and report.md."""


class PipelineFile(FileHead):
    """A pipeline file without `steps`: the short form of `extract`, `ground` and `review`, and questions."""

    agents: AgentsSection
    output: OutputSection
    questions: tuple[Annotated[QuestionEntry, BeforeValidator(_plain_question)], ...] = ()
