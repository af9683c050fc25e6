"""Bodies of responses and conversations, in the recorded key order."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from agents_emulator.engine.responses.outputs import output_items
from agents_emulator.errors import not_found
from agents_emulator.store import Page, Record

_REASONS = {"max_completion_tokens": "max_output_tokens", "max_prompt_tokens": "max_output_tokens"}


def response_body(run: Record, output: Sequence[Record] = ()) -> Record:
    """Return a response; `output` are its items, as they are stored."""
    face = run["response"]
    status = run["status"]
    if status == "queued" and not face["background"]:
        status = "in_progress"  # recorded: only in the background does a response say that it waits
    elif status == "cancelling":
        status = "cancelled"
    if "workflow" in run:
        return _workflow_body(run, status, output)
    body: Record = {
        "metadata": run["metadata"],
        "top_logprobs": 0,
        "temperature": run["temperature"],
        "top_p": run["top_p"],
        "service_tier": "default" if run["completed_at"] else "auto",
        "model": run["model"],
        "reasoning": face["reasoning"],
        "background": face["background"],
        "text": face["text"],
        "tools": face["tools"],
        "tool_choice": face["tool_choice"],
        "truncation": face["truncation"],
        "id": run["id"],
        "object": "response",
        "status": status,
        "created_at": run["created_at"],
        "completed_at": run["completed_at"],
        "error": run["last_error"],
        "incomplete_details": _incomplete(run["incomplete_details"]),
        "output": [item["body"] for item in output],
        "instructions": face["instructions"],
        "usage": _usage(run["usage"]),
        "parallel_tool_calls": run["parallel_tool_calls"],
        "max_output_tokens": run["max_completion_tokens"],
        "max_tool_calls": face["max_tool_calls"],
        "previous_response_id": face["previous_response_id"],
        "store": face["store"],
        "content_filters": None,
    }
    if face["conversation"] is not None:
        body["conversation"] = {"id": face["conversation"]}
    body["agent_reference"] = face["agent_reference"]
    return body


def _workflow_body(run: Record, status: str, output: Sequence[Record]) -> Record:
    """Return the response of a workflow, which says less (recorded).

    Its usage is 0 whatever its agents have cost, and it says from the beginning when it was completed.
    """
    face = run["response"]
    body: Record = {
        "metadata": run["metadata"],
        "service_tier": "auto",
        "model": "",
        "background": face["background"],
        "tools": [],
        "truncation": "auto",
        "id": run["id"],
        "object": "response",
        "status": status,
        "created_at": run["created_at"],
        "completed_at": run["completed_at"] or run["created_at"],
        "error": run["last_error"],
        "incomplete_details": _incomplete(run["incomplete_details"]),
        "output": [item["body"] for item in output],
        "instructions": "",
    }
    if run["usage"] is not None:
        body |= {"output_text": "", "usage": _usage(run["usage"])}
    body["parallel_tool_calls"] = True
    if face["conversation"] is not None:
        body["conversation"] = {"id": face["conversation"]}
    return {**body, "agent_reference": face["agent_reference"]}


def stored_response(db: sqlite3.Connection, run: Record) -> Record:
    """Return a response as it is now, with what it has answered so far."""
    return response_body(run, output_items(db, run))


def _incomplete(details: Any) -> Any:
    if details is None:
        return None
    return {"reason": _REASONS.get(details["reason"], details["reason"])}


def _usage(usage: Record | None) -> Record | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def conversation_body(conversation: Record) -> Record:
    """Return a conversation."""
    return {
        "id": conversation["id"],
        "object": "conversation",
        "metadata": conversation["metadata"],
        "created_at": conversation["created_at"],
    }


def page_of(bodies: Sequence[Record], page: Page) -> Record:
    """Return a page of bodies that are not records of the store; they come oldest first."""
    ordered = list(reversed(bodies)) if page.order == "desc" else list(bodies)
    places = {body["id"]: place for place, body in enumerate(ordered)}
    for cursor in (page.after, page.before):
        if cursor is not None and cursor not in places:
            raise not_found("item", cursor)
    first = places[page.after] + 1 if page.after is not None else 0
    last = places[page.before] if page.before is not None else len(ordered)
    if page.before is not None and page.after is None:
        first = max(0, last - page.limit)
        return page_body(ordered[first:last], first > 0)
    return page_body(ordered[first:last][: page.limit], last - first > page.limit)


def page_body(data: Sequence[Record], has_more: bool) -> Record:
    """Return a page of a list.

    A page past the end has neither `first_id` nor `last_id` (recorded): a pager that follows `last_id` alone
    has to find out that there is none.
    """
    body: Record = {"data": list(data)}
    if data:
        body |= {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return {**body, "has_more": has_more, "object": "list"}
