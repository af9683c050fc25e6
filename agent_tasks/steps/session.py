"""A session: whose work it is, in which run, and where in its steps."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from agent_tasks.detaching import is_detaching
from agent_tasks.errors import AgentTasksError, ConfigurationError
from agent_tasks.journal import OperationState
from agent_tasks.logs import get_logger
from agent_tasks.operations import (
    DEFAULT_TTL,
    AgentSpec,
    RemoteAgent,
    TurnResult,
    TurnSpec,
    Workspace,
    agent_key,
    ensure_agent,
    run_turn,
    turn_key,
)
from agent_tasks.operations.sent_turns import known_ref
from agent_tasks.operations.services import side_of
from agent_tasks.pool import Pool
from agent_tasks.steps.answers import TurnRecord
from agent_tasks.steps.lifetime import Lifetime
from agent_tasks.steps.portal import portal
from agent_tasks.tools import ToolSet

__all__ = ["AgentMaker", "OnText", "Opener", "Session", "TurnRunner", "current_session", "session_around"]

T = TypeVar("T")

logger = get_logger("agent_tasks.steps")

_LATE_SECONDS = 5.0
"""How long a caller that gives a turn up waits for its answer, where that is complete already."""

IDLE_SECONDS = 5.0
"""How long a workspace of the portal stays open after its last use."""

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
        self.things: dict[tuple[int, Hashable], tuple[object, Any]] = {}
        """What is found out once, with what it is about, which has to live for its id to be its own."""
        self.locks: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)


class Opener(Protocol):
    """How a session's workspace is opened in another event loop, thread or process."""

    @property
    def key(self) -> Hashable:
        """What tells the workspace from others."""
        ...

    def workspace(self) -> AbstractAsyncContextManager[Workspace]:
        """Open it, for the block."""
        ...


class Session:
    """Whose work it is, in which run, and where in its steps.

    The same question of the same session (owner, run, step, agent, prompt) is asked once, however often the
    program asks it, is killed and starts again. In another run it is asked anew, unless it may be reused.

    It may be used from any thread and event loop, and in other processes, if it has an `opener`: elsewhere
    than at home (the event loop that it was made in) its work is done in a thread of its own.

    Args:
        ws: where to work, open in this event loop; None: it is opened when it is needed.
        owner: for whom it is. What is made belongs to the owner in this run, and is released with it.
        run: the run, such as a flow run's id; None: the owner alone says which it is.
        root: whose the agents, files and stores are; the owner in this run if not given.
        keeper: whose the conversations are; likewise.
        path: the names of the steps that lead here.
        ttl: how long what is made may live, unless its owner is released before.
        model: the model deployment of agents that name none.
        reuse: whether answers of other runs of this owner may be taken.
        opener: how the workspace is opened elsewhere.
        turns: what carries out turns in place of `run_turn`.
        agents: what makes agents in place of `ensure_agent`.
        on_turn: called with each turn that ended with an answer, also one from the journal.
    """

    def __init__(
        self,
        ws: Workspace | None,
        *,
        owner: str,
        run: str | None = None,
        root: str | None = None,
        keeper: str | None = None,
        path: tuple[str, ...] = (),
        ttl: timedelta = DEFAULT_TTL,
        model: str | None = None,
        reuse: bool = False,
        opener: Opener | None = None,
        turns: TurnRunner = _run,
        agents: AgentMaker = _ensure,
        on_turn: Callable[[TurnRecord, TurnResult], None] | None = None,
    ) -> None:
        if not owner.strip():
            raise ConfigurationError("A session needs an owner: say for whom it works.", setting="owner")
        self.owner = owner
        self.run = run
        self.path = path
        self.ttl = ttl
        self.model = model
        self.reuse = reuse
        self.whose = f"{owner}:{run}" if run else owner
        """The owner in this run: what is made belongs to it."""
        self.root = root or self.whose
        self.keeper = keeper or self.whose
        self.opener = opener
        self.on_turn = on_turn
        self._ws = ws
        self._home = _running_loop() if ws is not None else None
        self._turns = turns
        self._agents = agents
        self._lifetime = Lifetime(self.whose)
        self._shared: WeakKeyDictionary[asyncio.AbstractEventLoop, _Shared] = WeakKeyDictionary()

    @property
    def ws(self) -> Workspace:
        """The workspace, where it is open."""
        if self._ws is None:
            raise ConfigurationError(
                "The workspace of this session is not open here; use the session's own functions."
            )
        return self._ws

    @property
    def _known(self) -> _Shared:
        """What it has in common with its children in this event loop: locks belong to one."""
        return self._shared.setdefault(asyncio.get_running_loop(), _Shared())

    def at(self, *parts: str | int) -> Session:
        """A session further down in the steps: `session.at("clauses", 3)`."""
        return self._copy(path=(*self.path, *(str(part) for part in parts)))

    def _copy(self, **changes: Any) -> Session:
        child = object.__new__(type(self))
        child.__dict__.update(self.__dict__ | changes)
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
        whose = f"{owner}:{self.run}" if self.run else owner
        return self._copy(
            owner=owner, whose=whose, keeper=whose, on_turn=on_turn, _turns=turns or self._turns
        )

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

    # --- where it works --------------------------------------------------------------------------------

    async def do(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Have something done with the workspace, wherever the caller is.

        At home it is done right here; elsewhere in the thread of the portal, or at home if it can't be opened
        anew.

        Args:
            work: takes this session, with an open workspace.

        Raises:
            ConfigurationError: the session has ended, before this or meanwhile.
        """
        self._lifetime.check()
        work = self._while_it_lasts(work)
        if self._ws is not None and self._home in (None, asyncio.get_running_loop()):
            return await work(self)
        return await asyncio.wrap_future(self._elsewhere(work))

    def _while_it_lasts(self, work: Callable[[Session], Awaitable[T]]) -> Callable[[Session], Awaitable[T]]:
        return lambda there: self._lifetime.run(lambda: work(there))

    def wait(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """The same for blocking callers.

        Raises:
            ConfigurationError: it would block the event loop that has to do it; or the session has ended.
        """
        self._lifetime.check()
        return self._wait(self._while_it_lasts(work))

    async def end(self) -> None:
        """Let nobody ask in it any more: what is being asked is cancelled, and its end is waited for."""
        await self._lifetime.end()

    def wait_for_end(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Have done what is to be done when it ends, such as `end` itself, for blocking callers.

        Args:
            work: takes this session, with an open workspace.
        """
        return self._wait(work)

    def _wait(self, work: Callable[[Session], Awaitable[T]]) -> T:
        if self.opener is None and self._home is not None and self._home is _running_loop():
            raise ConfigurationError(
                "A blocking call in the session's own event loop would wait for itself. Write "
                "`await agent.ask(...)`; or make the session of a project: session(project, ...)."
            )
        if self.opener is not None:
            return portal().wait(self._opened(work))
        return self._elsewhere(work).result()

    def _elsewhere(self, work: Callable[[Session], Awaitable[T]]) -> concurrent.futures.Future[T]:
        if self.opener is not None:
            return portal().submit(self._opened(work))
        if self._home is None:
            raise ConfigurationError("This session has no workspace, and does not know how to open one.")
        return asyncio.run_coroutine_threadsafe(_called(work, self), self._home)

    async def _opened(self, work: Callable[[Session], Awaitable[T]]) -> T:
        assert self.opener is not None  # noqa: S101 - the callers ask only then
        async with _workspaces.use(self.opener.key, self.opener.workspace) as ws:
            there = self._copy(_ws=ws, _home=asyncio.get_running_loop())
            with there.entered():
                return await work(there)

    def __getstate__(self) -> dict[str, Any]:
        if self.opener is None:
            raise ConfigurationError(
                "A session over an open workspace can't go to another process. Make it of a project: "
                "session(project, ...)."
            )
        return self.__dict__ | {
            "_ws": None,
            "_home": None,
            "_shared": None,
            "_lifetime": None,
            "on_turn": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._shared = WeakKeyDictionary()
        self._lifetime = Lifetime(self.whose)

    # --- what it does ----------------------------------------------------------------------------------

    async def turn(
        self, turn: TurnSpec, *, model: str, tools: ToolSet | None, on_text: OnText | None
    ) -> TurnResult:
        """Carry out a turn, as this session does. Raises what `run_turn` raises.

        The answer of a turn that is cancelled too late, when it is complete, is committed: it is paid for,
        and its conversation need not stay for whoever asks again.
        """
        try:
            return await self._turns(self, turn, model=model, tools=tools, on_text=on_text)
        except asyncio.CancelledError:
            if not is_detaching():
                taking = asyncio.ensure_future(_take_late(self.ws, turn, tools))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(taking), _LATE_SECONDS)
            raise

    async def agent(self, key: str, spec: Callable[[], Awaitable[AgentSpec]]) -> RemoteAgent:
        """The agent of a key, made when it is first needed. Raises what `ensure_agent` raises."""
        known = self._known
        async with known.locks[key]:
            if key not in known.agents:
                known.agents[key] = await self._agents(self, await spec())
            return known.agents[key]

    async def once(self, about: object, key: Hashable, find: Callable[[], Awaitable[T]]) -> T:
        """What is found out once in a session and event loop, such as an agent's specification.

        Args:
            about: the object that it is about.
            key: what of it.
            find: finds it out.
        """
        known, place = self._known, (id(about), key)
        async with known.locks[place]:
            if place not in known.things:
                known.things[place] = about, await find()
            found: T = known.things[place][1]
            return found

    def key_of(self, spec: AgentSpec) -> str:
        """The key of an agent whose specification stays the same object, worked out once."""
        things, place = self._known.things, (id(spec), "key")
        if place not in things:
            things[place] = spec, agent_key(spec)
        key: str = things[place][1]
        return key

    def knows(self, key: str) -> bool:
        """Whether the agent of a key was made, or found, in this session."""
        return key in self._known.agents

    def forget(self, key: str) -> None:
        """Look again whether the agent of a key is there, when it is next needed."""
        self._known.agents.pop(key, None)


async def _take_late(ws: Workspace, turn: TurnSpec, tools: ToolSet | None) -> None:
    """Commit the answer of a turn that was given up when it had completed; no other turn is touched."""
    try:
        found = await ws.journal.operations.get(ws.scope, turn_key(turn))
        if found is None or found.state is not OperationState.ATTACHED:
            return
        ref = known_ref(found)
        there = await side_of(ws, found)
        if ref is not None and not await there.backend.cancel_turn(ref):  # nothing but completed says so
            await run_turn(ws, turn, tools=tools)
    except AgentTasksError as error:
        logger.info("The turn of step %r, which was given up, left no answer: %s", turn.step, error)


async def _called(work: Callable[[Session], Awaitable[T]], session: Session) -> T:
    return await work(session)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


_workspaces: Pool[Workspace] = Pool("portal-workspaces", idle=IDLE_SECONDS)


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


def session_around() -> Session | None:
    """The session of the block around, if there is one."""
    return _current.get()
