"""Agents that a workflow asks: a run of their own for each, whose messages it takes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agents_emulator.engine.responses.history import check_calls
from agents_emulator.engine.responses.ids import new_partition
from agents_emulator.errors import ApiError
from agents_emulator.store import RUNS, Record
from agents_emulator.workflows.conversations import add_items, as_items, as_messages, id_of, items_in
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.program import Action
from agents_emulator.workflows.progress import Progress
from agents_emulator.workflows.values import Value, as_boolean, as_text, from_json, messages

_ANSWERED = ("completed", "incomplete")


@dataclass(frozen=True)
class Wanted:
    """What an agent is asked.

    Attributes:
        name: its name.
        version: which version answers; None for the latest.
        inputs: values of its structured inputs.
        items: what was said before, and to it.
        partition: what the ids of its items share.
        depth: how many runs wait for it, one within the other.
    """

    name: str
    version: str | None
    inputs: dict[str, Value]
    items: list[Record]
    partition: str
    depth: int


@dataclass(frozen=True)
class AgentRun:
    """The run of an agent, and secrets that are not stored."""

    run: Record
    headers: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)


AddAgentRun = Callable[[sqlite3.Connection, Wanted], AgentRun]


def begin_agent(
    db: sqlite3.Connection, progress: Progress, action: Action, add: AddAgentRun, answer: Value = None
) -> AgentRun:
    """Add the run of the agent that an action asks. Raises `WorkflowError` where there is none to ask.

    Args:
        db: the store, in a transaction.
        progress: the workflow.
        action: asks the agent.
        add: adds its run.
        answer: what the user has said to the agent, if the action has waited for that.
    """
    said = action.properties
    conversation = id_of(progress, said.get("conversationId"))
    known = items_in(db, progress, conversation) if conversation else []
    given = answer or _to_agent(progress.value(said.get("input", {}).get("messages")))
    partition = new_partition()
    new = as_items(given, conversation or f"conv_{partition}", known)
    if not known and not new:
        raise WorkflowError("there is nothing to answer: it needs `input.messages`, or a conversation")
    arguments = said.get("input", {}).get("arguments", {})
    wanted = Wanted(
        name=as_text(progress.value(said["agent"]["name"])),
        version=as_text(progress.value(said["agent"].get("version"))) or None,
        inputs={key: progress.value(formula) for key, formula in arguments.items()},
        items=[*known, *new],
        partition=partition,
        depth=progress.run.get("depth", 0) + 1,
    )
    made = add(db, wanted)
    progress.state["child"] = {"id": made.run["id"], "thread": made.run["thread_id"], "new": new}
    return made


def _to_agent(value: Value) -> Value:
    """Return messages as they are given to an agent: what another agent has said is said to this one."""
    return [
        {**said, "Role": "user"} if said.get("Id") is not None else said for said in messages(value)
    ] or None


def end_agent(db: sqlite3.Connection, progress: Progress, action: Action, ended: Record) -> bool:
    """Take what an agent has said; returns whether the workflow waits for its user now.

    Raises `WorkflowError` for an agent that has failed, or that asks for what nobody answers here.
    """
    said, child = action.properties, progress.state["child"]
    progress.state["child"] = None
    RUNS.delete(db, child["id"], child["thread"])
    output: list[Record] = ended["response"].get("output", [])
    _check(ended, output)
    spoken = as_messages(output)
    conversation = id_of(progress, said.get("conversationId"))
    is_own = conversation == progress.conversation
    if conversation:
        add_items(db, progress, conversation, child["new"] if is_own else [*child["new"], *output])
    if is_own or as_boolean(progress.value(said.get("output", {}).get("autoSend"))):
        for item in output:
            if item["body"]["type"] == "message":
                progress.say([_part(part) for part in item["body"]["content"]])
    _assign(progress, said.get("output", {}), spoken)
    loop = said.get("input", {}).get("externalLoop")
    if loop is not None and as_boolean(progress.value(loop["when"])):
        progress.state["waiting"] = {"tries": 0}
        return True
    return False


def _check(ended: Record, output: list[Record]) -> None:
    name = ended["response"]["agent_reference"]["name"]
    if ended["status"] not in _ANSWERED:
        why = (ended["last_error"] or {}).get("message") or "no reason given"
        raise WorkflowError(f"the agent `{name}` ended as {ended['status']}: {why}")
    try:
        check_calls(output)
    except ApiError:
        raise WorkflowError(
            f"the agent `{name}` calls a function of its client, which nobody answers here"
        ) from None
    if any(item["body"]["type"] == "mcp_approval_request" for item in output):
        raise WorkflowError(f"the agent `{name}` asks for an approval, which nobody gives here")


def _part(part: Record) -> Record:
    return {key: value for key, value in part.items() if key != "logprobs"}


def _assign(progress: Progress, output: dict[str, Any], spoken: list[dict[str, Value]]) -> None:
    progress.assign(output.get("messages"), spoken)
    if output.get("responseObject") is None or not spoken:
        return
    try:
        found = from_json(json.loads(as_text(spoken[-1]["Text"])))
    except (ValueError, RecursionError):
        return  # as with the service: an answer that is no JSON leaves the variable as it was
    progress.assign(output["responseObject"], found)
