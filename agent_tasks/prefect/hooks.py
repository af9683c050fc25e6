"""Hooks for flows: what a flow made on the service goes with it when it fails, is cancelled or crashes.

    from agent_tasks.prefect.hooks import release_on_end

    release = release_on_end("ask")

    @flow(on_failure=[release], on_cancellation=[release], on_crashed=[release])
    async def ask(question: str) -> str: ...

A hook of a flow run that was killed runs in the process of whoever ran it (a worker, a served flow), where
nothing is known but the journal. So it is the journal that decides: the owner's turns that no living worker
follows are cancelled, and what the owner made is deleted unless a living worker carries something out for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from prefect.client.schemas.objects import FlowRun, State

from agent_tasks.errors import AgentTasksError
from agent_tasks.logs import get_logger
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.operations.ownership import release_unused
from agent_tasks.prefect.blocks import AgentsProject, load_project

__all__ = ["HOOK_SECONDS", "Hook", "cancel_on_end", "end_owner", "release_on_end"]

logger = get_logger("agent_tasks.prefect.hooks")

HOOK_SECONDS = 30.0
"""How long a hook may take; what it does not get done is left to the next run and to the sweep."""

Hook: TypeAlias = Callable[[Any, FlowRun, State[Any]], Awaitable[None]]
"""A hook as Prefect's flows take it."""

Owner: TypeAlias = str | Callable[[FlowRun], str]


def cancel_on_end(owner: Owner, *, project: AgentsProject | str | None = None) -> Hook:
    """A hook that cancels an owner's turns on the service; what was made stays for the next run.

    Args:
        owner: the owner whom the flow's operations name, or a function of the flow run that gives it.
        project: the project as a block or the name of a saved block; default the flow run's parameter
            `project` if it has one, or else the environment's.
    """
    return _hook(owner, project, release=False)


def release_on_end(owner: Owner, *, project: AgentsProject | str | None = None) -> Hook:
    """A hook that cancels an owner's turns, and deletes what it made unless a living worker uses it.

    Args:
        owner: see `cancel_on_end`.
        project: see there.
    """
    return _hook(owner, project, release=True)


def _hook(owner: Owner, project: AgentsProject | str | None, *, release: bool) -> Hook:
    async def end(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
        try:
            named = owner if isinstance(owner, str) else owner(flow_run)
            where = await load_project(project if project is not None else _project_of(flow_run))
        except Exception as error:  # a hook must not hide why the flow ended
            logger.warning("It is not known what the flow run left on the service: %s", error)
            return
        await end_owner(where, named, release=release)

    end.__name__ = "release_on_end" if release else "cancel_on_end"
    return end


def _project_of(flow_run: FlowRun) -> AgentsProject | str | None:
    given = (flow_run.parameters or {}).get("project")
    if given is None or isinstance(given, str | AgentsProject):
        return given
    return AgentsProject.model_validate(given)


async def end_owner(project: AgentsProject, owner: str, *, release: bool) -> None:
    """Cancel an owner's turns and, if asked, delete what it made; failures are logged, not raised.

    Turns and resources of living workers are left alone. It takes `HOOK_SECONDS` at most.

    Args:
        project: where.
        owner: the owner; its parts (`OWNER/...`) belong to it.
        release: whether to delete.
    """
    try:
        async with asyncio.timeout(HOOK_SECONDS), project.workspace() as ws:
            cancelled = await cancel_owner(ws, owner)
            if cancelled:
                logger.info("%d turns of %s were cancelled", cancelled, owner)
            if release:
                await release_unused(ws, owner)
    except (AgentTasksError, TimeoutError) as error:
        logger.warning("Not all of %s was ended on the service (the sweep will): %s", owner, error)
