"""A pipeline as a YAML file: agents, prompts, output fields, questions and limits.

`load_pipeline` reads one, checks all of it before anything is paid for, and names file, line, field and
remedy of every mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydantic_core
from pydantic import ValidationError

from agent_tasks.errors import ConfigurationError, PipelineError
from agent_tasks.operations.keys import operation_key
from agent_tasks.pipeline.demands import asked, load_demand
from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema
from agent_tasks.pipeline.overrides import Change, apply_changes
from agent_tasks.pipeline.pipelines import STEPS, AgentPlan, Pipeline, Question, Role, ShortPipeline
from agent_tasks.pipeline.prompts import Prompt, PromptError
from agent_tasks.pipeline.schema import (
    AgentSection,
    PipelineFile,
    QueueToolsSection,
    ToolEntry,
)
from agent_tasks.pipeline.short_form import short_plan
from agent_tasks.pipeline.sinks import load_sinks
from agent_tasks.pipeline.steps_loader import load_steps
from agent_tasks.pipeline.vision import IN_PARTS
from agent_tasks.pipeline.yaml_source import Location, YamlSource, read_yaml
from agent_tasks.queues import StorageConnection
from agent_tasks.settings import ServiceKind, Settings, environment
from agent_tasks.steps.file.problems import first_of, told
from agent_tasks.tools import (
    QueueFunctionTool,
    QueueToolDefinition,
    Tool,
    ToolSet,
    load_function,
    queue_tools,
    read_definitions,
)

_DOCUMENT_NAMES = frozenset({"document", "fields"})
_PROMPT_NAMES: dict[tuple[Role, str], frozenset[str]] = {
    ("extractor", "prompt"): _DOCUMENT_NAMES,
    ("extractor", "repair_prompt"): _DOCUMENT_NAMES | {"errors"},
    ("reviewer", "prompt"): _DOCUMENT_NAMES | {"extraction", "not_found"},
    ("analyst", "prompt"): frozenset({"question"}),
}


def load_pipeline(
    path: str | Path, *, default_model: str | None = None, changes: Iterable[Change] = ()
) -> Pipeline:
    """Read and check a pipeline file, and load the functions that it names (their modules are executed).

    A file with `steps` gives a `StepsPipeline`, any other one a `ShortPipeline`.

    Args:
        path: The YAML file.
        default_model: Model deployment for agents where the file names none.
        changes: What to change before it is checked; the file itself stays as it is.

    Raises:
        PipelineError: Whatever is wrong in the file; it names path, line, field and remedy. When several
            things are wrong, the text goes on with one line for each.
    """
    source = read_yaml(Path(path))
    if not isinstance(source.data, dict):
        raise source.error((), "is not a mapping of settings.", "Begin with `name:` and `agents:`.")
    apply_changes(source, changes)
    if "steps" in source.data:
        return load_steps(source, default_model)
    for key in source.data:
        if key not in PipelineFile.model_fields and get_close_matches(key, ["steps"]):
            raise first_of([source.error((key,), "is not a known setting.", "Did you mean 'steps'?")])
    try:
        file = PipelineFile.model_validate(source.data)
    except ValidationError as error:
        raise first_of(told(source, error, PipelineFile)) from error
    return _Checker(source, file, default_model).pipeline()


def default_model(settings: Settings) -> str | None:
    """The model deployment for agents that name none: the environment's, or what a local service runs.

    The local service has one model whatever it is called; its name still belongs in the fingerprint, since
    other models give other results.
    """
    if settings.model_deployment_name:
        return settings.model_deployment_name
    host = urlsplit(settings.service_endpoint or "http://localhost").hostname
    if settings.service_kind is ServiceKind.INLINE:
        return None  # its models have names
    if host in ("localhost", "127.0.0.1", "::1"):
        return settings.local_model_name.partition(":")[0]
    return None


class _Checker:
    """What pydantic cannot see: templates, tools, models, patterns and references between sections."""

    def __init__(self, source: YamlSource, file: PipelineFile, default_model: str | None) -> None:
        self.source = source
        self.file = file
        self.default_model = default_model
        self.problems: list[PipelineError] = []
        self._definitions: list[QueueToolDefinition] | None = None

    def pipeline(self) -> Pipeline:
        file = self.file
        output = self.output()
        questions = self.questions()
        extractor = self.agent("extractor", file.agents.extractor, output)
        reviewer = self.agent("reviewer", file.agents.reviewer, output) if file.agents.reviewer else None
        analyst = self.agent("analyst", file.agents.analyst, output) if file.agents.analyst else None
        prompt = extractor.prompts.get("prompt")
        if file.agents.extractor.read != "whole" and prompt is not None and not prompt.reads_all:
            self.problem(
                ("agents", "extractor", "read"),
                f"`{file.agents.extractor.read}` of a document are given as document.text, which the prompt"
                " does not use.",
                "Add {{ document.text }} to the prompt, or remove `read`.",
            )
        if file.agents.extractor.vision is not None and file.agents.extractor.read == "pages":
            self.problem(("agents", "extractor", "vision"), *IN_PARTS)
        if questions and analyst is None:
            self.problem(
                ("questions",), "there is nobody to answer them.", "Add `agents.analyst`, or remove them."
            )
        sinks = load_sinks(self.source, file.sinks, self.problems)
        demand = load_demand(self.source, file.confidence, self.problems)
        if self.problems or output is None:
            raise first_of(self.problems)
        fingerprint = operation_key(
            "pipeline",
            name=file.name,
            revision=file.revision,
            extractor=extractor.facts(),
            reviewer=reviewer.facts() if reviewer else None,
            output=file.output.model_dump(mode="json"),
            repair_turns=file.limits.repair_turns,
            **asked(demand),
            **file.documents.facts(),
        )
        failure_fingerprint = operation_key(
            "failure",
            pipeline=fingerprint,
            limits=file.limits.model_dump(mode="json", exclude={"max_document_pictures", "max_pictures"}),
            tokens=[
                plan.section.max_completion_tokens if plan else None
                for plan in (extractor, reviewer, analyst)
            ],
        )
        return ShortPipeline(
            path=self.source.path,
            file=file,
            plan=short_plan(file, output, extractor, reviewer),
            columns=tuple(output.fields),
            sinks=sinks,
            output=output,
            extractor=extractor,
            reviewer=reviewer,
            analyst=analyst,
            questions=questions,
            fingerprint=fingerprint,
            demand=demand,
            failure_fingerprint=failure_fingerprint,
        )

    def problem(self, location: Location, message: str, remedy: str, *, line: int | None = None) -> None:
        self.problems.append(self.source.error(location, message, remedy, line=line))

    def output(self) -> OutputSchema | None:
        section = self.file.output
        before = len(self.problems)
        self.patterns(section.fields, ("output", "fields"))
        if len(self.problems) > before:
            return None
        return OutputSchema(
            section.name, section.fields, description=section.description, strict=section.strict
        )

    def patterns(self, fields: dict[str, FieldSpec], location: Location) -> None:
        for name, spec in fields.items():
            if spec.pattern is not None:
                try:  # pydantic's own engine is the one that has to understand it
                    pydantic_core.SchemaValidator(pydantic_core.core_schema.str_schema(pattern=spec.pattern))
                except pydantic_core.SchemaError as error:
                    reason = str(error).strip().splitlines()[-1].strip()
                    self.problem(
                        (*location, name, "pattern"),
                        f"is not a regular expression that can be used: {reason}.",
                        "Correct it (look-around and back-references are not supported).",
                    )
            if spec.fields:
                self.patterns(spec.fields, (*location, name, "fields"))

    def questions(self) -> tuple[Question, ...]:
        questions: list[Question] = []
        for index, entry in enumerate(self.file.questions):
            question = Question(entry.id or f"q{index + 1}", entry.text.strip())
            if any(other.id == question.id for other in questions):
                self.problem(
                    ("questions", index, "id"),
                    f"'{question.id}' is there twice.",
                    "Give each question its own id.",
                )
            questions.append(question)
        return tuple(questions)

    def agent(self, role: Role, section: AgentSection, output: OutputSchema | None) -> AgentPlan:
        location: Location = ("agents", role)
        model = section.model or self.file.model or self.default_model
        if not model:
            self.problem(
                (*location, "model"), "no model deployment is named.",
                "Add `model:` here or at the top, or set MODEL_DEPLOYMENT_NAME.",
            )  # fmt: skip
        tools = self.tools(section, location)
        choice = section.tool_choice
        possible = ("auto", "none", "required", *(tool.name for tool in tools if hasattr(tool, "name")))
        if choice is not None and choice not in possible:
            there = ", ".join(possible)
            self.problem((*location, "tool_choice"), f"'{choice}' is not possible.", f"Use one of: {there}.")
        elif choice not in (None, "none", "auto") and not tools:
            self.problem((*location, "tool_choice"), "the agent has no tools.", "Add `tools`, or remove it.")
        prompts = {
            key: self.prompt((*location, key), getattr(section, key), names, output)
            for (owner, key), names in _PROMPT_NAMES.items()
            if owner == role
        }
        return AgentPlan(
            role=role,
            name=f"{self.file.name}-{section.name or role}",
            model=model or "",
            section=section,
            tools=tools,
            prompts={key: prompt for key, prompt in prompts.items() if prompt is not None},
        )

    def tools(self, section: AgentSection, location: Location) -> ToolSet:
        loaded: list[Tool] = []
        for index, entry in enumerate(section.tools):
            kind = "function" if entry.function is not None else "queue"
            try:
                tool = self.function(entry) if entry.function is not None else self.queue_tool(entry)
                ToolSet([*loaded, tool])
            except ConfigurationError as error:
                said = f"{str(error).rstrip('.')}."
                self.problem((*location, "tools", index, kind), said, "Correct what is named here.")
            else:
                loaded.append(tool)
        return ToolSet(loaded)

    def function(self, entry: ToolEntry) -> Tool:
        return load_function(str(entry.function), self.source.path.parent).configured(
            name=entry.name,
            idempotent=entry.idempotent,
            timeout=entry.timeout,
            max_output_chars=entry.max_output_chars,
        )

    def queue_tool(self, entry: ToolEntry) -> Tool:
        section = self.file.queue_tools
        if section is None:
            raise ConfigurationError("there are no queue tools: add `queue_tools` with their `definitions`")
        known = {one.name: one for one in self.queue_definitions(section)}
        if entry.queue not in known:
            raise ConfigurationError(
                f"{section.definitions} has no {entry.queue}; it has: {', '.join(known)}"
            )
        (tool,) = queue_tools(
            [known[entry.queue]],
            drive=section.drive,
            connection=StorageConnection.from_settings(section.connection, environment()),
            deadline=section.deadline,
            idempotent=section.idempotent,
            container=section.container,
        )
        if isinstance(tool, QueueFunctionTool):
            return tool.configured(deadline=entry.timeout, max_output_chars=entry.max_output_chars)
        return tool

    def queue_definitions(self, section: QueueToolsSection) -> list[QueueToolDefinition]:
        if self._definitions is None:
            self._definitions = read_definitions(self.source.path.parent / section.definitions)
        return self._definitions

    def prompt(
        self, location: Location, text: str, names: frozenset[str], output: OutputSchema | None
    ) -> Prompt | None:
        first_line = self.source.text_lines.get(location, self.source.line(location))
        try:
            prompt = Prompt.parse(text, names)
            if output is not None:
                rendered = prompt.render(_samples(output))
                if not rendered:
                    raise PromptError("the template gives an empty prompt", 1)
        except PromptError as error:
            self.problem(
                location,
                f"template error: {str(error).rstrip('.')}.",
                f"Names known here: {', '.join(sorted(names))}.",
                line=first_line + error.line - 1,
            )
            return None
        return prompt


def _samples(output: OutputSchema) -> dict[str, Any]:
    """Plausible values for trying a template out before anything is paid for."""
    return {
        "document": {
            "name": "document.txt",
            "text": "Text of a document.",
            "pages": ["Text of a document."],
        },
        "fields": output.described(),
        "errors": ["total: Input should be a valid number"],
        "extraction": output.example(),
        "not_found": output.paths(),
        "question": "What is in the documents?",
    }


__all__ = [
    "STEPS",
    "AgentPlan",
    "Pipeline",
    "PipelineFile",
    "Question",
    "ShortPipeline",
    "default_model",
    "load_pipeline",
]
