"""`parallel`: several lists of steps run at the same time, each over what was there before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Branch, Step
from agent_tasks.steps.file.running import StepContext, run_steps, together
from agent_tasks.steps.file.sections import RawSteps, StepId, StepSection
from agent_tasks.steps.file.types import mapping


class ParallelSection(StepSection):
    """Steps at the same time."""

    parallel: dict[StepId, RawSteps] = Field(min_length=2)
    """The branches, by name."""
    at_once: int = Field(8, ge=1, le=32)
    """Branches at a time."""


@dataclass(frozen=True, kw_only=True)
class ParallelStep(Step):
    """Runs branches at the same time."""

    kind: ClassVar[str] = "parallel"

    parts: Mapping[str, Branch]
    at_once: int

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The branches."""
        return tuple(self.parts.values())

    def facts(self) -> Mapping[str, Any]:
        """Which branches there are; how many run at a time changes nothing."""
        return {"branches": list(self.parts)}

    def summary(self) -> str:
        """Nothing more than its kind says."""
        return "at the same time"

    async def run(self, context: StepContext) -> Any:
        """Run all branches to their end."""
        made = await together(
            (
                run_steps(branch.steps, context.below(name).in_order(number))
                for number, (name, branch) in enumerate(self.parts.items())
            ),
            self.at_once,
        )
        return dict(zip(self.parts, made, strict=True))


class _Parallel:
    keyword = "parallel"
    section = ParallelSection

    def default_id(self, section: ParallelSection) -> str:
        return "parallel"

    def plan(self, section: ParallelSection, load: LoadContext) -> Step | None:
        parts = {
            name: Branch(name, load.steps(("parallel", name), raw, below=name))
            for name, raw in section.parallel.items()
        }
        kinds = {name: branch.type for name, branch in parts.items()}
        return ParallelStep(head=load.head, type=mapping(kinds), parts=parts, at_once=section.at_once)


PARALLEL = _Parallel()
