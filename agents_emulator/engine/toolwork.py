"""The tool calls of a run: one step for all calls of an answer, worked off until each has its output.

A step of tool calls carries the engine's own record of each call in `work` (not on the wire), in the order
of the calls: `id`, `tool` (place in the run's tools, None for functions of the client), `name`, `arguments`,
`state` and, once there, `output`, `images`, `sources`. States:

    ready      to be executed by the service
    approval   waits for an approval, then ready (or done, refused)
    client     waits for its output from the client
    done       has its output

A service that is stopped meanwhile resumes with what is not done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict

from agent_tasks.logs import get_logger
from agents_emulator.engine import lifecycle
from agents_emulator.engine.asking import Asker, RunFailedError
from agents_emulator.engine.bodies import step_delta
from agents_emulator.engine.broker import Event, EventBroker
from agents_emulator.engine.citing import with_sources
from agents_emulator.ids import new_id
from agents_emulator.models.base import ChatRequest, ToolCall
from agents_emulator.store import RUN_STEPS, Record, Store
from agents_emulator.tools.base import Answer, CallContext, Source, ToolCallResult, ToolError, ToolSetupError
from agents_emulator.tools.toolbox import Toolbox

logger = get_logger("agents_emulator")

CALL_OPENED, CALL_FINISHED = "call.opened", "call.finished"
"""Events of the calls of a response; see `responses.feed`."""
REFUSED = "The user did not approve this call; it was not made."


def open_calls(
    db: sqlite3.Connection, run: Record, calls: Sequence[ToolCall], usage: Record, toolbox: Toolbox
) -> list[Event]:
    """Add the step of an answer's calls, none of them executed yet."""
    # The model's own call ids may repeat from turn to turn; outputs are matched by ours.
    work = [_item(call, toolbox) for call in calls]
    bodies = [_body(item, toolbox) for item in work]
    step, events = lifecycle.open_step(db, run, "tool_calls", bodies, usage, work)
    if "response" in run:
        return [call_event(CALL_OPENED, step, item, body) for item, body in zip(work, bodies, strict=True)]
    for index, (item, body) in enumerate(zip(work, bodies, strict=True)):
        tool = None if item["tool"] is None else toolbox.at(item["tool"])
        kind = "tool_calls" if tool is None else tool.delta_kind
        for part in _function_deltas(item) if tool is None else tool.deltas(body):
            events.append(_delta(step, index, part, kind))
    return events


def call_event(name: str, step: Record, item: Record, body: Record) -> Event:
    """Return what the feed of a response is told of a call; it never leaves the service."""
    return Event(name, {"created_at": step["created_at"], "work": dict(item), "body": body})


def _item(call: ToolCall, toolbox: Toolbox) -> Record:
    owner = toolbox.owner(call.name)
    waits = "client" if owner is None else toolbox.at(owner).waits_for(call.name)
    return {
        "id": new_id("call"),
        "tool": owner,
        "name": call.name,
        "arguments": call.arguments,
        "state": waits or "ready",
    }


def _body(item: Record, toolbox: Toolbox) -> Record:
    if item["tool"] is not None:
        return toolbox.at(item["tool"]).body(item["id"], item["name"], item["arguments"])
    function = {"name": item["name"], "arguments": item["arguments"], "output": None}
    return {"id": item["id"], "type": "function", "function": function}


def _function_deltas(item: Record) -> list[Record]:
    announced = {"name": item["name"], "arguments": "", "output": None}
    return [
        {"id": item["id"], "type": "function", "function": announced},
        {"type": "function", "function": {"arguments": item["arguments"]}},
    ]


def _delta(step: Record, index: int, part: Record, kind: str) -> Event:
    return Event("thread.run.step.delta", step_delta(step["id"], {"index": index, **part}, kind))


def open_step_of(db: sqlite3.Connection, run: Record) -> Record | None:
    """Return the step whose calls are not all done."""
    steps = RUN_STEPS.select(db, run["id"], {"status": "in_progress", "type": "tool_calls"})
    return steps[-1] if steps and "work" in steps[-1] else None


def finish_item(step: Record, index: int, output: str, body: Record) -> None:
    """Note the output of a call in its step."""
    step["work"][index].update(state="done", output=output)
    step["step_details"]["tool_calls"][index] = body


class ToolWork:
    """Executes the calls of a step and says what the run waits for."""

    def __init__(self, store: Store, broker: EventBroker, asker: Asker, action_ttl: int) -> None:
        self._store = store
        self._broker = broker
        self._asker = asker
        self._action_ttl = action_ttl

    async def work_off(self, run: Record, toolbox: Toolbox) -> Record:
        """Execute the open calls that are ready; returns the run, in `requires_action` if one waits.

        Raises `ToolSetupError` for a tool that cannot be used.
        """
        step = await self._store.read(lambda db: open_step_of(db, run))
        if step is None:
            return run
        ready = [index for index, item in enumerate(step["work"]) if item["state"] == "ready"]
        elsewhere = [index for index in ready if toolbox.at(step["work"][index]["tool"]).waits_elsewhere]
        waiting = [asyncio.create_task(self._execute(run, step, index, toolbox)) for index in elsewhere]
        try:
            for index in ready:
                if index not in elsewhere:
                    await self._execute(run, step, index, toolbox)
            for task in waiting:
                await task
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        run, events = await self._store.write(lambda db: self._rest(db, run, step, toolbox))
        self._broker.publish(run["id"], events)
        return run

    async def _execute(self, run: Record, step: Record, index: int, toolbox: Toolbox) -> None:
        item = step["work"][index]
        tool = toolbox.at(item["tool"])
        body = step["step_details"]["tool_calls"][index]

        def remember(db: sqlite3.Connection, fields: Record) -> None:
            item.update(fields)
            RUN_STEPS.put(db, step, run["id"])

        async def ask(request: ChatRequest) -> Answer:
            return await self._asker.ask_for_tool(run, step, request)

        said = 0

        async def say(text: str, sources: Sequence[Source]) -> None:
            nonlocal said
            said += 1
            if said > item.get("said", 0):  # else it was said before the service was restarted
                item["said"] = said
                events = await self._store.write(lambda db: _say(db, run, step, text, sources))
                self._broker.publish(run["id"], events)

        budget = self._asker.context_tokens
        call = CallContext(
            item["id"], item["name"], item["arguments"], body, item, remember, ask, say, budget
        )
        try:
            result = await tool.execute(call)
        except ToolSetupError:
            raise
        except ToolError as error:
            result = tool.failed(body, str(error))
        except (RunFailedError, lifecycle.RunMovedOnError):
            raise
        except Exception as error:
            logger.exception("the call %s of %s failed", item["id"], item["name"])
            result = tool.failed(body, f"The tool failed: {type(error).__name__}.")
        self._broker.publish(
            run["id"],
            await self._store.write(lambda db: _keep(db, run, step, index, result, tool.delta_kind)),
        )

    def _rest(
        self, db: sqlite3.Connection, run: Record, step: Record, toolbox: Toolbox
    ) -> tuple[Record, list[Event]]:
        run = lifecycle.expect(db, run, "in_progress")
        for state, kind in (("approval", "submit_tool_approval"), ("client", "submit_tool_outputs")):
            calls = [_required(step, item, toolbox) for item in step["work"] if item["state"] == state]
            if calls and "response" in run:
                # It ends here: what answers the calls is another response.
                closed = lifecycle.close_step(db, run, step, step["usage"])
                return run, [closed, *lifecycle.end_run(db, run, "completed")]
            if calls:
                run["status"] = "requires_action"
                run["expires_at"] = run["created_at"] + self._action_ttl
                run["required_action"] = {"type": kind, kind: {"tool_calls": calls}}
                return run, [lifecycle.save_run(db, run)]
        return run, [lifecycle.close_step(db, run, step, step["usage"])]


def _keep(
    db: sqlite3.Connection, run: Record, step: Record, index: int, result: ToolCallResult, kind: str
) -> list[Event]:
    lifecycle.expect(db, run, "in_progress")
    finish_item(step, index, result.output, result.body)
    item = step["work"][index]
    item["images"] = list(result.images)
    item["sources"] = [asdict(source) for source in result.sources]
    item["finished"] = sum("finished" in other for other in step["work"]) + 1
    RUN_STEPS.put(db, step, run["id"])
    if "response" in run:
        return [call_event(CALL_FINISHED, step, item, result.body)]
    return [_delta(step, index, part, kind) for part in result.deltas]


def _say(
    db: sqlite3.Connection, run: Record, step: Record, text: str, sources: Sequence[Source]
) -> list[Event]:
    addresses = dict.fromkeys((source.url, source.title) for source in sources)
    events = lifecycle.add_interim_message(db, run, *with_sources(text, addresses))
    RUN_STEPS.put(db, step, run["id"])
    return events


def _required(step: Record, item: Record, toolbox: Toolbox) -> Record:
    body = step["step_details"]["tool_calls"][step["work"].index(item)]
    if item["tool"] is not None:
        return toolbox.at(item["tool"]).required(body)
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["id"], "type": "function", "function": function}
