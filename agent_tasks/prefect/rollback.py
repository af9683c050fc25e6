"""Prefect transactions: what the tasks of one created is deleted when it is rolled back.

Prefect calls rollback hooks also where nothing was rolled back: a task whose result can't be stored, or whose
commit hook raises, ends Completed all the same. And it knows nothing of others who use what was created. So:

- Only the rollback of a transaction *around* the task counts, not that of the task's own.
- Only what this very call created is deleted, not what it found (`reused`).
- The journal decides whether it is still this owner's, and whether a living worker carries something out for
  that owner. If so it stays, in the ledger, until its owner is released or its time to live is over.

Prefect keeps the hooks in memory: a killed process rolls nothing back. The ledger is there for that.
"""

from __future__ import annotations

from prefect.transactions import Transaction, get_transaction

from agent_tasks.backends.base import ResourceKind
from agent_tasks.errors import AgentTasksError
from agent_tasks.logs import get_logger
from agent_tasks.operations import RemoteAgent, RemoteFile, RemoteStore, delete_resource
from agent_tasks.operations.ownership import in_use
from agent_tasks.prefect.blocks import AgentsProject

__all__ = ["created", "undo"]

logger = get_logger("agent_tasks.prefect.rollback")

_NAME = "agent_tasks.created"


def created(
    project: AgentsProject, kind: ResourceKind, made: RemoteAgent | RemoteFile | RemoteStore, owner: str
) -> None:
    """Note in the current task's transaction what it created; nothing outside of one, or if it was there."""
    transaction = get_transaction()
    if transaction is not None:
        transaction.set(_NAME, None if made.reused else (project, kind, made.id, owner))


async def undo(transaction: Transaction) -> None:
    """The rollback hook of the tasks that create; failures are logged, the sweep finds what is left."""
    note = transaction.get(_NAME, None)
    around = get_transaction()
    if note is None or around is None or around is transaction or not around.is_rolled_back():
        return
    project, kind, remote_id, owner = note
    try:
        async with project.workspace() as ws:
            live = await ws.journal.resources.live(ws.scope, owner=owner, kind=kind)
            if not any(resource.remote_id == remote_id for resource in live):
                return
            if await in_use(ws, owner):
                logger.info("The %s %s stays: a living worker works for %s", kind, remote_id, owner)
                return
            await delete_resource(ws, kind, remote_id)
    except AgentTasksError as error:
        logger.warning("The %s %s was not deleted (the sweep will): %s", kind, remote_id, error)
