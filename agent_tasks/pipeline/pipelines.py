"""A pipeline that was read from its file and checked: its plan of steps, and what identifies it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from agent_tasks.confidence import Demand
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.operations.keys import operation_key
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.pipeline.prompts import Prompt
from agent_tasks.pipeline.schema import AgentSection, FileHead, LimitsSection, PipelineFile
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.plan import Plan
from agent_tasks.steps.file.sinks import Sink
from agent_tasks.tools import ToolSet

STEPS = ("extract", "review", "questions")
"""The steps of a file without `steps`, in their order."""

Role: TypeAlias = Literal["extractor", "reviewer", "analyst"]


@dataclass(frozen=True)
class Question:
    """A question with its id."""

    id: str
    text: str


@dataclass(frozen=True)
class AgentPlan:
    """One agent, ready to be made and asked."""

    role: Role
    name: str
    """Name on the service."""
    model: str
    section: AgentSection
    tools: ToolSet
    prompts: dict[str, Prompt]
    """Checked templates: ``prompt``, and the extractor's ``repair_prompt``."""

    @property
    def tool_choice(self) -> dict[str, Any] | str | None:
        """The choice as on the wire."""
        choice = self.section.tool_choice
        if choice is None or choice in ("auto", "none", "required"):
            return choice
        if choice not in self.tools.functions:
            return "required"  # the service has no way to name an azure_function tool
        return {"type": "function", "function": {"name": choice}}

    def facts(self) -> dict[str, Any]:
        """All that its answers depend on, as JSON; a limit that was not hit does not change an answer."""
        left_out = {"tools", "max_completion_tokens"}
        if getattr(self.section, "read", "whole") == "whole":
            left_out.add("read")  # as the facts were before there was another way to read
        if getattr(self.section, "vision", None) is None:
            left_out.add("vision")
        return {
            **self.section.model_dump(mode="json", exclude=left_out),
            "name": self.name,
            "model": self.model,
            "tools": self.tools.definitions,
        }


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A checked pipeline."""

    path: Path
    file: FileHead
    plan: Plan
    """The steps of a document."""
    corpus: Plan = field(default_factory=lambda: Plan(()))
    """The steps over all documents."""
    columns: tuple[str, ...]
    """Names of the fields of a document's row."""
    fingerprint: str
    """Hash of all that a document's row depends on, besides the document."""
    failure_fingerprint: str
    """The same with the limits, for documents that failed: another limit is a reason to try them again."""
    demand: Demand | None = None
    """How sure a document has to be for being done."""
    sinks: tuple[Sink, ...] = ()
    """Where the rows go besides results.jsonl and report.md."""
    analyst: AgentPlan | None = None
    questions: tuple[Question, ...] = ()

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.file.name

    def step_names(self) -> list[str]:
        """The steps that a fork may begin from, in their order."""
        return [step.name for plan in (self.plan, self.corpus) for step in plan.walk()]

    def step_fingerprints(self) -> dict[str, str]:
        """For each step a hash of what its outcome depends on, besides the documents and the steps before."""
        return {**self.plan.fingerprints(), **self.corpus.fingerprints()}

    def prompt_names(self) -> dict[str, Any]:
        """What prompts may read besides the document and each other's outcomes."""
        return {}

    @property
    def limits(self) -> LimitsSection:
        """What bounds a batch."""
        return self.file.limits

    @property
    def sees(self) -> bool:
        """Whether an agent is shown pages as images."""
        return any(getattr(step, "vision", None) is not None for step in self.plan.walk())

    @property
    def reading(self) -> ReadingLimits:
        """How documents are read, and what that may cost."""
        recognise = self.file.documents.recognise
        return replace(self.limits.reading, recognise=recognise, keeps_scans=self.sees)

    def models(self) -> list[str]:
        """The model deployments that may be asked, each once."""
        names = [name for agent in self.agents() for name in agent.models]
        return list(dict.fromkeys([*names, *([self.analyst.model] if self.analyst is not None else [])]))

    def agents(self) -> list[FileAgent]:
        """All agents of the steps, each once."""
        steps = [step for plan in (self.plan, self.corpus) for step in plan.walk()]
        found = {agent.name: agent for step in steps for agent in step.agents}
        return list(found.values())


@dataclass(frozen=True, kw_only=True)
class ShortPipeline(Pipeline):
    """The pipeline of a file without `steps`."""

    file: PipelineFile
    output: OutputSchema
    extractor: AgentPlan
    reviewer: AgentPlan | None

    def step_names(self) -> list[str]:
        """The steps as these files have them."""
        return list(STEPS)

    def step_fingerprints(self) -> dict[str, str]:
        """The same, as runs of these files have always kept it."""
        extract = {
            "agent": self.extractor.facts(),
            "output": self.file.output.model_dump(mode="json"),
            "repair_turns": self.limits.repair_turns,
            "revision": self.file.revision,
        }
        questions = [[question.id, question.text] for question in self.questions]
        return {
            "extract": operation_key("extract", **extract),
            "review": operation_key("review", agent=self.reviewer.facts() if self.reviewer else None),
            "questions": operation_key(
                "questions", agent=self.analyst.facts() if self.analyst else None, questions=questions
            ),
        }

    def prompt_names(self) -> dict[str, Any]:
        """The fields that are asked for."""
        return {"fields": self.output.described()}
