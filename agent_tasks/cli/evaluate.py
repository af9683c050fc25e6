"""`agent-tasks evaluate`: how good a run is, by a file of right values."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.errors import ConfigurationError

if TYPE_CHECKING:
    from agent_tasks.batch.records import DocumentRow
    from agent_tasks.evaluation import Comparator, Evaluation, RightDocument
    from agent_tasks.evaluation.confidence import Learned

__all__ = ["RATE", "evaluate_run"]

RATE = 0.01
"""The share of wrong documents among those that are done, for the threshold, unless a person says another."""

_REQUIREMENT = re.compile(r"\s*([\w.\[\]]+)\s*(>=|<=)\s*([0-9.]+)(%?)\s*")


def evaluate_run(
    run: Path,
    truth: Path,
    *,
    out: Path | None = None,
    against: Path | None = None,
    compare: Sequence[str] = (),
    require: Sequence[str] = (),
    rate: float = RATE,
) -> ExitCode:
    """Evaluate a run, write the report, and print what matters.

    Args:
        run: Its folder of results.
        truth: The file of right values.
        out: The folder for the report; None: `evaluation` in that of the run.
        against: The folder of results of another run, to compare.
        compare: Comparators, as ``FIELD=COMPARATOR``.
        require: What figures have to be, as ``FIGURE>=SHARE`` or ``FIGURE<=SHARE``.
        rate: The share of wrong documents among those that are done, for the threshold.

    Returns:
        `ExitCode.FAILED` if a figure is not what it has to be.

    Raises:
        ConfigurationError: A file or an argument is not usable; nothing was written.
    """
    from agent_tasks.evaluation import evaluate, read_rows, read_truth
    from agent_tasks.evaluation.report import write_evaluation

    if not 0 < rate < 1:
        raise ConfigurationError(f"The rate {rate} is not between 0 and 1.", setting="--rate")
    comparators = _comparators(compare)
    requirements = [_Requirement(text) for text in require]
    right = read_truth(truth)
    rows = read_rows(run)
    evaluation = evaluate(rows, right, comparators)
    kept = [one.check(evaluation) for one in requirements]
    other = _against(against, rows, right, comparators) if against is not None else None
    learned, why_not = _learned(rows, right, comparators, rate)
    folder = out or (run if run.is_dir() else run.parent) / "evaluation"
    results = run if run.is_dir() else run.parent
    links = f"{Path(os.path.relpath(results, folder)).as_posix()}/"
    path = write_evaluation(
        folder, evaluation, run=str(run), truth=str(truth), links=links, learned=learned,
        not_learned=why_not, against=other,
    )  # fmt: skip
    _print(evaluation, learned, other, path)
    for requirement, is_kept in zip(requirements, kept, strict=True):
        if not is_kept:
            say(f"Not kept: {requirement.text} (it is {requirement.seen})", style="red")
    return ExitCode.OK if all(kept) else ExitCode.FAILED


def _comparators(texts: Sequence[str]) -> dict[str, Comparator]:
    from agent_tasks.evaluation import comparator

    found = {}
    for text in texts:
        field, equals, name = text.partition("=")
        if not field or not equals:
            raise ConfigurationError(
                f"{text!r} names no comparator for a field: write FIELD=NAME, such as total=number:0.01.",
                setting="--compare",
            )
        found[field.strip()] = comparator(name.strip())
    return found


class _Requirement:
    """What a figure has to be."""

    def __init__(self, text: str) -> None:
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"{text!r} is no requirement: write FIGURE>=SHARE or FIGURE<=SHARE, such as f1>=0.9.",
                setting="--require",
            )
        self.text = text
        self._figure, self._sign, number, percent = match.groups()
        try:
            self._bound = float(number) / (100 if percent else 1)
        except ValueError as error:
            raise ConfigurationError(f"{number} is no number.", setting="--require") from error
        self.seen = ""

    def check(self, evaluation: Evaluation) -> bool:
        """Whether it is so. A figure that there is not (no document is done) is not what it has to be."""
        value = evaluation.measure(self._figure)
        self.seen = "not there" if value is None else f"{value:.4f}"
        if value is None:
            return False
        return value >= self._bound if self._sign == ">=" else value <= self._bound


def _against(
    path: Path,
    rows: dict[str, DocumentRow],
    right: dict[str, RightDocument],
    comparators: dict[str, Comparator],
) -> dict[str, Any]:
    from agent_tasks.evaluation import contrast, evaluate, read_rows
    from agent_tasks.evaluation.scoring import right_documents

    others = read_rows(path)
    compared = contrast(
        right_documents(rows, right, comparators), right_documents(others, right, comparators)
    )
    return {"run": str(path), "evaluation": evaluate(others, right, comparators), "contrast": compared}


def _learned(
    rows: dict[str, DocumentRow],
    right: dict[str, RightDocument],
    comparators: dict[str, Comparator],
    rate: float,
) -> tuple[Learned | None, str]:
    from agent_tasks.evaluation.confidence import examples, learn
    from agent_tasks.evaluation.scoring import judge_documents

    try:
        return learn(examples(rows, judge_documents(rows, right, comparators)), rate), ""
    except ConfigurationError as error:  # too few documents: the rest of the evaluation holds
        return None, str(error)


def _print(evaluation: Evaluation, learned: Learned | None, other: dict[str, Any] | None, path: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from agent_tasks.display import one_line
    from agent_tasks.evaluation.report import percent

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("field", overflow="fold")
    for head in ("precision", "recall", "F1", "right", "wrong", "missed", "invented"):
        table.add_column(head, justify="right")
    for one in [*evaluation.fields, evaluation.total]:
        shares = (percent(one.precision), percent(one.recall), percent(one.f1))
        counts = (one.right, one.wrong, one.missed, one.invented)
        table.add_row(one_line(one.field), *shares, *map(str, counts))
    Console(highlight=False).print(table)
    typer.echo("")
    typer.echo(
        f"documents: {evaluation.documents}, right: {evaluation.right}, done: {evaluation.done}, "
        f"done and wrong: {evaluation.done_wrong}, for a person: {evaluation.for_people}"
    )
    if evaluation.cost is not None:
        each = evaluation.cost_per_right_document
        right = f", {each.text()} for each done and right" if each is not None else ""
        typer.echo(f"cost: {evaluation.cost.text()}{right}")
    if other is not None:
        typer.echo(other["contrast"].said())
    if learned is not None and learned.proposal.threshold is not None:
        proposal = learned.proposal
        typer.echo(
            f"threshold {proposal.threshold:.4f} keeps wrong ones under {percent(proposal.rate)}: "
            f"{proposal.kept} of {proposal.done} stay done"
        )
    typer.echo(f"report: {path}")
