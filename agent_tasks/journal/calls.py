"""Tool calls, each with its beginning and its outcome: what was begun is never taken for new."""

from __future__ import annotations

import itertools

import sqlalchemy as sa

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal.database import Database
from agent_tasks.journal.records import ToolCallRecord, ToolCallState
from agent_tasks.journal.rows import tool_call_of
from agent_tasks.journal.schema import tool_calls
from agent_tasks.journal.workers import Worker


class ToolCalls:
    """The tool calls that one worker carries out; reached as `Journal.calls`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    async def begin(
        self,
        scope: str,
        operation_key: str,
        turn_id: str,
        call_id: str,
        name: str,
        arguments_hash: str,
        arguments: str | None = None,
    ) -> ToolCallRecord | None:
        """Commit that a tool call starts now.

        Args:
            scope: the service.
            operation_key: the turn's operation.
            turn_id: the turn.
            call_id: the call.
            name: the tool.
            arguments_hash: the hash of its arguments.
            arguments: the arguments as people may see them (`shown_arguments`).

        Returns:
            None if the call is new; otherwise the row that was there: finished, or interrupted.

        Raises:
            LeaseLostError: another worker has taken the turn over, and may be in the middle of the call.
        """
        where = _call(scope, turn_id, call_id)
        values = {
            "scope": scope, "turn_id": turn_id, "call_id": call_id, "operation_key": operation_key,
            "name": name[:200], "arguments_hash": arguments_hash, "state": ToolCallState.STARTED,
            "started_at": self._worker.clock(), "arguments": arguments,
        }  # fmt: skip
        tries = itertools.count()

        def work(connection: sa.Connection) -> ToolCallRecord | None:
            is_again = next(tries) > 0
            self._database.statements.require_held(connection, scope, operation_key, self._worker.name)
            if self._database.statements.insert_new(connection, tool_calls, values):
                return None
            row = connection.execute(tool_calls.select().where(*where)).mappings().one()
            # After a lost connection the row may be this very call's, committed unheard of.
            return None if is_again and row["started_at"] == values["started_at"] else tool_call_of(row)

        return await self._database.write(work)

    async def finish(
        self,
        scope: str,
        turn_id: str,
        call_id: str,
        output: str,
        *,
        error_type: str | None = None,
        state: ToolCallState = ToolCallState.DONE,
        by_person: bool = False,
    ) -> None:
        """Commit a tool call's output: from now on the tool is never run again for this call.

        Args:
            scope: the service.
            turn_id: the turn.
            call_id: the call.
            output: what the agent is told.
            error_type: the name of the error, if it gave one.
            state: whether the outcome is known.
            by_person: a person says what became of it, so the turn need not be this worker's.

        Raises:
            LeaseLostError: another worker has taken the turn over, or has committed another outcome, and the
                agent may have been told.
        """
        output = output.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL's text holds no NUL
        where = _call(scope, turn_id, call_id)

        def work(connection: sa.Connection) -> None:
            row = connection.execute(tool_calls.select().where(*where)).mappings().one_or_none()
            if row is not None and not by_person:
                self._database.statements.require_held(
                    connection, scope, row["operation_key"], self._worker.name
                )
            finished = connection.execute(
                tool_calls.update()
                .where(*where, tool_calls.c.output.is_(None))
                .values(state=state, output=output, error_type=error_type, finished_at=self._worker.clock())
            )
            if not finished.rowcount and (row is None or (row["state"], row["output"]) != (state, output)):
                raise LeaseLostError(
                    f"The call {call_id} has another outcome in the journal; this worker's is not committed. "
                    "It was silent for longer than its lease, or the journal was replaced."
                )

        await self._database.write(work)

    async def of(self, scope: str, operation_key: str) -> list[ToolCallRecord]:
        """All tool calls of an operation, in the order in which they began."""
        query = (
            tool_calls.select()
            .where(tool_calls.c.scope == scope, tool_calls.c.operation_key == operation_key)
            .order_by(tool_calls.c.started_at, tool_calls.c.call_id)
        )
        return await self._database.rows(query, tool_call_of)

    async def unfinished(self, scope: str) -> list[ToolCallRecord]:
        """Tool calls that have begun and have no output, whoever began them, the oldest first.

        Of those whose turn has ended since the state is UNKNOWN.
        """
        query = (
            tool_calls.select()
            .where(tool_calls.c.scope == scope, tool_calls.c.output.is_(None))
            .order_by(tool_calls.c.started_at)
        )
        return await self._database.rows(query, tool_call_of)

    async def interrupt(self, scope: str, operation_key: str) -> None:
        """Commit that a turn is at its end: what has begun and not ended in it was interrupted.

        Raises:
            LeaseLostError: another worker has taken the turn over.
        """

        def work(connection: sa.Connection) -> None:
            self._database.statements.require_held(connection, scope, operation_key, self._worker.name)
            self._database.statements.interrupt_calls(connection, scope, operation_key, self._worker.clock())

        await self._database.write(work)

    async def forget(self, scope: str, turn_id: str, call_id: str) -> None:
        """Forget that a call has begun, if it has no output: it counts as new the next time."""
        query = tool_calls.delete().where(*_call(scope, turn_id, call_id), tool_calls.c.output.is_(None))
        await self._database.write(lambda connection: connection.execute(query), alone=True)


def _call(scope: str, turn_id: str, call_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return tool_calls.c.scope == scope, tool_calls.c.turn_id == turn_id, tool_calls.c.call_id == call_id
