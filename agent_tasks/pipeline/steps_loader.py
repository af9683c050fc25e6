"""A pipeline file with `steps`, read into a plan; all that is wrong in it is told at once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import ValidationError

from agent_tasks.errors import ConfigurationError, PipelineError
from agent_tasks.operations.keys import operation_key
from agent_tasks.pipeline.demands import asked, load_demand
from agent_tasks.pipeline.output_schema import FieldSpec
from agent_tasks.pipeline.pipelines import Pipeline
from agent_tasks.pipeline.prompts import PromptError
from agent_tasks.pipeline.sinks import load_sinks
from agent_tasks.pipeline.steps_file import StepsFile
from agent_tasks.pipeline.yaml_source import Location, YamlSource, read_yaml
from agent_tasks.steps.file.agents import TEXT_ANSWER, AgentEntry, FileAgent, plan_answer
from agent_tasks.steps.file.loading import FileLoading, LoadContext, plan_steps
from agent_tasks.steps.file.plan import Plan, Step
from agent_tasks.steps.file.problems import first_of, told
from agent_tasks.steps.file.registry import kind_of, tool_kinds
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.tool_kinds import ToolContext
from agent_tasks.steps.file.types import ANY, DOCUMENT, FIELDS, TEXT, join, list_of, mapping
from agent_tasks.steps.hosted import FileSearch
from agent_tasks.tools import QueueToolDefinition, Tool, ToolSet, read_definitions

MAX_FILES_DEEP = 5


def load_steps(source: YamlSource, default_model: str | None) -> Pipeline:
    """Check a file with `steps`, and make its plan.

    Args:
        source: The file, as it was read.
        default_model: Model deployment for agents where the file names none.

    Raises:
        PipelineError: Whatever is wrong in it.
    """
    loader = _Loader(source, default_model, (source.path.resolve(),))
    file = loader.read()
    steps = loader.steps(file)
    plan = Plan(steps, loader.outputs(file, steps))
    corpus = Plan(loader.corpus(file, plan))
    loader.refuse_unused(file)
    sinks = load_sinks(source, file.sinks, loader.problems)
    demand = load_demand(source, file.confidence, loader.problems)
    if loader.problems:
        raise first_of(loader.problems)
    fingerprint = operation_key(
        "steps-pipeline",
        name=file.name,
        revision=file.revision,
        steps=plan.fingerprints(),
        output=sorted(plan.outputs),
        repair_turns=file.limits.repair_turns,
        **asked(demand),
        **file.documents.facts(),
    )
    failure_fingerprint = operation_key(
        "failure",
        pipeline=fingerprint,
        limits=file.limits.model_dump(mode="json", exclude={"max_document_pictures", "max_pictures"}),
        tokens=[entry.max_completion_tokens for entry in file.agents.values()],
        steps={step.name: limits for step in plan.walk() if (limits := dict(step.limits()))},
    )
    return Pipeline(
        path=source.path,
        file=file,
        plan=plan,
        corpus=corpus,
        sinks=sinks,
        columns=_columns(plan),
        fingerprint=fingerprint,
        demand=demand,
        failure_fingerprint=failure_fingerprint,
    )


def _columns(plan: Plan) -> tuple[str, ...]:
    """The fields of a row: those of all steps that may give them."""
    steps = [step for step in plan.walk() if step.name in plan.outputs]
    return tuple(dict.fromkeys(name for step in steps for name in step.type.fields or ("answer",)))


@dataclass
class _Loader:
    """Reads one file; the files that it names as steps have loaders of their own."""

    source: YamlSource
    default_model: str | None
    chain: tuple[Path, ...]
    """The files that lead here, this one included."""
    problems: list[PipelineError] = field(default_factory=list)
    agents: dict[str, FileAgent] = field(default_factory=dict)
    model: str | None = None
    """Model deployment of agents, and of files that are steps, which name none."""
    asked_by_agents: set[str] = field(default_factory=set)
    """Agents that are tools of others."""
    _definitions: list[QueueToolDefinition] | None = None
    _making: list[str] = field(default_factory=list)

    def problem(self, location: Location, message: str, remedy: str, *, line: int | None = None) -> None:
        self.problems.append(self.source.error(location, message, remedy, line=line))

    def read(self) -> StepsFile:
        """The file's sections. Raises PipelineError for what pydantic finds."""
        try:
            return StepsFile.model_validate(self.source.data)
        except ValidationError as error:
            raise first_of(told(self.source, error, StepsFile)) from error

    def steps(self, file: StepsFile, path: tuple[str, ...] = ()) -> tuple[Step, ...]:
        """The plan of the file's steps."""
        self.model = file.model or self.default_model
        for key in file.agents:
            if key not in self.agents:
                self.agent(key, file)
        self.loading = FileLoading(self.source, self.agents, self.subplan, self.problems)
        if not file.steps:
            self.problem(("steps",), "holds no steps.", "Add a step, such as `- agent: NAME`.")
        return plan_steps(self.loading, file.steps, ("steps",), scope={"document": DOCUMENT}, path=path)

    def corpus(self, file: StepsFile, plan: Plan) -> tuple[Step, ...]:
        """The plan of the steps over all documents."""
        for step in plan.walk():
            for agent in step.agents:
                if agent.searches_corpus:
                    self.problem(
                        ("agents", agent.key, "tools"),
                        f"the step {step.name!r} of a document can't search in all of them.",
                        "Give the tool to an agent that `corpus` steps ask.",
                    )
        outputs = [step.type for step in plan.walk() if step.name in plan.outputs]
        output = functools.reduce(join, outputs) if outputs else ANY
        documents = list_of(mapping({"name": TEXT, "status": TEXT, "fields": output.or_null()}))
        steps = plan_steps(
            self.loading, file.corpus, ("corpus",), scope={"documents": documents}, path=("corpus",)
        )
        for step in steps:
            for inner in step.walk():
                if inner.kind in ("ground", "approve", "extract", "pipeline"):
                    self.problem(
                        ("corpus",),
                        f"the step {inner.name!r} is for one document, not for all of them.",
                        "Put it under `steps`.",
                    )
        return steps

    def refuse_unused(self, file: StepsFile) -> None:
        """Tell agents that nobody asks; where a step has a mistake, it may be the one that does."""
        if self.loading.broken:
            return
        for key in file.agents:
            if key not in self.loading.used | self.asked_by_agents and key in self.agents:
                self.problem(("agents", key), "no step asks this agent.", "Use it in a step, or remove it.")

    def outputs(self, file: StepsFile, steps: Sequence[Step]) -> frozenset[str]:
        """The steps whose answer is the row's fields."""
        once = list(_run_once(steps))
        if file.output is not None:
            if file.output in {step.name for step in once}:
                return frozenset({file.output})
            there = ", ".join(step.name for step in once)
            self.problem(
                ("output",), f"there is no step {file.output!r} that runs once for a document.",
                f"Name one of: {there}.",
            )  # fmt: skip
            return frozenset()
        extracts = frozenset(step.name for step in once if step.kind == "extract")
        answering = [step.name for step in steps if step.answered_fields is not None]
        return extracts or frozenset(answering[-1:])

    def subplan(self, name: str, load: LoadContext) -> tuple[Step, ...] | None:
        """The steps of another file, as a step of this one."""
        path = (self.source.path.parent / name).resolve()
        if path in self.chain:
            around = " -> ".join(one.name for one in (*self.chain, path))
            load.problem("pipeline", f"the files go round in a circle: {around}.", "Take one of them out.")
            return None
        if len(self.chain) >= MAX_FILES_DEEP:
            load.problem("pipeline", f"more than {MAX_FILES_DEEP} files nest.", "Put some of them together.")
            return None
        try:
            source = read_yaml(path)
            if not isinstance(source.data, dict) or "steps" not in source.data:
                raise source.error((), "has no `steps`.", "A file that is a step has `agents` and `steps`.")
            loader = _Loader(source, self.model, (*self.chain, path), self.problems)
            file = loader.read()
        except PipelineError as error:
            self.problems += error.problems or (error,)
            return None
        steps = loader.steps(file, load.path)
        loader.refuse_unused(file)
        return steps

    # --- agents --------------------------------------------------------------------------------------

    def agent(self, key: str, file: StepsFile) -> FileAgent | None:
        """Make an agent of its entry."""
        entry, location = file.agents[key], ("agents", key)
        model = entry.model or self.model
        if not model:
            self.problem(
                (*location, "model"), "no model deployment is named.",
                "Add `model:` here or at the top, or set MODEL_DEPLOYMENT_NAME.",
            )  # fmt: skip
        answer = TEXT_ANSWER
        try:
            if isinstance(entry.answer, dict):
                self._patterns(entry.answer, (*location, "answer"))
            answer = plan_answer(entry, key, self.source.path.parent)
        except (ConfigurationError, ValueError) as error:
            self.problem((*location, "answer"), f"{str(error).rstrip('.')}.", "Correct what is named here.")
        tools, needs = self._tools(key, file)
        self._tool_choice(entry, tools, location)
        names = {"document": DOCUMENT, "errors": list_of(TEXT)}
        if answer.fields is not None:
            names["fields"] = FIELDS
        repair = None
        if entry.repair_prompt is not None:
            repair = self._template((*location, "repair_prompt"), entry.repair_prompt, names)
        agent = FileAgent(
            key,
            f"{file.name}-{entry.name or key.replace('_', '-')}",
            model or "",
            entry,
            answer,
            tools,
            needs,
            repair,
        )
        self.agents[key] = agent
        return agent

    def _template(self, location: Location, text: str, names: dict[str, Any]) -> Template | None:
        first = self.source.text_lines.get(location, self.source.line(location))
        try:
            return Template.parse(text, names)
        except PromptError as error:
            said = f"template error: {str(error).rstrip('.')}."
            known = f"Names known here: {', '.join(sorted(names))}."
            self.problem(location, said, known, line=first + error.line - 1)
            return None

    def _patterns(self, fields: dict[str, FieldSpec], location: Location) -> None:
        for name, spec in fields.items():
            if spec.pattern is not None:
                try:
                    pydantic_core.SchemaValidator(pydantic_core.core_schema.str_schema(pattern=spec.pattern))
                except pydantic_core.SchemaError as error:
                    reason = str(error).strip().splitlines()[-1].strip()
                    self.problem(
                        (*location, name, "pattern"),
                        f"is not a regular expression that can be used: {reason}.",
                        "Correct it (look-around and back-references are not supported).",
                    )
            if spec.fields:
                self._patterns(spec.fields, (*location, name, "fields"))

    def _tools(self, key: str, file: StepsFile) -> tuple[ToolSet, tuple[str, ...]]:
        """The tools of an agent, and the keys of what has to be made on the service for them."""
        loaded: list[Tool] = []
        needs: list[str] = []
        self._making.append(key)
        for index, entry in enumerate(file.agents[key].tools):
            location: Location = ("agents", key, "tools", index)
            try:
                keyword = kind_of(entry, tool_kinds())
            except LookupError as error:
                self.problem(location, f"{error.args[0].rstrip('.')}.", "See docs/steps.md for each tool.")
                continue
            kind = tool_kinds()[keyword]
            try:
                section = kind.section.model_validate(entry)
                tool = kind.make(section, self._context(key, file, needs))
                ToolSet([*loaded, tool])
            except ValidationError as error:
                self.problems += told(self.source, error, kind.section, location)
            except ConfigurationError as error:
                said = f"{str(error).rstrip('.')}."
                self.problem((*location, keyword), said, "Correct what is named here.")
            else:
                loaded.append(tool)
        self._making.pop()
        return ToolSet(loaded), tuple(needs)

    def _context(self, key: str, file: StepsFile, needs: list[str]) -> ToolContext:
        def other_agent(name: str) -> FileAgent:
            if name not in file.agents:
                raise ConfigurationError(f"there is no agent {name!r}; there are: {', '.join(file.agents)}")
            if name in self._making:
                raise ConfigurationError(f"{name!r} would ask itself: {' -> '.join([*self._making, name])}")
            self.asked_by_agents.add(name)
            found = self.agents.get(name) or self.agent(name, file)
            if found is None:
                raise ConfigurationError(f"the agent {name!r} is not valid")
            return found

        return ToolContext(
            self.source.path.parent,
            key,
            other_agent,
            needs,
            file.queue_tools,
            lambda: self._queue_definitions(file),
        )

    def _queue_definitions(self, file: StepsFile) -> list[QueueToolDefinition]:
        if self._definitions is None and file.queue_tools is not None:
            self._definitions = read_definitions(self.source.path.parent / file.queue_tools.definitions)
        return self._definitions or []

    def _tool_choice(self, entry: AgentEntry, tools: ToolSet, location: Location) -> None:
        choice = entry.tool_choice
        named = (tool.name for tool in tools if hasattr(tool, "name") and not isinstance(tool, FileSearch))
        possible = ("auto", "none", "required", *named)
        if choice is not None and choice not in possible:
            there = ", ".join(possible)
            self.problem((*location, "tool_choice"), f"'{choice}' is not possible.", f"Use one of: {there}.")
        elif choice not in (None, "none", "auto") and not tools:
            self.problem((*location, "tool_choice"), "the agent has no tools.", "Add `tools`, or remove it.")


def _run_once(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps that give one outcome for a document: all but those within an `each`."""
    for step in steps:
        yield step
        if step.kind != "each":
            for branch in step.branches:
                yield from _run_once(branch.steps)
