"""Carrying the steps of a plan out for one document.

Steps run one after the other; those that hold steps decide which of theirs run, and how many at a time.
Nothing is kept between steps but what the journal has: after a crash they are called again from the first,
and each turn that was paid for is taken from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from agent_tasks.crashpoints import crash_point
from agent_tasks.documents.content import DocumentContent
from agent_tasks.errors import (
    AgentTasksError,
    DocumentTooLongError,
    StepStoppedError,
    WaitingForPersonError,
)
from agent_tasks.operations import TurnResult
from agent_tasks.steps.answer_types import AnswerType
from agent_tasks.steps.answers import Answer, TurnRecord
from agent_tasks.steps.asking import Question, ask, repair_text
from agent_tasks.steps.file.agents import FileAgent
from agent_tasks.steps.file.plan import Plan, Step
from agent_tasks.steps.file.records import MAX_CITATIONS, DocumentOutcome, StepRecord, StepStatus
from agent_tasks.steps.scans import Scans, ShownImage
from agent_tasks.steps.session import Session
from agent_tasks.steps.tokens import estimate_tokens

T = TypeVar("T")


@dataclass(frozen=True)
class RunLimits:
    """What bounds the turns of a document."""

    turn_deadline: float
    max_completion_tokens: int
    repair_turns: int
    max_document_tokens: int


@dataclass
class DocumentRun:
    """One document on its way through a plan."""

    plan: Plan
    session: Session
    name: str
    """The document's name."""
    content: DocumentContent | None
    limits: RunLimits
    outcome: DocumentOutcome = field(default_factory=DocumentOutcome)
    checks_prompts: bool = True
    """Whether `max_document_tokens` holds for each prompt; not if the document's whole text was looked at."""
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What people say to steps that they sent the document back to, by the names of the steps."""
    under: tuple[str, ...] = ()
    """What comes before the names of its steps."""
    origin: Session | None = None
    """In a fork: the session in which the steps before it were carried out."""
    redone_from: str | None = None
    """In a fork: the name of the first step that is done again."""
    scans: Scans | None = None
    """Its pages that hold no text, where an agent may see them."""
    shown: dict[str, ShownImage] = field(default_factory=dict)
    """What agents were shown of it, by key."""

    async def carry_out(
        self, values: Mapping[str, Any], steps: Sequence[Step] | None = None
    ) -> dict[str, Any]:
        """Carry all steps out; returns the outcome of each, by name.

        Args:
            values: What they may read besides each other, such as the document.
            steps: Those that are left, if some are done.

        Raises:
            StepStoppedError: A person has to look at the document.
            AgentTasksError: It failed.
        """
        return await run_steps(
            self.plan.steps if steps is None else steps, StepContext(self, values, path=self.under)
        )

    def is_redone(self, step: Step) -> bool:
        """Whether a fork does a step again because of its place."""
        if self.redone_from is None:
            return True
        first = self.plan.positions[self.redone_from]
        return self.plan.positions[step.name] >= first

    def holds_first(self, step: Step) -> bool:
        """Whether the first step that a fork does again is this one, or one within it."""
        first = self.redone_from
        return first is not None and (step.name == first or first.startswith(f"{step.name}/"))


@dataclass(frozen=True)
class StepContext:
    """What a step has while it is carried out."""

    run: DocumentRun
    values: Mapping[str, Any]
    """What it may read, by name."""
    answers: Mapping[str, Answer[Any]] = field(default_factory=dict)
    """Answers of earlier steps, with whose conversations it may go on."""
    path: tuple[str, ...] = ()
    """Where it stands, with numbers of items and rounds."""
    order: tuple[int, ...] = ()
    """Its place among all steps of the document."""
    record: StepRecord = field(default_factory=lambda: StepRecord(step="", kind=""))
    given: list[Answer[Any]] = field(default_factory=list)
    """The answer that the step itself got, for others that go on with its conversation."""
    redoing: bool = False
    """In a fork: whether the first step that is done again has come by here."""

    # --- for kinds of steps --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Where it stands, as a text."""
        return "/".join(self.path)

    @property
    def session(self) -> Session:
        """In whose name it works; in a fork, that of the original for what is not done again."""
        run = self.run
        return run.session if self.redoing or run.origin is None else run.origin

    def below(self, *parts: str | int, values: Mapping[str, Any] | None = None) -> StepContext:
        """The context of a branch, an item or a round.

        Args:
            parts: What is added to the path; a number counts from 1, and orders too.
            values: What its steps may read besides.
        """
        numbers = tuple(part for part in parts if isinstance(part, int))
        return replace(
            self,
            path=(*self.path, *(str(part) for part in parts)),
            order=(*self.order, *numbers),
            values={**self.values, **(values or {})},
        )

    def alone(self, values: Mapping[str, Any]) -> StepContext:
        """The same, for steps that know these values and nothing of the steps around."""
        return replace(self, values=values, answers={})

    def in_order(self, number: int) -> StepContext:
        """The same, placed among others that run at the same time."""
        return replace(self, order=(*self.order, number))

    def with_answers(self, answers: Mapping[str, Answer[Any]], *, redoing: bool) -> StepContext:
        """The same, with the answers of a round before."""
        return replace(self, answers=answers, redoing=redoing)

    def document(self) -> DocumentContent | None:
        """The document that it may read, with its places; in a file that is a step perhaps another text."""
        read, here = self.run.content, self.values.get("document")
        if read is None or here is None or here["text"] == read.text:
            return read
        return DocumentContent(here["text"])

    def scans(self) -> Scans | None:
        """The document's pages that hold no text; none where it is another text that is worked on."""
        return self.run.scans if self.document() is self.run.content else None

    def needs_review(self, reason: str) -> None:
        """Note why a person has to look at the document; the steps go on."""
        self.run.outcome.reasons.append((self.order, reason))

    def stop(self, reason: str) -> StepStoppedError:
        """The error that leaves out the document's further steps, since a person has to look at it."""
        self.needs_review(reason)
        self.record.note = reason
        return StepStoppedError(reason, step=self.name)

    async def ask(
        self,
        agent: FileAgent,
        prompt: str,
        *,
        images: tuple[ShownImage, ...] = (),
        follows: str | Answer[Any] | None = None,
        turn: str | None = None,
        suffix: str = "",
        is_bounded: bool = False,
        answer: AnswerType[Any] | None = None,
        repairs: bool = True,
        repair_step: str = "{step}-repair-{n}",
        repair_prompt: Callable[[Sequence[str]], str] | None = None,
    ) -> Answer[Any]:
        """Ask an agent, durably; a wrong answer is shown to it, and then asked of its other models.

        Args:
            agent: Whom.
            prompt: What.
            images: What the prompt shows.
            follows: The step, or its answer, with whose conversation it goes on.
            turn: The turn's name below the step; default the step's own.
            suffix: What is added to it, such as for a part of the document.
            is_bounded: Whether only so much of the document is in the prompt as is allowed.
            answer: The shape of the answer, in place of the agent's.
            repairs: Whether a wrong answer is shown to it at all.
            repair_step: Names of turns that repair an answer.
            repair_prompt: What the agent is told of errors; default its own words.

        Returns:
            The answer; `errors` says what is wrong with it still.

        Raises:
            AgentTasksError: What `run_turn` raises.
        """
        limits = self.run.limits
        self.run.shown.update((one.image.key, one) for one in images)
        # With these words it is another turn: the step is done anew, and once.
        prompt = "\n\n".join([prompt, *self.run.told.get(self.record.step, ())])
        tokens = estimate_tokens(prompt) if self.run.checks_prompts and not is_bounded else 0
        if tokens > limits.max_document_tokens:
            raise DocumentTooLongError(
                f"{self.run.name}: the prompt of {self.name} has about {tokens:,} tokens; at most "
                f"{limits.max_document_tokens:,} are allowed (limits.max_document_tokens).",
                document=self.run.name,
            )
        step = "/".join((*self.path, *((turn,) if turn else ()))) + suffix
        entry = agent.entry
        shown = repair_prompt or agent.repair_text(self.values)
        repair_turns = limits.repair_turns if entry.repair_turns is None else entry.repair_turns
        session = self._counting_session()
        asked = agent.asked(answer)
        question = Question(
            name=agent.name,
            specs={model: await asked.planned(session, model) for model in agent.models},
            made=asked.made,
            answer=answer or agent.answer.kind,
            prompt=prompt,
            images=images,
            earlier_images=tuple(self.run.shown.values()),
            step=step,
            tools=agent.tools,
            follows=self.answers.get(follows) if isinstance(follows, str) else follows,
            tool_choice=agent.tool_choice,
            max_completion_tokens=entry.max_completion_tokens or limits.max_completion_tokens,
            deadline=limits.turn_deadline,
            repair_turns=repair_turns if repairs else 0,
            repair_step=repair_step,
            repair_prompt=shown or repair_text,
        )
        return await ask(session, question)

    def answered(self, answer: Answer[Any]) -> None:
        """Let later steps go on with the conversation of an answer."""
        self.given[:] = [answer]

    # --- for `run_steps` -----------------------------------------------------------------------------

    def _counting_session(self) -> Session:
        session = self.session
        counted = session.on_turn
        mine = session.at()

        def note(turn: TurnRecord, result: TurnResult) -> None:
            self.record.usage = self.record.usage + turn.usage
            self.record.turns[turn.step] = turn.turn_id
            room = MAX_CITATIONS - len(self.record.citations)
            self.record.citations += result.citations[: max(room, 0)]
            if counted is not None:
                counted(turn, result)

        mine.on_turn = note
        return mine


async def run_steps(steps: Iterable[Step], context: StepContext) -> dict[str, Any]:
    """Carry steps out one after the other; returns the outcome of each, by name.

    Raises:
        StepStoppedError: One has stopped the document.
        AgentTasksError: One has failed.
    """
    made, _ = await run_and_keep(steps, context)
    return made


async def run_and_keep(
    steps: Iterable[Step], context: StepContext
) -> tuple[dict[str, Any], dict[str, Answer[Any]]]:
    """The same; returns the answers too, for steps that go on with their conversations."""
    made: dict[str, Any] = {}
    answers: dict[str, Answer[Any]] = {}
    redoing = context.redoing or context.run.redone_from is None
    for number, step in enumerate(steps):
        inner = replace(
            context,
            values={**context.values, **made},
            answers={**context.answers, **answers},
            path=(*context.path, step.id),
            order=(*context.order, number),
            record=StepRecord(step=step.name, kind=step.kind),
            given=[],
            redoing=redoing or context.run.is_redone(step),
        )
        made[step.id] = await _run_step(step, inner)
        crash_point("step.ended")
        if inner.given:
            answers[step.id] = inner.given[0]
        redoing = redoing or context.run.holds_first(step)
    return made, answers


async def _run_step(step: Step, context: StepContext) -> Any:
    record = context.record
    context.run.outcome.steps[context.name] = (context.order, record)
    if step.head.when is not None and not step.head.when.evaluate(context.values):
        record.status = StepStatus.SKIPPED
        return None
    try:
        value = await step.run(context)
    except StepStoppedError as stopped:
        record.status = StepStatus.STOPPED
        record.note = record.note or str(stopped)
        raise
    except WaitingForPersonError as error:
        record.status = StepStatus.WAITING
        waiting = context.run.outcome.waiting
        waiting += [one for one in (error, *error.also) if one not in waiting]  # steps in steps raise it too
        raise
    except AgentTasksError as error:
        record.status = StepStatus.FAILED
        record.note = str(error)
        raise
    outputs = context.run.plan.outputs
    if step.name in outputs:
        context.run.outcome.fields = value if isinstance(value, dict) else {"answer": value}
    if outputs != {step.name}:
        record.keep(value)
    return value


def _patience(failure: BaseException) -> int:
    if isinstance(failure, WaitingForPersonError):
        return 2
    return 1 if isinstance(failure, StepStoppedError) else 0


async def together(work: Iterable[Awaitable[T]], at_once: int) -> list[T]:
    """Carry out some at a time and give their results in order.

    All come to their end, since what they ask for is paid for; then the first failure is raised, else what
    has stopped the document, else what waits for a person.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(job: Awaitable[T]) -> T:
        async with slots:
            return await job

    results = await asyncio.gather(*(one(job) for job in work), return_exceptions=True)
    failures = [found for found in results if isinstance(found, BaseException)]
    if failures:
        raise min(failures, key=_patience)
    return [found for found in results if not isinstance(found, BaseException)]


def ended_before(records: Mapping[str, StepRecord], name: str, plan: Plan) -> bool:
    """Whether a document did not come as far as a step, because of one before it."""
    if not records:
        return True
    place = plan.positions[name]
    return any(
        record.status in (StepStatus.FAILED, StepStatus.STOPPED)
        and plan.positions.get(record.step, place) < place
        and not name.startswith(f"{record.step}/")
        for record in records.values()
    )
