"""Who owns what: an owner and its parts, whether somebody works for it, and releasing it when nobody does."""

from __future__ import annotations

from agent_tasks.journal import Operation
from agent_tasks.logs import get_logger
from agent_tasks.operations.cleanup import exclusive, exclusive_key, release_owner
from agent_tasks.operations.workspace import Workspace

logger = get_logger("agent_tasks.operations")


def belongs_to(owner: object, to: str) -> bool:
    """Whether an owner is `to` or a part of it, as `papers:1/a.txt` is of `papers:1`."""
    return isinstance(owner, str) and (owner == to or owner.startswith(f"{to}/"))


def owner_of(operation: Operation) -> str:
    """For whom an operation is; whoever holds a name exclusively does so for the owner of that name."""
    return str(operation.fingerprint.get("owner") or operation.fingerprint.get("name") or "")


async def in_use(ws: Workspace, owner: str, *, besides: str | None = None) -> bool:
    """Whether a living worker, this one included, carries something out for an owner or a part of it.

    Args:
        ws: where to look.
        owner: the owner.
        besides: key of an operation that does not count.

    Raises:
        JournalError: the journal can't be read.
    """
    return any(
        belongs_to(owner_of(operation), owner) and ws.journal.is_held(operation) and operation.key != besides
        for operation in await ws.journal.unsettled(ws.scope)
    )


async def release_ended(ws: Workspace, owner: str) -> int:
    """Delete everything that belongs to an owner and its parts, as `release_owner` does.

    Conversations of turns that have not ended in the journal stay: what they cost would be paid again.

    Returns:
        How many resources that were.

    Raises:
        AgentTasksError: the service did not delete one; it stays in the ledger.
    """
    unheard = {
        str(found.remote["conversation"])
        for found in await ws.journal.unsettled(ws.scope)
        if belongs_to(owner_of(found), owner) and "turn_id" in found.remote
    }
    return await release_owner(ws, owner, keep=unheard)


async def release_unused(ws: Workspace, owner: str) -> int | None:
    """Delete everything that belongs to an owner, unless a living worker carries something out for it.

    Returns:
        How many resources were deleted; None if the owner is in use, so that all was left as it is. The last
        user, or the sweep when its time to live is over, deletes it.

    Raises:
        AgentTasksError: the service did not delete one; the rest stays in the ledger.
    """
    if not await in_use(ws, owner):
        async with exclusive(ws, owner):
            # Again, now that nobody can take the name: this worker may have stood still in between.
            if not await in_use(ws, owner, besides=exclusive_key(owner)):
                return await release_ended(ws, owner)
    logger.info("What belongs to %s is in use by a living worker and stays", owner)
    return None
