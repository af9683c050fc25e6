"""What a batch has spent, by step, agent and model: tokens, money and time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent_tasks.batch.records import AnswerRow, DocumentRow
from agent_tasks.operations import Cost, Prices, Usage

__all__ = ["Spending", "Spent", "priced"]

MAX_LISTED = 100
"""Steps, agents and models that a table names."""

_OTHERS = "not recorded"


@dataclass
class Spent:
    """What turns have cost together."""

    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    turns: int = 0
    repeated: int = 0
    """Attempts after the first of their turns."""
    throttled: int = 0
    """Attempts that the service ended because too much was asked of it."""

    def add(
        self, usage: Usage, *, seconds: float = 0.0, turns: int = 1, repeated: int = 0, throttled: int = 0
    ) -> None:
        """Add turns."""
        self.usage = self.usage + usage
        self.throttled += throttled
        self.seconds += seconds
        self.turns += turns
        self.repeated += repeated


@dataclass
class Spending:
    """What all rows and answers of a batch have cost, each of the three ways."""

    steps: dict[str, Spent] = field(default_factory=dict)
    agents: dict[str, Spent] = field(default_factory=dict)
    total: Spent = field(default_factory=Spent)

    def add_row(self, row: DocumentRow) -> None:
        """Add a document."""
        step_of = {turn: record.step for record in row.steps.values() for turn in record.turns}
        for turn, usage in row.step_usage.items():
            who = row.answered_by.get(turn)
            seconds = who.seconds if who is not None else 0.0
            repeated, throttled = (who.attempts - 1, who.throttled) if who is not None else (0, 0)
            agent = who.agent if who is not None else _OTHERS
            for there, name in ((self.steps, step_of.get(turn, turn)), (self.agents, agent)):
                there.setdefault(name, Spent()).add(
                    usage, seconds=seconds, repeated=repeated, throttled=throttled
                )
            self.total.add(usage, seconds=seconds, repeated=repeated, throttled=throttled)

    def add_answers(self, answers: Iterable[AnswerRow]) -> None:
        """Add answers to questions about all documents."""
        for answer in answers:
            if not answer.turns:
                continue
            turns, seconds = answer.turns, answer.seconds
            self.steps.setdefault(f"question {answer.id}", Spent()).add(
                answer.usage, seconds=seconds, turns=turns
            )
            by_agent = answer.agents or {_OTHERS: answer.usage}
            if len(by_agent) > 1:  # turns and time are kept for all of them together
                turns, seconds = 0, 0.0
            for agent, usage in by_agent.items():
                self.agents.setdefault(agent, Spent()).add(usage, seconds=seconds, turns=turns)
            self.total.add(answer.usage, seconds=answer.seconds, turns=answer.turns)

    def models(self) -> dict[str, Usage]:
        """Tokens by the model deployment that answered."""
        return {
            name: Usage(
                prompt_tokens=used.prompt_tokens,
                cached_tokens=used.cached_tokens,
                completion_tokens=used.completion_tokens,
                total_tokens=used.prompt_tokens + used.completion_tokens,
                models={name: used},
            )
            for name, used in self.total.usage.models.items()
        }


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
