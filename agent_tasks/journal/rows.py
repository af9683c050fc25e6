"""From rows of the journal's tables to its records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from agent_tasks.journal.records import (
    DocumentRecord,
    Operation,
    OperationState,
    Resource,
    ToolCallRecord,
    ToolCallState,
)


def operation_of(row: RowMapping | dict[str, Any]) -> Operation:
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
    )


def tool_call_of(row: RowMapping) -> ToolCallRecord:
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


def resource_of(row: RowMapping) -> Resource:
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


def document_of(row: RowMapping) -> DocumentRecord:
    """A row of `documents`."""
    return DocumentRecord(
        name=row["name"],
        content_hash=row["content_hash"],
        fingerprint=row["fingerprint"],
        status=row["status"],
        body=row["body"],
        updated_at=row["updated_at"],
    )
