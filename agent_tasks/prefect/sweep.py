"""The Prefect flow `sweep`: deletes what flows left behind on the service."""

# No `from __future__ import annotations`: a served flow (`.serve()`) is run from a copy, in which Prefect
# can't look the names of the annotations up.

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from agent_tasks.batch.markdown import escape_cell, plain_address
from agent_tasks.batch.run_log import keep_run_logs_plain
from agent_tasks.operations.sweep import sweep as sweep_leftovers
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.prefect.project_flow import closed
from agent_tasks.prefect.suspended_runs import resume_decided

keep_run_logs_plain()


@closed
@flow(
    name="sweep",
    description="Finds resources past their time to live, and marked ones that the ledger has lost; deletes "
    "them unless it is a dry run.",
    persist_result=False,
)
async def sweep(project: AgentsProject | str | None = None, dry_run: bool = True) -> State[None]:
    """Sweep a project.

    If it is no dry run, flow runs that are suspended for a person are resumed where the question is decided,
    such as by its time limit, and nobody has resumed them.

    Args:
        project: The project as a block, or the name of a saved block; default the environment's.
        dry_run: Only list what would be deleted.

    Returns:
        A state that says how many there are; a table of them is an artifact of the run. It is Failed if the
        service did not delete one: the next sweep finds it again.

    Raises:
        ServiceError: The service refused to list what it holds.
        TransportError: The service could not be reached.
        JournalError: The ledger cannot be used.
    """
    where = await load_project(project)
    async with where.workspace() as ws:
        leftovers = await sweep_leftovers(ws, dry_run=dry_run)
        resumed = [] if dry_run else await resume_decided(ws)
    logger = get_run_logger()
    for said in resumed:
        logger.info("%s", said)
    for leftover in leftovers:
        told = plain_address(f": {leftover.error}" if leftover.error else "")
        logger.info("%s %s, %s%s", leftover.kind, leftover.remote_id, leftover.reason, told)
    if leftovers:
        await acreate_table_artifact(
            key="sweep",
            table=[
                {
                    "kind": leftover.kind,
                    "id": escape_cell(leftover.remote_id),
                    "name": escape_cell(leftover.name),
                    "owner": escape_cell(leftover.owner or ""),
                    "reason": leftover.reason.value,
                    "error": escape_cell(leftover.error or ""),
                }
                for leftover in leftovers
            ],
            description="What would be deleted" if dry_run else "What was deleted",
        )
    kept = sum(leftover.error is not None for leftover in leftovers)
    message = f"{len(leftovers)} to delete (dry run)" if dry_run else f"{len(leftovers) - kept} deleted"
    if kept:
        return Failed(message=f"{message}, {kept} not")
    return Completed(message=message)
