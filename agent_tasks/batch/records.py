"""What a batch says in the end: a row for each document, an answer for each question, a summary."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.documents.content import Place
from agent_tasks.documents.grounding import FieldGrounding
from agent_tasks.errors import AgentTasksError, WaitingForPersonError
from agent_tasks.journal import ReviewKind
from agent_tasks.operations import Citation, Cost, ToolCallOutcome, TurnResult, Usage
from agent_tasks.steps.answers import TurnRecord
from agent_tasks.steps.file.records import Review, StepRecord

MAX_LISTED = 200
"""Documents that a summary or a table on the dashboard names; the rest is in results.jsonl."""

MAX_SHOWN_OUTPUT = 2000
"""Characters of a tool's output in a row."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


def shortened(calls: list[ToolCallOutcome]) -> list[ToolCallOutcome]:
    """Tool calls as rows show them: a long output is the journal's to keep."""
    return [
        call
        if len(call.output) <= MAX_SHOWN_OUTPUT
        else call.model_copy(update={"output": f"{call.output[:MAX_SHOWN_OUTPUT]}..."})
        for call in calls
    ]


class DocumentStatus(StrEnum):
    """The one state a document ends in."""

    DONE = "done"
    WAITING = "waiting"
    """A person is asked, and has not decided; a run after that takes it on."""
    NEEDS_REVIEW = "needs_review"
    REJECTED = "rejected"
    """A person has looked at it, and it is not to be used."""
    FAILED = "failed"


_SHOWN_WHERE_THERE_ARE_ANY = (DocumentStatus.WAITING, DocumentStatus.REJECTED)


def counted(count: int, status: DocumentStatus) -> str:
    """Such as "5 need review"."""
    needs = "needs" if count == 1 else "need"
    return f"{count} {needs} review" if status is DocumentStatus.NEEDS_REVIEW else f"{count} {status.value}"


def counted_all(counts: Mapping[DocumentStatus, int]) -> list[str]:
    """The count of each state, in their order; of those that wait or were rejected only if there are any."""
    return [
        counted(counts[status], status)
        for status in DocumentStatus
        if counts[status] or status not in _SHOWN_WHERE_THERE_ARE_ANY
    ]


class Failure(_Record):
    """Why something failed."""

    type: str
    """Name of the error, as in `agent_tasks.errors`."""
    message: str
    retryable: bool = False
    """Whether the next run tries again; otherwise it would pay for the same failure."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """An error as a record. What is not one of ours is a defect, fixed by the next run perhaps."""
        retryable = error.retryable if isinstance(error, AgentTasksError) else True
        return cls(type=type(error).__name__, message=str(error)[:2000], retryable=retryable)


class AwaitedDecision(_Record):
    """A question to a person that a document waits for."""

    key: str
    """Its id, as `agent-tasks approvals` knows it."""
    step: str
    question: str
    asked_at: float
    """Seconds since the epoch."""
    expires_at: float | None = None
    """When its time limit is over (seconds since the epoch); None: never."""

    @classmethod
    def of(cls, error: WaitingForPersonError) -> AwaitedDecision:
        """What a step that waits has raised, as a record."""
        return cls(
            key=error.key or "",
            step=error.step,
            question=error.question,
            asked_at=error.asked_at,
            expires_at=error.expires_at,
        )


class PersonDecision(_Record):
    """What a person decided about a document that needed review."""

    kind: ReviewKind
    by: str
    note: str | None = None
    step: str | None = None
    """The step that the next run does anew."""
    corrected: list[str] = Field(default_factory=list)
    """Paths of the values that are the person's, as in `grounding`; such as `items[0].amount`."""
    reasons: list[str] = Field(default_factory=list)
    """Why it needed review."""


class AnsweredBy(_Record):
    """Who answered a turn, and how that went."""

    agent: str
    model: str
    """The model deployment; of those that an agent may ask, the one whose answer this is."""
    seconds: float = 0.0
    attempts: int = 1
    """How often the service was asked; 1 unless it was throttled, failed or expired."""
    throttled: int = 0
    """How many of these were throttled."""
    resent: int = 0
    """How many requests the client has sent again by itself meanwhile, after 429, 5xx or Retry-After."""
    resent_throttled: int = 0
    """How many of them were throttled (429)."""


class DocumentRow(_Record):
    """One line of results.jsonl."""

    document: str
    status: DocumentStatus
    parent: str | None = None
    """The document that this one is attached to."""
    attachments: list[str] = Field(default_factory=list)
    """The documents that are attached to this one."""
    reasons: list[str] = Field(default_factory=list)
    """Why it needs review, failed or waits, one sentence each."""
    waiting: list[AwaitedDecision] = Field(default_factory=list)
    """The questions to people that it waits for."""
    notes: list[str] = Field(default_factory=list)
    """What is to be known of how it was read, one sentence each: which pages were recognised, which
    values are ambiguous."""
    unread: list[str] = Field(default_factory=list)
    """What is in the document and could not be read, one sentence each; among the reasons too."""
    fields: dict[str, Any] | None = None
    """What was extracted, as the pipeline's output schema has it; None if nothing valid was."""
    answer: str | None = None
    """The extractor's last answer where it was not valid."""
    grounding: list[FieldGrounding] = Field(default_factory=list)
    confidence: dict[str, float] = Field(default_factory=dict)
    """How likely each value is right, by its path, where the pipeline asks for it."""
    review: Review | None = None
    decision: PersonDecision | None = None
    """What a person decided about it, once it was looked at."""
    error: Failure | None = None
    usage: Usage = Field(default_factory=Usage)
    """Tokens that the document cost."""
    cost: Cost | None = None
    """The same in money, where there is a table of prices; only in results, by the prices of their day."""
    step_usage: dict[str, Usage] = Field(default_factory=dict)
    """Tokens of each step's turn."""
    step_cost: dict[str, Cost] = Field(default_factory=dict)
    """The same in money."""
    answered_by: dict[str, AnsweredBy] = Field(default_factory=dict)
    """Who answered each step's turn."""
    turns: int = 0
    """Turns of agents that it took."""
    tool_calls: list[ToolCallOutcome] = Field(default_factory=list)
    ids: dict[str, str] = Field(default_factory=dict)
    """Ids on the service: the turn of each step."""
    steps: dict[str, StepRecord] = Field(default_factory=dict)
    """What each step came to, by its place in the pipeline, such as `clauses/3/judge`."""
    seconds: float = 0.0
    content_hash: str = ""
    """SHA-256 of the file; empty if it could not be read."""
    readable: bool = True
    """Whether there was text in it, so that questions can be asked about it."""

    def add_turn(self, turn: TurnRecord, result: TurnResult) -> None:
        """Count a turn that gave an answer."""
        self.turns += 1
        self.usage = self.usage + result.usage
        # Another model may have answered the same turn before, with what was not valid.
        self.step_usage[turn.step] = self.step_usage.get(turn.step, Usage()) + result.usage
        self.answered_by[turn.step] = AnsweredBy(
            agent=turn.agent, model=turn.model, seconds=turn.seconds, attempts=turn.attempts,
            throttled=result.throttled, resent=result.resent, resent_throttled=result.resent_throttled,
        )  # fmt: skip
        self.tool_calls += shortened(result.tool_calls)
        self.ids[turn.step] = result.turn_id


class RowInBrief(BaseModel):
    """What is asked of the row of an unchanged document; all else in it is passed over, which is quick."""

    model_config = ConfigDict(extra="ignore")

    document: str
    status: DocumentStatus
    attachments: list[str] = Field(default_factory=list)
    reasons: list[str] = Field(default_factory=list)
    waiting: list[AwaitedDecision] = Field(default_factory=list)
    unread: list[str] = Field(default_factory=list)
    decision: PersonDecision | None = None
    error: Failure | None = None
    turns: int = 0
    readable: bool = True


class SourceCitation(Citation):
    """A citation of the analyst, and where in the document it stands."""

    document: str | None = None
    """The cited document's name."""
    places: tuple[Place, ...] = ()
    """Where the quote stands; empty if the service gave none, or it is not in the text as it was quoted."""


class AnswerRow(_Record):
    """The answer to a question about all documents."""

    id: str
    question: str
    answer: str = ""
    """The analyst's words; citation marks are replaced by [1], [2], ... as in `sources`."""
    sources: list[str] = Field(default_factory=list)
    """Names of the cited documents; the first is [1]."""
    citations: list[SourceCitation] = Field(default_factory=list)
    error: Failure | None = None
    usage: Usage = Field(default_factory=Usage)
    cost: Cost | None = None
    """The same in money, where there is a table of prices."""
    agents: dict[str, Usage] = Field(default_factory=dict)
    """Tokens by agent."""
    turns: int = 0
    seconds: float = 0.0
    """What its turns took together."""
    tool_calls: list[ToolCallOutcome] = Field(default_factory=list)
    ids: dict[str, str] = Field(default_factory=dict)


class BatchSummary(_Record):
    """What `document_batch` returns."""

    pipeline: str
    documents: str
    """The folder."""
    total: int = 0
    done: int = 0
    waiting: int = 0
    """Documents that wait for a person's decision."""
    needs_review: int = 0
    rejected: int = 0
    """Documents that a person has looked at, and that are not to be used."""
    failed: int = 0
    reused: int = 0
    """Documents whose row an earlier run has brought about."""
    by_others: int = 0
    """Documents that other workers brought to their states in this run."""
    answers: list[AnswerRow] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    turns: int = 0
    """Turns made now."""
    turns_reused: int = 0
    """Turns paid for by an earlier run."""
    usage: Usage = Field(default_factory=Usage)
    """Tokens spent now."""
    cost: Cost | None = None
    """The same in money, where there is a table of prices."""
    usage_total: Usage = Field(default_factory=Usage)
    """Tokens that all results together have cost."""
    cost_total: Cost | None = None
    """The same in money, by the prices of today."""
    repeated: int = 0
    """What was asked again now: attempts at turns after one that was throttled, failed or expired, and
    requests that the client sent again by itself."""
    throttled: int = 0
    """Of what went before them, what was throttled."""
    budget: str | None = None
    """What is spent of the pipeline's budget, such as `4.21 of 5.00 USD`; None: it has none."""
    seconds: float = 0.0
    results: str = ""
    """Path of results.jsonl."""
    report: str = ""
    """Path of report.md."""
    reasons: dict[str, list[str]] = Field(default_factory=dict)
    """Document to reasons, for those not done (at most `MAX_LISTED`)."""

    def counts(self) -> dict[DocumentStatus, int]:
        """How many documents are in each state."""
        counts = (self.done, self.waiting, self.needs_review, self.rejected, self.failed)
        return dict(zip(DocumentStatus, counts, strict=True))

    def headline(self) -> str:
        """Such as "10 done, 3 need review, 2 failed", and how many wait, if any do."""
        if not self.total:
            return "no documents"
        return ", ".join(counted_all(self.counts()))

    def provenance(self) -> str:
        """Such as "12 unchanged, 5 by other workers": what this worker did not do now; empty if nothing."""
        parts = [f"{self.reused} unchanged"] if self.reused else []
        return ", ".join([*parts, f"{self.by_others} by other workers"] if self.by_others else parts)


class Evaluated(_Record):
    """What an evaluation found."""

    at: float
    """When (seconds since the epoch)."""
    wrong: float | None
    """Of the documents that were done, the share with a wrong value; None if none was done."""


class RunInShort(_Record):
    """What the journal keeps of a run when the next one has taken its place."""

    counts: dict[DocumentStatus, int]
    turns: int = 0
    usage: Usage = Field(default_factory=Usage)
    """Tokens spent in it."""
    cost: Cost | None = None
    evaluated: Evaluated | None = None
    """The last evaluation of the results that were there before it."""


class RunRecord(_Record):
    """What the journal keeps of a run that is at its end."""

    summary: BatchSummary
    batch: str
    """The batch's key."""
    documents: str
    """The folder, as `pipeline_file` and `out` from the root: a fork may start elsewhere."""
    pipeline_file: str
    out: str
    steps: dict[str, str]
    """For each step a hash of what it was told to do (`Pipeline.step_fingerprints`)."""
    evaluated: Evaluated | None = None
    """The last evaluation of the results that were there before it."""

    def in_short(self) -> RunInShort:
        """The run as it is kept when the next one has taken its place."""
        summary = self.summary
        return RunInShort(
            counts=summary.counts(), turns=summary.turns, usage=summary.usage, cost=summary.cost,
            evaluated=self.evaluated,
        )  # fmt: skip


class AllDocumentsFailedError(AgentTasksError):
    """Not one document of a batch gave a result; `summary` says why for each."""

    def __init__(self, summary: BatchSummary) -> None:
        first = next(iter(summary.reasons.values()), [""])
        which = f"all {summary.total:,} documents failed" if summary.total > 1 else "the only document failed"
        super().__init__(f"{which}; the first: {' '.join(first)}")
        self.summary = summary
