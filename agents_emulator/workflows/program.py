"""A workflow as it is carried out: steps in a row, between which jumps lead.

Where it stands is the number of a step, so it can be kept between two actions, and taken up again: after a
restart, and by the response that answers a question.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from agents_emulator.workflows.expressions import Formula


@dataclass(frozen=True)
class Action:
    """An action as it was declared.

    Attributes:
        kind: its kind, as in `SetVariable`.
        id: its id.
        parent: id of the actions that it is among.
        properties: what it says, read and checked.
    """

    kind: str
    id: str
    parent: str
    properties: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Step:
    """One step of a program.

    Attributes:
        does: `act` (carry the action out), `choose` (the first branch whose condition holds), `each` (begin
            a loop), `next` (its next item, or `target`), `jump` (to `target`), `end`.
        action: what it is about.
        name: what the step after it has as the one before it; empty where it keeps that.
        target: number of the step that a jump leads to.
        branches: conditions, each with the number of its first step.
        shown: whether the response has an item for it.
    """

    does: Literal["act", "choose", "each", "next", "jump", "end"]
    action: Action
    name: str = ""
    target: int = -1
    branches: tuple[tuple[Formula, int], ...] = ()
    shown: bool = False


@dataclass(frozen=True)
class Program:
    """A workflow that was read and checked.

    Attributes:
        id: id of its trigger.
        steps: what it does.
        max_actions: how many steps a response takes at most.
    """

    id: str
    steps: tuple[Step, ...]
    max_actions: int
