"""Where a turn is that was sent: as the journal knows it, as its mark tells, and for the ledger."""

from __future__ import annotations

from datetime import timedelta

from agent_tasks.backends.base import FoundTurn, TurnRef
from agent_tasks.journal import NewResource, Operation
from agent_tasks.operations.effects import look_up, mark_of
from agent_tasks.operations.workspace import Workspace


def known_ref(operation: Operation) -> TurnRef | None:
    """The turn on the service, if the journal knows it."""
    remote = operation.remote
    if "turn_id" in remote:
        return TurnRef(remote["conversation"], remote["turn_id"], mark_of(operation))
    return None


async def look_up_turn(ws: Workspace, operation: Operation, conversation: str | None) -> FoundTurn | None:
    """What an operation's current attempt left on the service; None if that is provably nothing.

    Args:
        ws: where to work.
        operation: the intent.
        conversation: where it was sent to, if that is known.
    """
    mark = mark_of(operation)
    is_own = "conversation" in operation.remote  # before its turn is, only if it took or made that itself
    return await look_up(
        lambda since: ws.backend.find_turn(mark, conversation=conversation, is_own=is_own, since=since),
        operation,
    )


def new_conversation(conversation: str, *, owner: str, step: str, ttl: timedelta) -> NewResource:
    """A conversation that a turn has made, for the ledger."""
    return NewResource("conversation", conversation, owner, step, ttl.total_seconds())
