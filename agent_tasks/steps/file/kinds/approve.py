"""`approve`: a person decides; the document waits, and no worker is held meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from agent_tasks.operations import ask_person
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.running import StepContext
from agent_tasks.steps.file.sections import StepSection, TimeLimit
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import BOOLEAN, TEXT, ValueType, mapping

DECISION: ValueType = mapping({"approved": BOOLEAN, "by": TEXT.or_null(), "note": TEXT})


class ApproveSection(StepSection):
    """A step in which a person decides."""

    approve: str = Field(min_length=1)
    """Template of the question, a sentence."""
    show: str | None = None
    """Template of what the person is shown; default the question alone."""
    time_limit: TimeLimit | None = None
    """How long it waits, such as ``2 days``; default for ever."""
    at_limit: Literal["approve", "reject", "fail"] = "fail"
    """What counts when the time limit is over."""
    rejected: Literal["stop", "go_on"] = "stop"
    """What a rejection does: the further steps are left out and the document needs review, or they go on and
    read `approved`."""


@dataclass(frozen=True, kw_only=True)
class ApproveStep(Step):
    """Asks a person."""

    kind: ClassVar[str] = "approve"

    question: Template
    show: Template | None
    time_limit: timedelta | None
    at_limit: str
    rejected: str

    def facts(self) -> Mapping[str, Any]:
        """What is asked, and what a rejection does."""
        return {
            "question": self.question.source,
            "show": self.show.source if self.show is not None else None,
            "rejected": self.rejected,
        }

    def limits(self) -> Mapping[str, Any]:
        """How long it waits, and what counts then: while nobody has decided, a change counts."""
        limit = self.time_limit.total_seconds() if self.time_limit is not None else None
        return {"time_limit": limit, "at_limit": self.at_limit}

    def summary(self) -> str:
        """What is asked."""
        return self.question.source

    async def run(self, context: StepContext) -> Any:
        """Take the decision, or wait for it."""
        session = context.session
        decision = await ask_person(
            session.ws,
            owner=session.whose,
            step=context.name,
            question=self.question.render(context.values),
            shown=self.show.render(context.values) if self.show is not None else None,
            time_limit=self.time_limit,
            at_limit=self.at_limit,
        )
        if not decision.approved and self.rejected == "stop":
            who = decision.by or "its time limit"
            raise context.stop(
                f"{context.name} was rejected by {who}{f': {decision.note}' if decision.note else ''}"
            )
        return {"approved": decision.approved, "by": decision.by, "note": decision.note}


class _Approve:
    keyword = "approve"
    section = ApproveSection

    def default_id(self, section: ApproveSection) -> str:
        return "approve"

    def plan(self, section: ApproveSection, load: LoadContext) -> Step | None:
        question = load.template("approve", section.approve)
        show = load.template("show", section.show) if section.show is not None else None
        if question is None or (section.show is not None and show is None):
            return None
        if section.time_limit is not None and section.time_limit <= timedelta():
            load.problem(
                "time_limit", "is no time.", "Write such as `2 days`, or remove it to wait for ever."
            )
        return ApproveStep(
            head=load.head,
            type=DECISION,
            question=question,
            show=show,
            time_limit=section.time_limit,
            at_limit=section.at_limit,
            rejected=section.rejected,
        )


APPROVE = _Approve()
