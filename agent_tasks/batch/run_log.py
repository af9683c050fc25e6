"""What an operator reads in a flow run's log on the dashboard: documents and answers, as they are done.

A small batch is told document by document; a large one by milestones and by what needs a person.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from typing_extensions import override

from agent_tasks.batch.markdown import plain_address
from agent_tasks.batch.observer import Observer
from agent_tasks.batch.records import (
    MAX_LISTED,
    AnswerRow,
    BatchSummary,
    DocumentRow,
    DocumentStatus,
    RowInBrief,
)
from agent_tasks.batch.writers import summary_line
from agent_tasks.display import visible
from agent_tasks.logs import PLAIN
from agent_tasks.operations import Cost, Usage

SMALL_BATCH = 100
"""Documents up to which each one has its line: every line is a request's worth of work for the server."""

_MILESTONES = 20  # lines about the progress of a large batch
_OURS = frozenset({"document-batch", "prune", "sweep"})


class _PlainRuns(logging.Filter):
    """Keeps what Prefect itself logs of our flows plain: names of runs, error texts and their tracebacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "flow_name", None) in _OURS:
            PLAIN.filter(record)
            if record.levelno > logging.INFO:  # below, addresses are Prefect's own: "View at ..."
                record.msg, record.args = plain_address(record.getMessage()), ()
                record.exc_text = plain_address(record.exc_text or "") or None
        return True


_PLAIN_RUNS = _PlainRuns()


def keep_run_logs_plain() -> None:
    """Let no text from outside forge lines or make links in the logs of our flow runs."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_PLAIN_RUNS)


def _plain(text: str) -> str:
    """A text from outside as part of a line."""
    return plain_address(visible(text))


class RunLog(Observer):
    """Writes to a flow run's logger, and passes everything on to another observer.

    Args:
        logger: the flow run's logger.
        inner: who watches as well, such as the terminal's display.
    """

    def __init__(
        self, logger: logging.Logger | logging.LoggerAdapter[logging.Logger], inner: Observer
    ) -> None:
        self._logger = logger
        self._inner = inner
        self._total = 0
        self._finished = 0
        self._told = 0

    @override
    def batch_started(self, pipeline: str, folder: str, total: int) -> None:
        self._total = total
        self._logger.info("Pipeline %s over %s: %d documents", _plain(pipeline), _plain(folder), total)
        self._inner.batch_started(pipeline, folder, total)

    @override
    def phase_started(self, phase: str) -> None:
        self._inner.phase_started(phase)

    @override
    def document_started(self, name: str) -> None:
        self._inner.document_started(name)

    @override
    def document_waits(self, name: str) -> None:
        self._inner.document_waits(name)

    @override
    def step_started(self, name: str, step: str) -> None:
        self._inner.step_started(name, step)

    @override
    def turn_finished(self, usage: Usage, cost: Cost | None = None) -> None:
        self._inner.turn_finished(usage, cost)

    @override
    def document_finished(self, row: DocumentRow, *, reused: bool, by_other: bool = False) -> None:
        self._finished += 1
        is_done = row.status is DocumentStatus.DONE
        if not reused and self._total <= SMALL_BATCH and is_done:
            self._logger.info("%s: done, %s", _plain(row.document), _plain(summary_line(row)))
        elif not reused and not is_done and self._told < MAX_LISTED:
            self._told += 1
            state = row.status.value.replace("_", " ")
            self._logger.warning("%s: %s, %s", _plain(row.document), state, _plain(summary_line(row)))
        self._tell_milestone()
        self._inner.document_finished(row, reused=reused, by_other=by_other)

    @override
    def document_unchanged(self, row: RowInBrief, whole: Callable[[], DocumentRow]) -> None:
        self._finished += 1
        self._tell_milestone()
        self._inner.document_unchanged(row, whole)

    def _tell_milestone(self) -> None:
        if self._total > SMALL_BATCH and self._finished % (self._total // _MILESTONES) == 0:
            self._logger.info("%d of %d documents", self._finished, self._total)

    @override
    def answer_finished(self, row: AnswerRow, *, reused: bool) -> None:
        if not reused:
            said = row.error.message if row.error else row.answer
            level = logging.WARNING if row.error else logging.INFO
            self._logger.log(level, "%s %s", _plain(row.question), _plain(said))
        self._inner.answer_finished(row, reused=reused)

    @override
    def batch_finished(self, summary: BatchSummary) -> None:
        self._logger.info(
            "%s (%s); %d turns, %d tokens%s; results in %s",
            summary.headline(),
            summary.provenance() or "all done now",
            summary.turns,
            summary.usage.total_tokens,
            f", {summary.cost.text()}" if summary.cost is not None else "",
            _plain(summary.results),
        )
        self._inner.batch_finished(summary)
