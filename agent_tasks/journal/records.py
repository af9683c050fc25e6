"""What the journal hands out: plain, immutable records of its rows."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any


class OperationState(enum.StrEnum):
    """How far an operation has come."""

    INTENDED = "intended"
    """Committed before the request left; whether it had an effect is not known."""
    ATTACHED = "attached"
    """The remote id is known, the outcome is not."""
    DONE = "done"
    """Finished; `result` holds the outcome and nothing is ever sent again."""
    FAILED = "failed"
    """Ended without an effect that is worth keeping; another call may try again."""
    RELEASED = "released"
    """What it made was deleted; another call makes it anew."""


UNSETTLED = (OperationState.INTENDED, OperationState.ATTACHED)
"""States of an operation that was intended and did not end."""


class Claim(enum.Enum):
    """What a worker that asks for an operation gets."""

    FRESH = "fresh"
    """Nothing was sent: the intent is committed, go ahead."""
    ORPHAN = "orphan"
    """A worker (perhaps this one) had the intent and did not finish: look the effect up before sending."""
    DONE = "done"
    """Finished before: take the result."""
    BUSY = "busy"
    """A living worker is at it: wait."""


@dataclass(frozen=True)
class Operation:
    """A row of `operations`."""

    scope: str
    key: str
    kind: str
    state: OperationState
    attempt: int
    """Counts what was sent under this key on purpose (1 for the first); part of the remote mark."""
    worker: str
    lease_until: float
    remote: dict[str, Any]
    result: Any
    error: dict[str, Any] | None
    intended_at: float
    """When the current attempt's intent was committed: a look-up need not go back further."""
    fingerprint: dict[str, Any] = field(default_factory=dict)
    """What the key was made of, for people; turns, uploads, stores and agents name their `owner`."""


@dataclass(frozen=True)
class Claimed:
    """The answer to a claim: what the worker may do, and the row as it is now."""

    claim: Claim
    operation: Operation


class ToolCallState(enum.StrEnum):
    """How far a tool call has come."""

    STARTED = "started"
    DONE = "done"
    UNKNOWN = "unknown"
    """Cut off in the middle: its effect is not known. The output is what the agent was told; None if its turn
    ended before anything was."""


@dataclass(frozen=True)
class ToolCallRecord:
    """A row of `tool_calls`."""

    operation_key: str
    turn_id: str
    call_id: str
    name: str
    arguments_hash: str
    state: ToolCallState
    output: str | None
    error_type: str | None
    started_at: float = 0.0
    arguments: str | None = None
    """What it was asked to do, shortened, for people; None in calls that an older version made."""


@dataclass(frozen=True)
class NewResource:
    """A remote resource to be put into the ledger."""

    kind: str
    remote_id: str
    owner: str
    """What it was made for; `release_owner` removes all of an owner's resources."""
    name: str
    time_to_live: float
    """Seconds until the sweep may remove it."""


@dataclass(frozen=True)
class Resource:
    """A row of `resources`."""

    kind: str
    remote_id: str
    operation_key: str
    owner: str
    name: str
    state: str
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class DocumentRecord:
    """A row of `documents`: the latest outcome of one document of a batch."""

    name: str
    content_hash: str
    fingerprint: str
    status: str
    body: dict[str, Any] = field(default_factory=dict)
    updated_at: float = field(default=0.0, compare=False)
    """When it was committed (seconds since the epoch); the journal fills it in."""
