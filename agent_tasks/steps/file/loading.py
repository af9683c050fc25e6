"""Steps of a file on their way into a plan: each is given to its kind, with what it may use.

Mistakes are collected, so that all of them are told at once, each with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent_tasks.errors import ExpressionError, PipelineError
from agent_tasks.known_names import did_you_mean
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.pipeline.prompts import PromptError
from agent_tasks.pipeline.yaml_source import Location, YamlSource
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.expressions import Expression
from agent_tasks.steps.file.plan import PlanPath, Step, StepHead
from agent_tasks.steps.file.problems import told
from agent_tasks.steps.file.registry import kind_of, step_kinds
from agent_tasks.steps.file.sections import StepSection
from agent_tasks.steps.file.templates import Template
from agent_tasks.steps.file.types import ValueType

MAX_STEPS = 200
MAX_DEPTH = 8
RESERVED = frozenset({"document", "fields", "errors", "true", "false", "null", "loop"})


@dataclass
class FileLoading:
    """What is known of a file while its steps are planned."""

    source: YamlSource
    agents: Mapping[str, FileAgent]
    subplan: Callable[[str, LoadContext], tuple[Step, ...] | None]
    """Loads another file as a step. Problems are told through the context."""
    problems: list[PipelineError] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    """Agents that a step asks."""
    broken: set[str] = field(default_factory=set)
    """Names of steps that have mistakes of their own: what follows from them is not told besides."""
    count: int = 0

    @property
    def folder(self) -> Path:
        """The file's folder."""
        return self.source.path.parent

    def problem(self, location: Location, message: str, remedy: str, *, line: int | None = None) -> None:
        """Note a mistake."""
        self.problems.append(self.source.error(location, message, remedy, line=line))


@dataclass(frozen=True)
class LoadContext:
    """What a kind of step may ask for, while one of its steps is planned."""

    file: FileLoading
    location: Location
    """Where the step stands in the file."""
    head: StepHead
    scope: Mapping[str, ValueType]
    """The names that it may read."""
    asked: frozenset[str] = frozenset()
    """Those of them whose conversation a step may go on with."""
    answered_fields: Mapping[str, OutputSchema] = field(default_factory=dict)
    """The fields of answers among them."""
    later: Mapping[str, int] = field(default_factory=dict)
    """Names of steps that run after it, with their lines."""
    path: PlanPath = ()
    """Where the steps stand that it holds."""

    # --- what a kind calls ---------------------------------------------------------------------------

    def problem(self, key: str | Location, message: str, remedy: str, *, line: int | None = None) -> None:
        """Tell a mistake.

        Args:
            key: The key of the step at which it is, or a place below.
            message: What is wrong, a sentence that begins in lower case.
            remedy: What to do.
            line: The line, if it is not the key's.
        """
        place = (key,) if isinstance(key, str) else key
        self.file.problem((*self.location, *place), message, remedy, line=line)

    def expression(
        self, key: str | Location, source: str, names: Mapping[str, ValueType] | None = None
    ) -> Expression | None:
        """Check an expression; `names` are known besides the scope. None if it is wrong, which is told."""
        scope = {**self.scope, **(names or {})}
        try:
            return Expression.parse(source, scope)
        except ExpressionError as error:
            message, remedy = str(error), "Correct the expression."
            for name, line in self.later.items():
                if f"'{name}' is not known here" in message:
                    message = f"reads {name!r}, which runs later (line {line})"
                    remedy = "Put that step before this one; two steps can't wait for each other."
            self.problem(key, f"{message.rstrip('.')}.", remedy)
            return None

    def condition(
        self, key: str | Location, source: str, names: Mapping[str, ValueType] | None = None
    ) -> Expression | None:
        """Check an expression that decides something; it has to depend on something."""
        checked = self.expression(key, source, names)
        if checked is None:
            return None
        if checked.constant:
            self.problem(
                key, f"{source!r} is always the same.", "Ask for the answer of a step, or remove it."
            )
            return None
        found = checked.type
        if found.name not in ("boolean", "any") and not found.nullable:
            self.problem(
                key,
                f"{source!r} is {found.words} and decides nothing.",
                "Compare it, such as `len(x) > 0` or `x == 'yes'`.",
            )
            return None
        return checked

    def template(
        self, key: str | Location, source: str, names: Mapping[str, ValueType] | None = None
    ) -> Template | None:
        """Check a template; `names` are known besides the scope. None if it is wrong, which is told."""
        scope = {**self.scope, **(names or {})}
        place = (key,) if isinstance(key, str) else key
        where = (*self.location, *place)
        first = self.file.source.text_lines.get(where, self.file.source.line(where))
        try:
            return Template.parse(source, scope)
        except PromptError as error:
            message, remedy = str(error), f"Names known here: {', '.join(sorted(scope))}."
            for name, line in self.later.items():
                if f"'{name}' is not known here" in message:
                    message = f"reads {name!r}, which runs later (line {line})"
                    remedy = "Put that step before this one; two steps can't wait for each other."
            self.problem(key, f"template error: {message.rstrip('.')}.", remedy, line=first + error.line - 1)
            return None

    def agent(self, key: str | Location, name: str) -> FileAgent | None:
        """An agent of the file. None if there is none of that name, which is told."""
        self.file.used.add(name)
        found = self.file.agents.get(name)
        if found is None:
            known = list(self.file.agents)
            remedy = did_you_mean(name, known) if known else f"Add it under `agents`: `{name}: ...`."
            self.problem(key, f"there is no agent {name!r}.", remedy)
            self.file.broken.update(get_close_matches(name, known, n=1))
        return found

    def agent_prompt(
        self, agent: FileAgent, given: str | None, key: str | Location = "prompt"
    ) -> Template | None:
        """The prompt of a step that asks an agent: the step's own, or else the agent's."""
        names = agent.prompt_names
        if given is not None:
            return self.template(key, given, names)
        if agent.entry.prompt is None:
            self.problem(
                (), f"has no prompt, and neither has the agent {agent.key!r}.", "Add `prompt:` here or there."
            )
            return None
        where = ("agents", agent.key, "prompt")
        outside = replace(self, location=())
        return outside.template(where, agent.entry.prompt, names)

    def is_read(self, how: str, prompt: Template) -> bool:
        """Whether a prompt takes the text of a document that is read in parts; that it does not is told."""
        if how == "whole" or prompt.prompt.reads_all:
            return True
        self.problem(
            "read",
            f"`{how}` of a document are given as document.text, which the prompt does not use.",
            "Add {{ document.text }} to the prompt, or remove `read`.",
        )
        return False

    def conversation(self, key: str, name: str | None) -> str | None:
        """A step with whose conversation this one goes on; None if there is none, which is told."""
        if name is None or name in self.asked:
            return name
        if name in self.file.broken:
            return None
        there = f"There are: {', '.join(sorted(self.asked))}." if self.asked else "There is none before it."
        self.problem(key, f"{name!r} is no earlier step that asks an agent.", there)
        return None

    def fields_of(self, name: str) -> OutputSchema | None:
        """The fields of an earlier step's answer; None if it is not one with fields."""
        return self.answered_fields.get(name)

    def is_broken(self, name: str) -> bool:
        """Whether a step has mistakes of its own, so that those that follow from them need not be told."""
        return name in self.file.broken

    def steps(
        self,
        key: str | Location,
        raw: Sequence[Mapping[str, Any]],
        *,
        names: Mapping[str, ValueType] | None = None,
        below: str | None = None,
        asked: frozenset[str] = frozenset(),
        may_be_empty: bool = False,
    ) -> tuple[Step, ...]:
        """Plan the steps that this one holds.

        Args:
            key: Where they stand in it.
            raw: As the file has them.
            names: What they may read besides the scope.
            below: The branch, as part of their paths.
            asked: Names among these whose conversation they may go on with.
            may_be_empty: Whether no step at all is a way to say that nothing is done.
        """
        place = (key,) if isinstance(key, str) else key
        if not raw and not may_be_empty:
            self.problem(key, "holds no steps.", "Add a step, or remove it.")
        return plan_steps(
            self.file,
            raw,
            (*self.location, *place),
            scope={**self.scope, **(names or {})},
            asked=self.asked | asked,
            fields=self.answered_fields,
            path=(*self.path, *((below,) if below is not None else ())),
            outer=self.later,
        )


def plan_steps(
    file: FileLoading,
    raw: Sequence[Mapping[str, Any]],
    location: Location,
    *,
    scope: Mapping[str, ValueType],
    asked: frozenset[str] = frozenset(),
    fields: Mapping[str, OutputSchema] | None = None,
    path: PlanPath = (),
    outer: Mapping[str, int] | None = None,
) -> tuple[Step, ...]:
    """Plan a list of steps, one after the other; each may read those before it."""
    sections = [_section(file, entry, (*location, index)) for index, entry in enumerate(raw)]
    _refuse_repeated(file, sections, location, scope)
    known, followed, answered = dict(scope), set(asked), dict(fields or {})
    steps: list[Step] = []
    for index, found in enumerate(sections):
        if found is None:
            known.setdefault(_name_of(raw[index]), ValueType("any", nullable=True))
            continue
        keyword, section, name = found
        here: Location = (*location, index)
        later = {
            other[2]: file.source.line((*location, number))
            for number, other in enumerate(sections)
            if other is not None and number >= index and other[2] not in known
        }
        context = LoadContext(
            file,
            here,
            StepHead(name, (*path, name), file.source.line(here)),
            dict(known),
            frozenset(followed),
            dict(answered),
            {**(outer or {}), **later},
            (*path, name),
        )
        step = _planned(context, keyword, section)
        known[name] = step.outcome if step is not None else ValueType("any", nullable=True)
        if step is None:
            file.broken.add(name)
            known.update({meant: ValueType("any", nullable=True) for meant in file.broken - set(known)})
        if step is not None:
            steps.append(step)
            if step.agents:
                followed.add(name)
            if step.answered_fields is not None:
                answered[name] = step.answered_fields
    return tuple(steps)


def _planned(context: LoadContext, keyword: str, section: StepSection) -> Step | None:
    file = context.file
    file.count += 1
    if file.count > MAX_STEPS or len(context.path) > 2 * MAX_DEPTH:
        if file.count == MAX_STEPS + 1 or len(context.path) > 2 * MAX_DEPTH:
            context.problem(
                (), f"there are more than {MAX_STEPS} steps, or they nest too deeply.",
                "Make pipelines of their own of some of them (`pipeline:`).",
            )  # fmt: skip
        return None
    when = context.condition("when", section.when) if section.when is not None else None
    context = replace(context, head=replace(context.head, when=when))
    return step_kinds()[keyword].plan(section, context)


def _section(
    file: FileLoading, entry: Mapping[str, Any], location: Location
) -> tuple[str, StepSection, str] | None:
    """The section of a step, checked by its kind's model: keyword, section, name."""
    kinds = step_kinds()
    try:
        keyword = kind_of(entry, kinds)
    except LookupError as error:
        file.problem(location, f"{error.args[0].rstrip('.')}.", "See docs/steps.md for each kind of step.")
        file.broken.add(_name_of(entry))
        return None
    kind = kinds[keyword]
    try:
        section = kind.section.model_validate(entry)
    except ValidationError as error:
        file.problems += told(file.source, error, kind.section, location)
        file.broken.add(_name_of(entry))
        return None
    return keyword, section, section.id or kind.default_id(section)


def _name_of(entry: Mapping[str, Any]) -> str:
    """What a step with mistakes would be called, as far as it can be told."""
    kinds = list(step_kinds())
    for key, value in entry.items():
        for kind in get_close_matches(key, kinds, n=1):
            return str(entry.get("id") or (value if kind == "agent" else kind))
    return str(entry.get("id", ""))


def _refuse_repeated(
    file: FileLoading,
    sections: Sequence[tuple[str, StepSection, str] | None],
    location: Location,
    scope: Mapping[str, ValueType],
) -> None:
    seen: dict[str, int] = {}
    for index, found in enumerate(sections):
        if found is None:
            continue
        name, here = found[2], (*location, index)
        line = file.source.line(here)
        if name in RESERVED:
            file.problem(here, f"the name {name!r} means something else.", "Give it an `id:`.")
        elif name in seen:
            file.problem(
                here, f"two steps have the name {name!r} (the other on line {seen[name]}).",
                "Give one of them an `id:` of its own.",
            )  # fmt: skip
        elif name in scope and not _is_own_earlier_round(scope[name]):
            file.problem(
                here, f"the name {name!r} is taken by an outer step.", "Give it an `id:` of its own."
            )
        seen.setdefault(name, line)


def _is_own_earlier_round(found: ValueType) -> bool:
    return isinstance(found, EarlierRound)


@dataclass(frozen=True)
class EarlierRound(ValueType):
    """The type of what a step of a loop gave in the round before; null in the first."""
