"""Suspended flow runs whose question was decided: they are resumed, so that nobody has to do it by hand.

A flow run of a deployment that waits for a person is suspended, with the question's key as what it waits for.
The decision is in the journal; that the flow run goes on is Prefect's, and asked of its server here.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import ObjectNotFound

from agent_tasks.journal import DecisionRecord, DecisionState
from agent_tasks.logs import get_logger
from agent_tasks.operations import Workspace, list_questions
from agent_tasks.operations.decisions import Questions
from agent_tasks.settings import Settings

__all__ = ["Resumption", "flow_run_of", "pause_key", "resume_decided", "resume_for", "resume_where_it_is"]

logger = get_logger("agent_tasks.prefect.suspended_runs")

ASK_SECONDS = 20.0
"""How long the server may take to resume a flow run."""

_OF_FLOW_RUN = re.compile(r":([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:/|$)")


@dataclass(frozen=True)
class Resumption:
    """What became of a flow run that waits for a decision."""

    is_resumed: bool
    said: str
    """In words: what was done, or what is left to do."""


def pause_key(key: str) -> str:
    """What a flow run is suspended for that waits for a question's decision."""
    return f"decision-{key}"


def flow_run_of(owner: str) -> UUID | None:
    """The flow run in whose session a question was asked, by the question's owner; None: in no flow run."""
    found = _OF_FLOW_RUN.search(owner)
    return UUID(found[1]) if found is not None else None


async def resume_for(question: DecisionRecord) -> Resumption | None:
    """Resume the flow run that is suspended for a question which is decided.

    A flow run that does not wait for it, or can't be asked about, is left as it is, and said to be.

    Args:
        question: the question, decided.

    Returns:
        What became of the flow run; None: the question is not one of a flow run.
    """
    run_id = flow_run_of(question.owner)
    if run_id is None:
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS), get_client() as client:
            run = await client.read_flow_run(run_id)
            if not _waits_for(run.state, question.key):
                return Resumption(False, _told(run))
            await client.resume_flow_run(run_id)
            state = (await client.read_flow_run(run_id)).state
    except ObjectNotFound:
        said = "is unknown to the Prefect server that is set (PREFECT_API_URL); resume it on its own server."
        return Resumption(False, f"The flow run {run_id} {said}")
    except Exception as error:  # the decision is committed, whatever the server says
        logger.debug("The flow run %s was not resumed: %r", run_id, error)
        said = f"could not be resumed ({type(error).__name__}). The decision is kept"
        return Resumption(False, f"The flow run {run_id} {said}: resume it on the dashboard.")
    if state is not None and state.is_paused():
        said = "does not resume; look at it on the dashboard. The decision is kept."
        return Resumption(False, f"The flow run {_named(run)} {said}")
    return Resumption(True, f"The flow run {_named(run)} resumes.")


async def resume_where_it_is(question: DecisionRecord, settings: Settings) -> str | None:
    """Resume the flow run that waits for a decision, by the Prefect server that is set or runs here.

    Args:
        question: the question, decided.
        settings: which server.

    Returns:
        A sentence, or an empty one where nothing is to be said; None: no flow run waits for it.
    """
    from agent_tasks.local.servers import prefect_server, use_prefect_api

    flow_run = flow_run_of(question.owner)
    if flow_run is None:
        return None
    address = await asyncio.to_thread(prefect_server(settings).running)
    if address is None:  # asking would start a server that has none of the flow run's workers
        return (
            f"The flow run {flow_run} waits for it, and no Prefect server runs here (PREFECT_API_URL is not "
            "set). Resume it on its dashboard; or give the same decision again when the server runs."
        )
    use_prefect_api(address)
    resumption = await resume_for(question)
    return resumption.said if resumption is not None else ""


async def resume_decided(ws: Workspace | Questions) -> list[str]:
    """Resume all flow runs that are suspended for a question which was decided, also by its time limit.

    Returns:
        What was done, a sentence for each that resumes.
    """
    decided = (DecisionState.APPROVED, DecisionState.REJECTED, DecisionState.EXPIRED)
    said = []
    for question in await list_questions(ws, states=decided):
        if question.taken_at is None:
            resumption = await resume_for(question)
            said += [resumption.said] if resumption is not None and resumption.is_resumed else []
    return said


def _waits_for(state: State[object] | None, key: str) -> bool:
    return state is not None and state.is_paused() and state.state_details.pause_key == pause_key(key)


def _named(run: FlowRun) -> str:
    return f"{run.name} ({run.id})"


def _told(run: FlowRun) -> str:
    """What is to be known of a flow run that is not suspended for the question."""
    state = run.state
    who = f"The flow run {_named(run)}"
    if state is None or state.is_scheduled() or state.is_pending():
        return f"{who} is due, and takes the decision when it runs."
    if state.is_paused():
        return f"{who} waits for something else still; it takes this decision when it is resumed."
    if state.is_running():
        return f"{who} runs, and takes the decision when it asks; if it is suspended now, resume it."
    return f"{who} is {state.name}: retry it, and it takes the decision."
