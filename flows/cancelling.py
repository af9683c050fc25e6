"""Hooks of the flow `document-batch`: a batch that ends early leaves no turn running on the service."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun, State

from agent_tasks.blocks import AgentsProject, load_project
from agent_tasks.errors import AgentTasksError
from agent_tasks.operations.cancelling import cancel_owner
from flows.batch import batch_owner, release_batch
from flows.pipeline import load_pipeline

logger = logging.getLogger("flows.cancelling")

HOOK_SECONDS = 30.0
"""How long a hook may take; what it does not get done is left to the next run and to the sweep."""

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
    """Cancel the batch's turns, and delete its agents, files, store and conversations."""
    await _end(flow_run, release=True)


async def _end(flow_run: FlowRun, *, release: bool) -> None:
    given = flow_run.parameters
    try:
        async with asyncio.timeout(HOOK_SECONDS):
            project = _projects.get(str(flow_run.id))
            if project is None:
                named = given.get("project")
                if named is not None and not isinstance(named, str):
                    named = AgentsProject.model_validate(named)
                project = await load_project(named)
            plan = load_pipeline(given["pipeline"], default_model="any")
            owner = batch_owner(plan.name, Path(given["documents"]))
            async with project.workspace() as ws:
                cancelled = await cancel_owner(ws, owner)
                if cancelled:
                    logger.info("%d turns of %s were cancelled", cancelled, owner)
                if release:
                    await release_batch(ws, owner)
    except (AgentTasksError, TimeoutError, ValueError) as error:
        logger.warning("Not all of the batch was ended on the service (the sweep will): %s", error)
