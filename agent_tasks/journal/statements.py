"""What several parts of the journal do inside a transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal.records import Operation, ToolCallState
from agent_tasks.journal.rows import operation_of
from agent_tasks.journal.schema import operations, tool_calls


async def insert_new(connection: AsyncConnection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless there is one with its key; returns whether it was inserted.

    On PostgreSQL this waits for another worker's transaction that inserts the same key, so that a read
    afterwards finds the row.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    inserted = await connection.execute(insert(table).values(values).on_conflict_do_nothing())
    return inserted.rowcount > 0


async def read_operation(connection: AsyncConnection, scope: str, key: str) -> Operation | None:
    """The row of an operation, locked until the transaction ends; None if there is none."""
    query = operations.select().where(operations.c.scope == scope, operations.c.key == key)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    row = (await connection.execute(query)).mappings().one_or_none()
    return operation_of(row) if row is not None else None


async def require_operation(connection: AsyncConnection, scope: str, key: str) -> Operation:
    """The same; raises LeaseLostError if there is none."""
    found = await read_operation(connection, scope, key)
    if found is None:
        raise LeaseLostError(
            f"Operation {key} is no longer in the journal, so its outcome can't be committed. "
            "Was the journal replaced while this worker ran?"
        )
    return found


async def require_held(connection: AsyncConnection, scope: str, key: str, worker: str) -> None:
    """Raises LeaseLostError unless an operation or claim is this worker's."""
    found = await read_operation(connection, scope, key)
    if found is None or found.worker != worker:
        raise LeaseLostError(
            f"Another worker has taken over {key}; what this one did is not committed. "
            "It was silent for longer than its lease."
        )


async def interrupt_calls(connection: AsyncConnection, scope: str, operation_key: str, now: float) -> None:
    """The turn has ended: calls of it that have begun and not ended will never be asked about again."""
    await connection.execute(
        tool_calls.update()
        .where(tool_calls.c.scope == scope, tool_calls.c.operation_key == operation_key)
        .where(tool_calls.c.state == ToolCallState.STARTED)
        .values(state=ToolCallState.UNKNOWN, finished_at=now)
    )
