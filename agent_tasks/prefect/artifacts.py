"""A batch on the Prefect dashboard: progress while it runs, the table and the report when it is done."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from agent_tasks.batch.context import Batch, Tally, review_key
from agent_tasks.batch.evidence import without_pictures
from agent_tasks.batch.history import PICTURE
from agent_tasks.batch.markdown import escape, escape_cell, plain_address
from agent_tasks.batch.operator_pages import OperatorPages
from agent_tasks.batch.records import MAX_LISTED, BatchSummary, DocumentStatus, counted
from agent_tasks.batch.writers import read_results, summary_line
from agent_tasks.display import duration, in_short, several, visible
from agent_tasks.logs import get_logger
from agent_tasks.pipeline.loader import Pipeline, ShortPipeline
from agent_tasks.prefect.events import BudgetNews
from agent_tasks.steps.file.graph import to_svg, to_text

logger = get_logger("agent_tasks.prefect.artifacts")

UPDATE_SECONDS = 1.0
"""Seconds between updates of the progress artifact: each is a request to the Prefect server."""

MAX_REPORT_CHARS = 200_000
MAX_PICTURE_BYTES = 150_000
"""Of a larger picture the outline says the same in less."""
# A table shows its cells on one line, and at 1440 pixels about a hundred characters of a row.
_MAX_RESULT_CHARS = 30
_MAX_NAME_CHARS = 24
_MAX_RUNNING = 5
_MAX_NAME = 80
_ORDER = (
    DocumentStatus.WAITING,
    DocumentStatus.NEEDS_REVIEW,
    DocumentStatus.FAILED,
    DocumentStatus.REJECTED,
    DocumentStatus.DONE,
)


def artifact_key(pipeline: str, what: str) -> str:
    """A key as Prefect wants it: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9-]+", "-", f"{pipeline}-{what}".lower()).strip("-")


class ProgressArtifact:
    """Keeps one progress artifact up to date, at a bounded rate; Prefect's trouble stays its own."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self._budget = BudgetNews()

    def watch(self, batch: Batch) -> None:
        """Show this batch."""
        self.batch = batch

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Update while the block runs, and once more at its end."""
        keeper = asyncio.create_task(self._keep(), name="progress-artifact")
        try:
            yield
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper

    async def _keep(self) -> None:
        artifact: UUID | None = None
        told = ""
        try:
            while True:
                if self.batch is not None and (text := _described(self.batch)) != told:
                    artifact = await _tell(self.batch, artifact, text)
                    told = text
                if self.batch is not None:
                    self._budget.look(self.batch)
                await asyncio.sleep(UPDATE_SECONDS)
        finally:
            if self.batch is not None:
                self._budget.look(self.batch)
            if self.batch is not None and (text := _described(self.batch)) != told:
                await _tell(self.batch, artifact, text)


def _described(batch: Batch) -> str:
    tally, now = batch.tally, time.monotonic()
    cost = batch.ws.prices.cost(tally.usage)
    money = f", {cost.text()}" if cost is not None else ""
    counts = ", ".join(counted(count, status) for status, count in tally.by_status.items() if count)
    if batch.budget is not None:
        money += f" (budget: {batch.budget.text()})"
    if tally.asked_again:
        waited = f", {duration(tally.resent.seconds)} waited for that" if tally.resent.requests else ""
        again = f"{tally.asked_again:,} times, {tally.all_throttled:,} of them throttled{waited}"
        money += f"; tried again {again}"
    return (
        f"{tally.finished} of {several(tally.total, 'document')} ({counts or 'none finished yet'}); "
        f"{several(tally.turns, 'turn')}, {tally.usage.total_tokens:,} tokens{money}"
        f"{_pace(tally, now)}{_running(tally, now)}"
    )


def _pace(tally: Tally, now: float) -> str:
    rate, left = tally.rate(now), tally.seconds_left(now)
    if rate is None or left is None or tally.finished >= tally.total:
        return ""
    return f"; {rate:.3g} documents a minute, about {duration(left)} left"


def _running(tally: Tally, now: float) -> str:
    """The documents that are worked on, longest first."""
    oldest = sorted(tally.in_flight.items(), key=lambda item: item[1][1])
    named = [
        f"{plain_address(visible(name)[:_MAX_NAME])} ({step}, {now - since:.0f} s)"
        for name, (step, since) in oldest[:_MAX_RUNNING]
    ]
    more = [f"and {len(oldest) - _MAX_RUNNING} more"] if len(oldest) > _MAX_RUNNING else []
    return f". Running now: {', '.join([*named, *more])}" if named else ""


async def _tell(batch: Batch, artifact: UUID | None, text: str) -> UUID | None:
    percent = 100.0 * batch.tally.finished / batch.tally.total if batch.tally.total else 100.0
    try:
        if artifact is None:
            key = artifact_key(batch.pipeline.name, "progress")
            return await acreate_progress_artifact(progress=percent, key=key, description=text)
        return await aupdate_progress_artifact(artifact_id=artifact, progress=percent, description=text)
    except Exception as error:  # showing progress must not stop paid work
        logger.warning("The progress artifact could not be written: %s", error)
        return artifact


async def publish_artifacts(batch: Batch, summary: BatchSummary, *, desk_url: str | None = None) -> None:
    """Show what operators ask for: open documents, the table of all, costs, the last runs, the report.

    Args:
        batch: The batch.
        summary: What came of it.
        desk_url: Where people reach the review desk; None: pages name the command instead.
    """
    name = batch.pipeline.name
    try:
        rows = await asyncio.to_thread(_table, Path(summary.results))
        if rows:
            shown = f" (the first {len(rows)} of {summary.total})" if summary.total > len(rows) else ""
            await acreate_table_artifact(
                rows, key=artifact_key(name, "results"), description=f"{summary.headline()}{shown}"
            )
        pages = await asyncio.to_thread(OperatorPages.of, Path(summary.results), _desk_link(batch, desk_url))
        await acreate_markdown_artifact(
            pages.open_documents(summary.results, batch.owner),
            key=artifact_key(name, "open"),
            description="Documents that failed or wait, and why",
        )
        await acreate_markdown_artifact(
            pages.spent(summary, batch.ws.prices),
            key=artifact_key(name, "spending"),
            description="Time, tokens and money by step, agent, model and document",
        )
        drawn = await asyncio.to_thread((batch.out / PICTURE).read_bytes)
        await acreate_image_artifact(
            f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}",
            key=artifact_key(name, "history"),
            description="What the last runs came to",
        )
        report = without_pictures(await asyncio.to_thread(Path(summary.report).read_text, encoding="utf-8"))
        if len(report) > MAX_REPORT_CHARS:
            # Whole lines: half of an escaped text would be none.
            whole = report[:MAX_REPORT_CHARS].rpartition("\n")[0]
            report = f"{whole}\n\n(shortened; the whole report: {escape(summary.report)})"
        if not isinstance(batch.pipeline, ShortPipeline):
            await publish_steps(batch.pipeline)
        await acreate_markdown_artifact(
            report, key=artifact_key(name, "report"), description=summary.headline()
        )
    except Exception as error:  # the results are on disk; the dashboard is a convenience
        logger.warning("The artifacts of the results could not be written: %s", error)


async def publish_steps(pipeline: Pipeline) -> None:
    """Show the steps of a pipeline, as an outline and as a picture."""
    outline = to_text(pipeline.plan, corpus=pipeline.corpus)
    await acreate_markdown_artifact(
        # An indented block: nothing in it is Markdown.
        "".join(f"    {line}\n" for line in outline.splitlines()),
        key=artifact_key(pipeline.name, "steps"),
        description="The steps of each document, as an outline.",
    )
    picture = to_svg(pipeline.plan, pipeline.name, corpus=pipeline.corpus).encode()
    if len(picture) > MAX_PICTURE_BYTES:
        return
    await acreate_image_artifact(  # the page is given all of it, and loads nothing
        f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}",
        key=artifact_key(pipeline.name, "picture"),
        description="The steps of each document.",
    )


def _desk_link(batch: Batch, desk_url: str | None) -> Callable[[str], str] | None:
    if desk_url is None:
        return None
    return lambda document: f"{desk_url}/items/{review_key(batch.key, document)}"


def _beginning(text: str) -> str:
    return text if len(text) <= _MAX_RESULT_CHARS else f"{text[: _MAX_RESULT_CHARS - 3]}..."


def _table(results: Path) -> list[dict[str, str]]:
    picked: dict[DocumentStatus, list[dict[str, str]]] = {status: [] for status in _ORDER}
    for row in read_results(results):
        if len(picked[row.status]) < MAX_LISTED:
            picked[row.status].append(
                {
                    "document": escape_cell(in_short(row.document, _MAX_NAME_CHARS)),
                    "status": row.status.value.replace("_", " "),
                    "time": duration(row.seconds),
                    "tokens": f"{row.usage.total_tokens:,}",
                    **({"money": row.cost.text()} if row.cost is not None else {}),
                    "result": escape_cell(_beginning(summary_line(row))),
                }
            )
    return [row for status in _ORDER for row in picked[status]][:MAX_LISTED]
