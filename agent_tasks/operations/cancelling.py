"""Ending the turns that nobody waits for any more: what a cancelled or crashed flow left running."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from agent_tasks.backends.base import TurnRef
from agent_tasks.errors import (
    AgentTasksError,
    JournalError,
    LeaseLostError,
    NotFoundError,
    RunCancelledError,
)
from agent_tasks.journal import Claim, Operation
from agent_tasks.logs import get_logger
from agent_tasks.operations.effects import mark_of
from agent_tasks.operations.models import DEFAULT_TTL
from agent_tasks.operations.ownership import belongs_to
from agent_tasks.operations.sent_turns import known_ref, look_up_turn, new_conversation
from agent_tasks.operations.services import side_of
from agent_tasks.operations.workspace import Workspace

logger = get_logger("agent_tasks.operations")

_AT_ONCE = 8  # turns that are cancelled at the same time


async def cancel_owner(ws: Workspace, owner: str) -> int:
    """Cancel an owner's unfinished turns on the service and commit that they failed.

    Turns of another living worker are left alone. A turn whose answer was lost is reconciled by its mark
    first. One that can't be cancelled now stays an open intent, for the next call or the next run.

    Args:
        ws: where to work.
        owner: the owner, or what it begins with: `papers:1` means `papers:1/a.txt` too.

    Returns:
        How many turns were cancelled or found to have left nothing. One that has completed meanwhile stays
        for the next run, which takes its answer.

    Raises:
        JournalError: the journal can't be read or written.
    """
    slots = asyncio.Semaphore(_AT_ONCE)
    mine = [
        operation
        for operation in await ws.journal.operations.unsettled(ws.scope)
        if operation.kind == "turn" and belongs_to(operation.fingerprint.get("owner"), owner)
    ]
    settled = await asyncio.gather(
        *(_cancel(ws, operation, slots) for operation in mine), return_exceptions=True
    )
    for outcome in settled:
        if isinstance(outcome, BaseException):
            raise outcome
    return sum(outcome is True for outcome in settled)


async def _cancel(ws: Workspace, listed: Operation, slots: asyncio.Semaphore) -> bool:
    async with slots:
        claimed = await ws.journal.operations.claim(ws.scope, listed.key, listed.kind, listed.fingerprint)
        if claimed.claim is not Claim.ORPHAN:
            if claimed.claim is Claim.FRESH:  # it failed meanwhile; nothing is sent for the new attempt
                await ws.fail(listed.key, _error(listed, None))
            return False
        operation = claimed.operation
        try:
            there = await side_of(ws, operation)
            with ws.guarded(operation.key):
                ref = await _find(there, operation)
                if ref is not None and not await there.backend.cancel_turn(ref):
                    # It has completed, and is paid for: the next run takes its answer.
                    await ws.journal.operations.let_go(ws.scope, operation.key)
                    return False
        except LeaseLostError:
            return False
        except JournalError:
            raise
        except AgentTasksError as error:
            logger.warning("The turn %s could not be cancelled: %s", operation.key, error)
            await ws.journal.operations.let_go(ws.scope, operation.key)
            return False
        await ws.fail(operation.key, _error(operation, ref))
        return True


async def _find(ws: Workspace, operation: Operation) -> TurnRef | None:
    ref = known_ref(operation)
    if ref is not None:
        return ref
    known = operation.remote.get("conversation")
    try:
        found = await look_up_turn(ws, operation, known)
    except NotFoundError:
        if known is None:
            raise
        return None  # the conversation is gone, and with it whatever was sent to it
    if found is None:
        return None
    told = operation.fingerprint
    ttl = timedelta(seconds=told["ttl"]) if "ttl" in told else DEFAULT_TTL  # earlier versions said none
    made = new_conversation(found.conversation, owner=told["owner"], step=str(told.get("step", "")), ttl=ttl)
    remote = {**operation.remote, "conversation": found.conversation}
    await ws.journal.operations.attach(ws.scope, operation.key, remote, [made])
    if found.turn_id is None:
        return None
    return TurnRef(found.conversation, found.turn_id, mark_of(operation))


def _error(operation: Operation, ref: TurnRef | None) -> RunCancelledError:
    return RunCancelledError(
        f"The turn of step {operation.fingerprint.get('step')!r} was cancelled with its flow.",
        run_id=ref.turn_id if ref else None,
        thread_id=ref.conversation if ref else None,
    )
