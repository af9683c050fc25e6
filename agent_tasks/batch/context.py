"""What the steps of one batch share: workspace, pipeline, agents, limits, and the count of what happened."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from agent_tasks.batch.budget import Budget
from agent_tasks.batch.circuit_breaker import BudgetReachedError, CircuitBreaker
from agent_tasks.batch.observer import observer
from agent_tasks.batch.records import (
    MAX_LISTED,
    BatchSummary,
    DocumentRow,
    DocumentStatus,
    RowInBrief,
)
from agent_tasks.client import Resent
from agent_tasks.errors import (
    AgentTasksError,
    ConfigurationError,
    JournalError,
    LeaseLostError,
    RateLimitedError,
    RunFailedError,
    ServerError,
    ServiceError,
)
from agent_tasks.logs import get_logger
from agent_tasks.operations import (
    AgentSpec,
    RemoteAgent,
    RemoteStore,
    TurnResult,
    TurnSpec,
    Usage,
    Workspace,
    agent_key,
    ensure_agent,
    operation_key,
    owners_that_wait,
    release_owner,
    release_owners,
    run_turn,
)
from agent_tasks.operations.ownership import belongs_to
from agent_tasks.operations.pacing import Pace
from agent_tasks.operations.spare_conversations import SpareConversations
from agent_tasks.pipeline.loader import AgentPlan, Pipeline
from agent_tasks.steps import Session
from agent_tasks.tools import ToolSet

logger = get_logger("agent_tasks.batch.context")

T = TypeVar("T")

_READ_AHEAD = 32
_LOOKED_BACK = 100  # documents by which the rate is told
_FEWEST = 3


@dataclass
class Tally:
    """What happened so far in this run."""

    total: int = 0
    finished: int = 0
    reused: int = 0
    by_others: int = 0
    by_status: dict[DocumentStatus, int] = field(default_factory=lambda: dict.fromkeys(DocumentStatus, 0))
    turns: int = 0
    turns_reused: int = 0
    repeated: int = 0
    """Attempts after the first of their turns."""
    throttled: int = 0
    """Attempts that the service ended because too much was asked of it."""
    resent: Resent = field(default_factory=Resent)
    """Requests that the client sent again by itself, of turns and of all else."""
    usage: Usage = field(default_factory=Usage)
    in_flight: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Documents that are worked on: the step, and since when (seconds of the monotonic clock)."""
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=_LOOKED_BACK))
    """When the latest documents were finished (likewise), those of an earlier run left out."""
    reasons: dict[str, list[str]] = field(default_factory=dict)

    @property
    def asked_again(self) -> int:
        """What was asked of the service again, attempts and requests."""
        return self.repeated + self.resent.requests

    @property
    def all_throttled(self) -> int:
        """Of that, what was throttled before."""
        return self.throttled + self.resent.throttled

    def count_document(self, row: DocumentRow | RowInBrief, *, reused: bool, by_other: bool) -> None:
        """Count a document that has its state: by this worker now, by another one, or by an earlier run."""
        self.finished += 1
        self.by_status[row.status] += 1
        if by_other:
            self.by_others += 1
        elif reused:
            self.reused += 1
            self.turns_reused += row.turns
        if by_other or not reused:
            self.ends.append(time.monotonic())
        if row.status is not DocumentStatus.DONE and len(self.reasons) < MAX_LISTED:
            self.reasons[row.document] = row.reasons

    def at_step(self, name: str, step: str) -> None:
        """Note what a document is at."""
        self.in_flight[name] = step, time.monotonic()

    def rate(self, now: float) -> float | None:
        """Documents a minute, by the latest ones; None as long as there are too few to tell.

        Args:
            now: seconds of the monotonic clock; a batch that stands still slows down by it.
        """
        if len(self.ends) < _FEWEST:
            return None
        return 60 * (len(self.ends) - 1) / max(now - self.ends[0], 0.001)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until all documents have their states, if it goes on like this; None: nobody can tell."""
        rate = self.rate(now)
        return 60 * (self.total - self.finished) / rate if rate else None

    def count_turn(self, result: TurnResult) -> None:
        """Count a turn; one from the journal cost nothing now."""
        if result.reused:
            self.turns_reused += 1
        else:
            self.turns += 1
            self.repeated += result.attempts - 1
            self.throttled += result.throttled
            self.usage = self.usage + result.usage


def batch_key(pipeline: str, folder: Path) -> str:
    """What a batch is: a pipeline's name and a folder of documents."""
    return operation_key("batch", pipeline=pipeline, folder=str(folder.resolve()))


def batch_owner(pipeline: str, folder: Path) -> str:
    """Under which name the ledger keeps what a batch makes; documents and questions add theirs to it."""
    return f"{pipeline}:{batch_key(pipeline, folder)[:12]}"


def owner_of_part(owner: str, what: str) -> str:
    """Owner of what is made for a document or question of a batch; the ledger holds 300 characters."""
    whole = f"{owner}/{what}"
    return whole if len(whole) <= 250 else f"{whole[:200]}~{operation_key('owner', what=what)[:16]}"


def review_key(batch: str, document: str) -> str:
    """The id of a document at the review desk; also the key of the lease under which somebody looks at it."""
    return operation_key("review", batch=batch, document=document)


@dataclass(frozen=True)
class Origin:
    """A batch that another one is forked from: what comes before a step is taken from it."""

    key: str
    """The batch's key."""
    step: str
    """The step from which on everything is done again."""
    owner: str = ""
    """The batch's owner."""

    def fork_key(self, pipeline: Pipeline) -> str:
        """The key of the batch that does it again with this pipeline."""
        steps = pipeline.step_fingerprints()
        return operation_key(
            "fork", of=self.key, step=self.step, steps=steps, fingerprint=pipeline.fingerprint
        )

    async def row(self, ws: Workspace, name: str) -> DocumentRow | None:
        """The row of a document in the original batch."""
        record = await ws.journal.documents.get(ws.scope, self.key, name)
        return record.read(DocumentRow) if record is not None else None


class Batch:
    """One run of a pipeline over a folder.

    Args:
        ws: The service and the journal.
        pipeline: What to do.
        folder: The folder of documents. With the pipeline's name it identifies the batch: a later run over
            the same folder finds in the journal what this one did.
        out: The folder for results.
        origin: What the batch is forked from; it has a key and an owner of its own then.
    """

    def __init__(
        self, ws: Workspace, pipeline: Pipeline, folder: Path, out: Path, *, origin: Origin | None = None
    ) -> None:
        self.ws = ws
        self.pipeline = pipeline
        self.folder = folder
        self.out = out
        self.origin = origin
        self.key = origin.fork_key(pipeline) if origin else batch_key(pipeline.name, folder)
        self.owner = f"{pipeline.name}:{self.key[:12]}"
        """Owner of agents, files and the store in the ledger."""
        self.ttl = timedelta(hours=pipeline.file.resources.ttl_hours)
        self.breaker = CircuitBreaker(pipeline.limits.max_consecutive_failures)
        section = pipeline.file.budget
        completion_tokens = pipeline.limits.max_completion_tokens
        self.budget = Budget(ws, self.owner, section, completion_tokens) if section is not None else None
        self.tally = Tally()
        self.slots = asyncio.Semaphore(pipeline.limits.concurrency)
        """Documents that may be in flight."""
        self.pace = Pace()
        """In which documents go on when the service has answered."""
        self.ahead = asyncio.Semaphore(min(pipeline.limits.concurrency, _READ_AHEAD))
        """Documents that may be read, and held in memory, before they have a slot."""
        self.spares = SpareConversations(ws, owner=self.owner, ttl=self.ttl)
        """Conversations for the first turns of documents that wait for a slot."""
        self._not_begun = 0
        self.warnings: list[str] = []
        self.so_far: BatchSummary | None = None
        """What is written of a batch that was stopped."""
        self.retained: set[str] = set()
        """Owners of conversations of failed turns: they stay for a look, until the ledger's time is up."""
        self.started = 0.0
        """When the run began that this worker takes part in (seconds since the epoch)."""
        self.lead: str | None = None
        """Key of the leader's lease, under which answers are committed; None: of none."""
        self.guard: Callable[[str], str] | None = None
        """Key of the lease, or leader's lease, under which this worker works on a document; None: of none."""
        self.lost: set[str] = set()
        """Documents that another worker has taken over from this one, which was silent for too long."""
        self._made: list[RemoteAgent] = []
        self.session = Session(ws, owner=self.owner, ttl=self.ttl, turns=self._turn, agents=self._agent)
        """The session of the batch; documents have sessions of their own, with the same agents."""

    def results_of(self, outcomes: Iterable[T | BaseException]) -> list[T]:
        """Take what `gather(..., return_exceptions=True)` gave, when all have come to their end.

        Raises:
            AgentTasksError: why the breaker has stopped the run.
            BaseException: else the first of the outcomes that is one.
        """
        self.breaker.check()
        results: list[T] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            results.append(outcome)
        return results

    def will_begin(self, documents: int) -> None:
        """Note that so many more documents are to have slots."""
        self._not_begun += documents

    def begins(self) -> None:
        """Note that one of them has its slot. While none is free the turns of the others can be foreseen."""
        self._not_begun -= 1
        self.spares.wanted(self._not_begun if self.slots.locked() else 0)

    def fingerprint_of(self, status: str) -> str:
        """Return what a row in this state depends on, besides the document."""
        pipeline = self.pipeline
        is_bounded = status in (DocumentStatus.FAILED, DocumentStatus.WAITING)  # another limit may change it
        return pipeline.failure_fingerprint if is_bounded else pipeline.fingerprint

    def owner_of(self, what: str, of: str | None = None) -> str:
        """Owner of the conversations about a document or question; the ledger holds 300 characters.

        Args:
            what: The document or question.
            of: Another batch's owner.
        """
        return owner_of_part(of or self.owner, what)

    async def release(self, owner: str) -> None:
        """Delete what belongs to an owner and its parts, except for what is retained or waits for a person.

        What the service does not delete now stays in the ledger.

        Raises:
            JournalError: The ledger cannot be read or written.
        """
        live = await self.ws.journal.resources.live(self.ws.scope, owner=owner, parts=True)
        kept = self.retained | await owners_that_wait(self.ws, owner)
        keep = {found.remote_id for found in live if any(belongs_to(found.owner, one) for one in kept)}
        try:
            await release_owner(self.ws, owner, keep=keep)
        except JournalError:
            raise
        except AgentTasksError as error:
            logger.warning("What belongs to %s was not deleted yet: %s", owner, error)

    async def release_documents(self, settled: Mapping[str, str | None]) -> None:
        """Delete the conversations of settled documents; those of failed turns stay for a look.

        What the service does not delete now stays in the ledger.

        Args:
            settled: Their owners, each with the key of the lease under which it was worked on; None: none.

        Raises:
            JournalError: The ledger cannot be read or written.
        """
        try:
            await release_owners(
                self.ws, {owner: held for owner, held in settled.items() if owner not in self.retained}
            )
        except LeaseLostError as error:
            if not self.ws.journal.is_shared:
                raise
            logger.info("Some conversations are left to another worker: %s", error)
        except JournalError:
            raise
        except AgentTasksError as error:
            logger.warning("Some conversations were not deleted yet: %s", error)

    @property
    def made_agents(self) -> bool:
        """Whether this worker itself made agents, which somebody has to delete."""
        return any(not agent.reused for agent in self._made)

    def warn(self, text: str) -> None:
        """Note something for the report that fails nothing."""
        self.warnings.append(text)

    async def _agent(self, session: Session, spec: AgentSpec) -> RemoteAgent:
        """Make an agent, when it is first needed.

        Raises:
            ConfigurationError: The service refuses to make it: every document would fail for the same reason.
            AgentTasksError: The service can't be reached now.
        """
        try:
            agent = await ensure_agent(self.ws, spec, owner=self.owner, ttl=self.ttl)
        except (RateLimitedError, ServerError):
            raise
        except ServiceError as error:
            self.breaker.failed(error)  # stops by itself where it knows why
            self.breaker.stop(
                ConfigurationError(f"the agent {spec.name} (model {spec.model}) was refused: {error}")
            )
        self._made.append(agent)
        return agent

    async def agent(
        self,
        plan: AgentPlan,
        *,
        hosted_tools: tuple[dict[str, Any], ...] = (),
        stores: tuple[RemoteStore, ...] = (),
    ) -> RemoteAgent:
        """The agent that answers questions, made when it is first needed. Raises as for other agents."""
        spec = AgentSpec(
            name=plan.name,
            model=plan.model,
            instructions=plan.section.instructions,
            tools=[*hosted_tools, *plan.tools.definitions],
            stores=list(stores),
            temperature=plan.section.temperature,
            top_p=plan.section.top_p,
        )

        async def made() -> AgentSpec:
            return spec

        return await self.session.agent(agent_key(spec), made)

    async def _turn(
        self,
        session: Session,
        turn: TurnSpec,
        *,
        model: str,
        tools: ToolSet | None,
        on_text: Callable[[str], None] | None,
    ) -> TurnResult:
        return await self.run_turn(turn, tools, model=model)

    async def run_turn(self, turn: TurnSpec, tools: ToolSet | None, *, model: str) -> TurnResult:
        """One turn. It is for others to count what it gives. Raises what `run_turn` raises.

        Raises:
            BudgetReachedError: the budget does not allow it.
        """
        if self.budget is None:
            return await self._run_turn(turn, tools)
        try:
            return await self.budget.spend(turn, model, lambda spent: self._run_turn(spent, tools))
        except BudgetReachedError as error:
            self.breaker.stop(error)

    async def _run_turn(self, turn: TurnSpec, tools: ToolSet | None) -> TurnResult:
        try:
            result = await run_turn(self.ws, turn, tools=tools, spares=self.spares)
        except RunFailedError:
            self.tally.turns += 1  # it was made, and its prompt at least was paid for
            raise
        self.breaker.succeeded()
        return result

    def count_turn(self, result: TurnResult) -> None:
        """Count a turn that gave an answer."""
        self.tally.count_turn(result)
        if not result.reused:
            observer().turn_finished(result.usage, self.ws.prices.cost(result.usage))

    async def turn(
        self,
        plan: AgentPlan,
        agent: RemoteAgent,
        step: str,
        prompt: str,
        *,
        owner: str,
        tool_choice: dict[str, Any] | str | None = None,
    ) -> TurnResult:
        """One turn of the agent that answers questions, counted. Raises what `run_turn` raises."""
        spec = TurnSpec(
            step=step,
            agent=agent,
            prompt=prompt,
            tool_choice=tool_choice,
            max_completion_tokens=plan.section.max_completion_tokens
            or self.pipeline.limits.max_completion_tokens,
            deadline=self.pipeline.limits.turn_deadline,
            owner=owner,
            ttl=self.ttl,
        )
        result = await self.run_turn(spec, plan.tools or None, model=plan.model)
        result = result.model_copy(update={"usage": result.usage.of_model(plan.model)})
        self.count_turn(result)
        return result
