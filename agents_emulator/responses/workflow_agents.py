"""Agents that workflows ask: each answers in a run of its own, which no list shows."""

from __future__ import annotations

import sqlite3

from agents_emulator.errors import ApiError
from agents_emulator.responses.agents import resolve
from agents_emulator.responses.new_response import Answering, Asked, insert_run
from agents_emulator.store import Record
from agents_emulator.workflows.agents import AgentRun, Wanted
from agents_emulator.workflows.errors import WorkflowError


def add_agent_run(db: sqlite3.Connection, wanted: Wanted) -> AgentRun:
    """Add the run of an agent that a workflow asks. Raises `WorkflowError` where it cannot be asked."""
    try:
        found, how = resolve(db, wanted.name, wanted.version)
    except ApiError as error:
        version = f":{wanted.version[:20]}" if wanted.version else ""
        raise WorkflowError(f"the agent `{wanted.name[:80]}{version}`: {_said_by(error)}") from None
    if found["definition"]["kind"] != "prompt":
        raise WorkflowError(f"the agent `{wanted.name}` is a workflow, and a workflow asks none here")
    place: Record = {"partition": wanted.partition, "conversation": None, "items_until": 0}
    try:
        answering = Answering.of(found, wanted.inputs, how)
        asked = Asked({}, wanted.name)
        made = insert_run(db, asked, answering, place | {"input": wanted.items}, depth=wanted.depth)
    except ApiError as error:
        raise WorkflowError(_said_by(error)) from None
    return AgentRun(made.run, made.headers)


def _said_by(error: ApiError) -> str:
    return str(error.body["error"]["message"]).partition(" [Request ID")[0]
