"""What an operator asks of a run that has ended: which documents are open and why, what was spent on what."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from agent_tasks.batch.markdown import render
from agent_tasks.batch.records import BatchSummary, DocumentRow, DocumentStatus
from agent_tasks.batch.spending import MAX_LISTED, Spending
from agent_tasks.batch.writers import read_results
from agent_tasks.operations import Prices, Usage

__all__ = ["OperatorPages"]

MAX_OPEN = 100
"""Documents of each state that are named."""

MAX_DEAREST = 10

_TITLES = {
    DocumentStatus.FAILED: "failed",
    DocumentStatus.NEEDS_REVIEW: "for a person to look at",
    DocumentStatus.WAITING: "waiting for a decision",
    DocumentStatus.REJECTED: "rejected",
}


_AT_THE_DESK = (DocumentStatus.NEEDS_REVIEW, DocumentStatus.WAITING)


@dataclass
class OperatorPages:
    """The pages of one run, made from its rows in one pass.

    Args:
        link: the address of a document at the review desk; None where nobody has said where that is.
    """

    link: Callable[[str], str] | None = None
    spending: Spending = field(default_factory=Spending)
    counts: dict[DocumentStatus, int] = field(default_factory=dict)
    shown: dict[DocumentStatus, list[DocumentRow]] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    slowest: list[tuple[float, int, DocumentRow]] = field(default_factory=list)
    dearest: list[tuple[float, int, DocumentRow]] = field(default_factory=list)

    @classmethod
    def of(cls, results: Path, link: Callable[[str], str] | None) -> OperatorPages:
        """Read the rows of a run."""
        pages = cls(link)
        pages._add(read_results(results))
        return pages

    def open_documents(self, results: str, owner: str) -> str:
        """Which documents are not done, and why; where to look at them."""
        at_the_desk = [row for status in _AT_THE_DESK for row in self.shown.get(status, [])]
        link = self.link
        return render(
            "open_documents.md",
            counts=self.counts,
            shown={status: self.shown.get(status, []) for status in _TITLES},
            titles=_TITLES,
            # An address of ours, with a hash at its end.
            links={row.document: Markup(link(row.document)) for row in at_the_desk} if link else {},  # noqa: S704
            desk=link is not None,
            results=results,
            owner=owner,
        )

    def spent(self, summary: BatchSummary, prices: Prices) -> str:
        """Time, tokens and money, by step, agent, model and document."""
        self.spending.add_answers(summary.answers)
        questions = sum((answer.usage for answer in summary.answers), start=Usage())
        everything = self.usage + questions
        cost = prices.cost(everything)
        return render(
            "spending_page.md",
            cost={"documents": self.usage, "questions": questions, "all": everything},
            spending=self.spending,
            most=MAX_LISTED,
            prices=prices,
            unpriced=cost.unpriced_models() if cost is not None else [],
            dearest={
                "Documents that took longest": _ordered(self.slowest),
                "Documents with the most tokens": _ordered(self.dearest),
            },
        )

    def _add(self, rows: Iterable[DocumentRow]) -> None:
        for number, row in enumerate(rows):
            self.spending.add_row(row)
            self.usage = self.usage + row.usage
            _keep(self.slowest, (row.seconds, -number, row))
            _keep(self.dearest, (float(row.usage.total_tokens), -number, row))
            if row.status is DocumentStatus.DONE:
                continue
            self.counts[row.status] = self.counts.get(row.status, 0) + 1
            listed = self.shown.setdefault(row.status, [])
            if len(listed) < MAX_OPEN:
                listed.append(row)


def _keep(heap: list[tuple[float, int, DocumentRow]], entry: tuple[float, int, DocumentRow]) -> None:
    if not entry[0]:
        return
    if len(heap) < MAX_DEAREST:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)


def _ordered(heap: list[tuple[float, int, DocumentRow]]) -> list[DocumentRow]:
    return [row for _, _, row in sorted(heap, key=lambda entry: entry[:2], reverse=True)]
