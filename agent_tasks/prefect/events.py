"""Events of this library on the Prefect server, for automations: of a budget, and of what has waited long."""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

from agent_tasks.batch.budget import NEAR
from agent_tasks.batch.circuit_breaker import BudgetReachedError
from agent_tasks.batch.context import Batch
from agent_tasks.display import one_line
from agent_tasks.logs import get_logger

__all__ = [
    "BUDGET_NEAR",
    "BUDGET_REACHED",
    "QUEUE_OLD",
    "WAITING_LONG",
    "BudgetNews",
    "tell",
    "tell_of_the_budget",
]

logger = get_logger("agent_tasks.prefect.events")

BUDGET_NEAR = "agent-tasks.budget.near"
"""Four fifths of a budget are spent; once in a run."""

BUDGET_REACHED = "agent-tasks.budget.reached"
"""A run was stopped, or refused, since its budget is used up."""

QUEUE_OLD = "agent-tasks.queue.old"
"""The oldest call in a queue has not been taken for long."""

WAITING_LONG = "agent-tasks.waiting.long"
"""Something has waited for a person for long."""


def tell(event: str, resource: str, name: str, said: str, **numbers: Any) -> None:
    """Send an event; a server that can't be told fails nothing.

    Args:
        event: its name.
        resource: what it is about: the id of a resource.
        name: that for people.
        said: what has happened, in words for people; on one line, since texts from outside may be in it.
        numbers: the same in numbers.
    """
    try:
        emit_event(
            event,
            {"prefect.resource.id": resource, "prefect.resource.name": one_line(name)},
            payload={"said": one_line(said), **numbers},
        )
    except Exception as error:  # what it is about goes on
        logger.warning("The Prefect server was not told of %s: %s", event, error)


def tell_of_the_budget(pipeline: str, owner: str, error: BudgetReachedError) -> None:
    """A run ends since its budget is used up."""
    tell(BUDGET_REACHED, _batch(owner), pipeline, f"{pipeline}: {error}", spent=error.spent)


class BudgetNews:
    """Tells once that a budget comes to its end, while there is time to raise it."""

    def __init__(self) -> None:
        self._is_told = False

    def look(self, batch: Batch) -> None:
        """Tell, if it is time."""
        if self._is_told or batch.budget is None or (share := batch.budget.share()) < NEAR:
            return
        self._is_told = True
        spent = batch.budget.text()
        said = f"{batch.pipeline.name}: {share:.0%} of its budget are spent, {spent}"
        tell(BUDGET_NEAR, _batch(batch.owner), batch.pipeline.name, said, spent=spent, share=round(share, 4))


def _batch(owner: str) -> str:
    return f"agent-tasks.batch.{owner}"
