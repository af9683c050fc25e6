"""The durable memory: what was intended, what came of it, what was created, what became of documents."""

from __future__ import annotations

from agent_tasks.journal.held import LOOK_SECONDS, Held
from agent_tasks.journal.journal import LEASE_SECONDS, Journal
from agent_tasks.journal.records import (
    AnswerRecord,
    AtLimit,
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
    Operation,
    OperationState,
    Question,
    Resource,
    Run,
    ToolCallRecord,
    ToolCallState,
)

__all__ = [
    "LEASE_SECONDS",
    "LOOK_SECONDS",
    "AnswerRecord",
    "AtLimit",
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
    "Operation",
    "OperationState",
    "Question",
    "Resource",
    "Run",
    "ToolCallRecord",
    "ToolCallState",
]
