"""The durable memory: what was intended, what came of it, what was created, what became of documents."""

from __future__ import annotations

from agent_tasks.journal.journal import LEASE_SECONDS, LOOK_SECONDS, Journal
from agent_tasks.journal.records import (
    Claim,
    Claimed,
    DocumentRecord,
    NewResource,
    Operation,
    OperationState,
    Resource,
    ToolCallRecord,
    ToolCallState,
)

__all__ = [
    "LEASE_SECONDS",
    "LOOK_SECONDS",
    "Claim",
    "Claimed",
    "DocumentRecord",
    "Journal",
    "NewResource",
    "Operation",
    "OperationState",
    "Resource",
    "ToolCallRecord",
    "ToolCallState",
]
