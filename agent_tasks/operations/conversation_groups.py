"""Empty conversations that are made together: one intent, one commit, and a mark for each of them.

A group of which some answers were lost, or whose worker died, is looked up by its key; what there is of it is
put into the ledger. So no conversation is left behind that nobody knows of.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from agent_tasks.backends.base import ConversationMaker, Mark
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import AgentTasksError, OtherServiceError
from agent_tasks.journal import NewResource, Operation, Spare
from agent_tasks.logs import get_logger
from agent_tasks.operations.effects import CLOCK_SKEW, is_outcome_unknown, lookup_grace
from agent_tasks.operations.keys import operation_key
from agent_tasks.operations.services import SERVICE
from agent_tasks.operations.workspace import Workspace

__all__ = ["make_group", "recover_groups"]

logger = get_logger("agent_tasks.operations")

_KIND = "conversations"
_NAME = "made ahead"  # in the ledger, until a turn takes it


async def make_group(
    ws: Workspace, maker: ConversationMaker, *, owner: str, ttl: timedelta, number: int
) -> tuple[list[Spare], AgentTasksError | None]:
    """Make conversations side by side, and put them into the ledger.

    Args:
        ws: where to work.
        maker: makes them.
        owner: whose they are until turns take them.
        ttl: how long they may live if none does, and their owner is not released before.
        number: how many.

    Returns:
        Those that could be made, and why the others could not.

    Raises:
        AgentTasksError: it is not known what was made, and the intent stays open; or nothing was risked.
    """
    key = operation_key(_KIND, owner=owner, group=uuid.uuid4().hex)
    service = ws.backend.capabilities.in_keys
    intent = {"owner": owner, "count": number, "ttl": ttl.total_seconds(), SERVICE: service}
    async with ws.hold(key, _KIND, intent, wait=None) as held:
        crash_point("spares.intended")
        made, error = await _made(maker, held.operation)
        return await _in_ledger(ws, held.operation, made), error


async def recover_groups(ws: Workspace, owner: str, *, wait: float | None = None) -> list[Spare]:
    """Put into the ledger what workers have made that died before they could.

    What can't be found out about now stays an open intent, for the next call.

    Args:
        ws: where to work.
        owner: whose.
        wait: seconds to wait for the groups of workers that may be alive; None: they are left alone.

    Returns:
        What was put there of this service; that of the project's other one is for the release of its owner.

    Raises:
        JournalError: the journal can't be read.
    """
    here = ws.backend.capabilities.in_keys
    found: list[Spare] = []
    for one in await ws.journal.operations.unsettled(ws.scope):
        if one.kind != _KIND or one.fingerprint["owner"] != owner:
            continue
        if wait is None and one.worker != ws.journal.worker and ws.journal.operations.is_held(one):
            continue
        try:
            made = await _recovered(ws, one, wait)
        except Exception as error:
            logger.warning("Conversations that were made ahead are not in the ledger yet: %s", error)
        else:
            found += made if one.fingerprint[SERVICE] == here else []
    return found


async def _recovered(ws: Workspace, group: Operation, wait: float | None) -> list[Spare]:
    side = await ws.side(group.fingerprint[SERVICE])
    maker = side.backend.empty_conversations if side is not None else None
    if maker is None:
        raise OtherServiceError(
            f"The service {group.fingerprint[SERVICE]!r}, on which they were made, is not there any more."
        )
    async with ws.hold(group.key, _KIND, group.fingerprint, wait=wait) as held:
        if held.is_done:
            return []
        # It may have ended meanwhile, and some of it been deleted: then there is nothing to be found.
        made = await _found(maker, held.operation) if held.is_orphan else []
        crash_point("spares.found")
        return await _in_ledger(ws, held.operation, made)


async def _in_ledger(ws: Workspace, operation: Operation, made: list[str]) -> list[Spare]:
    told: dict[str, Any] = operation.fingerprint
    resources = [NewResource("conversation", one, told["owner"], _NAME, told["ttl"]) for one in made]
    result = {"conversations": made}
    await ws.journal.operations.finish(ws.scope, operation.key, result, resources)
    crash_point("spares.committed")
    return [Spare("conversation", one, operation.key) for one in made]


async def _made(maker: ConversationMaker, operation: Operation) -> tuple[list[str], AgentTasksError | None]:
    """Ask for each once; where an answer was lost, the list tells."""

    async def one(number: int) -> str:
        made = await maker.create(Mark(operation.key, number))
        crash_point("spares.made")
        return made

    numbers = range(1, operation.fingerprint["count"] + 1)
    outcomes = await asyncio.gather(*(one(number) for number in numbers), return_exceptions=True)
    made: list[str] = []
    errors: list[AgentTasksError] = []
    for outcome in outcomes:
        if isinstance(outcome, str):
            made.append(outcome)
        elif isinstance(outcome, AgentTasksError):
            errors.append(outcome)
        else:
            raise outcome
    if any(is_outcome_unknown(error) for error in errors):
        made += [found for found in await _found(maker, operation) if found not in made]
    return made, errors[0] if errors else None


async def _found(maker: ConversationMaker, operation: Operation) -> list[str]:
    """What the service has of a group; it may show some of it late."""
    found: list[str] = []
    async for _ in lookup_grace():
        found = await maker.find(operation.key, since=operation.intended_at - CLOCK_SKEW)
        if len(found) >= operation.fingerprint["count"]:
            break
    return found
