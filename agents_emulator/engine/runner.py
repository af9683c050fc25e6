"""Runs as background tasks of the service: start, continue, cancel, expire, recover.

A run belongs to the service, not to the request that created it: it keeps running when the client goes away,
and a run found queued or in progress at the start of the service is continued.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from agent_tasks.logs import get_logger
from agents_emulator.engine import lifecycle
from agents_emulator.engine.asking import Asker, RunFailedError
from agents_emulator.engine.bodies import step_delta
from agents_emulator.engine.broker import Event, EventBroker
from agents_emulator.engine.citing import Citable, FileMentions, References
from agents_emulator.engine.context import Conversation, build_request, load_conversation
from agents_emulator.engine.file_search import FileSearch, SearchError, SearchOutcome, wants_search
from agents_emulator.engine.images import ImageError, Images
from agents_emulator.engine.lifecycle import Ending, RunMovedOnError
from agents_emulator.engine.mishaps import suffer
from agents_emulator.engine.responses import feeds
from agents_emulator.engine.toolwork import ToolWork
from agents_emulator.engine.turn import Turn
from agents_emulator.models.base import ChatModel, ImagePart, sees_images
from agents_emulator.requestlog import RequestLog
from agents_emulator.store import RUNS, Record, Store
from agents_emulator.tools.base import ToolServices, ToolSetupError
from agents_emulator.tools.code_interpreter import Workspace
from agents_emulator.tools.toolbox import Toolbox

logger = get_logger("agents_emulator")

MAX_ROUNDS = 64
"""Answers of tool calls in one run; a model that still asks for more goes round in circles."""
_SERVER_ERROR = {"code": "server_error", "message": "Sorry, something went wrong."}


@dataclass
class _Worker:
    """The task that works on a run, and the turn it is in: that holds the message written so far."""

    task: asyncio.Task[None] | None = None
    turn: Turn | None = None


class Workflows(Protocol):
    """Carries out the responses of workflows."""

    async def advance(self, run: Record) -> Record:
        """Return the run when it has ended. Raises `RunFailedError`."""
        ...


class RunEngine:
    """All runs of the service that are not at rest."""

    def __init__(
        self,
        store: Store,
        log: RequestLog,
        broker: EventBroker,
        model: ChatModel,
        search: FileSearch,
        tools: ToolServices,
        *,
        max_concurrent_runs: int,
        action_ttl: int,
    ) -> None:
        self._store = store
        self._broker = broker
        self._model = model
        self._search = search
        self._tools = tools
        self._asker = Asker(store, log, model)
        self._work_on_calls = ToolWork(store, broker, self._asker, action_ttl)
        self._images = Images(store, tools.files_dir, tools.settings)
        self._slots = asyncio.Semaphore(max_concurrent_runs)
        self._workers: dict[str, _Worker] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self.workflows: Workflows | None = None

    async def recover(self) -> None:
        """Continue the runs that a stopped service left behind; those that wait for their client do so on."""
        for run in await self._store.read(_active_runs):
            await self._recover_run(run)

    async def _recover_run(self, run: Record) -> None:
        if run["status"] == "cancelling":
            await self._end(run, "cancelled")
        elif run["expires_at"] is not None and run["expires_at"] <= time.time():
            await self._end(run, "expired")
        elif run["status"] == "requires_action":
            self._watch(run)
        else:
            logger.info("continuing run %s", run["id"])
            run = await self._store.write(lambda db: lifecycle.discard_unfinished(db, run))
            await feeds.resume(self._store, self._broker, run)
            self.start(run)

    def start(self, run: Record) -> None:
        """Work on a queued run in the background; a connected agent's shares the place of its caller."""
        self._watch(run)
        worker = self._workers[run["id"]] = _Worker()
        slot = nullcontext() if run.get("depth") else self._slots
        worker.task = asyncio.create_task(self._work(run, worker, slot), name=run["id"])

    def end_soon(self, run: Record, ending: Ending) -> None:
        """Stop working on a run and bring it to `cancelled` or `expired`, in the background."""
        task = asyncio.create_task(self._end(run, ending))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def end(self, run: Record, ending: Ending) -> None:
        """Stop working on a run and bring it to `cancelled` or `expired`."""
        await self._end(run, ending)

    async def forget(self, run: Record) -> None:
        """Stop working on a run whose thread was deleted."""
        await self._stop_worker(run["id"])
        self._tools.forget_run(run["id"])
        self._unwatch(run["id"])
        self._broker.finish(run["id"])

    async def close(self) -> None:
        """Stop all work; what is unfinished continues at the next start."""
        for timer in self._timers.values():
            timer.cancel()
        working = [worker.task for worker in self._workers.values() if worker.task is not None]
        for task in working:
            task.cancel()
        await asyncio.gather(*self._endings, *working, return_exceptions=True)

    # -- time limits

    def _watch(self, run: Record) -> None:
        self._unwatch(run["id"])
        if run["expires_at"] is not None:
            delay = max(0.0, run["expires_at"] - time.time())
            loop = asyncio.get_running_loop()
            self._timers[run["id"]] = loop.call_later(delay, self.end_soon, run, "expired")

    def _unwatch(self, run_id: str) -> None:
        timer = self._timers.pop(run_id, None)
        if timer is not None:
            timer.cancel()

    async def _stop_worker(self, run_id: str) -> Turn | None:
        worker = self._workers.pop(run_id, None)
        if worker is None or worker.task is None:
            return None
        worker.task.cancel()
        await asyncio.wait([worker.task])
        return worker.turn

    async def _end(self, run: Record, ending: Ending) -> None:
        turn = await self._stop_worker(run["id"])
        partial = turn.content() if turn is not None else None

        def end(db: sqlite3.Connection) -> list[Event]:
            stored = RUNS.find(db, run["id"], run["thread_id"])
            if stored is None:
                return []
            if stored["status"] not in lifecycle.ACTIVE:
                # It came to its end while it was being stopped, perhaps before it could say so.
                return [lifecycle.run_event(stored)]
            return lifecycle.end_run(db, stored, ending, partial=partial)

        self._broker.publish(run["id"], await self._store.write(end))
        await self._rest(run["id"])

    async def _rest(self, run_id: str) -> None:
        self._unwatch(run_id)
        self._tools.forget_run(run_id)
        await feeds.keep(self._store, self._broker, run_id)
        self._broker.finish(run_id)

    # -- the work on one run

    async def _work(self, run: Record, worker: _Worker, slot: AbstractAsyncContextManager[None]) -> None:
        run_id = run["id"]
        try:
            if run.get("fault"):
                run = await suffer(self._store, self._broker, run)
                await self._rest(run_id)
                return
            async with slot:
                run, events = await self._store.write(lambda db: lifecycle.begin(db, run))
                self._broker.publish(run_id, events)
                if "workflow" in run:
                    assert self.workflows is not None  # noqa: S101 - set when the service was put together
                    run = await self.workflows.advance(run)
                else:
                    run = await self._advance(run, worker)
            if run["status"] == "requires_action":
                self._watch(run)
                self._broker.finish(run_id)
            else:
                await self._rest(run_id)
        except RunMovedOnError as moved:
            logger.debug("stopped working: %s", moved)
        except RunFailedError as failure:
            await self._fail(run, worker, failure.error)
        except Exception:
            logger.exception("run %s failed", run_id)
            await self._fail(run, worker, dict(_SERVER_ERROR))
        finally:
            if self._workers.get(run_id) is worker:
                del self._workers[run_id]

    async def _fail(self, run: Record, worker: _Worker, error: Record) -> None:
        partial = worker.turn.content() if worker.turn is not None else None

        def fail(db: sqlite3.Connection) -> list[Event]:
            stored = lifecycle.expect(db, run, "queued", "in_progress")
            return lifecycle.end_run(db, stored, "failed", error=error, partial=partial)

        try:
            self._broker.publish(run["id"], await self._store.write(fail))
        except RunMovedOnError as moved:
            logger.debug("not failed: %s", moved)
            return
        await self._rest(run["id"])

    async def _advance(self, run: Record, worker: _Worker) -> Record:
        """Work off tool calls and ask the model, until the run ends or waits; returns it in its new state."""
        try:
            toolbox = Toolbox(run, self._tools)
            await self._prepare(run, toolbox)
            images: dict[str, tuple[ImagePart, ...]] = {}
            for _ in range(MAX_ROUNDS):
                run = await self._work_on_calls.work_off(run, toolbox)
                if run["status"] == "in_progress":
                    run = await self._ask_once(run, worker, toolbox, images)
                if run["status"] != "in_progress":
                    return run
        except ToolSetupError as failure:
            raise RunFailedError(failure.code, failure.message) from failure
        raise RunFailedError("server_error", f"The model asked for tools {MAX_ROUNDS} times in a row.")

    async def _prepare(self, run: Record, toolbox: Toolbox) -> None:
        conversation = await self._store.read(lambda db: load_conversation(db, run))
        activities = await toolbox.prepare((*conversation.earlier, *conversation.steps))
        if activities:
            events = await self._store.write(lambda db: _activities_step(db, run, activities))
            self._broker.publish(run["id"], events)

    async def _ask_once(
        self, run: Record, worker: _Worker, toolbox: Toolbox, images: dict[str, tuple[ImagePart, ...]]
    ) -> Record:
        """Search if the run wants it, ask the model, settle."""
        conversation = await self._store.read(lambda db: load_conversation(db, run))
        await self._load_images(conversation, images)
        outcome = await self._find_sources(run, conversation)
        if outcome is not None and not conversation.has_searched:
            conversation = await self._store.read(lambda db: load_conversation(db, run))
        request = build_request(run, conversation, outcome.sources if outcome else [], toolbox, images)
        if request.max_tokens is not None and request.max_tokens <= 0:
            return await self._incomplete(run, "max_completion_tokens")
        limit = run["max_prompt_tokens"]
        if limit is not None and run["spent"]["prompt_tokens"] >= limit:
            return await self._incomplete(run, "max_prompt_tokens")
        references = await self._references(run, conversation, outcome)
        turn = worker.turn = Turn(self._store, self._broker, run, toolbox, references)
        return await turn.settle(await self._asker.ask(run, request, turn.consume))

    async def _load_images(
        self, conversation: Conversation, images: dict[str, tuple[ImagePart, ...]]
    ) -> None:
        """Load the images of messages and of tool outputs that are not loaded yet."""
        if conversation.has_images and not sees_images(self._model):
            raise RunFailedError(
                "unsupported_content",
                f"A message holds an image, and the model '{self._model.name}' of the local service takes "
                "text only. Remove the image, or start the service with a model that sees (openai:...).",
            )
        if not sees_images(self._model):
            return
        try:
            for message in conversation.history:
                if message["role"] == "user" and message["id"] not in images:
                    images[message["id"]] = await self._images.load(message["content"])
            for item in conversation.pictured:
                if item["id"] not in images:
                    images[item["id"]] = await self._images.load([item["picture"]])
        except ImageError as failure:
            raise RunFailedError("invalid_image", str(failure)) from failure

    async def _references(
        self, run: Record, conversation: Conversation, outcome: SearchOutcome | None
    ) -> References:
        """Return what the next answer may show and cite."""
        citable = Citable(outcome, conversation.sources) if outcome or conversation.sources else None
        mentions = None
        if any(tool["type"] == "code_interpreter" for tool in run["tools"]):
            space = Workspace.of(self._tools, run)
            mentions = FileMentions(space, sorted(await asyncio.to_thread(space.snapshot)))
        return References(conversation.unseen_images, citable, mentions)

    async def _find_sources(self, run: Record, conversation: Conversation) -> SearchOutcome | None:
        """Search files; the first time in a run, the search is one of its steps."""
        if not wants_search(run):
            return None
        try:
            outcome = await self._search.search(
                run, conversation.last_user_text, token_budget=self._model.context_tokens
            )
        except SearchError as failure:
            raise RunFailedError(failure.code, failure.message) from failure
        if not conversation.has_searched:
            events = await self._store.write(lambda db: _search_step(db, run, outcome))
            self._broker.publish(run["id"], events)
        return outcome

    async def _incomplete(self, run: Record, reason: str) -> Record:
        def end(db: sqlite3.Connection) -> tuple[Record, list[Event]]:
            stored = lifecycle.expect(db, run, "in_progress")
            return stored, lifecycle.end_run(db, stored, "incomplete", reason=reason)

        run, events = await self._store.write(end)
        self._broker.publish(run["id"], events)
        return run


def _search_step(db: sqlite3.Connection, run: Record, outcome: SearchOutcome) -> list[Event]:
    """The step of a file search. Recorded: announced, one delta without results, then completed with them."""
    lifecycle.expect(db, run, "in_progress")
    step, events = lifecycle.open_step(db, run, "tool_calls", [outcome.call])
    call = outcome.call
    found = {"ranking_options": call["file_search"]["ranking_options"], "results": []}
    delta = {"index": 0, "id": call["id"], "type": "file_search", "file_search": found}
    events.append(Event("thread.run.step.delta", step_delta(step["id"], delta)))
    events.append(lifecycle.close_step(db, run, step, None))
    return events


def _activities_step(db: sqlite3.Connection, run: Record, activities: list[Record]) -> list[Event]:
    """The step of what tools did by themselves (recorded: the listing of an MCP server's tools)."""
    lifecycle.expect(db, run, "in_progress")
    step, events = lifecycle.open_step(db, run, "activities", activities)
    return [*events, lifecycle.close_step(db, run, step, None)]


def _active_runs(db: sqlite3.Connection) -> list[Record]:
    return [run for status in lifecycle.ACTIVE for run in RUNS.select(db, None, {"status": status})]
