"""Sessions of flows, tasks and scripts: opened for a block, released at its end."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from types import TracebackType
from typing import Any, NoReturn

from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import Pause
from prefect.flow_runs import asuspend_flow_run

from agent_tasks.detaching import (
    EXIT_CODE,
    Ending,
    detach,
    ending_on_sigterm,
    hearing_sigterm,
    is_detaching,
)
from agent_tasks.errors import AgentTasksError, ConfigurationError, WaitingForPersonError
from agent_tasks.logs import get_logger
from agent_tasks.operations import DEFAULT_TTL, Workspace
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.operations.decisions import KEPT_AFTER_LIMIT, withdraw_questions
from agent_tasks.operations.ownership import release_ended
from agent_tasks.pipeline.loader import default_model
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.prefect.cancellation_watch import is_cancelled
from agent_tasks.prefect.hooks import Hook, release_on_end
from agent_tasks.prefect.suspended_runs import pause_key
from agent_tasks.prefect.turns import PrefectTurns
from agent_tasks.settings import Settings
from agent_tasks.steps.checks import check_kind, check_text
from agent_tasks.steps.portal import portal
from agent_tasks.steps.session import Session, session_around

__all__ = ["SessionBlock", "release_session", "session", "session_owner"]

logger = get_logger("agent_tasks.prefect.sessions")

SUSPENDED_WITHOUT_LIMIT = timedelta(days=30)
"""How long a flow run stays suspended that waits for a person who has no time limit."""

INTERRUPTED_SECONDS = 25.0
"""How long a block that is interrupted (Ctrl-C, SIGTERM) may take to cancel its turns and delete what is its:
who ends processes gives them 30 seconds as a rule."""

_OWNER_CHARACTERS = 120  # of a flow's name in an owner, to which the run's id and names of parts are added


def session(
    project: AgentsProject | str | Workspace | None = None,
    *,
    owner: str | None = None,
    run: str | None = None,
    reuse: bool = False,
    keep: bool = False,
    ttl: timedelta = DEFAULT_TTL,
    model: str | None = None,
    tasks: bool = True,
) -> SessionBlock:
    """Open a session for a block: agents that are asked in it work for its owner, in its run.

    Inside of another session's block it is that session, unless an argument asks for another one.

    In a flow, owner and run are the flow's name and the flow run: what is asked once in a flow run is never
    paid for again by its retries, and another flow run asks anew. What the block made is gone when it ends.

    Example:
        ```python
        @flow
        async def ask(question: str) -> str:
            async with session():
                return (await helper.ask(question)).value

        @flow
        def ask_blocking(question: str) -> str:
            with session():
                return helper.ask_sync(question).value
        ```

    Args:
        project: the project as a block, or the name of a saved one; the environment's if not given (and
            without one the local service). Or a workspace that is open.
        owner: for whom the work is; the flow's name if not given. Needed outside of flows.
        run: the run; the flow run's id if not given, or else a run of its own. A script that is to go on
            after a crash gives it a name.
        reuse: whether answers of other runs of the owner may be taken.
        keep: whether what was made stays when the block ends, until its time to live is over.
        ttl: how long what is made may live, whatever happens.
        model: the model deployment of agents that name none; the project's if not given.
        tasks: whether each turn is shown on the dashboard: a task run of the flow, with an artifact.

    Raises:
        ConfigurationError: no owner is known, or the project can't be used.
    """
    return SessionBlock(project, owner, run, reuse=reuse, keep=keep, ttl=ttl, model=model, tasks=tasks)


@dataclass(frozen=True)
class _Place:
    """Where in Prefect the block is."""

    flow: str | None = None
    flow_run: str | None = None
    task_run: str | None = None
    is_retried: bool = False
    """Whether Prefect tries again when the block fails."""
    is_deployed: bool = False
    """Whether it is a flow run of a deployment, which can be suspended."""

    @classmethod
    def here(cls) -> _Place:
        flow, task = FlowRunContext.get(), TaskRunContext.get()
        name = run = None
        retried = deployed = False
        if flow is not None and flow.flow is not None and flow.flow_run is not None:
            name, run = flow.flow.name, str(flow.flow_run.id)
            retried = flow.flow_run.run_count <= (flow.flow.retries or 0)
            deployed = flow.flow_run.deployment_id is not None
        if task is None:
            return cls(name, run, None, retried, deployed)
        if run is None:  # the flow is elsewhere, or there is none; its retries keep a task run's id
            run = str(task.task_run.flow_run_id or task.task_run.id)
        retried = retried or task.task_run.run_count <= (task.task.retries or 0)
        return cls(name or task.task.name, run, str(task.task_run.id), retried)


@dataclass(frozen=True)
class ProjectOpener:
    """Opens the workspace of a project, anywhere."""

    project: AgentsProject

    @property
    def key(self) -> Hashable:
        """What tells it from others."""
        return tuple(self.project.settings().model_dump().items())

    def workspace(self) -> AbstractAsyncContextManager[Workspace]:
        """Open it, for the block."""
        return self.project.workspace()


class SessionBlock:
    """A session for a block, as `session` makes it: `async with`, or `with` in blocking code."""

    def __init__(
        self,
        project: AgentsProject | str | Workspace | None,
        owner: str | None,
        run: str | None,
        *,
        reuse: bool,
        keep: bool,
        ttl: timedelta,
        model: str | None,
        tasks: bool,
    ) -> None:
        check_kind(
            "session(...)",
            (AgentsProject, str, Workspace),
            "a project, its name or a workspace",
            project=project,
        )
        check_text("session(...)", optional=True, owner=owner, run=run, model=model)
        check_kind("session(...)", timedelta, "a timedelta", ttl=ttl)
        self._project = project
        self._owner = owner
        self._run = run
        self._reuse = reuse
        self._keep = keep
        self._ttl = ttl
        self._model = model
        self._turns = PrefectTurns(tasks=tasks)
        self._stack = AsyncExitStack()
        self._blocking = ExitStack()
        self._session: Session | None = None
        self._place = _Place()
        self._is_joined = False
        self._ending: Ending | None = None
        """How the block is told to end, in a program that does not handle SIGTERM."""

    # --- async -----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Session:
        if (around := self._around()) is not None:
            return around
        self._place = _Place.here()
        async with AsyncExitStack() as stack:
            self._mind_sigterm(stack, _cancelling_this_task())
            if isinstance(self._project, Workspace):
                made = self._made(self._project, None)
            else:
                project = await load_project(self._project)
                ws = await stack.enter_async_context(project.workspace())
                made = self._made(ws, project)
            stack.enter_context(made.entered())
            self._stack = stack.pop_all()
        self._session = made
        return made

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            async with self._stack:
                await self._end_in_time(self._session, error)
            self._exit_if_told()

    # --- blocking --------------------------------------------------------------------------------------

    def __enter__(self) -> Session:
        if (around := self._around()) is not None:
            return around
        if isinstance(self._project, Workspace):
            raise ConfigurationError(
                "A workspace that is open belongs to its event loop: use `async with session(workspace)`, or "
                "give the project.",
                setting="project",
            )
        self._place = _Place.here()
        made = self._made(None, _loaded(self._project))
        with ExitStack() as stack:
            self._mind_sigterm(stack, _exit)
            stack.enter_context(made.entered())
            self._blocking = stack.pop_all()
        self._session = made
        return made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session = self._session
        if session is not None:
            with self._blocking:
                session.wait_for_end(lambda there: self._end_in_time(there, error))
            self._exit_if_told()

    # --- both ------------------------------------------------------------------------------------------

    def _mind_sigterm(self, stack: AsyncExitStack | ExitStack, end: Callable[[], None]) -> None:
        """Hear of SIGTERM in the block; end it in a program that would be dead at once.

        What a run with a name has begun is left to whoever starts it again, as in a flow run. Nobody goes on
        with a run without one: its turns are cancelled, and what it made is deleted.
        """
        place = self._place
        if place.flow_run is None and place.task_run is None:

            def hand_over() -> None:
                detach()
                end()

            self._ending = stack.enter_context(ending_on_sigterm(hand_over if self._run else end))
        if self._ending is None:
            stack.enter_context(hearing_sigterm())

    def _exit_if_told(self) -> None:
        if self._ending is not None and self._ending.was_told:
            _exit()

    def _around(self) -> Session | None:
        """The session of the block around, which goes on here unless another one is asked for."""
        is_other = any((self._project, self._owner, self._run, self._model, self._reuse, self._keep))
        return None if is_other else session_around()

    def _made(self, ws: Workspace | None, project: AgentsProject | None) -> Session:
        settings = project.settings() if project is not None else Settings()
        place = self._place
        owner = self._owner or _owner_of(place.flow or "")
        if not owner:
            raise ConfigurationError(
                "Outside of a flow a session needs an owner: session(owner='my-script'). To go on after a "
                "crash, give it a name for the run as well: run='2026-11-29'.",
                setting="owner",
            )
        run = self._run or place.flow_run or uuid.uuid4().hex
        self._turns.content = settings.show_content
        whose = f"{owner}:{run}"  # as `session_owner` says it of flows
        around = session_around()
        root = whose
        if around is not None and around.whose == whose:
            root, self._is_joined = around.root, True  # what is made goes with the session around
        elif place.task_run is not None and place.flow_run is not None:
            root = f"{whose}/{place.task_run}"  # other tasks of the flow run may be at work
        return Session(
            ws,
            owner=owner,
            run=run,
            root=root,
            keeper=root,
            ttl=self._ttl,
            model=self._model or (default_model(settings) if project is not None else None),
            reuse=self._reuse,
            opener=ProjectOpener(project) if project is not None else None,
            turns=self._turns,
        )

    async def _end_in_time(self, session: Session, error: BaseException | None) -> None:
        """End the block; where it is interrupted, within a bound."""
        if error is None or isinstance(error, Exception):
            await self._end(session, error)
            return
        try:
            async with asyncio.timeout(INTERRUPTED_SECONDS):
                await self._end(session, error)
        except TimeoutError:
            logger.warning(
                "What %s made was not all cancelled and deleted within %g s of the interruption; the sweep "
                "deletes what is left (agent-tasks sweep).",
                session.root,
                INTERRUPTED_SECONDS,
            )

    async def _end(self, session: Session, error: BaseException | None) -> None:
        """End what is being asked, and release what was made, unless somebody goes on with it."""
        await session.end()
        if error is None or isinstance(error, Exception):
            await self._turns.shown()
        if self._keep or self._is_joined:
            return
        if error is not None and not isinstance(error, Exception):
            if is_detaching() and not await is_cancelled(self._place.flow_run):
                return  # told to end by SIGTERM: the next one goes on
            if _is_pause(error):
                return
        elif isinstance(error, WaitingForPersonError):
            if self._place.is_deployed:
                # Raises what ends the process; resumed, the flow run goes on here.
                await asuspend_flow_run(timeout=ceil(_limit(error)), key=pause_key(str(error.key)))
            return
        elif error is not None and self._place.is_retried:
            return
        try:
            await cancel_owner(session.ws, session.root)  # also what could not be cancelled when it was due
            await withdraw_questions(session.ws, session.root, parts=True)
            await release_ended(session.ws, session.root)
        except AgentTasksError as failure:  # must not hide how the block ended
            logger.warning("What %s made was not deleted yet (the sweep will): %s", session.root, failure)


def _owner_of(flow: str) -> str:
    """The owner of a flow's sessions: parts of an owner are behind a slash."""
    return flow.replace("/", "-")[:_OWNER_CHARACTERS].strip()


def session_owner(flow: str, flow_run_id: object) -> str:
    """Whose the things are that a session of a flow run has made, for the ledger and the command line.

    Args:
        flow: the flow's name.
        flow_run_id: the flow run.
    """
    return f"{_owner_of(flow)}:{flow_run_id}"


def release_session(*, project: AgentsProject | str | None = None) -> Hook:
    """A hook that ends what the sessions of a flow run have left, when its process is gone.

    A session releases what it made by itself when its block ends. Where the process is killed, this does it
    in the process of whoever ran the flow: turns under way are cancelled, what was made is deleted.

    Example:
        ```python
        ended = release_session()

        @flow(on_cancellation=[ended], on_failure=[ended])
        async def ask(question: str) -> str: ...
        ```

    Args:
        project: the project; the flow run's parameter `project` if it has one, or else the environment's.
    """

    async def end(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
        hook = release_on_end(session_owner(flow.name, flow_run.id), project=project)
        await hook(flow, flow_run, state)

    end.__name__ = "release_session"
    return end


def _loaded(project: AgentsProject | str | None) -> AgentsProject:
    if isinstance(project, AgentsProject):
        return project
    if project is None:
        return AgentsProject()
    return portal().wait(load_project(project))


def _is_pause(error: BaseException) -> bool:
    return isinstance(error, Pause)


def _limit(error: WaitingForPersonError) -> float:
    """How long a flow run stays suspended, in seconds.

    Longer than the question's time limit: Prefect fails a run whose suspension is over, and the question's
    own policy would not be asked.
    """
    if error.expires_at is None:
        return SUSPENDED_WITHOUT_LIMIT.total_seconds()
    return max(error.expires_at - time.time(), 0.0) + KEPT_AFTER_LIMIT.total_seconds()


def _cancelling_this_task() -> Callable[[], None]:
    """What cancels the task that opens a block, from the handler of a signal."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)  # it wakes a loop that waits

    return cancel


def _exit() -> NoReturn:
    raise SystemExit(EXIT_CODE)
