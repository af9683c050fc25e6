"""What a batch leaves behind for people and programs: results.jsonl and report.md.

Both say what is, not when it was found out: an unchanged batch writes the same bytes again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from agent_tasks.batch.context import Batch
from agent_tasks.batch.evidence import cited, evidence
from agent_tasks.batch.markdown import render
from agent_tasks.batch.pictures import Pictures
from agent_tasks.batch.records import AnswerRow, BatchSummary, DocumentRow, DocumentStatus
from agent_tasks.batch.spending import MAX_LISTED as MAX_SPENT
from agent_tasks.batch.spending import Spending, priced
from agent_tasks.display import in_json
from agent_tasks.errors import ConfigurationError, ResultsError
from agent_tasks.logs import get_logger
from agent_tasks.operations import Usage, UsageSum
from agent_tasks.pipeline.loader import ShortPipeline
from agent_tasks.steps.file.graph import to_svg
from agent_tasks.steps.file.sinks import Results

logger = get_logger("agent_tasks.batch.writers")

MAX_REPORTED = 500
"""Documents of each state that the report names; results.jsonl has all."""

_WITH_EVIDENCE = (DocumentStatus.DONE, DocumentStatus.NEEDS_REVIEW, DocumentStatus.WAITING)

PICTURE = "pipeline.svg"
"""The picture of a pipeline with steps, beside the report."""

_AT_A_TIME = 50  # rows that are written before others have their turn

MAX_COLUMNS = 6
"""Fields in the report's table of documents."""


@dataclass
class Written:
    """What was met while the results were written."""

    counts: dict[DocumentStatus, int] = field(default_factory=lambda: dict.fromkeys(DocumentStatus, 0))
    tokens: UsageSum = field(default_factory=UsageSum)
    spending: Spending = field(default_factory=Spending)
    samples: dict[DocumentStatus, list[DocumentRow]] = field(
        default_factory=lambda: {status: [] for status in DocumentStatus}
    )
    """The first rows of each state."""
    problem: str | None = None
    """What the results lack, for the report."""

    @property
    def usage(self) -> Usage:
        """What all rows have cost."""
        return self.tokens.usage


def prepare_folder(out: Path, *, documents: Path) -> Path:
    """Make the folder for results.

    Raises:
        ConfigurationError: It cannot be made or written to, or it is the folder of documents; better known
            before the first turn is paid for.
    """
    if out.resolve() == documents.resolve():
        raise ConfigurationError("results can't lie among the documents; give another folder for them.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"results cannot be written to {out}: {error.strerror}. Give another folder for them."
        ) from error
    return out


async def write_results(batch: Batch) -> Written:
    """Write results.jsonl from the journal, one document at a time, sorted by name.

    Rows of a former pipeline, which are there still if the batch was stopped, are left out.
    """
    written = Written()
    pictures, count = Pictures(batch), itertools.count(1)
    with replacing(batch.out / "results.jsonl") as file:
        async for record in batch.ws.journal.documents.of(batch.ws.scope, batch.key):
            if record.fingerprint != batch.fingerprint_of(record.status):
                continue
            if next(count) % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # the next page comes in meanwhile
            row = priced(await pictures.of(record.read(DocumentRow)), batch.ws.prices)
            file.write(in_json(row.model_dump_json()) + "\n")
            written.counts[row.status] += 1
            written.tokens.add(row.usage)
            written.spending.add_row(row)
            if len(written.samples[row.status]) < MAX_REPORTED:
                written.samples[row.status].append(row)
    pictures.tidy()
    written.problem = pictures.problem
    return written


async def fill_sinks(batch: Batch, summary: BatchSummary) -> list[str]:
    """Give the results to the pipeline's sinks; returns a warning for each that did not take them."""
    path = batch.out / "results.jsonl"

    def rows() -> Iterator[dict[str, Any]]:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)

    results = Results(rows, summary.model_dump(mode="json"), batch.pipeline.columns, batch.out)
    warnings = []
    for sink in batch.pipeline.sinks:
        try:
            await asyncio.to_thread(sink.write, results)
        except Exception as error:  # the results are written; another program's trouble is not the batch's
            logger.warning("A sink did not take the results", exc_info=error)
            warnings.append(f"The sink {type(sink).__name__} did not take the results: {error}")
    return warnings


def read_results(path: Path) -> Iterator[DocumentRow]:
    """The rows of a results.jsonl, one at a time."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield DocumentRow.model_validate_json(line)


def write_report(batch: Batch, summary: BatchSummary, written: Written) -> str:
    """Write report.md; returns its text."""
    questions = total_usage(summary.answers)
    spending, prices = written.spending, batch.ws.prices
    spending.add_answers(summary.answers)
    has_picture = not isinstance(batch.pipeline, ShortPipeline)
    if has_picture:
        with replacing(batch.out / PICTURE) as file:
            file.write(to_svg(batch.pipeline.plan, batch.pipeline.name, corpus=batch.pipeline.corpus))
    text = render(
        "report.md",
        pipeline=batch.pipeline,
        summary=summary,
        waiting=written.samples[DocumentStatus.WAITING],
        needs_review=written.samples[DocumentStatus.NEEDS_REVIEW],
        rejected=written.samples[DocumentStatus.REJECTED],
        failed=written.samples[DocumentStatus.FAILED],
        done=written.samples[DocumentStatus.DONE],
        picture=PICTURE if has_picture else None,
        cell=cell,
        cited=cited,
        evidence=evidence(
            [row for status in _WITH_EVIDENCE for row in written.samples[status]],
            documents=batch.folder,
            out=batch.out,
        ),
        columns=list(batch.pipeline.columns)[:MAX_COLUMNS],
        cost={"documents": written.usage, "questions": questions, "all": summary.usage_total},
        spending=spending,
        most=MAX_SPENT,
        prices=prices,
        unpriced=summary.cost_total.unpriced_models() if summary.cost_total is not None else [],
    )
    with replacing(batch.out / "report.md") as file:
        file.write(text)
    return text


def total_usage(answers: list[AnswerRow]) -> Usage:
    """Tokens that answers have cost."""
    return sum((answer.usage for answer in answers), start=Usage())


def cell(fields: dict[str, Any] | None, name: str) -> str:
    """A field's value as a short text for a table."""
    value = (fields or {}).get(name)
    if value is None:
        return ""
    if isinstance(value, list):
        shown = [cell({"item": item}, "item") for item in value[:3]]
        return ", ".join([*shown, "..."] if len(value) > 3 else shown)
    if isinstance(value, dict):
        return " ".join(text for key in value if (text := cell(value, key)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return str(value)


def summary_line(row: DocumentRow, *, fields: int = 4) -> str:
    """The few words that tell what became of a document: its first fields, or the reasons."""
    if row.status is not DocumentStatus.DONE:
        return "; ".join(row.reasons)
    values = row.fields or {}
    texts = [f"{name}: {text}" for name in values if (text := cell(values, name))]
    return ", ".join(texts[:fields])


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A file to write, put in place of the old one when all is written: no reader sees half of it.

    Raises:
        ResultsError: It can't be written.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        # Its mode is what the umask says, unlike that of a file of `tempfile`.
        with partial.open("x", encoding="utf-8", newline="\n") as file:
            with contextlib.suppress(FileNotFoundError):
                _take_from_others(file.fileno(), path)
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:  # a time limit has none
            raise ResultsError(
                f"{path} can't be written: {error.strerror}. Free some space, or name another folder, and "
                "repeat the command: what is done is not done again.",
                path=str(path),
            ) from error
        raise


def _take_from_others(descriptor: int, replaced: Path) -> None:
    """Give a new file no right that its predecessor has lost. Raises FileNotFoundError without one."""
    kept = stat.S_IMODE(replaced.stat().st_mode) & stat.S_IMODE(os.fstat(descriptor).st_mode)
    os.fchmod(descriptor, kept | stat.S_IRUSR | stat.S_IWUSR)
