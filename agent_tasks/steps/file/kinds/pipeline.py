"""`pipeline`: the steps of another file as one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Branch, Step
from agent_tasks.steps.file.running import StepContext, run_steps
from agent_tasks.steps.file.sections import StepSection
from agent_tasks.steps.file.templates import Template


class PipelineSection(StepSection):
    """A step that is another file."""

    pipeline: str = Field(min_length=1)
    """The file, relative to this one; it has `steps`. Its `documents`, `limits` and `corpus` do not count."""
    text: str | None = None
    """Template of what its steps have as the document's text; default the document's own."""


@dataclass(frozen=True, kw_only=True)
class PipelineStep(Step):
    """Runs the steps of another file."""

    kind: ClassVar[str] = "pipeline"

    file: str
    body: Branch
    text: Template | None = None

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Its steps."""
        return (self.body,)

    @property
    def reads_document(self) -> bool:
        """Whether the whole text goes into what its steps have."""
        return self.text is not None and self.text.prompt.reads_all

    def facts(self) -> Mapping[str, Any]:
        """What its steps have as the document; the steps say the rest themselves."""
        return {"text": self.text.source if self.text is not None else None}

    def summary(self) -> str:
        """Which file."""
        return self.file

    async def run(self, context: StepContext) -> Any:
        """Run its steps; they know the document, and none of the steps around."""
        document = dict(context.values["document"])
        if self.text is not None:
            text = self.text.render(context.values)
            document = {**document, "text": text, "pages": [text]}
        return await run_steps(self.body.steps, context.alone({"document": document}))


class _Pipeline:
    keyword = "pipeline"
    section = PipelineSection

    def default_id(self, section: PipelineSection) -> str:
        return "pipeline"

    def plan(self, section: PipelineSection, load: LoadContext) -> Step | None:
        text = load.template("text", section.text) if section.text is not None else None
        steps = load.file.subplan(section.pipeline, load)
        if steps is None:
            return None
        body = Branch("", steps)
        return PipelineStep(head=load.head, type=body.type, file=section.pipeline, body=body, text=text)


PIPELINE = _Pipeline()
