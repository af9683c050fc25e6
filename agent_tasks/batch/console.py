"""A batch in the terminal: live while it runs, a table of what came of it in the end.

On a terminal the display is redrawn in place; elsewhere (a log file, CI) each document is one plain line.
Names and values come from outside: they are printed as text, without markup and without control characters.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from agent_tasks.batch.observer import Observer, observed_by
from agent_tasks.batch.records import (
    AnswerRow,
    BatchSummary,
    DocumentRow,
    DocumentStatus,
    RowInBrief,
    counted,
)
from agent_tasks.batch.writers import read_results, summary_line
from agent_tasks.display import duration, one_line, several
from agent_tasks.operations import Cost, Usage, total_cost

MAX_TABLE_ROWS = 60
"""Documents in the final table; beyond that it shows those that need a person first."""

_SHOWN_IN_FLIGHT = 8
_SHOWN_FINISHED = 6
_SHOWN_UNCHANGED = 20  # lines of a log for unchanged documents; the others are counted
_PLAIN_WIDTH = 120

_STYLES = {
    DocumentStatus.DONE: ("done", "green"),
    DocumentStatus.WAITING: ("waiting", "magenta"),
    DocumentStatus.NEEDS_REVIEW: ("needs review", "yellow"),
    DocumentStatus.REJECTED: ("rejected", "yellow"),
    DocumentStatus.FAILED: ("failed", "red"),
}


class _Terminal(Console):
    """Standard output, which may lose its reader (`| head`): the batch goes on, and is shown no more."""

    @override
    def on_broken_pipe(self) -> None:
        with suppress(SystemExit):
            super().on_broken_pipe()


class BatchConsole(Observer):
    """Shows the batches that run inside the block, and a summary of each.

    Args:
        quiet: Only the last lines of the summary.
        console: Where to; default standard output.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or _Terminal(highlight=False)
        if not self.console.is_terminal and console is None:
            self.console = _Terminal(highlight=False, width=_PLAIN_WIDTH)
        self.quiet = quiet
        self.live = self.console.is_terminal and not quiet
        self._display: Live | None = None
        self._observed: AbstractContextManager[None] | None = None
        self._begin("", "", 0)

    def _begin(self, pipeline: str, folder: str, total: int) -> None:
        self._pipeline, self._folder, self._total = pipeline, folder, total
        self._phase = ""
        self._started = time.monotonic()
        self._counts = dict.fromkeys(DocumentStatus, 0)
        self._reused = 0
        self._left_out = 0
        self._by_others = 0
        self._turns = 0
        self._usage = Usage()
        self._cost: Cost | None = None
        self._in_flight: dict[str, tuple[str, float]] = {}
        self._finished: deque[tuple[Callable[[], DocumentRow], str]] = deque(maxlen=_SHOWN_FINISHED)

    def __enter__(self) -> Self:
        self._observed = observed_by(self)
        self._observed.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_display()
        if self._observed is not None:
            self._observed.__exit__(kind, error, trace)
            self._observed = None

    # --- what is heard -----------------------------------------------------------------------------------

    @override
    def batch_started(self, pipeline: str, folder: str, total: int) -> None:
        self._begin(pipeline, folder, total)
        if self.live:
            self._stop_display()
            self._display = Live(
                get_renderable=self._render, console=self.console, refresh_per_second=8, transient=True
            )
            self._display.start()
        elif not self.quiet:
            self._line(f"{pipeline}: {several(total, 'file')} in {folder}")

    @override
    def phase_started(self, phase: str) -> None:
        self._phase = phase
        if self._left_out and not self.quiet:
            self._line(f"and {self._left_out:,} more unchanged")
            self._left_out = 0
        if not self.live and not self.quiet and phase != "documents":
            self._line(f"{phase} ...")

    @override
    def document_started(self, name: str) -> None:
        self._in_flight[name] = ("read", time.monotonic())

    @override
    def document_waits(self, name: str) -> None:
        self._in_flight.pop(name, None)

    @override
    def step_started(self, name: str, step: str) -> None:
        self._in_flight[name] = (step, time.monotonic())

    @override
    def turn_finished(self, usage: Usage, cost: Cost | None = None) -> None:
        self._turns += 1
        self._usage = self._usage + usage
        self._cost = total_cost((self._cost, cost))

    @override
    def document_finished(self, row: DocumentRow, *, reused: bool, by_other: bool = False) -> None:
        self._in_flight.pop(row.document, None)
        self._counts[row.status] += 1
        self._reused += reused and not by_other
        self._by_others += by_other
        by = "by another worker" if by_other else "unchanged" if reused else ""
        if self.live:
            self._finished.append((lambda: row, by))
        elif reused and not by_other and self._reused > _SHOWN_UNCHANGED:
            self._left_out += 1
        elif not self.quiet:
            self.console.print(_described(row, by), soft_wrap=True)

    @override
    def document_unchanged(self, row: RowInBrief, whole: Callable[[], DocumentRow]) -> None:
        self._counts[row.status] += 1
        self._reused += 1
        if self.live:
            self._finished.append((whole, "unchanged"))  # read when it is drawn: most never are
        elif self._reused > _SHOWN_UNCHANGED:
            self._left_out += 1
        elif not self.quiet:
            self.console.print(_described(whole(), "unchanged"), soft_wrap=True)

    @override
    def answer_finished(self, row: AnswerRow, *, reused: bool) -> None:
        if not self.live and not self.quiet:
            state = "unchanged" if reused else "not answered" if row.error else "answered"
            line = Text.assemble(f"{state:<13}", one_line(row.question))
            self.console.print(line, soft_wrap=True)

    @override
    def batch_finished(self, summary: BatchSummary) -> None:
        self._stop_display()
        self.console.print(render_summary(summary, table=not self.quiet))

    # --- what is drawn -----------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self.console.print(Text(one_line(text)), soft_wrap=True)

    def _stop_display(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _render(self) -> RenderableType:
        finished = sum(self._counts.values())
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=max(self._total, 1), completed=finished, width=30),
            Text(f"{finished}/{self._total}"),
            Text(duration(time.monotonic() - self._started), style="dim"),
            Spinner("dots", text=Text(one_line(self._phase), style="dim")),
        )
        counts = Text("  ").join(
            Text(counted(self._counts[status], status), style=style)
            for status, (_, style) in _STYLES.items()
            if self._counts[status] or status not in (DocumentStatus.WAITING, DocumentStatus.REJECTED)
        )
        spent = Text(f"   {several(self._turns, 'turn')}, {self._usage.total_tokens:,} tokens", style="dim")
        if self._cost is not None:
            spent.append(f", {self._cost.text()}")
        if self._reused:
            spent.append(f", {self._reused} unchanged")
        if self._by_others:
            spent.append(f", {self._by_others} by other workers")
        flying = Table.grid(padding=(0, 1))
        in_flight = list(self._in_flight.items())
        for name, (step, since) in in_flight[:_SHOWN_IN_FLIGHT]:
            flying.add_row(
                Text("·", style="cyan"),
                Text(one_line(name), overflow="ellipsis", no_wrap=True),
                Text(one_line(step), style="cyan"),
                Text(duration(time.monotonic() - since), style="dim"),
            )
        title = Text.assemble((one_line(self._pipeline), "bold"), ("  " + one_line(self._folder), "dim"))
        recent = [
            _shortened(_described(whole(), by), self.console.width) for whole, by in list(self._finished)
        ]
        return Group(title, bar, counts + spent, *recent, flying)


def render_summary(summary: BatchSummary, *, table: bool = True) -> RenderableType:
    """What came of a batch: documents, answers, cost, and where to look further."""
    parts: list[RenderableType] = []
    if table and summary.total:
        parts += [_documents_table(summary), Text()]
    if table:
        for answer in summary.answers:
            parts += [*_answer(answer), Text()]
    headline = Text(summary.headline(), style="bold")
    if provenance := summary.provenance():
        headline.append(f" ({provenance})")
    headline.append(f" in {duration(summary.seconds)}")
    facts = Table.grid(padding=(0, 2))
    facts.add_row(Text("Documents", style="dim"), headline)
    facts.add_row(Text("Cost", style="dim"), Text(_cost(summary)))
    facts.add_row(Text("Results", style="dim"), Text(one_line(summary.results)))
    facts.add_row(Text("Report", style="dim"), Text(one_line(summary.report)))
    facts.add_row(Text("Dashboard", style="dim"), Text("agent-tasks dashboard"))
    if summary.waiting:
        facts.add_row(Text("Waiting", style="magenta"), Text("agent-tasks approvals list"))
    for warning in summary.warnings[:10]:
        facts.add_row(Text("Note", style="yellow"), Text(one_line(warning)))
    return Group(*parts, facts)


def _cost(summary: BatchSummary) -> str:
    spent = f"{several(summary.turns, 'turn')}, {summary.usage.total_tokens:,} tokens"
    if summary.turns:
        spent += f" ({summary.usage.prompt_tokens:,} prompt, {summary.usage.completion_tokens:,} completion)"
    if summary.cost is not None:
        spent += f", {summary.cost.text()}"
    if summary.budget is not None:
        spent += f"; budget: {summary.budget}"
    if summary.turns_reused:
        spent += f"; {several(summary.turns_reused, 'turn')} reused, which cost nothing again"
    return spent


def _documents_table(summary: BatchSummary) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("document", overflow="fold", max_width=44)
    table.add_column("status", no_wrap=True)
    table.add_column("fields or reason", overflow="fold")
    rows = _rows(Path(summary.results), everything=summary.total <= MAX_TABLE_ROWS)
    for row in rows:
        label, style = _STYLES[row.status]
        table.add_row(
            Text(one_line(row.document)), Text(label, style=style), Text(one_line(summary_line(row)))
        )
    if len(rows) < summary.total:
        table.add_row(Text(f"and {summary.total - len(rows):,} more", style="dim"), Text(), Text())
    return table


def _rows(results: Path, *, everything: bool) -> list[DocumentRow]:
    """The rows to show: all, or the first of those that need a person."""
    shown = (row for row in read_results(results) if everything or row.status is not DocumentStatus.DONE)
    return list(islice(shown, MAX_TABLE_ROWS))


def _answer(answer: AnswerRow) -> list[Text]:
    lines = [Text(one_line(answer.question), style="bold")]
    if answer.error is not None:
        lines.append(Text(one_line(f"not answered: {answer.error.message}"), style="red"))
        return lines
    # With a margin: no line of an answer looks like one of ours.
    lines += [Text(f"  {one_line(line)}") for line in answer.answer.splitlines() if line.strip()]
    sources = ", ".join(f"[{number}] {name}" for number, name in enumerate(answer.sources, start=1))
    lines.append(Text(one_line(sources or "no document is cited"), style="dim"))
    return lines


def _described(row: DocumentRow, by: str) -> Text:
    label, style = _STYLES[row.status]
    line = Text.assemble((f"{label:<13}", style), one_line(row.document))
    line.append(f"  {one_line(summary_line(row))}", style="dim")
    if by:
        line.append(f"  ({by})", style="dim")
    return line


def _shortened(line: Text, width: int) -> Text:
    short = line.copy()
    short.truncate(max(width - 1, 10), overflow="ellipsis")
    return short
