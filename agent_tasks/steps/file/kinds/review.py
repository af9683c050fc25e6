"""`review`: an agent approves of what was done, or lists problems, which are for a person to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from agent_tasks.errors import RunIncompleteError
from agent_tasks.pipeline.output_schema import OutputSchema, parse_answer
from agent_tasks.pipeline.parts import HowRead, PartReader
from agent_tasks.steps.answer_types import AnswerType
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.records import Review
from agent_tasks.steps.file.running import StepContext
from agent_tasks.steps.file.sections import StepId, StepSection
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import BOOLEAN, TEXT, ValueType, list_of, mapping
from agent_tasks.steps.tokens import estimate_tokens

VERDICT: ValueType = mapping({"approved": BOOLEAN, "problems": list_of(TEXT)})


class ReviewSection(StepSection):
    """A step that reviews."""

    review: StepId
    """The agent. Its answer is always `approved` and `problems`."""
    prompt: str | None = None
    """Template of the turn; default the agent's."""
    read: Literal["whole", "passages"] = "whole"
    """What of the document goes into the prompt: all of it; or the passages where values were found, and
    those that speak of the fields of the steps before."""


@dataclass(frozen=True, kw_only=True)
class ReviewStep(Step):
    """Has something reviewed."""

    kind: ClassVar[str] = "review"

    agent: FileAgent
    prompt: Template
    repairs: bool = True
    """Whether an answer that is not valid is shown to the agent."""
    named: Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(
        default=lambda values: values, compare=False
    )
    """The names of its prompt."""
    read: HowRead = "whole"
    """Whether its prompt has the whole text, or passages about the fields."""
    fields: OutputSchema | None = field(default=None, compare=False)

    @property
    def agents(self) -> tuple[FileAgent, ...]:
        """The one that it asks."""
        return (self.agent,)

    @property
    def reads_document(self) -> bool:
        """Whether the whole text goes into the prompt."""
        return self.read == "whole" and self.prompt.prompt.reads_all

    def facts(self) -> Mapping[str, Any]:
        """Agent, prompt, and of which fields it reads, unless it reads all."""
        of = sorted(self.fields.fields) if self.read != "whole" and self.fields is not None else None
        in_parts = {"read": self.read, "of": of} if of is not None else {}
        return {"agent": self.agent.facts(), "prompt": self.prompt.source, **in_parts}

    def summary(self) -> str:
        """Who reviews."""
        return self.agent.key if self.agent.key != self.id else self.agent.model

    async def run(self, context: StepContext) -> Any:
        """Ask for the verdict; what it disapproves of is for a person to look at."""
        values = self.named(context.values)
        content = context.document() if self.read != "whole" else None
        if self.fields is not None and content is not None:
            reader = PartReader(
                self.read, self.fields, context.run.limits.max_document_tokens, estimate_tokens
            )
            found = context.run.outcome.grounding if content is context.run.content else ()
            values = await reader.about_values(content, dict(values), found)
        prompt = self.prompt.render(values)
        try:
            answer = await context.ask(
                self.agent,
                prompt,
                is_bounded=self.read != "whole",
                answer=verdict(strict=self.agent.entry.strict),
                repairs=self.repairs,
            )
        except RunIncompleteError as error:
            # What it reviews stands; a person can do what the reviewer did not.
            context.needs_review(f"the {self._what()} was interrupted: {error}")
            return None
        context.answered(answer)
        if answer.errors:
            context.needs_review(f"the {self._who()}'s answer is not valid: {'; '.join(answer.errors[:3])}")
            return None
        review = Review.model_validate(answer.value)
        context.run.outcome.review = review
        if not review.approved:
            for problem in review.problems:
                context.needs_review(f"{self._who()}: {problem}")
            if not review.problems:
                context.needs_review(f"the {self._who()} did not approve")
        return review.model_dump(mode="json")

    def _what(self) -> str:
        return "review" if self.id == "review" else f"review {self.id}"

    def _who(self) -> str:
        return "reviewer" if self.id == "review" else self.agent.key


def verdict(*, strict: bool) -> AnswerType[Any]:
    """The shape of a verdict."""
    return AnswerType(
        "review", Review.response_format(strict=strict), lambda text: parse_answer(Review, text)
    )


class _Review:
    keyword = "review"
    section = ReviewSection

    def default_id(self, section: ReviewSection) -> str:
        return "review"

    def plan(self, section: ReviewSection, load: LoadContext) -> Step | None:
        agent = load.agent("review", section.review)
        if agent is None:
            return None
        if agent.entry.answer is not None:
            load.problem(
                "review", f"the agent {agent.key!r} has an `answer` of its own.",
                "Remove that: a review answers with `approved` and `problems`; or ask it by `agent:`.",
            )  # fmt: skip
        prompt = load.agent_prompt(agent, section.prompt)
        if prompt is None:
            return None
        fields = _all_fields(load) if section.read != "whole" else None
        if not load.is_read(section.read, prompt):
            return None
        if fields is not None and not fields.fields:
            load.problem(
                "read", "there are no fields whose passages could be shown.",
                "Put it behind a step that extracts fields, or remove `read`.",
            )  # fmt: skip
            return None
        return ReviewStep(
            head=load.head,
            type=VERDICT.or_null(),
            agent=agent,
            prompt=prompt,
            read=section.read,
            fields=fields,
        )


def _all_fields(load: LoadContext) -> OutputSchema:
    """The fields of all answers before it."""
    found = {name: spec for schema in load.answered_fields.values() for name, spec in schema.fields.items()}
    return OutputSchema("review", found)


REVIEW = _Review()
