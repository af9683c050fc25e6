"""Runs of other agents on behalf of a run: a thread and a run of their own, followed to their end."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import text_block
from agents_emulator.engine.broker import EventBroker
from agents_emulator.engine.newrun import new_run
from agents_emulator.ids import new_id
from agents_emulator.store import AGENTS, MESSAGES, RUNS, THREADS, Record, Store
from agents_emulator.tools.base import CallContext, ToolError

if TYPE_CHECKING:
    from agents_emulator.engine.runner import RunEngine

_DELETED = "The run of the connected agent was deleted."


class ChildRunner:
    """Starts child runs and waits for them."""

    def __init__(self, store: Store, broker: EventBroker, engine: RunEngine, run_ttl: int) -> None:
        self._store = store
        self._broker = broker
        self._engine = engine
        self._run_ttl = run_ttl

    async def run_child(self, parent: Record, agent_id: str, message: str, call: CallContext) -> Record:
        """Return the final state of a run of `agent_id`; a cancelled caller cancels it.

        A call that had begun before the service was stopped attaches to the run that it had made. A run that
        waits for its client is cancelled: nobody answers for a connected agent.
        """
        if "child" in call.item:
            thread_id, run_id = call.item["child"]
            known = await self._store.read(lambda db: RUNS.find(db, run_id, thread_id))
            if known is None:
                raise ToolError(_DELETED)
            # The start of the service has set it to work already.
            return await self.follow(known, is_new=False)
        run = await self._store.write(lambda db: self._insert(db, parent, agent_id, message, call))
        return await self.follow(run, is_new=True)

    def _insert(
        self, db: sqlite3.Connection, parent: Record, agent_id: str, message: str, call: CallContext
    ) -> Record:
        agent = AGENTS.find(db, agent_id)
        if agent is None:
            raise ToolError(f"The connected agent {agent_id} does not exist.")
        thread = {
            "id": new_id("thread"),
            "object": "thread",
            "created_at": lifecycle.now(),
            "metadata": {},
            "tool_resources": {},
        }
        THREADS.insert(db, thread)
        question = lifecycle.new_message(str(thread["id"]), "user", [text_block(message, [])])
        MESSAGES.insert(db, question, str(thread["id"]))
        run = new_run(
            *(db, agent, str(thread["id"]), {}),
            tool_resources={},
            include=[],
            run_ttl=self._run_ttl,
            depth=parent.get("depth", 0) + 1,
        )
        call.remember(db, {"child": [run["thread_id"], run["id"]]})
        return run

    async def follow(self, run: Record, *, is_new: bool) -> Record:
        """Return the final state of a run, which is started if it is new; a cancelled caller cancels it."""
        subscription = self._broker.subscribe(run["id"])
        try:
            if is_new:
                self._engine.start(run)
            latest = await self._latest(run)
            if latest["status"] in lifecycle.ACTIVE:
                async for _ in subscription.frames():
                    pass
                latest = await self._latest(run)
            if self._broker.closed and latest["status"] in ("queued", "in_progress"):
                # The stream broke off because the service stops, which cancels this work in a moment.
                await asyncio.get_running_loop().create_future()
            if latest["status"] == "requires_action":
                await self._engine.end(latest, "cancelled")
            return await self._latest(run)
        except BaseException:
            await self._cancel_unless_stopping(run)
            raise
        finally:
            self._broker.unsubscribe(run["id"], subscription)

    async def _cancel_unless_stopping(self, run: Record) -> None:
        """Nobody waits for the run any more; but at the end of the service both resume at its next start."""
        if not self._broker.closed:
            self._engine.end_soon(run, "cancelled")

    async def _latest(self, run: Record) -> Record:
        latest = await self._store.read(lambda db: RUNS.find(db, run["id"], run["thread_id"]))
        if latest is None:
            raise ToolError(_DELETED)
        return latest
