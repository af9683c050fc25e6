"""A new run: what its request says, and what it takes over from its agent."""

from __future__ import annotations

import sqlite3
from typing import Any

from agents_emulator import validation
from agents_emulator.engine.lifecycle import now
from agents_emulator.ids import new_id
from agents_emulator.store import RUNS, Record

_MIN_TOKEN_LIMIT = 1


def new_run(
    db: sqlite3.Connection,
    agent: Record,
    thread_id: str,
    body: Record,
    *,
    tool_resources: Record,
    include: list[str],
    run_ttl: int,
    depth: int = 0,
    others: Record | None = None,
) -> Record:
    """Add a queued run of `agent`; what `body` (a run request) leaves out comes from the agent, as it is now.

    `depth` is how many runs wait for this one, one within the other; `others` are fields with other values.
    """
    created = now()
    tools = validation.check_tools(body["tools"]) if body.get("tools") is not None else agent["tools"]
    run: Record = {
        "id": new_id("run"),
        "object": "thread.run",
        "created_at": created,
        "assistant_id": agent["id"],
        "thread_id": thread_id,
        "status": "queued",
        "started_at": None,
        "expires_at": created + run_ttl,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": body.get("model") or agent["model"],
        "instructions": _instructions(agent, body),
        "tools": tools,
        "tool_resources": tool_resources,
        "metadata": validation.check_metadata(body.get("metadata")),
        "temperature": validation.or_default(
            validation.check_number(body, "temperature", 0, 2), agent["temperature"]
        ),
        "top_p": validation.or_default(validation.check_number(body, "top_p", 0, 1), agent["top_p"]),
        "max_completion_tokens": validation.check_count(body, "max_completion_tokens", _MIN_TOKEN_LIMIT),
        "max_prompt_tokens": validation.check_count(body, "max_prompt_tokens", _MIN_TOKEN_LIMIT),
        "truncation_strategy": _truncation(body.get("truncation_strategy")),
        "incomplete_details": None,
        "usage": None,
        "response_format": validation.check_response_format(body["response_format"])
        if body.get("response_format") is not None
        else agent["response_format"],
        "tool_choice": validation.check_tool_choice(body.get("tool_choice"), tools),
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        # Not on the wire: what the engine needs besides.
        "agent_tool_resources": agent["tool_resources"],
        "include": include,
        "spent": {"prompt_tokens": 0, "completion_tokens": 0},
        "depth": depth,
        **(others or {}),
    }
    RUNS.insert(db, run, thread_id)
    return run


def _instructions(agent: Record, body: Record) -> str:
    parts = [body.get("instructions") or agent["instructions"], body.get("additional_instructions")]
    return "\n".join(part for part in parts if part)


def _truncation(value: Any) -> Record:
    if not value:
        return {"type": "auto", "last_messages": None}
    return {"type": value["type"], "last_messages": validation.check_count(value, "last_messages")}
