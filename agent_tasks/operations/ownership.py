"""Who owns what: an owner and its parts, whether somebody works for it, and releasing it when nobody does."""

from __future__ import annotations

from dataclasses import dataclass

from agent_tasks.journal import Operation
from agent_tasks.logs import get_logger
from agent_tasks.operations.cleanup import exclusive, name_lease, release_owner
from agent_tasks.operations.conversation_groups import recover_groups
from agent_tasks.operations.decisions import owners_that_wait
from agent_tasks.operations.workspace import Workspace

logger = get_logger("agent_tasks.operations")


def belongs_to(owner: object, to: str) -> bool:
    """Whether an owner is `to` or a part of it, as `papers:1/a.txt` is of `papers:1`."""
    return isinstance(owner, str) and (owner == to or owner.startswith(f"{to}/"))


def owner_of(operation: Operation) -> str:
    """For whom an operation is."""
    return str(operation.fingerprint.get("owner") or "")


@dataclass(frozen=True)
class UnderWay:
    """What a living worker, this one included, carries out or holds."""

    key: str
    owner: str
    """For whom."""


async def under_way(ws: Workspace) -> list[UnderWay]:
    """All operations and leases that living workers have.

    Raises:
        JournalError: the journal can't be read.
    """
    operations, leases = ws.journal.operations, ws.journal.leases
    begun = [one for one in await operations.unsettled(ws.scope) if operations.is_held(one)]
    held = [one for one in await leases.of(ws.scope) if leases.is_held(one)]
    return [UnderWay(one.key, owner_of(one)) for one in begun] + [
        UnderWay(one.key, one.owner) for one in held
    ]


async def in_use(ws: Workspace, owner: str, *, besides: str | None = None) -> bool:
    """Whether a living worker, this one included, carries something out for an owner or a part of it.

    Args:
        ws: where to look.
        owner: the owner.
        besides: key of an operation or lease that does not count.

    Raises:
        JournalError: the journal can't be read.
    """
    return any(belongs_to(one.owner, owner) and one.key != besides for one in await under_way(ws))


async def release_ended(ws: Workspace, owner: str) -> int:
    """Delete everything that belongs to an owner and its parts, as `release_owner` does.

    Conversations of turns that have not ended in the journal stay: what they cost would be paid again, also
    where the turn was sent and has not been heard of. So do those of whom a person is asked. What a dead
    worker made ahead, and could not put into the ledger, is found first.

    Returns:
        How many resources that were.

    Raises:
        AgentTasksError: the service did not delete one; it stays in the ledger.
    """
    await recover_groups(ws, owner)
    unheard = {
        str(found.remote["conversation"])
        for found in await ws.journal.operations.unsettled(ws.scope)
        if belongs_to(owner_of(found), owner) and "conversation" in found.remote
    }
    return await release_owner(ws, owner, keep=unheard | await _awaited(ws, owner))


async def _awaited(ws: Workspace, owner: str) -> set[str]:
    """The conversations that go on when a person has decided."""
    waits = await owners_that_wait(ws, owner)
    if not waits:
        return set()
    live = await ws.journal.resources.live(ws.scope, owner=owner, kind="conversation", parts=True)
    return {one.remote_id for one in live if any(belongs_to(one.owner, waiting) for waiting in waits)}


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
            if not await in_use(ws, owner, besides=name_lease(owner).key):
                return await release_ended(ws, owner)
    logger.info("What belongs to %s is in use by a living worker and stays", owner)
    return None
