"""A fork: a run done again from one step on with something changed, and compared to the original.

What comes before the step is taken from the journal: it costs no turn. The original run stays as it is, in
the journal and in its folder. A fork that is run again resumes, like any batch.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_tasks.batch.context import Origin
from agent_tasks.batch.markdown import render
from agent_tasks.batch.records import (
    MAX_LISTED,
    AllDocumentsFailedError,
    AnswerRow,
    BatchSummary,
    DocumentRow,
    DocumentStatus,
    RunRecord,
)
from agent_tasks.batch.run import run_batch
from agent_tasks.batch.writers import replacing
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import NO_PRICES, Prices, Usage, Workspace
from agent_tasks.pipeline.loader import STEPS, Pipeline, ShortPipeline, load_pipeline
from agent_tasks.pipeline.overrides import Change

__all__ = ["Comparison", "Difference", "Side", "find_run", "fork"]


@dataclass
class Side:
    """What one of the two runs came to."""

    statuses: dict[DocumentStatus, int] = field(default_factory=lambda: dict.fromkeys(DocumentStatus, 0))
    turns: int = 0
    """Turns from the step on."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of these."""

    def count(self, row: DocumentRow, is_counted: Callable[[DocumentRow, str], bool]) -> None:
        """Count a document, with what it cost from the step on."""
        self.statuses[row.status] += 1
        steps = [name for name in row.ids if is_counted(row, name)]
        self.turns += len(steps)
        self.usage += sum((row.step_usage.get(name, Usage()) for name in steps), start=Usage())

    def count_answer(self, row: AnswerRow) -> None:
        """Count an answer; questions are the last step, so they belong to every fork."""
        self.turns += row.turns
        self.usage += row.usage


@dataclass(frozen=True)
class Difference:
    """What is different for a document, a question, or one of its fields."""

    document: str
    what: str
    before: str
    after: str


@dataclass
class Comparison:
    """A fork beside its original."""

    step: str
    changes: list[str]
    original_out: str
    summary: BatchSummary
    """Of the fork."""
    original: Side = field(default_factory=Side)
    fork: Side = field(default_factory=Side)
    changed: int = 0
    """Documents with a difference."""
    differences: list[Difference] = field(default_factory=list)
    """Of documents, those of the first `MAX_LISTED` that differ."""
    answers: list[Difference] = field(default_factory=list)
    path: str = ""
    """Of fork.md."""
    prices: Prices = NO_PRICES
    """What tokens cost."""


async def find_run(ws: Workspace, run: str) -> RunRecord:
    """The last run that is meant: by its folder of results, or its pipeline's name.

    Args:
        ws: The service and the journal.
        run: The folder for results that the run was given, the name of its pipeline, or the owner that
            `agent-tasks resources list` shows.

    Raises:
        ConfigurationError: There is none, or several runs have this name.
        JournalError: The journal cannot be read.
    """
    folder = os.path.realpath(run)  # noqa: ASYNC240 - quick, and nothing else waits
    by_name: list[RunRecord] = []
    for ended in await ws.journal.runs.ended(ws.scope):
        record = ended.read(RunRecord)
        if record.out == folder:
            return record
        if run in (record.summary.pipeline, ended.owner):
            by_name.append(record)
    if len(by_name) > 1:
        folders = ", ".join(record.out for record in by_name)
        raise ConfigurationError(f"Several runs have the name {run}. Give the folder of one: {folders}.")
    if not by_name:
        raise ConfigurationError(
            f"The journal knows of no finished run with results in {folder}. Give the folder that was --out "
            "of a run, with the settings of that run; a run that has not finished is finished first."
        )
    return by_name[0]


async def fork(
    ws: Workspace,
    record: RunRecord,
    step: str,
    out: str | Path,
    *,
    pipeline_file: str | Path | None = None,
    changes: Sequence[str] = (),
    default_model: str | None = None,
) -> Comparison:
    """Run again from a step, and compare.

    Args:
        ws: The service and the journal.
        record: The run to fork.
        step: One of `Pipeline.step_names`: the first that is done again.
        out: The folder for results.jsonl, report.md and fork.md; not that of the run.
        pipeline_file: Another pipeline file; default the run's.
        changes: Changes to the file, such as `agents.reviewer.model=gpt-4o`.
        default_model: As for `load_pipeline`.

    Raises:
        ConfigurationError: The step or folder is not possible, or a step before it was told something else
            in the run, so that its outcome can't be taken over.
        PipelineError: The file, or a change to it, is not valid.
        AgentTasksError: What `run_batch` raises.
    """
    path = Path(pipeline_file or record.pipeline_file)
    pipeline = load_pipeline(
        path, default_model=default_model, changes=[Change.parse(text) for text in changes]
    )
    _check(record, pipeline, step, Path(out))
    origin = Origin(record.batch, step, f"{record.summary.pipeline}:{record.batch[:12]}")
    try:
        summary = await run_batch(ws, pipeline, record.documents, out, origin=origin)
    except AllDocumentsFailedError as error:  # worse than the original: that is what one wants to see
        summary = error.summary
    told = [*([f"pipeline {pipeline_file}"] if pipeline_file else []), *changes]
    comparison = Comparison(step, told, record.out, summary)
    await _compare(ws, record, origin.fork_key(pipeline), comparison, _from(step, pipeline))
    comparison.path = str(Path(out) / "fork.md")
    comparison.prices = ws.prices
    text = render(
        "fork.md", comparison=comparison, prices=ws.prices, statuses=list(DocumentStatus), listed=MAX_LISTED
    )
    with replacing(Path(comparison.path)) as file:
        file.write(text)
    return comparison


def _check(record: RunRecord, pipeline: Pipeline, step: str, out: Path) -> None:
    names = pipeline.step_names()
    if step not in names:
        raise ConfigurationError(f"There is no step {step!r}; the steps are {', '.join(names)}.")
    if str(out.resolve()) == record.out:
        raise ConfigurationError(
            f"{out} holds the results of the run itself. Give another folder with --out."
        )
    steps = pipeline.step_fingerprints()
    for earlier in names[: names.index(step)]:
        if step.startswith(f"{earlier}/"):
            continue  # it holds the step, and may be told something else
        if steps[earlier] != record.steps.get(earlier):
            raise ConfigurationError(
                f"The step {earlier!r} is told something else than in the run, so its outcome can't be taken "
                f"over. Fork from {earlier!r}, or leave it as it was."
            )
    if not isinstance(pipeline, ShortPipeline):
        return
    if (step == "review" and pipeline.reviewer is None) or (step == "questions" and not pipeline.questions):
        raise ConfigurationError(f"The pipeline has no step {step!r}.")


def _from(step: str, pipeline: Pipeline) -> Callable[[DocumentRow, str], bool]:
    """Whether a turn of a row, by its name, is of a step or of one after it."""
    if isinstance(pipeline, ShortPipeline):
        first = STEPS.index(step)
        # Repairs belong to the extraction.
        return lambda row, turn: STEPS.index("review" if turn == "review" else "extract") >= first
    positions = pipeline.plan.positions
    place = positions.get(step, len(positions))

    def is_after(row: DocumentRow, turn: str) -> bool:
        mine = (record for record in row.steps.values() if turn in record.turns)
        return any(positions.get(record.step, -1) >= place for record in mine)

    return is_after


async def _compare(
    ws: Workspace,
    record: RunRecord,
    fork_key: str,
    comparison: Comparison,
    is_counted: Callable[[DocumentRow, str], bool],
) -> None:
    async for before, after in _pairs(ws, record.batch, fork_key):
        comparison.original.count(before, is_counted)
        comparison.fork.count(after, is_counted)
        found = list(_differences(before, after))
        if found:
            comparison.changed += 1
            if comparison.changed <= MAX_LISTED:
                comparison.differences += found
    earlier = {
        answer.question: answer.read(AnswerRow)
        for answer in await ws.journal.answers.of(ws.scope, record.batch)
    }
    for row in comparison.summary.answers:
        comparison.fork.count_answer(row)
        was = earlier.get(row.id)
        if was is None or _said(was) != _said(row):
            said = _said(was) if was is not None else "(not asked)"
            comparison.answers.append(Difference(row.question, "answer", said, _said(row)))
    for answer in record.summary.answers:
        comparison.original.count_answer(answer)


async def _pairs(ws: Workspace, origin: str, fork_key: str) -> AsyncIterator[tuple[DocumentRow, DocumentRow]]:
    """The documents of a fork, each with its row in the original."""
    async for record in ws.journal.documents.of(ws.scope, fork_key):
        before = await ws.journal.documents.get(ws.scope, origin, record.name)
        if before is not None:
            yield before.read(DocumentRow), record.read(DocumentRow)


def _differences(before: DocumentRow, after: DocumentRow) -> list[Difference]:
    found = []

    def compare(what: str, old: Any, new: Any) -> None:
        if old != new:
            found.append(Difference(before.document, what, _shown(old), _shown(new)))

    compare("status", before.status.value, after.status.value)
    old, new = before.fields or {}, after.fields or {}
    for name in dict.fromkeys([*old, *new]):
        compare(name, old.get(name), new.get(name))
    compare("reasons", before.reasons, after.reasons)
    return found


def _said(row: AnswerRow) -> str:
    return f"(not answered: {row.error.message})" if row.error else row.answer


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "(none)"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return str(value)
