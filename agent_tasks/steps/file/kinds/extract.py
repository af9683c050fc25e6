"""`extract`: an agent answers with the fields of the document; wrong ones are shown to it and asked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from agent_tasks.pipeline.merging import in_words
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.pipeline.parts import Extracted, HowRead, PartReader
from agent_tasks.pipeline.prompts import Prompt
from agent_tasks.pipeline.vision import IN_PARTS, VisionSection
from agent_tasks.steps.answer_types import AnswerType
from agent_tasks.steps.answers import Answer
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.running import StepContext
from agent_tasks.steps.file.sections import StepId, StepSection
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.scans import told as of_images
from agent_tasks.steps.tokens import estimate_tokens

DEFAULT_PROMPT = (
    "Extract these fields:\n"
    "{% for field in fields %}- {{ field.name }} ({{ field.type }})"
    "{% if field.description %}: {{ field.description }}{% endif %}\n{% endfor %}\n"
    "Document {{ document.name }}:\n\n{{ document.text }}"
)


class ExtractSection(StepSection):
    """A step that extracts fields."""

    extract: StepId
    """The agent, whose `answer` names the fields."""
    prompt: str | None = None
    """Template of the turn; default the agent's, or one that lists the fields."""
    read: HowRead = "whole"
    """What of the document goes into the prompt: all of it; one range of pages after the other, as large as
    `limits.max_document_tokens` allows; or the passages that speak of the fields."""
    vision: VisionSection | None = None
    """Show pages without text, and pictures, as images; the agent's model has to see."""


@dataclass(frozen=True, kw_only=True)
class ExtractStep(Step):
    """Has fields extracted."""

    kind: ClassVar[str] = "extract"

    agent: FileAgent
    prompt: Template
    repair_step: str = "{step}-repair-{n}"
    repair: Prompt | None = None
    """Of a file without `steps`: what the agent is told of errors."""
    read: HowRead = "whole"
    """What of the document goes into a prompt."""
    vision: VisionSection | None = None
    """How pages without text are shown to it; None: they are not."""

    @property
    def agents(self) -> tuple[FileAgent, ...]:
        """The one that it asks."""
        return (self.agent,)

    @property
    def answered_fields(self) -> OutputSchema | None:
        """The agent's fields."""
        return self.agent.answer.fields

    @property
    def reads_document(self) -> bool:
        """Whether the whole text goes into a prompt."""
        return self.read == "whole" and self._takes_text

    @property
    def _takes_text(self) -> bool:
        return self.prompt.prompt.reads_all or (self.repair is not None and self.repair.reads_all)

    def facts(self) -> Mapping[str, Any]:
        """Agent, prompt, and how the document is read, unless that is whole; how it is seen, if it is."""
        in_parts = {} if self.read == "whole" else {"read": self.read}
        seen = {} if self.vision is None else {"vision": self.vision.model_dump(mode="json")}
        return {"agent": self.agent.facts(), "prompt": self.prompt.source, **in_parts, **seen}

    def summary(self) -> str:
        """What is extracted."""
        fields = self.agent.answer.fields
        return ", ".join(fields.paths()) if fields is not None else self.agent.key

    async def run(self, context: StepContext) -> Any:
        """Ask for the fields; an answer that stays invalid is for a person to look at."""
        fields, outcome = self.agent.answer.fields, context.run.outcome
        assert fields is not None  # noqa: S101 - looked at when the step is planned
        content = context.document() if self.read != "whole" else None
        if content is None:
            extracted = Extracted(*await self._ask(context, context.values, fields))
        else:

            async def ask(
                values: dict[str, Any], output: OutputSchema, part: str
            ) -> tuple[dict[str, Any] | None, list[str]]:
                return await self._ask(context, values, output, part)

            most = context.run.limits.max_document_tokens
            reader = PartReader(self.read, fields, most, estimate_tokens)
            extracted = await reader.extract(content, dict(context.values), ask)
        outcome.answer = extracted.answer or outcome.answer
        outcome.notes += extracted.notes
        if extracted.fields is None:
            *others, last = extracted.reasons
            for reason in others:
                context.needs_review(reason)
            raise context.stop(last)
        for reason in extracted.reasons:
            context.needs_review(reason)
        return extracted.fields

    async def _ask(
        self, context: StepContext, values: Mapping[str, Any], output: OutputSchema, part: str = ""
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """The fields of the document, or of a part of it; or None, and why a person has to look."""
        fields = self.agent.answer.fields
        told = {**values, **({"fields": fields.described()} if fields is not None else {})}
        repair, of_part = self.repair, f"-{part}" if part else ""
        # The agent is one, whatever part it is asked about; what its answer has to be is not.
        asked_for = fields.partial() if self.read == "pages" and fields is not None else output
        scans = context.scans()
        shown = scans.shown(self.vision) if scans is not None else {}
        answer = await context.ask(
            self.agent,
            self.prompt.render(told) + of_images(shown),
            images=tuple(shown.values()),
            suffix=of_part,
            is_bounded=self.read != "whole",
            answer=AnswerType(output.name, asked_for.response_format(), output.parse),
            repair_step=self.repair_step.replace("{part}", of_part),
            repair_prompt=None
            if repair is None
            else lambda errors: repair.render({**told, "errors": list(errors)}),
        )
        context.answered(answer)
        if scans is not None:
            scans.seen.update(shown)
        if not answer.errors:
            return answer.value, []
        context.run.outcome.answer = answer.text
        return None, [self._invalid(answer, part)]

    def _invalid(self, answer: Answer[Any], part: str) -> str:
        repairs = sum(turn.step != answer.turns[0].step for turn in answer.turns)
        after = f" after {repairs} repair turn{'s' if repairs != 1 else ''}" if repairs else ""
        what = "the extraction" if self.id == "extract" else f"the extraction {self.id}"
        of = f" of {in_words(part)}" if part else ""
        return f"{what}{of} is not valid{after}: {'; '.join(answer.errors[:10])}"


class _Extract:
    keyword = "extract"
    section = ExtractSection

    def default_id(self, section: ExtractSection) -> str:
        return "extract"

    def plan(self, section: ExtractSection, load: LoadContext) -> Step | None:
        agent = load.agent("extract", section.extract)
        if agent is None:
            return None
        if agent.answer.fields is None:
            load.problem(
                "extract", f"the agent {agent.key!r} answers with no fields.",
                "Give it `answer:` with the fields; to ask it for anything else, use `agent:`.",
            )  # fmt: skip
            return None
        given = section.prompt or (DEFAULT_PROMPT if agent.entry.prompt is None else None)
        prompt = load.agent_prompt(agent, given)
        if prompt is None:
            return None
        if not load.is_read(section.read, prompt):
            return None
        if section.vision is not None and section.read == "pages":
            load.problem("vision", *IN_PARTS)
            return None
        return ExtractStep(
            head=load.head,
            type=agent.answer.type,
            agent=agent,
            prompt=prompt,
            read=section.read,
            vision=section.vision,
        )


EXTRACT = _Extract()
