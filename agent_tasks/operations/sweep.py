"""Finding and deleting what was left behind: the last resort when releasing an owner did not come to pass."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from agent_tasks.backends.base import MarkedResource, ResourceKind
from agent_tasks.errors import AgentTasksError, JournalError
from agent_tasks.journal import OperationState, Resource
from agent_tasks.operations.cleanup import delete_resource
from agent_tasks.operations.ownership import UnderWay, belongs_to, under_way
from agent_tasks.operations.workspace import Workspace

KINDS: tuple[ResourceKind, ...] = ("conversation", "agent", "store", "file")
"""Users before what they use."""

UNKNOWN_TTL = timedelta(hours=24)
"""How long a marked resource may live that the ledger does not know: it may belong to another journal."""

LISTED = 1000
"""How many of the newest resources of each kind are looked through on the service."""


class Reason(StrEnum):
    """Why a resource is a leftover."""

    EXPIRED = "past its time to live"
    SURVIVED = "believed deleted"
    DUPLICATE = "its operation ended without it"
    UNKNOWN = "not in the ledger"


@dataclass(frozen=True)
class Leftover:
    """A resource on the service that nobody needs any more."""

    kind: ResourceKind
    remote_id: str
    name: str
    owner: str | None
    created_at: float
    """Seconds since the epoch."""
    reason: Reason
    error: str | None = None
    """Why it could not be deleted; None if it was, or if nothing was to be deleted."""


async def find_leftovers(
    ws: Workspace,
    *,
    now: float | None = None,
    unknown_ttl: timedelta = UNKNOWN_TTL,
    limit: int = LISTED,
) -> list[Leftover]:
    """Look for leftovers in the ledger and on the service, without changing anything.

    A leftover is a resource of the ledger past its time to live, or one on the service that carries our mark
    and that the ledger believes deleted, or does not know. One that it does not know counts at once if its
    operation ended; otherwise it may still be recovered, or belong to another journal, and counts after
    `unknown_ttl`. What belongs to an operation of a living worker, or to its owner, never counts.

    Args:
        ws: where to look.
        now: seconds since the epoch; the clock's if not given.
        unknown_ttl: see above.
        limit: how many of the newest resources of each kind are looked through on the service.

    Returns:
        The leftovers, users before what they use.

    Raises:
        ServiceError: the service refused a list.
        TransportError: the service could not be reached.
        JournalError: the ledger can't be read.
    """
    moment = time.time() if now is None else now
    leftovers: list[Leftover] = []
    for kind in KINDS:
        listed = [resource async for resource in ws.backend.marked(kind, limit=limit)]
        # Read after the list: what was made meanwhile is not in the list, what is in the list has its intent.
        held = await under_way(ws)
        in_ledger = await ws.journal.resources.live(ws.scope, kind=kind)
        leftovers += [
            Leftover(kind, known.remote_id, known.name, known.owner, known.created_at, Reason.EXPIRED)
            for known in in_ledger
            if known.expires_at <= moment and not _is_protected(known, held)
        ]
        states = await ws.journal.resources.states(ws.scope, kind, [found.remote_id for found in listed])
        for found in listed:
            reason = await _reason(
                ws, found, states.get(found.remote_id), held, moment - unknown_ttl.total_seconds()
            )
            if reason is not None:
                leftovers.append(Leftover(kind, found.remote_id, found.name, None, found.created_at, reason))
    return leftovers


async def sweep(
    ws: Workspace,
    *,
    dry_run: bool = True,
    now: float | None = None,
    unknown_ttl: timedelta = UNKNOWN_TTL,
    limit: int = LISTED,
) -> list[Leftover]:
    """Delete what `find_leftovers` finds; a dry run deletes nothing.

    One that the service does not delete keeps its place in the ledger and carries the reason in `error`; the
    others are deleted all the same.

    Args:
        ws: where to sweep.
        dry_run: only look.
        now: see `find_leftovers`, as for the other arguments.
        unknown_ttl: see there.
        limit: see there.

    Raises:
        ServiceError: the service refused a list.
        TransportError: the service could not be reached for a list.
        JournalError: the ledger can't be read or written.
    """
    found = await find_leftovers(ws, now=now, unknown_ttl=unknown_ttl, limit=limit)
    if dry_run:
        return found
    swept = []
    for leftover in found:
        try:
            await delete_resource(ws, leftover.kind, leftover.remote_id)
        except JournalError:
            raise
        except AgentTasksError as error:
            swept.append(replace(leftover, error=str(error)))
        else:
            swept.append(leftover)
    return swept


def _is_protected(resource: Resource, held: Iterable[UnderWay]) -> bool:
    return any(
        one.key == resource.operation_key
        or belongs_to(one.owner, resource.owner)
        or belongs_to(resource.owner, one.owner)
        for one in held
    )


async def _reason(
    ws: Workspace, found: MarkedResource, state: str | None, held: Iterable[UnderWay], unknown_before: float
) -> Reason | None:
    if state == "live" or any(one.key.startswith(found.key_start) for one in held):
        return None
    if state == "deleted":
        return Reason.SURVIVED
    makers = await ws.journal.operations.marked(ws.scope, found.key_start)
    open_states = (OperationState.INTENDED, OperationState.ATTACHED)
    if makers and all(maker.state not in open_states for maker in makers):
        return Reason.DUPLICATE
    return Reason.UNKNOWN if found.created_at < unknown_before else None
