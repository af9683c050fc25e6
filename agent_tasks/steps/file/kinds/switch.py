"""`switch`: a value decides which of several lists of steps runs, as a router does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from agent_tasks.steps.file.expressions import Expression
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Branch, Step
from agent_tasks.steps.file.running import StepContext, run_and_keep
from agent_tasks.steps.file.sections import Condition, RawSteps, StepSection
from agent_tasks.steps.file.types import TEXT, ValueType, join, mapping

OTHERWISE = "otherwise"
TAKEN = "case"
"""Name in the outcome under which stands which case ran."""


class SwitchSection(StepSection):
    """A step that chooses."""

    switch: Condition
    """Expression whose value, as text, is compared with the cases."""
    cases: dict[str, RawSteps] = Field(min_length=1)
    """The steps of each value."""
    otherwise: RawSteps | None = None
    """The steps for all other values; an empty list does nothing."""


@dataclass(frozen=True, kw_only=True)
class SwitchStep(Step):
    """Runs the steps of one case."""

    kind: ClassVar[str] = "switch"

    of: Expression
    cases: Mapping[str, Branch]
    otherwise: Branch | None

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The cases, and what is done otherwise."""
        return (*self.cases.values(), *((self.otherwise,) if self.otherwise is not None else ()))

    def facts(self) -> Mapping[str, Any]:
        """What is asked, and which cases there are."""
        return {"switch": self.of.source, "cases": list(self.cases), "otherwise": self.otherwise is not None}

    def summary(self) -> str:
        """What decides."""
        return self.of.source

    async def run(self, context: StepContext) -> Any:
        """Run the case; the outcome of a step that another case has is null."""
        value = as_case(self.of.evaluate(context.values))
        branch = self.cases.get(value, self.otherwise)
        nothing: dict[str, Any] = dict.fromkeys(self.type.fields or {})
        if branch is None:
            raise context.stop(f"{context.name}: there is no case for {value!r}")
        case = value if value in self.cases else OTHERWISE
        made, answers = await run_and_keep(branch.steps, context.below(case))
        if answers:
            context.answered(list(answers.values())[-1])
        return {**nothing, TAKEN: case, **made}


def as_case(value: Any) -> str:
    """A value as the key of a case."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class _Switch:
    keyword = "switch"
    section = SwitchSection

    def default_id(self, section: SwitchSection) -> str:
        return "switch"

    def plan(self, section: SwitchSection, load: LoadContext) -> Step | None:
        of = load.expression("switch", section.switch)
        if of is not None:
            self._check_cases(section, of, load)
        cases = {
            case: Branch(case, load.steps(("cases", case), raw, below=case, may_be_empty=True))
            for case, raw in section.cases.items()
        }
        otherwise = None
        if section.otherwise is not None:
            steps = load.steps(OTHERWISE, section.otherwise, below=OTHERWISE, may_be_empty=True)
            otherwise = Branch(OTHERWISE, steps)
        if of is None:
            return None
        branches = [*cases.values(), *([otherwise] if otherwise is not None else [])]
        return SwitchStep(head=load.head, type=_type(branches, load), of=of, cases=cases, otherwise=otherwise)

    def _check_cases(self, section: SwitchSection, of: Expression, load: LoadContext) -> None:
        if of.constant:
            load.problem("switch", f"{section.switch!r} is always the same.", "Ask for the answer of a step.")
            return
        if of.type.name not in ("string", "boolean", "integer", "any"):
            load.problem(
                "switch", f"{section.switch!r} is {of.type.words}, which is no case.",
                "Switch over text with an `enum`, true and false, or whole numbers.",
            )  # fmt: skip
            return
        possible = of.type.enum or (("true", "false") if of.type.name == "boolean" else None)
        if possible is None:
            if section.otherwise is None:
                load.problem(
                    "cases", f"{section.switch!r} may be something else.",
                    "Add `otherwise:`, or give the field an `enum`.",
                )  # fmt: skip
            return
        if of.type.nullable:
            possible = (*possible, "null")
        for case in section.cases:
            if case not in possible:
                load.problem(
                    ("cases", case), f"can never run: {section.switch!r} is never {case!r}.",
                    f"It is one of: {', '.join(possible)}.",
                )  # fmt: skip
        missing = [case for case in possible if case not in section.cases]
        if missing and section.otherwise is None:
            load.problem("cases", f"there is no case for {', '.join(missing)}.", "Add it, or `otherwise:`.")
        if not missing and section.otherwise is not None:
            load.problem("otherwise", "can never run: every value has its case.", "Remove it.")


def _type(branches: list[Branch], load: LoadContext) -> ValueType:
    """What comes of a switch: the steps of all cases, each null where another case ran."""
    fields: dict[str, ValueType] = {}
    for branch in branches:
        for name, found in (branch.type.fields or {}).items():
            if name == TAKEN:
                load.problem("cases", f"the name {TAKEN!r} means which case ran.", "Give the step an `id:`.")
            fields[name] = join(fields[name], found) if name in fields else found
    everywhere = [set(branch.type.fields or {}) for branch in branches]
    return mapping(
        {
            TAKEN: TEXT,
            **{
                name: found if all(name in one for one in everywhere) else found.or_null()
                for name, found in fields.items()
            },
        }
    )


SWITCH = _Switch()
