"""`repeat`: steps in rounds until something holds, such as an author and a reviewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from pydantic import Field

from agent_tasks.steps.file.expressions import Expression
from agent_tasks.steps.file.loading import EarlierRound, LoadContext
from agent_tasks.steps.file.plan import Branch, Step
from agent_tasks.steps.file.registry import step_kinds
from agent_tasks.steps.file.running import StepContext, run_and_keep
from agent_tasks.steps.file.sections import Condition, RawSteps, StepSection
from agent_tasks.steps.file.types import BOOLEAN, INTEGER, ValueType, mapping

ROUNDS, MET = "rounds", "met"


class RepeatSection(StepSection):
    """Steps in rounds."""

    repeat: RawSteps
    """The steps of a round. They may read what the round before gave, null in the first."""
    until: Condition
    """Expression over the steps of a round: the last round is the one in which it is true."""
    at_most: int = Field(3, ge=1, le=20)
    """Rounds."""
    if_not_met: Literal["review", "go_on"] = "review"
    """What if it is not true after the last round: the document needs review, or not; steps go on in both."""


@dataclass(frozen=True, kw_only=True)
class RepeatStep(Step):
    """Runs steps in rounds."""

    kind: ClassVar[str] = "repeat"

    body: Branch
    until: Expression
    at_most: int
    if_not_met: str

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The steps of a round."""
        return (self.body,)

    def facts(self) -> Mapping[str, Any]:
        """Until when."""
        return {"until": self.until.source, "at_most": self.at_most, "if_not_met": self.if_not_met}

    def summary(self) -> str:
        """Until when."""
        return f"until {self.until.source}, at most {self.at_most} times"

    async def run(self, context: StepContext) -> Any:
        """Run rounds; the outcome is that of the last one, with how many there were."""
        made: dict[str, Any] = dict.fromkeys(step.id for step in self.body.steps)
        answers = dict(context.answers)
        redoing = context.redoing
        for number in range(1, self.at_most + 1):
            inner = context.below(number, values=made).with_answers(answers, redoing=redoing)
            made, given = await run_and_keep(self.body.steps, inner)
            answers.update(given)
            redoing = redoing or context.run.holds_first(self)
            if self.until.evaluate({**context.values, **made}):
                return {**made, ROUNDS: number, MET: True}
        if self.if_not_met == "review":
            times = f"{self.at_most} round{'s' if self.at_most != 1 else ''}"
            context.needs_review(f"{context.name}: after {times} still not {self.until.source}")
        return {**made, ROUNDS: self.at_most, MET: False}


class _Repeat:
    keyword = "repeat"
    section = RepeatSection

    def default_id(self, section: RepeatSection) -> str:
        return "repeat"

    def plan(self, section: RepeatSection, load: LoadContext) -> Step | None:
        before = {name: _earlier(ValueType("any")) for name in _names(section.repeat)}
        # Twice: what a round gives is known when its steps are planned, and the round after may read it.
        noted, used = len(load.file.problems), load.file.count
        steps = load.steps("repeat", section.repeat, names=before)
        del load.file.problems[noted:]
        load.file.count = used
        before = {**before, **{step.id: _earlier(step.outcome) for step in steps}}
        asked = frozenset(step.id for step in steps if step.agents)
        body = Branch("", load.steps("repeat", section.repeat, names=before, asked=asked))
        for name in (ROUNDS, MET):
            if name in {step.id for step in body.steps}:
                load.problem("repeat", f"the name {name!r} means something else.", "Give the step an `id:`.")
        inside = dict(body.type.fields or {})
        until = load.condition("until", section.until, inside)
        if until is None:
            return None
        if not until.reads & set(inside):
            load.problem(
                "until", f"{section.until!r} is the same after each round.",
                f"Ask for a step of the round: {', '.join(inside)}.",
            )  # fmt: skip
            return None
        return RepeatStep(
            head=load.head,
            type=mapping({**inside, ROUNDS: INTEGER, MET: BOOLEAN}),
            body=body,
            until=until,
            at_most=section.at_most,
            if_not_met=section.if_not_met,
        )


def _earlier(found: ValueType) -> ValueType:
    """The same type, as that of the round before."""
    values = {one.name: getattr(found, one.name) for one in fields(ValueType)}
    return EarlierRound(**{**values, "nullable": True})


def _names(raw: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the steps of a round are called, as far as that is known before they are planned."""
    kinds = step_kinds()
    found = []
    for entry in raw:
        if isinstance(entry.get("id"), str):
            found.append(entry["id"])
        elif isinstance(entry.get("agent"), str):
            found.append(entry["agent"])
        else:
            found += [keyword for keyword in kinds if keyword in entry][:1]
    return found


REPEAT = _Repeat()
