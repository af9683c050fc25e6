"""What has waited for a person the longest, of each batch and each flow."""

from __future__ import annotations

from dataclasses import dataclass

from agent_tasks.journal import DecisionState
from agent_tasks.operations.workspace import Workspace

__all__ = ["Wait", "longest_waits"]


@dataclass
class Wait:
    """What waits for a person, of one owner."""

    owner: str
    """The batch's owner; of flows of one's own, theirs."""
    name: str
    """That for people: the pipeline."""
    since: float
    """When the first began to wait (seconds since the epoch)."""
    count: int = 0
    """How many documents and questions there are."""


async def longest_waits(ws: Workspace) -> list[Wait]:
    """Documents that need review, and questions that nobody has answered, by owner; the oldest first.

    Raises:
        JournalError: the journal can't be read.
    """
    waits: dict[str, Wait] = {}

    def add(owner: str, name: str, since: float) -> None:
        wait = waits.setdefault(owner, Wait(owner, name, since))
        wait.count += 1
        wait.since = min(wait.since, since)

    batches = await ws.journal.batches.of(ws.scope)
    for key, record in await ws.journal.documents.in_states(ws.scope, ("needs_review",)):
        batch = batches.get(key)
        add(batch.owner if batch else key, batch.pipeline if batch else key[:12], record.updated_at)
    names = {batch.owner: batch.pipeline for batch in batches.values()}
    for asked in await ws.journal.decisions.of(ws.scope, states=(DecisionState.WAITING,)):
        owner = asked.owner.partition("/")[0]
        add(owner, names.get(owner, owner), asked.asked_at)
    return sorted(waits.values(), key=lambda wait: wait.since)
