"""The durable memory: what was intended, what came of it, what was created, what became of documents."""

from __future__ import annotations

from agent_tasks.journal.held import LOOK_SECONDS, Held
from agent_tasks.journal.journal import LEASE_SECONDS, Journal
from agent_tasks.journal.records import (
    AnswerRecord,
    AtLimit,
    BatchRecord,
    Claim,
    Claimed,
    DecisionRecord,
    DecisionState,
    DocumentRecord,
    Hold,
    Lease,
    LeaseKind,
    NewLease,
    NewResource,
    NewReview,
    Operation,
    OperationState,
    Question,
    Resource,
    Review,
    ReviewKind,
    Run,
    StoredDocument,
    ToolCallRecord,
    ToolCallState,
)
from agent_tasks.journal.reviews import ReviewOutcome, row_hash
from agent_tasks.journal.runs import PastRun
from agent_tasks.journal.transcripts import NewTranscript, Transcript

__all__ = [
    "LEASE_SECONDS",
    "LOOK_SECONDS",
    "AnswerRecord",
    "AtLimit",
    "BatchRecord",
    "Claim",
    "Claimed",
    "DecisionRecord",
    "DecisionState",
    "DocumentRecord",
    "Held",
    "Hold",
    "Journal",
    "Lease",
    "LeaseKind",
    "NewLease",
    "NewResource",
    "NewReview",
    "NewTranscript",
    "Operation",
    "OperationState",
    "PastRun",
    "Question",
    "Resource",
    "Review",
    "ReviewKind",
    "ReviewOutcome",
    "Run",
    "StoredDocument",
    "ToolCallRecord",
    "ToolCallState",
    "Transcript",
    "row_hash",
]
