"""Calls that a person decides on: interrupted, and of tools that say `WhenUnknown.STOP`."""

from __future__ import annotations

from agent_tasks.errors import JournalError
from agent_tasks.journal import ToolCallRecord, ToolCallState
from agent_tasks.operations.approvals import APPROVAL
from agent_tasks.operations.workspace import Workspace


async def list_interrupted_calls(ws: Workspace) -> list[ToolCallRecord]:
    """Calls that have begun and not ended, and that no living worker is carrying out; the oldest first.

    One whose turn has ended is not among them: if the step runs again and its agent asks for the same, then
    that call is.
    """
    return [record for record in await _undecided(ws) if record.state is ToolCallState.STARTED]


async def _undecided(ws: Workspace) -> list[ToolCallRecord]:
    found = []
    for record in await ws.journal.calls.unfinished(ws.scope):
        operation = await ws.journal.operations.get(ws.scope, record.operation_key)
        is_at_work = operation is not None and ws.journal.operations.is_held(operation)
        if not is_at_work and not record.name.startswith(APPROVAL):  # a decision is simply made again
            found.append(record)
    return found


async def answer_call(ws: Workspace, call_id: str, output: str) -> None:
    """Commit what an interrupted call gave, as a person found out; the step resumes with it.

    Args:
        ws: where to work.
        call_id: the call.
        output: what the agent is told.

    Raises:
        JournalError: there is no such interrupted call.
    """
    for record in await _interrupted(ws, call_id):
        await ws.journal.calls.finish(ws.scope, record.turn_id, record.call_id, output, by_person=True)


async def repeat_call(ws: Workspace, call_id: str) -> None:
    """Commit that an interrupted call had no effect: the function runs again when the step does.

    Raises:
        JournalError: there is no such interrupted call.
    """
    for record in await _interrupted(ws, call_id):
        await ws.journal.calls.forget(ws.scope, record.turn_id, record.call_id)


async def _interrupted(ws: Workspace, call_id: str) -> list[ToolCallRecord]:
    """The call, and the same call of the step's other attempts: a turn that expired was asked anew."""
    found = await _undecided(ws)
    for record in found:
        if record.call_id == call_id:
            what = record.operation_key, record.name, record.arguments_hash
            return [
                other
                for other in found
                if other.turn_id != record.turn_id
                and (other.operation_key, other.name, other.arguments_hash) == what
            ] + [record]
    raise JournalError(
        f"There is no call {call_id} that was interrupted and that nobody works on. "
        "`agent-tasks calls list` shows those that there are."
    )
