"""From rows of the journal's tables, at an address that is fit for messages, to its records."""

from __future__ import annotations

from agent_tasks.journal.bodies import FORMAT, Row, Written
from agent_tasks.journal.records import (
    AnswerRecord,
    AtLimit,
    BatchRecord,
    DecisionRecord,
    DecisionState,
    DocumentRecord,
    Lease,
    LeaseKind,
    Operation,
    OperationState,
    Resource,
    Review,
    ReviewKind,
    Run,
    StoredDocument,
    ToolCallRecord,
    ToolCallState,
)


def operation_of(row: Row, address: str) -> Operation:
    """A row of `operations`."""
    return Operation(
        scope=row["scope"],
        key=row["key"],
        kind=row["kind"],
        state=OperationState(row["state"]),
        attempt=row["attempt"],
        worker=row["worker"],
        lease_until=row["lease_until"],
        remote=row["remote"],
        result=row["result"],
        error=row["error"],
        intended_at=row["intended_at"],
        fingerprint=row["fingerprint"],
        written=Written.of(row, f"the {row['kind']} {row['key']}", address),
    )


def tool_call_of(row: Row, address: str = "") -> ToolCallRecord:
    """A row of `tool_calls`."""
    return ToolCallRecord(
        operation_key=row["operation_key"],
        started_at=row["started_at"],
        turn_id=row["turn_id"],
        call_id=row["call_id"],
        name=row["name"],
        arguments_hash=row["arguments_hash"],
        state=ToolCallState(row["state"]),
        output=row["output"],
        error_type=row["error_type"],
        arguments=row["arguments"],
    )


def resource_of(row: Row, address: str) -> Resource:
    """A row of `resources`."""
    return Resource(
        kind=row["kind"],
        remote_id=row["remote_id"],
        operation_key=row["operation_key"],
        owner=row["owner"],
        name=row["name"],
        state=row["state"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )


def document_of(row: Row, address: str) -> DocumentRecord:
    """A row of `documents`."""
    return DocumentRecord(
        name=row["name"],
        content_hash=row["content_hash"],
        fingerprint=row["fingerprint"],
        status=row["status"],
        body=row["body"],
        updated_at=row["updated_at"],
        written=Written.of(row, f"document {row['name']}", address),
    )


def stored_document_of(row: Row, address: str) -> StoredDocument:
    """A row of `documents`, with its body as text: what `Documents.named` selects, in that order."""
    name, content_hash, fingerprint, status, text, updated_at, number, version = row.values()
    if number > FORMAT:
        Written.of(row, f"document {name}", address)  # says so
    return StoredDocument(name, content_hash, fingerprint, status, text, updated_at, version, address)


def answer_of(row: Row, address: str) -> AnswerRecord:
    """A row of `answers`."""
    return AnswerRecord(
        question=row["question"],
        corpus=row["corpus"],
        fingerprint=row["fingerprint"],
        status=row["status"],
        body=row["body"],
        updated_at=row["updated_at"],
        written=Written.of(row, f"the answer to {row['question']}", address),
    )


def lease_of(row: Row, address: str = "") -> Lease:
    """A row of `leases`."""
    return Lease(
        key=row["key"],
        kind=LeaseKind(row["kind"]),
        owner=row["owner"],
        document=row["document"],
        worker=row["worker"],
        lease_until=row["lease_until"],
        taken_at=row["taken_at"],
    )


def run_of(row: Row, address: str) -> Run:
    """A row of `runs`."""
    return Run(
        owner=row["owner"],
        number=row["number"],
        worker=row["worker"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        body=row["body"],
        written=Written.of(row, f"the run of {row['owner']}", address),
    )


def decision_of(row: Row, address: str) -> DecisionRecord:
    """A row of `decisions`, if its format is known."""
    Written.of(row, f"the decision {row['key']}", address)
    return DecisionRecord(
        key=row["key"],
        owner=row["owner"],
        step=row["step"],
        question=row["question"],
        shown=row["shown"],
        shown_hash=row["shown_hash"],
        state=DecisionState(row["state"]),
        asked_at=row["asked_at"],
        expires_at=row["expires_at"],
        at_limit=AtLimit(row["at_limit"]),
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        note=row["note"],
        taken_at=row["taken_at"],
    )


def batch_of(row: Row, address: str) -> BatchRecord:
    """A row of `batches`."""
    return BatchRecord(
        key=row["key"],
        owner=row["owner"],
        pipeline=row["pipeline"],
        documents=row["documents"],
        pipeline_file=row["pipeline_file"],
        out=row["out"],
        fingerprint=row["fingerprint"],
    )


def review_of(row: Row, address: str) -> Review:
    """A row of `reviews`, if its format is known."""
    return Review(
        batch=row["batch"],
        document=row["document"],
        kind=ReviewKind(row["kind"]),
        by=row["decided_by"],
        seen=row["seen"],
        note=row["note"],
        step=row["step"],
        question=row["question"],
        body=row["body"],
        key=row["key"],
        number=row["number"],
        left=row["left"],
        before=row["before"],
        decided_at=row["decided_at"],
        undone_at=row["undone_at"],
        undone_by=row["undone_by"],
        written=Written.of(row, f"the decision {row['key']} about {row['document']}", address),
    )
