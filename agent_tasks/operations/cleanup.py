"""Deleting what was made, and keeping two workers off the same batch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from agent_tasks.backends.base import ResourceKind
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import AgentTasksError, JournalError, OtherServiceError, ServiceError
from agent_tasks.journal import LeaseKind, NewLease, Resource
from agent_tasks.operations.keys import operation_key
from agent_tasks.operations.workspace import Workspace
from agent_tasks.pauses import Pauses

_ORDER: tuple[ResourceKind, ...] = ("conversation", "agent", "store", "file")
"""Users before what they use."""

_BUSY_POLL = (
    0.2,
    3.0,
)  # seconds between looks at a name that another worker holds: the first, and the longest

_AT_ONCE = 8  # deletions under way together


async def delete_resource(ws: Workspace, kind: ResourceKind, remote_id: str) -> None:
    """Delete a resource and commit that it is gone; one that is gone already counts as deleted.

    Raises:
        ServiceError: the service refused; the resource stays in the ledger.
        TransportError: the service could not be reached; likewise.
    """
    await ws.delete(kind, remote_id)
    crash_point("cleanup.deleted")
    await ws.journal.resources.mark_deleted(ws.scope, kind, remote_id)
    crash_point("cleanup.committed")


async def delete_conversation(ws: Workspace, conversation: str) -> None:
    """Delete a conversation with all its messages; the results of its turns stay in the journal."""
    await delete_resource(ws, "conversation", conversation)


async def release_owner(ws: Workspace, owner: str, *, keep: Collection[str] = ()) -> int:
    """Delete everything that belongs to an owner and its parts; returns how many resources that were.

    It deletes what the owner has when it begins. Where another worker may take the owner over meanwhile, hold
    its name (`exclusive`) around the work and this: then nothing of a successor's is deleted.

    Args:
        ws: where to work.
        owner: for whom it was made; `papers/a.txt` is a part of `papers`.
        keep: ids of resources that stay, until their time to live is over.

    Raises:
        ServiceError: the service refused one; the others are deleted, it stays in the ledger.
        OtherServiceError: another service made one, and is not there; likewise.
        TransportError: the service could not be reached; what is left stays in the ledger.
    """
    live = await ws.journal.resources.live(ws.scope, owner=owner, parts=True)
    found = [resource for resource in live if resource.remote_id not in keep]
    crash_point("cleanup.listed")
    refused: list[AgentTasksError] = []
    for kind in _ORDER:
        for resource in found:
            if resource.kind == kind:
                try:
                    await delete_resource(ws, kind, resource.remote_id)
                except (ServiceError, OtherServiceError) as error:
                    refused.append(error)
    if refused:
        raise refused[0]
    return len(found)


async def release_owners(ws: Workspace, held: Mapping[str, str | None]) -> None:
    """Delete what belongs to several owners, some of it at a time, and commit it together.

    What a dead process has deleted and not committed is asked for again, and gone (404) counts as deleted.

    Args:
        ws: where to work.
        held: the owners, each with the key of the lease for which its resources are deleted, as long as that
            is this worker's; None: of none. Their parts are not theirs here.

    Raises:
        AgentTasksError: one of them could not be deleted and stays in the ledger; the others are deleted.
    """
    live = await ws.journal.resources.live_of(ws.scope, held.keys())
    crash_point("cleanup.listed")
    free = asyncio.Semaphore(_AT_ONCE)

    async def delete(kind: ResourceKind, resource: Resource) -> str:
        key = held[resource.owner]
        async with free:
            with ws.guarded_by_lease(key) if key is not None else contextlib.nullcontext():
                await ws.delete(kind, resource.remote_id)
            crash_point("cleanup.deleted")
            return resource.remote_id

    refused: list[AgentTasksError] = []
    for kind in _ORDER:
        found = [resource for resource in live if resource.kind == kind]
        outcomes = await asyncio.gather(*(delete(kind, one) for one in found), return_exceptions=True)
        if gone := [outcome for outcome in outcomes if isinstance(outcome, str)]:
            await ws.journal.resources.mark_deleted(ws.scope, kind, *gone)
            crash_point("cleanup.committed")
        for outcome in outcomes:
            if isinstance(outcome, AgentTasksError):
                refused.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
    if refused:
        raise next((error for error in refused if isinstance(error, JournalError)), refused[0])


def name_lease(name: str) -> NewLease:
    """The lease by which a name is held."""
    return NewLease(operation_key("exclusive", name=name), LeaseKind.NAME, name)


@asynccontextmanager
async def exclusive(ws: Workspace, name: str, *, wait: float | None = None) -> AsyncIterator[None]:
    """Hold a name so that no other worker does the same thing at the same time; not remembered afterwards.

    What is sent inside, deletions included, leaves only while the name is this worker's: one that stood still
    past its lease does nothing more when another one has it.

    Args:
        ws: where to work.
        name: what is held, such as a batch's key.
        wait: seconds to wait for the worker that holds it; None means not at all.

    Raises:
        LeaseLostError: another worker has taken it over meanwhile.
        JournalError: another living worker holds it.
    """
    lease = name_lease(name)
    async with ws.alone(lease.key):
        await ws.make_sure()  # nothing is begun for what is no longer this worker's
        await _hold(ws, lease, wait)
        try:
            with ws.guarded_by_lease(lease.key):
                yield
                await ws.make_sure()  # who did this without it has to know
        finally:
            await ws.journal.leases.give_up(ws.scope, [lease.key])


async def _hold(ws: Workspace, lease: NewLease, wait: float | None) -> None:
    async for _ in Pauses(*_BUSY_POLL, within=wait or 0.0):
        hold = await ws.journal.leases.hold(ws.scope, lease)
        if hold.is_mine:
            return
    raise JournalError(
        f"The name {lease.owner} is held by worker {hold.lease.worker}, which is alive. "
        "Wait for it, or end it and try again."
    )
