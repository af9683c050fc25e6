"""One effect on the service: sent once, and reconciled by its mark whenever its answer was lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent_tasks.backends.base import Mark
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import AgentTasksError, ServerError, TransportError
from agent_tasks.journal import Operation
from agent_tasks.operations.workspace import Workspace
from agent_tasks.pauses import Pauses

_Found = TypeVar("_Found")

CLOCK_SKEW = 120.0
"""Seconds that the service's clock may differ from ours; look-ups go back this much further."""

_SENDS = 3  # how often one intent is sent when each time it is provably absent afterwards


def lookup_grace() -> Pauses:
    """The waits before look-ups for an effect whose answer was lost, since it may still be under way."""
    return Pauses(0.2, 2.0, growth=4.0, times=3)


def mark_of(operation: Operation) -> Mark:
    """What the current attempt of an operation carries."""
    return Mark(operation.key, operation.attempt)


def is_outcome_unknown(error: AgentTasksError) -> bool:
    """Whether the request may have had its effect although it gave an error."""
    return isinstance(error, TransportError | ServerError) and error.outcome_unknown


async def look_up(find: Callable[[float], Awaitable[_Found | None]], operation: Operation) -> _Found | None:
    """Look for what an operation may have made, patiently enough to call it absent if it is not found.

    The intent may be much older than the request, which may have waited for a busy service, or may have been
    sent by a worker that has just died: so the patience does not depend on the intent's age.

    Args:
        find: looks for the effect by its mark, given the time to go back to (seconds since the epoch).
        operation: its intent's time bounds how far back `find` goes.
    """
    since = operation.intended_at - CLOCK_SKEW
    async for _ in lookup_grace():
        found = await find(since)
        if found is not None:
            return found
    return None


async def create_or_find(
    ws: Workspace,
    operation: Operation,
    *,
    is_orphan: bool,
    create: Callable[[Mark], Awaitable[str]],
    find: Callable[[Mark, float], Awaitable[str | None]],
) -> str:
    """Create something once; returns its id.

    An orphan is reconciled first. A request whose outcome is unknown is reconciled, and sent again only when
    its effect is provably absent.

    Args:
        ws: where to work.
        operation: the intent, committed; its kind names the crash points.
        is_orphan: whether an earlier worker may have sent it.
        create: sends the request with the mark and returns the id.
        find: finds what carries the mark, given the time to go back to.

    Raises:
        LeaseLostError: this worker was silent past its lease, and another one does it now; nothing is sent.
        AgentTasksError: what the service or the connection answered, for good.
    """
    mark = mark_of(operation)
    if is_orphan:
        found = await look_up(lambda since: find(mark, since), operation)
        if found is not None:
            crash_point(f"{operation.kind}.found")
            return found
        crash_point(f"{operation.kind}.absent")
    else:
        crash_point(f"{operation.kind}.intended")
    for sent in range(1, _SENDS + 1):
        try:
            created = await create(mark)
            crash_point(f"{operation.kind}.created")
            return created
        except (TransportError, ServerError) as error:
            if not is_outcome_unknown(error):
                raise
            found = await look_up(lambda since: find(mark, since), operation)
            if found is not None:
                return found
            if sent == _SENDS:
                raise
    raise AssertionError("the loop returns or raises")
