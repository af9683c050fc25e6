"""What a batch has spent, by step, agent and model: tokens, money and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent_tasks.batch.records import AnswerRow, DocumentRow
from agent_tasks.operations import Cost, Prices, Usage, UsageSum

__all__ = ["Spending", "Spent", "priced"]

MAX_LISTED = 100
"""Steps, agents and models that a table names."""

_OTHERS = "not recorded"


@dataclass
class Spent:
    """What turns have cost together."""

    seconds: float = 0.0
    turns: int = 0
    repeated: int = 0
    """Attempts after the first of their turns, and requests that the client sent again by itself."""
    throttled: int = 0
    """Those of them that came after too much was asked of the service."""
    _sum: UsageSum = field(default_factory=UsageSum)

    @property
    def usage(self) -> Usage:
        """Their tokens."""
        return self._sum.usage

    def add(
        self, usage: Usage, *, seconds: float = 0.0, turns: int = 1, repeated: int = 0, throttled: int = 0
    ) -> None:
        """Add turns."""
        self._sum.add(usage)
        self.throttled += throttled
        self.seconds += seconds
        self.turns += turns
        self.repeated += repeated


class Spending:
    """What all rows and answers of a batch have cost, each of the three ways."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], Spent] = {}
        """Of documents, by step and agent; each is added once, the three ways are worked out at the end."""
        self._questions: dict[str, Spent] = {}
        self._asked: dict[str, Spent] = {}
        """Of questions, by agent."""

    def add_row(self, row: DocumentRow) -> None:
        """Add a document."""
        step_of = {turn: record.step for record in row.steps.values() for turn in record.turns}
        for turn, usage in row.step_usage.items():
            who = row.answered_by.get(turn)
            place = step_of.get(turn, turn), who.agent if who is not None else _OTHERS
            spent = self._turns.get(place)
            if spent is None:
                spent = self._turns[place] = Spent()
            if who is None:
                spent.add(usage)
            else:
                spent.add(
                    usage,
                    seconds=who.seconds,
                    repeated=who.attempts - 1 + who.resent,
                    throttled=who.throttled + who.resent_throttled,
                )

    def add_answers(self, answers: Iterable[AnswerRow]) -> None:
        """Add answers to questions about all documents."""
        for answer in answers:
            if not answer.turns:
                continue
            turns, seconds = answer.turns, answer.seconds
            self._questions.setdefault(f"question {answer.id}", Spent()).add(
                answer.usage, seconds=seconds, turns=turns
            )
            by_agent = answer.agents or {_OTHERS: answer.usage}
            if len(by_agent) > 1:  # turns and time are kept for all of them together
                turns, seconds = 0, 0.0
            for agent, usage in by_agent.items():
                self._asked.setdefault(agent, Spent()).add(usage, seconds=seconds, turns=turns)

    @property
    def steps(self) -> dict[str, Spent]:
        """By step, and by question."""
        turns = [(step, spent) for (step, _), spent in self._turns.items()]
        return _merged([*turns, *self._questions.items()])

    @property
    def agents(self) -> dict[str, Spent]:
        """By agent."""
        turns = [(agent, spent) for (_, agent), spent in self._turns.items()]
        return _merged([*turns, *self._asked.items()])

    def models(self) -> dict[str, Usage]:
        """Tokens by the model deployment that answered."""
        total = sum((spent.usage for spent in self.steps.values()), start=Usage())
        return {
            name: Usage(
                prompt_tokens=used.prompt_tokens,
                cached_tokens=used.cached_tokens,
                completion_tokens=used.completion_tokens,
                total_tokens=used.prompt_tokens + used.completion_tokens,
                models={name: used},
            )
            for name, used in total.models.items()
        }


def _merged(parts: Iterable[tuple[str, Spent]]) -> dict[str, Spent]:
    """What has the same name, together."""
    merged: dict[str, Spent] = {}
    for name, spent in parts:
        merged.setdefault(name, Spent()).add(
            spent.usage, seconds=spent.seconds, turns=spent.turns, repeated=spent.repeated,
            throttled=spent.throttled,
        )  # fmt: skip
    return merged


def priced(row: DocumentRow, prices: Prices) -> DocumentRow:
    """A row with what its tokens cost in money; the same row where there is no table of prices."""
    cost = prices.cost(row.usage)
    if cost is None:
        return row
    step_cost: dict[str, Cost] = {}
    for step, usage in row.step_usage.items():
        spent = prices.cost(usage)
        if spent is not None:
            step_cost[step] = spent
    return row.model_copy(update={"cost": cost, "step_cost": step_cost})
