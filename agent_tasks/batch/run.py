"""A whole batch, step by step, with or without Prefect around the steps."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent_tasks.batch.budget import require_prices
from agent_tasks.batch.context import Batch, Origin
from agent_tasks.batch.corpus import answer_over_all
from agent_tasks.batch.history import PICTURE, draw, last_evaluation, last_runs
from agent_tasks.batch.observer import observer
from agent_tasks.batch.processing import process_documents
from agent_tasks.batch.records import (
    AllDocumentsFailedError,
    AnswerRow,
    BatchSummary,
    DocumentRow,
    DocumentStatus,
    RunRecord,
)
from agent_tasks.batch.unchanged import unsettled
from agent_tasks.batch.workers import Process, SharedRun, Work, joined, share_documents
from agent_tasks.batch.writers import (
    Written,
    fill_sinks,
    prepare_folder,
    replacing,
    total_usage,
    write_report,
    write_results,
)
from agent_tasks.client import Resent, counting_resent
from agent_tasks.crashpoints import crash_point
from agent_tasks.documents.discovery import DocumentFile, discover
from agent_tasks.errors import AgentTasksError, DocumentError, JournalError
from agent_tasks.journal import BatchRecord
from agent_tasks.logs import get_logger
from agent_tasks.operations import (
    Workspace,
    content_hash,
    exclusive,
    prune_transcripts,
    withdraw_questions,
)
from agent_tasks.pipeline.loader import Pipeline

logger = get_logger("agent_tasks.batch.run")

_COLLECTED_AFTER = (20_000, 20, 20)  # objects made, and collections of younger ones


@dataclass(frozen=True)
class Steps:
    """The steps of a batch as they are called; the flow puts Prefect tasks in their place."""

    process: Process
    answer: Callable[[Batch, Sequence[DocumentFile]], Awaitable[list[AnswerRow]]]
    publish: Callable[[Batch, BatchSummary], Awaitable[BatchSummary]]


async def _process(work: Work, label: str) -> None:
    await work()


async def publish(batch: Batch, summary: BatchSummary) -> BatchSummary:
    """Write results and report, and fill the sinks; returns the summary with what the results say."""
    written = await _results(batch, summary)
    summary.warnings += await fill_sinks(batch, summary)
    await _report(batch, summary, written)
    return summary


async def rewrite(batch: Batch, summary: BatchSummary) -> BatchSummary:
    """Write results and report of a run that has ended anew, after a decision; sinks are the next run's."""
    await _report(batch, summary, await _results(batch, summary))
    return summary


async def _report(batch: Batch, summary: BatchSummary, written: Written) -> None:
    """Write the report, and the picture of the last runs beside it."""
    bars = await last_runs(batch, summary)
    with replacing(batch.out / PICTURE) as file:
        file.write(draw(bars))
    write_report(batch, summary, written)


async def _results(batch: Batch, summary: BatchSummary) -> Written:
    """Write the results; the summary is told what they say."""
    written = await write_results(batch)
    summary.done = written.counts[DocumentStatus.DONE]
    summary.waiting = written.counts[DocumentStatus.WAITING]
    summary.needs_review = written.counts[DocumentStatus.NEEDS_REVIEW]
    summary.rejected = written.counts[DocumentStatus.REJECTED]
    summary.failed = written.counts[DocumentStatus.FAILED]
    # Attached documents are known of when they have been met.
    summary.total = max(summary.total, sum(written.counts.values()))
    if written.problem is not None and written.problem not in summary.warnings:
        summary.warnings.append(written.problem)
    prices = batch.ws.prices
    for answer in summary.answers:
        answer.cost = prices.cost(answer.usage)
    summary.usage_total = written.usage + total_usage(summary.answers)
    summary.cost, summary.cost_total = prices.cost(summary.usage), prices.cost(summary.usage_total)
    return written


PLAIN_STEPS = Steps(process=_process, answer=answer_over_all, publish=publish)


async def run_batch(
    ws: Workspace,
    pipeline: Pipeline,
    documents: str | Path,
    out: str | Path,
    *,
    steps: Steps = PLAIN_STEPS,
    watch: Callable[[Batch], None] | None = None,
    origin: Origin | None = None,
) -> BatchSummary:
    """Bring every document of a folder to its state, answer the questions, and write the results.

    What an earlier run over the same folder and pipeline has done is not done again.

    Args:
        ws: The service and the journal.
        pipeline: What to do.
        documents: The folder of documents.
        out: The folder for results.jsonl and report.md; made if needed.
        steps: How the steps are called.
        watch: Called with the batch before it begins, for whoever shows its progress.
        origin: What the run is forked from; only documents that are as they were take part then.

    Raises:
        ConfigurationError: Something that concerns all documents is wrong.
        JournalError: The journal cannot be used, or another process works on this batch and the journal is
            not one that workers share (PostgreSQL).
        BatchStoppedError: The service failed too often in a row, or the budget is used up
            (BudgetReachedError).
        AllDocumentsFailedError: There were documents and none gave a result; the results are written.
    """
    with _old_objects_left_alone(), counting_resent() as resent:
        return await _run_batch(ws, pipeline, Path(documents), Path(out), steps, watch, origin, resent)


async def _run_batch(
    ws: Workspace,
    pipeline: Pipeline,
    folder: Path,
    out: Path,
    steps: Steps,
    watch: Callable[[Batch], None] | None,
    origin: Origin | None,
    resent: Resent,
) -> BatchSummary:
    started = time.monotonic()
    prepare_folder(out, documents=folder)
    section = pipeline.file.documents
    files = discover(folder, suffixes=section.suffixes, ignore=section.ignore, exclude=[out, pipeline.path])
    require_prices(pipeline, ws.prices)
    batch = Batch(ws, pipeline, folder, out, origin=origin)
    if batch.budget is not None:
        await batch.budget.look()
    if origin is not None:
        files = [file for file in files if await _is_unchanged(batch, origin, file)]
    batch.tally.total, batch.tally.resent = len(files), resent
    await ws.journal.batches.note(ws.scope, _where(batch))
    if watch is not None:
        watch(batch)
    observer().batch_started(pipeline.name, str(folder), len(files))
    async with joined(ws, batch.owner) as run:
        batch.started, batch.lead = run.started, run.key
        observer().phase_started("documents")
        try:
            async with batch.spares.kept():
                if ws.journal.is_shared:
                    await share_documents(run, batch, files, steps.process)
                else:
                    batch.guard = lambda _: run.key
                    await _in_chunks(batch, files, steps)
            summary, is_theirs = await _to_the_end(run, batch, files, steps)
        except AgentTasksError as error:
            await _publish_what_is_done(batch, error, steps)
            raise
    if is_theirs:
        summary = await _follow(batch, summary, steps)
    all_failed = summary.total > 0 and summary.failed == summary.total
    summary.seconds = round(time.monotonic() - started, 2)
    observer().batch_finished(summary)
    if all_failed:
        raise AllDocumentsFailedError(summary)
    return summary


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Keep the garbage collector from going through all that is imported, again and again.

    Rows of documents come and go by the thousand, and each full collection looks at the whole program: of an
    unchanged document that was two fifths of its processor time. What is made inside is collected, but more
    seldom: what turns in flight hold is looked at in vain, which was a tenth of a turn's processor time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_COLLECTED_AFTER)
    try:
        yield
    finally:
        if before != _COLLECTED_AFTER:  # else another batch of this process, which began earlier, does that
            gc.set_threshold(*before)
        gc.unfreeze()


async def _is_unchanged(batch: Batch, origin: Origin, file: DocumentFile) -> bool:
    """Whether a document is as it was in the original batch."""
    row = await origin.row(batch.ws, file.name)
    if row is None:
        batch.warn(f"{file.name} is left out: it is not in the run that was forked.")
        return False
    try:
        content = await asyncio.to_thread(file.read, batch.pipeline.limits.max_document_bytes)
    except DocumentError:
        return not row.readable
    if content_hash(content) == row.content_hash:
        return True
    batch.warn(f"{file.name} is left out: it has changed since the run that was forked.")
    return False


async def _publish_what_is_done(batch: Batch, reason: AgentTasksError, steps: Steps) -> None:
    """Write results and report of a batch that was stopped; what they lack is for the next run."""
    batch.warn(f"The batch was stopped, and not all documents have results: {reason}")
    observer().phase_started("results")
    try:
        batch.so_far = await steps.publish(batch, _summary(batch, [], batch.warnings))
    except Exception as error:  # why it was stopped is what has to be seen
        logger.warning("Results of what is done could not be written: %s", error)


async def _to_the_end(
    run: SharedRun, batch: Batch, files: Sequence[DocumentFile], steps: Steps
) -> tuple[BatchSummary, bool]:
    """Lead the run to its end, or wait for the worker that does; a leader that is overtaken follows.

    Returns:
        The summary, and whether it is another worker's.
    """
    noted = len(batch.warnings)
    while True:
        if not await run.become_leader() and (theirs := await run.wait_for_the_end()) is not None:
            return theirs, True
        try:
            with batch.ws.guarded_by_lease(run.key):  # once it leads no more it changes nothing
                summary = await _conclude(run, batch, files, steps)
            await run.end(_record(batch, summary))
            with suppress(JournalError):  # the next run does it
                await prune_transcripts(batch.ws)
        except AgentTasksError as error:
            # Whatever went wrong: what this worker asked for may be deleted by its successor.
            if not await run.is_overtaken():
                raise
            logger.warning("Another worker leads %s now; this one follows it: %s", run.name, error)
            batch.breaker.go_on()
            del batch.warnings[noted:]
        else:
            return summary, False


async def _conclude(
    run: SharedRun, batch: Batch, files: Sequence[DocumentFile], steps: Steps
) -> BatchSummary:
    """What is done once, when all documents have their states: questions, results, cleaning up."""
    await _forget_removed(batch, {file.name for file in files})
    crash_point("batch.settled")
    answers = await steps.answer(batch, files)
    observer().phase_started("results")
    summary = await steps.publish(batch, _summary(batch, answers, batch.warnings))
    crash_point("batch.published")
    all_failed = summary.total > 0 and summary.failed == summary.total
    if not all_failed and batch.pipeline.file.resources.on_success == "delete":
        await run.keep()
        await batch.release(batch.owner)
    crash_point("batch.released")
    return summary


async def _follow(batch: Batch, theirs: BatchSummary, steps: Steps) -> BatchSummary:
    """The end of a worker that followed in its run: the same results, written where it was asked to."""
    summary = _summary(batch, theirs.answers, theirs.warnings)
    summary.total = theirs.total
    observer().phase_started("results")
    summary = await steps.publish(batch, summary)
    deletes = batch.pipeline.file.resources.on_success == "delete"
    if (
        deletes
        and batch.made_agents
        and await batch.ws.journal.resources.live(batch.ws.scope, owner=batch.owner)
    ):
        # Made when the leader had cleaned up already: this worker was silent, and its documents were taken
        # over. A run that is under way now cleans up itself.
        with suppress(JournalError):
            async with exclusive(batch.ws, batch.owner):
                await batch.release(batch.owner)
    return summary


def _summary(batch: Batch, answers: list[AnswerRow], warnings: list[str]) -> BatchSummary:
    return BatchSummary(
        pipeline=batch.pipeline.name,
        documents=str(batch.folder),
        total=batch.tally.total,
        reused=batch.tally.reused,
        by_others=batch.tally.by_others,
        answers=answers,
        warnings=warnings,
        turns=batch.tally.turns,
        turns_reused=batch.tally.turns_reused,
        usage=batch.tally.usage,
        repeated=batch.tally.asked_again,
        throttled=batch.tally.all_throttled,
        budget=batch.budget.text() if batch.budget is not None else None,
        reasons=batch.tally.reasons,
        results=str(batch.out / "results.jsonl"),
        report=str(batch.out / "report.md"),
    )


def _where(batch: Batch) -> BatchRecord:
    """Where the batch lies, for people who look at its documents."""
    return BatchRecord(
        key=batch.key,
        owner=batch.owner,
        pipeline=batch.pipeline.name,
        documents=str(batch.folder.resolve()),
        pipeline_file=str(batch.pipeline.path.resolve()),
        out=str(batch.out.resolve()),
        fingerprint=batch.pipeline.fingerprint,
    )


def _record(batch: Batch, summary: BatchSummary) -> RunRecord:
    return RunRecord(
        summary=summary,
        batch=batch.key,
        documents=str(batch.folder.resolve()),
        pipeline_file=str(batch.pipeline.path.resolve()),
        out=str(batch.out.resolve()),
        steps=batch.pipeline.step_fingerprints(),
        evaluated=last_evaluation(batch.out),
    )


async def _in_chunks(batch: Batch, files: Sequence[DocumentFile], steps: Steps) -> None:
    """Process all documents; enough chunks are open at a time to keep every slot busy."""
    limits = batch.pipeline.limits
    chunks = _chunks(batch, files)
    one_at_a_time = asyncio.Lock()

    async def lane() -> None:
        while True:
            async with one_at_a_time:
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            label, part = chunk
            batch.breaker.check()
            await steps.process(partial(process_documents, batch, part), label)

    lanes = limits.concurrency // limits.chunk_size + 2
    batch.results_of(await asyncio.gather(*(lane() for _ in range(lanes)), return_exceptions=True))


async def _chunks(
    batch: Batch, files: Sequence[DocumentFile]
) -> AsyncIterator[tuple[str, list[DocumentFile]]]:
    """The documents that have to be worked on, in chunks, each with its place among them."""
    size, digits = batch.pipeline.limits.chunk_size, len(str(len(files)))
    waiting: list[DocumentFile] = []
    before = 0

    def label(part: Sequence[DocumentFile]) -> str:
        return f"{before + 1:0{digits}}-{before + len(part):0{digits}}"

    async for left in unsettled(batch, files):
        waiting += left
        while len(waiting) >= size:
            part, waiting = waiting[:size], waiting[size:]
            yield label(part), part
            before += len(part)
    if waiting:
        yield label(waiting), waiting


async def _forget_removed(batch: Batch, present: set[str]) -> None:
    """Documents that are no longer in the folder leave the batch; one that came while it ran stays.

    What is attached to a document that is there is there too; a document's name sorts before those of its
    attachments.
    """
    journal, scope = batch.ws.journal, batch.ws.scope
    parent, attached = "", frozenset[str]()
    for name in sorted(await journal.documents.names(scope, batch.key, before=batch.started)):
        if name in present:
            continue
        if (owner := name.rpartition("/")[0]) != parent:
            record = await journal.documents.get(scope, batch.key, owner)
            parent, attached = owner, frozenset(record.read(DocumentRow).attachments if record else ())
        if name not in attached:
            await withdraw_questions(batch.ws, batch.owner_of(name))
            await journal.documents.drop(scope, batch.key, name)
