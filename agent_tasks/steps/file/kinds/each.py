"""`each`: the same steps for every item of a list, some items at a time, gathered in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from agent_tasks.steps.file.expressions import Expression
from agent_tasks.steps.file.loading import RESERVED, LoadContext
from agent_tasks.steps.file.plan import Branch, Step
from agent_tasks.steps.file.running import StepContext, run_steps, together
from agent_tasks.steps.file.sections import Condition, RawSteps, StepId, StepSection
from agent_tasks.steps.file.types import ANY, list_of


class EachSection(StepSection):
    """Steps for every item."""

    each: Condition
    """Expression that gives a list."""
    as_name: StepId = Field("item", alias="as")
    """What the steps call an item."""
    at_most: int = Field(50, ge=1, le=1000)
    """Items that are worked on; of a longer list the rest is left out, and the document needs review."""
    at_once: int = Field(4, ge=1, le=32)
    """Items at a time."""
    steps: RawSteps
    """The steps."""


@dataclass(frozen=True, kw_only=True)
class EachStep(Step):
    """Runs steps for every item."""

    kind: ClassVar[str] = "each"

    of: Expression
    as_name: str
    at_most: int
    at_once: int
    body: Branch

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The steps of an item."""
        return (self.body,)

    def facts(self) -> Mapping[str, Any]:
        """Which list, and how much of it; how many items at a time changes nothing."""
        return {"each": self.of.source, "as": self.as_name, "at_most": self.at_most}

    def summary(self) -> str:
        """Which list."""
        return f"{self.as_name} of {self.of.source}, at most {self.at_most}"

    async def run(self, context: StepContext) -> Any:
        """Run the steps for every item; returns their outcomes, in the order of the list."""
        items = self.of.evaluate(context.values)
        if items is None:
            return []
        if not isinstance(items, list):
            raise context.stop(f"{context.name}: {self.of.source} is not a list")
        if len(items) > self.at_most:
            context.needs_review(
                f"{context.name}: only the first {self.at_most} of {len(items)} items were worked on"
            )
        return await together(
            (
                run_steps(self.body.steps, context.below(number, values={self.as_name: item}))
                for number, item in enumerate(items[: self.at_most], 1)
            ),
            self.at_once,
        )


class _Each:
    keyword = "each"
    section = EachSection

    def default_id(self, section: EachSection) -> str:
        return "each"

    def plan(self, section: EachSection, load: LoadContext) -> Step | None:
        of = load.expression("each", section.each)
        item = ANY
        if of is not None:
            if of.type.name not in ("list", "any"):
                load.problem("each", f"{section.each!r} is {of.type.words}, not a list.", "Name a list.")
            item = of.type.item or ANY
        name = section.as_name
        if name in RESERVED or name in load.scope:
            load.problem("as", f"the name {name!r} is taken.", "Call an item by another name (`as:`).")
        body = Branch("", load.steps("steps", section.steps, names={name: item}))
        if of is None:
            return None
        return EachStep(
            head=load.head,
            type=list_of(body.type),
            of=of,
            as_name=name,
            at_most=section.at_most,
            at_once=section.at_once,
            body=body,
        )


EACH = _Each()
