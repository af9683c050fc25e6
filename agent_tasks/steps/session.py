"""A session: whose work it is, in which run, and where in its steps."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Protocol

from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import (
    DEFAULT_TTL,
    AgentSpec,
    RemoteAgent,
    TurnResult,
    TurnSpec,
    Workspace,
    ensure_agent,
    run_turn,
)
from agent_tasks.steps.answers import TurnRecord
from agent_tasks.tools import ToolSet

__all__ = ["AgentMaker", "Session", "TurnRunner", "current_session"]

OnText = Callable[[str], None]


class TurnRunner(Protocol):
    """Carries out one turn: `run_turn`, and what is done around it."""

    async def __call__(
        self, session: Session, turn: TurnSpec, *, model: str, tools: ToolSet | None, on_text: OnText | None
    ) -> TurnResult:
        """Carry out a turn that the journal does not have the result of. Raises what `run_turn` raises."""
        ...


class AgentMaker(Protocol):
    """Makes sure that an agent is there: `ensure_agent`, and what is done around it."""

    async def __call__(self, session: Session, spec: AgentSpec) -> RemoteAgent:
        """Make an agent of `session.root`. Raises what `ensure_agent` raises."""
        ...


async def _run(
    session: Session, turn: TurnSpec, *, model: str, tools: ToolSet | None, on_text: OnText | None
) -> TurnResult:
    return await run_turn(session.ws, turn, tools=tools, on_text=on_text)


async def _ensure(session: Session, spec: AgentSpec) -> RemoteAgent:
    return await ensure_agent(session.ws, spec, owner=session.root, ttl=session.ttl)


class _Shared:
    """What a session and its children have in common."""

    def __init__(self) -> None:
        self.agents: dict[str, RemoteAgent] = {}
        """The agents that are known to be there, by key."""
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


class Session:
    """Whose work it is, in which run, and where in its steps.

    The same question of the same session (owner, run, step, agent, prompt) is asked once, however often the
    program asks it, is killed and starts again. In another run it is asked anew, unless it may be reused.

    Args:
        ws: where to work, open.
        owner: for whom it is. What is made belongs to the owner in this run, and is released with it.
        run: the run, such as a flow run's id; None: the owner alone says which it is.
        root: whose the agents, files and stores are; the owner in this run if not given. Conversations belong
            to the owner in any case.
        path: the names of the steps that lead here.
        ttl: how long what is made may live, unless its owner is released before.
        model: the model deployment of agents that name none.
        reuse: whether answers of other runs of this owner may be taken.
        turns: what carries out turns in place of `run_turn`.
        agents: what makes agents in place of `ensure_agent`.
        on_turn: called with each turn that ended with an answer, also one from the journal.
    """

    def __init__(
        self,
        ws: Workspace,
        *,
        owner: str,
        run: str | None = None,
        root: str | None = None,
        path: tuple[str, ...] = (),
        ttl: timedelta = DEFAULT_TTL,
        model: str | None = None,
        reuse: bool = False,
        turns: TurnRunner = _run,
        agents: AgentMaker = _ensure,
        on_turn: Callable[[TurnRecord, TurnResult], None] | None = None,
    ) -> None:
        if not owner.strip():
            raise ConfigurationError("A session needs an owner: say for whom it works.", setting="owner")
        self.ws = ws
        self.owner = owner
        self.run = run
        self.path = path
        self.ttl = ttl
        self.model = model
        self.reuse = reuse
        self.whose = f"{owner}:{run}" if run else owner
        """The owner in this run: what is made belongs to it."""
        self.root = root or self.whose
        self.on_turn = on_turn
        self._turns = turns
        self._agents = agents
        self._shared = _Shared()

    def at(self, *parts: str | int) -> Session:
        """A session further down in the steps: `session.at("clauses", 3)`."""
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__)
        child.path = (*self.path, *(str(part) for part in parts))
        return child

    def of_part(
        self,
        owner: str,
        *,
        turns: TurnRunner | None = None,
        on_turn: Callable[[TurnRecord, TurnResult], None] | None = None,
    ) -> Session:
        """A session for another owner with the same agents, such as for a document of a batch.

        Args:
            owner: For whom; its conversations are its own.
            turns: What carries out its turns; default as here.
            on_turn: Called with its turns.
        """
        child = self.at()
        child.owner = owner
        child.whose = f"{owner}:{self.run}" if self.run else owner
        child.on_turn = on_turn
        if turns is not None:
            child._turns = turns
        return child

    def step(self, name: str) -> str:
        """The whole name of a step here: `clauses/3/judge`."""
        return "/".join((*self.path, name))

    @contextmanager
    def entered(self) -> Iterator[Session]:
        """In the block it is the session of all that is asked without naming one."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    async def turn(
        self, turn: TurnSpec, *, model: str, tools: ToolSet | None, on_text: OnText | None
    ) -> TurnResult:
        """Carry out a turn, as this session does. Raises what `run_turn` raises."""
        return await self._turns(self, turn, model=model, tools=tools, on_text=on_text)

    async def agent(self, key: str, spec: Callable[[], Awaitable[AgentSpec]]) -> RemoteAgent:
        """The agent of a key, made when it is first needed. Raises what `ensure_agent` raises."""
        async with self._shared.locks[key]:
            if key not in self._shared.agents:
                self._shared.agents[key] = await self._agents(self, await spec())
            return self._shared.agents[key]

    def knows(self, key: str) -> bool:
        """Whether the agent of a key was made, or found, in this session."""
        return key in self._shared.agents

    def forget(self, key: str) -> None:
        """Look again whether the agent of a key is there, when it is next needed."""
        self._shared.agents.pop(key, None)


_current: ContextVar[Session | None] = ContextVar("agent_tasks_session", default=None)


def current_session() -> Session:
    """The session of the block around.

    Raises:
        ConfigurationError: there is none.
    """
    session = _current.get()
    if session is None:
        raise ConfigurationError(
            "An agent is asked outside of any session, so nobody would own what it makes. Ask it inside "
            "`async with session(...)`, or give it one: agent.ask(..., session=...).",
            setting="session",
        )
    return session
