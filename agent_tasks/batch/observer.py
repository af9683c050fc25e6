"""Who watches a batch: an observer, found through a context variable so that nobody has to pass it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from agent_tasks.batch.records import AnswerRow, BatchSummary, DocumentRow, RowInBrief
    from agent_tasks.operations import Cost, Usage


class Observer:
    """Hears what happens in a batch. Override what is of interest; be quick and do not raise."""

    def batch_started(self, pipeline: str, folder: str, total: int) -> None:
        """The documents are known."""

    def phase_started(self, phase: str) -> None:
        """A part of the batch begins, such as "documents" or "questions"."""

    def document_started(self, name: str) -> None:
        """A document is in flight: it is read, or has a slot."""

    def document_waits(self, name: str) -> None:
        """A document was read and waits for a slot; then it starts again."""

    def step_started(self, name: str, step: str) -> None:
        """A document's next turn begins: extract, repair, review."""

    def turn_finished(self, usage: Usage, cost: Cost | None = None) -> None:
        """A turn was paid for; `cost` in money, where there is a table of prices."""

    def document_finished(self, row: DocumentRow, *, reused: bool, by_other: bool = False) -> None:
        """A document has its state; `reused` if not by this worker now, `by_other` if by another one now."""

    def document_unchanged(self, row: RowInBrief, whole: Callable[[], DocumentRow]) -> None:
        """A document is as an earlier run left it; `whole` reads all of its row, which takes longest."""
        self.document_finished(whole(), reused=True)

    def answer_finished(self, row: AnswerRow, *, reused: bool) -> None:
        """A question has its answer."""

    def batch_finished(self, summary: BatchSummary) -> None:
        """All is written."""


_current: ContextVar[Observer | None] = ContextVar("agent_tasks_observer", default=None)


class _Silent(Observer):
    @override
    def document_unchanged(self, row: RowInBrief, whole: Callable[[], DocumentRow]) -> None:
        pass


_SILENT = _Silent()


def observer() -> Observer:
    """The observer of the current batch; one that does nothing if nobody watches."""
    return _current.get() or _SILENT


@contextmanager
def observed_by(watcher: Observer) -> Iterator[None]:
    """Let `watcher` hear of all batches that run inside the block."""
    token = _current.set(watcher)
    try:
        yield
    finally:
        _current.reset(token)
