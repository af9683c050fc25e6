"""The Prefect flow `document-batch`: a folder of documents through a pipeline of agents."""

# No `from __future__ import annotations`: a served flow (`.serve()`) is run from a copy, in which Prefect
# can't look the names of the annotations up.

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from agent_tasks.batch.circuit_breaker import BudgetReachedError
from agent_tasks.batch.context import Batch, batch_owner
from agent_tasks.batch.observer import observed_by, observer
from agent_tasks.batch.outcome_rules import NOT_ALL_DONE, OutcomeRule, TooManyNotDoneError, met, outcome_rules
from agent_tasks.batch.records import AllDocumentsFailedError, BatchSummary
from agent_tasks.batch.run import run_batch
from agent_tasks.batch.run_log import RunLog, keep_run_logs_plain
from agent_tasks.detaching import hearing_sigterm, is_detaching
from agent_tasks.display import one_line
from agent_tasks.errors import AgentTasksError
from agent_tasks.operations import Workspace
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.pipeline.loader import default_model, load_pipeline
from agent_tasks.prefect.artifacts import ProgressArtifact, publish_artifacts
from agent_tasks.prefect.batch_hooks import cancel_and_release, cancel_turns, note_run, remember_run
from agent_tasks.prefect.batch_tasks import PREFECT_STEPS
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.prefect.cancellation_watch import Stop, is_cancelled, told_to_stop
from agent_tasks.prefect.events import tell_of_the_budget
from agent_tasks.prefect.hooks import end_owner
from agent_tasks.prefect.project_flow import closed

keep_run_logs_plain()

CANCEL_SECONDS = 6.0
"""How long a flow that was told to stop looks for turns that it has left running."""


def _run_name() -> str:
    folder = Path(str(flow_run.parameters.get("documents") or "documents")).resolve().name
    return f"{one_line(folder)} {datetime.now():%Y-%m-%d %H:%M:%S}"


@closed
@flow(
    name="document-batch",
    description="Extracts, checks and reviews the fields of every document in a folder, and answers "
    "questions about all of them. Unchanged documents cost nothing again.",
    flow_run_name=_run_name,
    persist_result=False,
    on_cancellation=[cancel_and_release],
    on_failure=[cancel_turns],
    # Not on_crashed: a crashed run is started again, and follows the turns that are under way to their end.
)
async def document_batch(
    documents: str,
    pipeline: str,
    out: str,
    project: AgentsProject | str | None = None,
    fail_on: str | None = None,
    warn_on: str | None = "not_done > 0",
) -> BatchSummary:
    """Process a folder of documents.

    Args:
        documents: Folder of documents; looked through recursively.
        pipeline: Pipeline file (YAML), see `agent_tasks.pipeline.loader`.
        out: Folder for results.jsonl and report.md.
        project: The project as a block, or the name of a saved block; default the environment's
            (PROJECT_ENDPOINT, or else the local service).
        fail_on: Rules (`agent_tasks.batch.outcome_rules`), such as `failed > 5%, waiting > 20`: where one is
            met, the flow run is Failed. Results and report are written all the same.
        warn_on: Rules likewise: where one is met, the state is NotAllDone, which is of type Completed.

    Returns:
        The summary. The flow run's state says "10 done, 3 need review, 2 failed". A flow run that is
        cancelled on the server ends as Cancelled, with its turns cancelled and what it made deleted.

    Raises:
        TooManyNotDoneError: A rule of `fail_on` is met (the flow run is Failed); carries the summary.
        AllDocumentsFailedError: Not one document gave a result (the flow run is Failed).
        PipelineError: The pipeline file is not valid.
        ConfigurationError: Something that concerns all documents is wrong.
        JournalError: The journal cannot be used, or another process works on this batch.
        BatchStoppedError: The service failed too often in a row, or the budget is used up
            (BudgetReachedError).
    """
    with hearing_sigterm():
        rules = outcome_rules(fail_on, "fail_on"), outcome_rules(warn_on, "warn_on")
        return await _run(documents, pipeline, out, project, rules)  # type: ignore[no-any-return]


async def _run(
    documents: str,
    pipeline: str,
    out: str,
    project: AgentsProject | str | None,
    rules: tuple[tuple[OutcomeRule, ...], tuple[OutcomeRule, ...]],
) -> Any:
    remember_run(flow_run.id)
    where = await load_project(project)
    settings = where.settings()
    desk = settings.desk_url
    plan = load_pipeline(pipeline, default_model=default_model(settings))
    progress = ProgressArtifact()
    batches: list[Batch] = []

    def watch(batch: Batch) -> None:
        batches.append(batch)
        progress.watch(batch)

    stop = Stop()
    try:
        async with where.workspace() as ws, told_to_stop(flow_run.id) as stop:
            await note_run(ws, flow_run.id, where, batch_owner(plan.name, Path(documents)))
            try:
                with observed_by(RunLog(get_run_logger(), observer())):
                    async with progress.shown():
                        summary = await run_batch(ws, plan, documents, out, steps=PREFECT_STEPS, watch=watch)
            except AllDocumentsFailedError as error:
                await publish_artifacts(batches[0], error.summary, desk_url=desk)
                return Failed(message=error.summary.headline(), data=error)
            except AgentTasksError as error:
                if isinstance(error, BudgetReachedError):
                    tell_of_the_budget(plan.name, batch_owner(plan.name, Path(documents)), error)
                if batches and (so_far := batches[0].so_far) is not None:
                    await publish_artifacts(batches[0], so_far, desk_url=desk)
                raise
            except asyncio.CancelledError:
                if batches and not is_detaching():
                    await _cancel_the_rest(ws, batches[0].owner)
                raise
            await publish_artifacts(batches[0], summary, desk_url=desk)
    except asyncio.CancelledError:
        this = asyncio.current_task()
        # A signal, which whoever runs the flow answers for, may come at the same time.
        if not stop.asked or this is None or this.uncancel():
            # Prefect ends a cancelled flow run by SIGTERM too: the server tells it from a pod that is moved.
            if batches and is_detaching() and await is_cancelled(flow_run.id):
                await end_owner(where, batches[0].owner, release=True)
            raise
        if batches:
            await end_owner(where, batches[0].owner, release=True)
        return Cancelled(
            message="It was cancelled on the server; its turns are ended, and what it made is gone."
        )
    return _state(summary, *rules)


def _state(
    summary: BatchSummary, fail_on: tuple[OutcomeRule, ...], warn_on: tuple[OutcomeRule, ...]
) -> State[Any]:
    """The flow run's state, by what became of the documents."""
    headline = summary.headline()
    if (why := met(fail_on, summary)) is not None:
        message = f"{headline} ({why})"
        return Failed(message=message, data=TooManyNotDoneError(message, summary=summary))
    if (why := met(warn_on, summary)) is not None:
        return Completed(name=NOT_ALL_DONE, message=headline, data=summary)
    return Completed(message=headline, data=summary)


async def _cancel_the_rest(ws: Workspace, owner: str) -> None:
    """Cancel the turns that do not cancel themselves.

    Their request had left when the process was told to stop, and their answer had not come.
    """
    try:
        await asyncio.wait_for(asyncio.shield(cancel_owner(ws, owner)), CANCEL_SECONDS)
    except (AgentTasksError, TimeoutError) as error:
        get_run_logger().warning("Not all turns of %s were cancelled: %s", owner, error)
