"""Responses of workflows, from their first action to the last one, or to a question to the user."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from agents_emulator.engine import lifecycle
from agents_emulator.engine.asking import RunFailedError
from agents_emulator.engine.broker import Event, EventBroker
from agents_emulator.engine.responses.history import items_before
from agents_emulator.store import RUNS, Record, Store
from agents_emulator.tools.base import ToolError, ToolServices
from agents_emulator.workflows import asking
from agents_emulator.workflows.acting import act
from agents_emulator.workflows.agents import AddAgentRun, AgentRun, begin_agent, end_agent
from agents_emulator.workflows.definition import read_workflow
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.program import Action, Step
from agents_emulator.workflows.progress import Progress
from agents_emulator.workflows.values import as_boolean, as_table, unwrapped

T = TypeVar("T")
_AGENT = "InvokeAzureAgent"
MAX_ROWS = 10_000
"""Rows that a loop goes through at most."""


class WorkflowRunner:
    """Carries out workflows.

    Args:
        store: where their runs are.
        broker: tells of them.
        tools: what the runs of their agents are given, and what sets those to work.
        add_agent_run: adds them.
    """

    def __init__(
        self, store: Store, broker: EventBroker, tools: ToolServices, add_agent_run: AddAgentRun
    ) -> None:
        self._store = store
        self._broker = broker
        self._tools = tools
        self._add_agent_run = add_agent_run

    async def advance(self, run: Record) -> Record:
        """Carry a workflow out, until it ends or waits for its user; returns its run, which has ended.

        Raises:
            RunFailedError: an action could not be carried out; the message names it.
        """
        history = await self._store.read(lambda db: items_before(db, run))
        try:
            program = read_workflow(run["workflow"]["text"])
        except WorkflowError as error:  # of a version that an earlier service has taken
            raise RunFailedError("workflow_failed", str(error)) from None
        progress = Progress(run, program, history)
        while True:
            action = program.steps[progress.state["at"]].action
            try:
                ended = await self._step(progress)
            except WorkflowError as error:
                await self._commit(progress, lambda db: progress.close_item("failed"))
                message = f"The action `{action.id}` ({action.kind}) failed: {error}"
                raise RunFailedError("workflow_failed", message) from None
            if ended is not None:
                return ended

    async def _step(self, progress: Progress) -> Record | None:
        step = progress.program.steps[progress.state["at"]]
        if step.does == "act" and step.action.kind == _AGENT:
            waits = await self._asked_agent(progress, step)
        else:
            waits = await self._commit(progress, lambda db: _carried_out(db, progress, step))
        if not waits and step.does != "end":
            return None
        return await self._ended(progress)

    async def _asked_agent(self, progress: Progress, step: Step) -> bool:
        """Ask an agent; one that was asked before the service was restarted is not asked again."""
        children = self._tools.children
        assert children is not None  # noqa: S101 - set when the service was put together
        known = progress.state["child"]
        if known is None:
            made = await self._commit(progress, lambda db: self._begun(db, progress, step.action))
            if made.headers:
                self._tools.secrets[made.run["id"]] = made.headers
            run = made.run
        else:
            found = await self._store.read(lambda db: RUNS.find(db, known["id"], known["thread"]))
            if found is None:
                raise WorkflowError("the run of its agent was deleted")
            run = found
        try:
            ended = await children.follow(run, is_new=known is None)
        except ToolError as error:
            raise WorkflowError(str(error)) from None
        return await self._commit(progress, lambda db: _taken(db, progress, step, ended))

    def _begun(self, db: sqlite3.Connection, progress: Progress, action: Action) -> AgentRun:
        progress.count()
        progress.open_item(action)
        answer = None if progress.take_up() is None else progress.answer
        return begin_agent(db, progress, action, self._add_agent_run, answer)

    async def _commit(self, progress: Progress, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a piece of work and keep how far the workflow has come, in one transaction; then tell of it."""

        def commit(db: sqlite3.Connection) -> T:
            stored = lifecycle.expect(db, progress.run, "in_progress")
            result = work(db)
            RUNS.put(db, progress.kept(stored), stored["thread_id"])
            return result

        result = await self._store.write(commit)
        self._tell(progress)
        return result

    def _tell(self, progress: Progress, more: list[Event] | None = None) -> None:
        events, progress.events = [*progress.events, *(more or [])], []
        self._broker.publish(progress.run["id"], events)

    async def _ended(self, progress: Progress) -> Record:
        def end(db: sqlite3.Connection) -> tuple[Record, list[Event]]:
            stored = progress.kept(lifecycle.expect(db, progress.run, "in_progress"))
            if progress.state["waiting"] is None:
                stored["workflow"]["state"] = None
            return stored, lifecycle.end_run(db, stored, "completed")

        run, events = await self._store.write(end)
        self._tell(progress, events)
        return run


def _taken(db: sqlite3.Connection, progress: Progress, step: Step, ended: Record) -> bool:
    waits = end_agent(db, progress, step.action, ended)
    progress.close_item()
    if not waits:
        progress.go(progress.state["at"] + 1, step.name)
    return waits


def _carried_out(db: sqlite3.Connection, progress: Progress, step: Step) -> bool:
    """Carry a step out; returns whether the workflow waits for its user now."""
    state = progress.state
    if step.shown or step.does != "jump":
        progress.count()
    if step.shown:
        progress.open_item(step.action)
    here = state["at"]
    match step.does:
        case "act":
            if _acted(db, progress, step.action):
                progress.close_item()
                return True
            progress.go(here + 1, step.name)
        case "choose":
            found = (target for condition, target in step.branches if as_boolean(progress.value(condition)))
            progress.go(next(found, step.target))
        case "each":
            _begin_loop(progress, step.action)
            progress.go(here + 1)
        case "next":
            more = _next_row(progress, step.action)
            progress.go(here + 1 if more else step.target, step.name if more else "")
        case "jump":
            progress.go(step.target, step.name)
        case _:  # end
            pass
    progress.close_item()
    return False


def _acted(db: sqlite3.Connection, progress: Progress, action: Action) -> bool:
    """Carry an action out; returns whether it waits for the user."""
    if action.kind not in asking.KINDS:
        act(db, progress, action)
        return False
    tries = progress.take_up()
    if tries is None:
        asking.ask(progress, action)
    else:
        asking.take_answer(progress, action, tries)
    return progress.state["waiting"] is not None


def _begin_loop(progress: Progress, action: Action) -> None:
    value = progress.value(action.properties["items"])
    rows = as_table(value) if isinstance(value, list | dict) or value is None else [{"Value": value}]
    if len(rows) > MAX_ROWS:
        raise WorkflowError(f"a loop goes through {MAX_ROWS} rows at most")
    progress.state["loops"][action.id] = {"rows": rows, "next": 0}


def _next_row(progress: Progress, action: Action) -> bool:
    loop, said = progress.state["loops"].get(action.id), action.properties
    if loop is None:
        raise WorkflowError("a GotoAction led into the loop, which had not begun")
    place = loop["next"]
    if place >= len(loop["rows"]):
        del progress.state["loops"][action.id]
        progress.assign(said["value"], None)
        progress.assign(said.get("index"), None)
        return False
    loop["next"] = place + 1
    progress.assign(said["value"], unwrapped(loop["rows"][place]))
    progress.assign(said.get("index"), place)
    return True
