"""What the journal hands out: plain, immutable records of its rows."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from agent_tasks.journal.bodies import Written

_Model = TypeVar("_Model", bound=BaseModel)


def _by_hand() -> Written:
    """Where a record is from that no journal has given."""
    return Written("a record", "(none)")


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
    written: Written = field(default_factory=_by_hand, compare=False)
    """Reads `result` and `remote` as models."""


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
    """Interrupted: its effect is not known. The output is what the agent was told; None if its turn ended
    before anything was."""


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
class Spare:
    """A resource that an operation has made for whichever other operation needs it first."""

    kind: str
    remote_id: str
    maker: str
    """The key of the operation that made it; the ledger has it under this key until another one takes it."""


@dataclass(frozen=True)
class Taking:
    """What a new operation takes, in the commit of its intent, if nobody has taken or deleted it before."""

    spare: Spare
    owner: str
    """Whose it is then, as of a `NewResource`; likewise what follows."""
    name: str
    time_to_live: float
    remote: dict[str, Any]
    """The remote ids of the operation, if it has taken it; there are none otherwise."""


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


class DecisionState(enum.StrEnum):
    """What became of a question to a person."""

    WAITING = "waiting"
    """Asked, and not decided."""
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody decided within the time limit, whose policy is to fail."""
    WITHDRAWN = "withdrawn"
    """What it was asked for does not need it any more."""


class AtLimit(enum.StrEnum):
    """What counts as decided when nobody has decided within the time limit."""

    APPROVE = "approve"
    REJECT = "reject"
    FAIL = "fail"


@dataclass(frozen=True)
class Question:
    """A question to a person, to be put into the journal."""

    key: str
    owner: str
    """For whom it is asked, such as a document of a batch."""
    step: str
    """The step that waits for it."""
    question: str
    """What is asked, as people may see it."""
    shown: str
    """What they see beside it: bounded, without secrets."""
    shown_hash: str
    """The hash of all that was to be seen, of which `shown` may be a part."""
    time_limit: float | None = None
    """Seconds from when it is asked; None: it waits for ever."""
    at_limit: AtLimit = AtLimit.FAIL


@dataclass(frozen=True)
class DecisionRecord:
    """A row of `decisions`: what a person is asked, and what was decided."""

    key: str
    owner: str
    step: str
    question: str
    shown: str
    shown_hash: str
    state: DecisionState
    asked_at: float
    expires_at: float | None
    """When its time limit is over (seconds since the epoch); None: never."""
    at_limit: AtLimit
    decided_at: float | None = None
    decided_by: str | None = None
    """Who; None also where the time limit's policy decided."""
    note: str | None = None
    """What they said about it."""
    taken_at: float | None = None
    """When the step that asked resumed with the decision; None: it has not yet."""


class ReviewKind(enum.StrEnum):
    """What a person decided about a document."""

    APPROVE = "approve"
    CORRECT = "correct"
    REJECT = "reject"
    SEND_BACK = "send_back"
    """A step is done anew, and its agent is told why."""
    LEAVE = "leave"
    """Nothing: it is left to somebody else, with a word about it."""


@dataclass(frozen=True)
class NewReview:
    """A decision about a document, to be put into the journal."""

    batch: str
    document: str
    kind: ReviewKind
    by: str
    """Who decides."""
    seen: str
    """The hash of the document's row that they saw."""
    note: str | None = None
    step: str | None = None
    """The step that is done anew."""
    question: str | None = None
    """The key of the question of a step that it decides, or withdraws."""
    body: dict[str, Any] = field(default_factory=dict)
    """The corrected values, or what the step's agent is told."""


@dataclass(frozen=True)
class Review(NewReview):
    """A row of `reviews`."""

    key: str = ""
    number: int = 0
    """Counts the decisions about a document from 1 on."""
    left: str = ""
    """The hash of the row as the decision has left it."""
    before: dict[str, Any] = field(default_factory=dict)
    """The row as it was."""
    decided_at: float = 0.0
    undone_at: float | None = None
    undone_by: str | None = None
    written: Written = field(default_factory=_by_hand, compare=False)


@dataclass(frozen=True)
class BatchRecord:
    """A row of `batches`: where a batch lies."""

    key: str
    owner: str
    pipeline: str
    documents: str
    """The folder, from the root, like the two that follow."""
    pipeline_file: str
    out: str
    fingerprint: str
    """What rows of its documents depend on, besides the documents."""


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
    written: Written = field(default_factory=_by_hand, compare=False)

    def read(self, model: type[_Model]) -> _Model:
        """The body as a model. Raises JournalVersionError where it is not one."""
        return self.written.read(model, self.body)


@dataclass(frozen=True)
class StoredDocument:
    """A row of `documents` where many are read: its JSON is as it is stored until somebody reads it."""

    name: str
    content_hash: str
    fingerprint: str
    status: str
    text: str = field(repr=False)
    """The body, as JSON."""
    updated_at: float = field(compare=False)
    """When it was committed (seconds since the epoch)."""
    version: str | None = field(compare=False)
    """The version that wrote it; None of one before schema 0003."""
    journal: str = field(compare=False)
    """The journal's address, fit for messages."""

    @property
    def written(self) -> Written:
        """Where it is, and who wrote it."""
        return Written(f"document {self.name}", self.journal, self.version)

    def read(self, model: type[_Model]) -> _Model:
        """The body as a model. Raises JournalVersionError where it is not one."""
        try:
            return model.model_validate_json(self.text)
        except ValidationError:  # Python's JSON takes more than this one, and `written` says what is wrong
            return self.written.read(model, json.loads(self.text))


@dataclass(frozen=True)
class AnswerRecord:
    """A row of `answers`: the latest answer to one question about all documents of a batch."""

    question: str
    """The question's id in its pipeline."""
    corpus: str
    """What the documents were that it is about."""
    fingerprint: str
    """What it depends on besides the documents."""
    status: str
    body: dict[str, Any] = field(default_factory=dict)
    updated_at: float = field(default=0.0, compare=False)
    """When it was committed (seconds since the epoch); the journal fills it in."""
    written: Written = field(default_factory=_by_hand, compare=False)

    def read(self, model: type[_Model]) -> _Model:
        """The body as a model. Raises JournalVersionError where it is not one."""
        return self.written.read(model, self.body)


class LeaseKind(enum.StrEnum):
    """What is held."""

    NAME = "name"
    """A name, such as a batch's: its holder does alone what is to be done once, as the batch's leader."""
    DOCUMENT = "document"
    """A document of a batch that several workers share."""
    MEMBER = "member"
    """A worker's place in such a batch, held between two documents too."""
    REVIEW = "review"
    """A document that a person looks at; `owner` is the person."""


@dataclass(frozen=True)
class NewLease:
    """What a worker wants to hold."""

    key: str
    kind: LeaseKind
    owner: str
    """For whom: the name itself, or the batch's."""
    document: str | None = None


@dataclass(frozen=True)
class Lease(NewLease):
    """A row of `leases`."""

    worker: str = ""
    lease_until: float = 0.0
    taken_at: float = 0.0


@dataclass(frozen=True)
class Hold:
    """The answer to a worker that wants to hold one thing."""

    lease: Lease
    """The row as it is now: this worker's, or that of a living one that holds it."""
    is_mine: bool
    before: Lease | None = None
    """The row of the worker that it was taken over from."""


@dataclass(frozen=True)
class Run:
    """A row of `runs`: the last run of a batch."""

    owner: str
    """The batch's name in the ledger."""
    number: int
    """Counts the batch's runs from 1 on."""
    worker: str
    """Who began it, led it last, or brought it to its end."""
    started_at: float
    """When its first worker came (seconds since the epoch)."""
    ended_at: float | None = None
    """When its results were there; None while it is under way, or if nobody brought it to its end."""
    body: dict[str, Any] | None = None
    """What it came to; None before its end."""
    written: Written = field(default_factory=_by_hand, compare=False)

    def read(self, model: type[_Model]) -> _Model:
        """The body of an ended run as a model. Raises JournalVersionError where it is not one."""
        return self.written.read(model, self.body)
