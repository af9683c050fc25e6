"""The steps of a batch as Prefect tasks: names for the dashboard, the work is in plain functions."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from agent_tasks.batch.context import Batch
from agent_tasks.batch.corpus import answer_over_all
from agent_tasks.batch.records import AnswerRow, BatchSummary
from agent_tasks.batch.run import Steps, publish
from agent_tasks.batch.workers import Work
from agent_tasks.documents.discovery import DocumentFile

# No retries: a turn has its own, the journal knows what is done, and a batch that stopped has to be seen.


@task(
    name="process-documents", task_run_name="documents {label}", cache_policy=NO_CACHE, persist_result=False
)
async def process_chunk(work: Work, label: str) -> None:
    """Bring a chunk of documents to their states."""
    await work()


@task(name="answer-questions", task_run_name="questions", cache_policy=NO_CACHE, persist_result=False)
async def answer_all(batch: Batch, files: Sequence[DocumentFile]) -> list[AnswerRow]:
    """Answer the pipeline's questions about all documents."""
    return await answer_over_all(batch, files)


@task(name="publish-results", task_run_name="results and report", cache_policy=NO_CACHE, persist_result=False)
async def publish_results(batch: Batch, summary: BatchSummary) -> BatchSummary:
    """Write results.jsonl and report.md."""
    return await publish(batch, summary)


PREFECT_STEPS = Steps(process=process_chunk, answer=answer_all, publish=publish_results)
