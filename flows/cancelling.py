"""Hooks of the flow `document-batch`: a batch that ends early leaves no turn running on the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun, State

from agent_tasks.blocks import AgentsProject, load_project
from agent_tasks.errors import AgentTasksError
from agent_tasks.hooks import end_owner
from agent_tasks.logs import get_logger
from flows.batch import batch_owner
from flows.pipeline import load_pipeline

logger = get_logger("flows.cancelling")

_projects: dict[str, AgentsProject] = {}
# Projects of the flow runs of this process: a flow run's parameters keep a token only as stars.


def remember_project(flow_run_id: str | None, project: AgentsProject) -> None:
    """Keep the project of a running flow for its hooks; a later run of this process replaces the oldest."""
    if flow_run_id is not None:
        _projects[flow_run_id] = project
        while len(_projects) > 100:
            del _projects[next(iter(_projects))]


async def cancel_turns(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Cancel the batch's turns that are still active on the service; the next run goes on from there."""
    await _end(flow_run, release=False)


async def cancel_and_release(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Cancel the batch's turns, and delete its agents, files, store and conversations.

    A batch that other workers share goes on: their turns, and all that belongs to the batch, are left alone.
    """
    await _end(flow_run, release=True)


async def _end(flow_run: FlowRun, *, release: bool) -> None:
    given = flow_run.parameters
    try:
        project = _projects.get(str(flow_run.id))
        if project is None:
            named = given.get("project")
            if named is not None and not isinstance(named, str):
                named = AgentsProject.model_validate(named)
            project = await load_project(named)
        plan = load_pipeline(given["pipeline"], default_model="any")
    except (AgentTasksError, ValueError) as error:
        logger.warning("Not all of the batch was ended on the service (the sweep will): %s", error)
        return
    await end_owner(project, batch_owner(plan.name, Path(given["documents"])), release=release)
