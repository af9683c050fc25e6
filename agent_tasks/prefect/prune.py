"""The Prefect flow `prune`: has the journal forget what has ended long ago."""

# No `from __future__ import annotations`: a served flow (`.serve()`) is run from a copy, in which Prefect
# can't look the names of the annotations up.

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from agent_tasks.batch.run_log import keep_run_logs_plain
from agent_tasks.journal import Journal
from agent_tasks.operations.pruning import prune_journal
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.prefect.project_flow import closed

keep_run_logs_plain()


@closed
@flow(
    name="prune",
    description="Has the journal forget batches, operations and transcripts that have ended long ago, unless "
    "it is a dry run. Nothing is sent to a service.",
    persist_result=False,
)
async def prune(
    project: AgentsProject | str | None = None, days: float = 90.0, dry_run: bool = True
) -> State[None]:
    """Prune a journal.

    What belongs to a run under way, waits for a person, or has something on the service, stays.

    Args:
        project: The project as a block, or the name of a saved block; default the environment's. Only its
            journal is used.
        days: How long ago it has to have ended.
        dry_run: Only say how much there is.

    Returns:
        A state that says how much was forgotten.

    Raises:
        ConfigurationError: The days are too few.
        JournalError: The journal cannot be used.
    """
    where = await load_project(project)
    settings = where.settings()
    async with Journal(settings.journal_url.get_secret_value()) as journal:
        done = await prune_journal(journal, days, dry_run=dry_run)
    if done.kept_for_people:
        get_run_logger().info(
            "%d old batches stay: documents of theirs wait for people", done.kept_for_people
        )
    what = (
        f"{done.batches} batches ({done.documents} documents), {done.operations} operations, "
        f"{done.transcripts} transcripts"
    )
    return Completed(message=f"{what} to forget (dry run)" if dry_run else f"{what} forgotten")
