"""Results and report after decisions: written anew from the journal, as the next run writes them too."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from agent_tasks.batch.records import RunRecord
from agent_tasks.batch.run import rewrite
from agent_tasks.batch.writers import prepare_folder
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import AgentTasksError, JournalError
from agent_tasks.journal import BatchRecord
from agent_tasks.operations.cleanup import exclusive
from agent_tasks.review.desk import Desk

__all__ = ["publish", "publish_all"]


async def publish(desk: Desk, where: BatchRecord) -> str | None:
    """Write the results of a batch whose run has ended; they say what the journal says.

    Returns:
        Where they are; None while a run is under way, which writes them at its end.

    Raises:
        ConfigurationError: the pipeline's file is another one meanwhile, or the folder can't be written to.
        JournalError: the journal can't be read.
    """
    run = await desk.journal.runs.get(desk.scope, where.owner)
    if run is None or run.ended_at is None:
        return None
    batch = await desk.batch(where)
    summary = run.read(RunRecord).summary
    prepare_folder(Path(where.out), documents=Path(where.documents))
    try:
        async with exclusive(batch.ws, where.owner):
            await rewrite(batch, summary)
    except JournalError:
        lease = await desk.journal.runs.get(desk.scope, where.owner)
        if lease is not None and lease.ended_at is None:
            return None  # a run has begun
        raise
    crash_point("review.published")
    return summary.results


async def publish_all(desk: Desk, batches: Collection[BatchRecord]) -> list[str]:
    """Write the results of several batches; returns what could not be written, one sentence each."""
    problems = []
    for where in batches:
        try:
            if await publish(desk, where) is None:
                problems.append(f"A run of {where.pipeline} is under way: it writes the results at its end.")
        except AgentTasksError as error:
            problems.append(f"The results of {where.pipeline} are written by its next run: {error}")
    return problems
