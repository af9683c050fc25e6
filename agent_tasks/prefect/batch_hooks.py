"""Hooks of the flow `document-batch`: a batch that ends early leaves no turn running on the service.

What a hook has to know, the owner of what the run made, is in the journal since before the run made anything:
the pipeline file may have been edited or deleted meanwhile, or need settings that the hook's process lacks.
"""

from __future__ import annotations

import asyncio
from typing import Any

from prefect.client.schemas.objects import FlowRun, State

from agent_tasks.errors import AgentTasksError
from agent_tasks.journal import Journal
from agent_tasks.logs import get_logger
from agent_tasks.operations import Workspace
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.prefect.hooks import HOOK_SECONDS, end_owner

logger = get_logger("agent_tasks.prefect.batch_hooks")

_projects: dict[str, AgentsProject | None] = {}
# Projects of the flow runs of this process (a flow run's parameters keep a token only as stars); None as long
# as a run has not got so far that it makes anything.


def remember_run(flow_run_id: str | None, project: AgentsProject | None = None) -> None:
    """Keep the project of a flow run of this process for its hooks; a later run replaces the oldest."""
    if flow_run_id is not None:
        _projects[flow_run_id] = project
        while len(_projects) > 100:
            del _projects[next(iter(_projects))]


async def note_run(ws: Workspace, flow_run_id: str | None, project: AgentsProject, owner: str) -> None:
    """Keep what the hooks of a flow run need, in whichever process they are called, before it makes anything.

    Raises:
        JournalError: the journal can't be written.
    """
    if flow_run_id is not None:
        await ws.journal.flow_runs.note(flow_run_id, owner)
        remember_run(flow_run_id, project)


async def cancel_turns(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Cancel the batch's turns that are still active on the service; the next run resumes."""
    await _end(flow_run, release=False)


async def cancel_and_release(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Cancel the batch's turns, and delete its agents, files, store and conversations.

    A batch that other workers share keeps running: their turns, and all that belongs to it, are left alone.
    """
    await _end(flow_run, release=True)


async def _end(flow_run: FlowRun, *, release: bool) -> None:
    run_id = str(flow_run.id)
    if run_id in _projects and _projects[run_id] is None and flow_run.run_count <= 1:
        return  # a mistake in the pipeline file, say: it ended before it made anything
    try:
        async with asyncio.timeout(HOOK_SECONDS):
            project = _projects.get(run_id) or await _project_of(flow_run)
            async with Journal(project.settings().journal_url.get_secret_value()) as journal:
                owner = await journal.flow_runs.owner(run_id)
    except (AgentTasksError, ValueError, TimeoutError) as error:
        logger.warning("Not all of the batch was ended on the service (the sweep will): %s", error)
        return
    if owner is not None:
        await end_owner(project, owner, release=release)


async def _project_of(flow_run: FlowRun) -> AgentsProject:
    named = flow_run.parameters.get("project")
    if named is not None and not isinstance(named, str):
        named = AgentsProject.model_validate(named)
    return await load_project(named)
