"""A checked plan of steps, and the protocol by which a kind of step takes part in it.

A kind is registered under its keyword (`agent_tasks.steps.file.registry`). When a file is loaded it turns its
section into a `Step`: everything that can be known beforehand is checked there. A step then says what its
outcome depends on, carries itself out for a document, and shows itself in the picture of the pipeline.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from agent_tasks.operations import operation_key
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.expressions import Expression
from agent_tasks.steps.file.sections import StepSection
from agent_tasks.steps.file.types import ValueType, mapping

PlanPath = tuple[str, ...]
"""Where a step stands in the plan: names of steps and branches; `draft/author` in texts."""


@dataclass(frozen=True)
class Branch:
    """Steps that a step holds."""

    label: str
    """What is shown of it, such as a case of a switch; empty if there is one branch alone."""
    steps: tuple[Step, ...]

    @property
    def type(self) -> ValueType:
        """What comes of it: the outcome of each step, by name."""
        return mapping({step.id: step.outcome for step in self.steps})


@dataclass(frozen=True)
class StepHead:
    """What the loader knows of a step before its kind looks at it."""

    id: str
    path: PlanPath
    line: int
    when: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """A step of a plan. Kinds derive from it; their instances are immutable."""

    kind: ClassVar[str]
    """The keyword in the file."""

    head: StepHead
    type: ValueType
    """What comes of it, where it runs."""

    @property
    def id(self) -> str:
        """Its name."""
        return self.head.id

    @property
    def path(self) -> PlanPath:
        """Where it stands."""
        return self.head.path

    @property
    def name(self) -> str:
        """Where it stands, as a text."""
        return "/".join(self.head.path)

    @property
    def outcome(self) -> ValueType:
        """What comes of it for others: null where `when` has left it out."""
        return self.type.or_null() if self.head.when is not None else self.type

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The steps that it holds."""
        return ()

    @property
    def agents(self) -> tuple[FileAgent, ...]:
        """The agents that it asks itself."""
        return ()

    @property
    def answered_fields(self) -> OutputSchema | None:
        """The fields of its answer, where it is one with fields: they can be looked up in the document."""
        return None

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """What its outcome depends on besides the steps before and within, as JSON."""

    def limits(self) -> Mapping[str, Any]:
        """What bounds it and changes no outcome, as JSON: a document that failed, or waits, is tried anew."""
        return {}

    @abstractmethod
    async def run(self, context: Any) -> Any:
        """Carry it out for a document; returns its outcome as JSON.

        It may be called again for the same document after a crash: what it does goes through durable
        operations, whose keys follow from the context's session and path.

        Args:
            context: An `agent_tasks.steps.file.running.StepContext`.

        Raises:
            StepStoppedError: a person has to look at the document; its further steps are left out.
            AgentTasksError: the document failed.
        """

    @abstractmethod
    def summary(self) -> str:
        """What it does, in the few words that fit into its box of the picture."""

    def fingerprint(self) -> str:
        """A hash of what it is told to do."""
        when = self.head.when.source if self.head.when is not None else None
        return operation_key("step", of=self.kind, when=when, facts=dict(self.facts()))

    def walk(self) -> Iterator[Step]:
        """Yield the step and all that it holds, in the order of the file."""
        yield self
        for branch in self.branches:
            for step in branch.steps:
                yield from step.walk()

    @property
    def reads_document(self) -> bool:
        """Whether the whole text of the document goes into a prompt of it."""
        return False


class StepKind(Protocol):
    """A kind of step."""

    @property
    def keyword(self) -> str:
        """The key that says the kind in the file."""
        ...

    @property
    def section(self) -> type[StepSection]:
        """What may stand in such a step. One of its fields is, or has as alias, the keyword."""
        ...

    def default_id(self, section: Any) -> str:
        """What the step is called where it has no `id`."""
        ...

    def plan(self, section: Any, load: Any) -> Step | None:
        """Make a step of a section.

        Args:
            section: What stands in the file, as the kind's `section` has it.
            load: An `agent_tasks.steps.file.loading.LoadContext`; mistakes are told through it.

        Returns:
            The step; None where there is none because of a mistake.
        """
        ...


@dataclass(frozen=True)
class Plan:
    """The steps of a pipeline."""

    steps: tuple[Step, ...]
    outputs: frozenset[str] = frozenset()
    """Names of the steps whose answer is the fields of a document's row; of several the last one that ran."""
    positions: Mapping[str, int] = field(init=False, compare=False)
    """The place of each step in the order of the file, by its name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", {step.name: n for n, step in enumerate(self.walk())})

    def walk(self) -> Iterator[Step]:
        """Yield all steps, in the order of the file."""
        for step in self.steps:
            yield from step.walk()

    def fingerprints(self) -> dict[str, str]:
        """For each step a hash of what it is told to do."""
        return {step.name: step.fingerprint() for step in self.walk()}
