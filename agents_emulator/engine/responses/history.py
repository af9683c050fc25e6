"""What was said before a response, from its conversation or from the responses before it, for the engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from agents_emulator.engine.responses.items import output_text
from agents_emulator.engine.responses.refusals import no_call_for, no_output_for
from agents_emulator.engine.toolwork import REFUSED
from agents_emulator.errors import ServiceError
from agents_emulator.store import CONVERSATION_ITEMS, RESPONSES, RUNS, Record
from agents_emulator.tools.computer_use import screenshot_block

MAX_CHAIN = 1000
"""Responses that follow one another by `previous_response_id`."""


def find_response(db: sqlite3.Connection, response_id: str) -> Record | None:
    """Return the run of a stored response."""
    known = RESPONSES.find(db, response_id)
    return None if known is None else RUNS.find(db, response_id, known["thread_id"])


def items_before(db: sqlite3.Connection, run: Record) -> list[Record]:
    """Return the stored items that a response answers to, oldest first, with its own input."""
    chain = [run]
    while chain[-1]["response"]["previous_response_id"] and len(chain) <= MAX_CHAIN:
        previous = find_response(db, chain[-1]["response"]["previous_response_id"])
        if previous is None:
            break
        chain.append(previous)
    oldest = chain[-1]["response"]
    items: list[Record] = []
    if oldest["conversation"]:
        items += CONVERSATION_ITEMS.until(db, oldest["items_until"], oldest["conversation"])
    for link in reversed(chain):
        items += link["response"]["input"]
        if link is not run:
            items += link["response"].get("output", [])
    return items


def check_calls(items: Iterable[Record]) -> None:
    """Refuse a turn with calls that have no output, or outputs that answer no call (reported)."""
    called: dict[str, bool] = {}
    for item in items:
        body = item["body"]
        if body["type"] in ("function_call", "computer_call"):
            called[body["call_id"]] = False
        elif body["type"] in ("function_call_output", "computer_call_output"):
            if body["call_id"] not in called:
                raise no_call_for(body["call_id"])
            called[body["call_id"]] = True
    for call_id, answered in called.items():
        if not answered:
            raise no_output_for(call_id)


def approval_requests(items: Iterable[Record]) -> dict[str, Record]:
    """Return the approvals that were asked for and not given yet, by their id."""
    waiting: dict[str, Record] = {}
    for item in items:
        body = item["body"]
        if body["type"] == "mcp_approval_request":
            waiting[body["id"]] = item
        elif body["type"] == "mcp_approval_response":
            waiting.pop(body["approval_request_id"], None)
    return waiting


def engine_history(items: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Return items as records for the engine, and steps that say which MCP tools are known already.

    A record is a message (`{id, role, content}`), or the calls of one answer with their outputs
    (`role: "calls"`, and `work` as in `engine.toolwork`).
    """
    records: list[Record] = []
    listings: list[Record] = []
    open_calls: dict[str, Record] = {}
    requests: dict[str, Record] = {}
    for item in items:
        body, kind = item["body"], item["body"]["type"]
        if kind == "message":
            records.append(_message(item))
        elif kind == "mcp_list_tools":
            listings.append(_listing(body))
        elif kind == "mcp_approval_request":
            requests[body["id"]] = item
        elif kind == "mcp_approval_response":
            asked = requests.get(body["approval_request_id"])
            if asked is not None and not body["approve"]:
                call = _call_of(asked)
                _add_call(records, {**call, "output": REFUSED})
        elif (answered := _answered(item)) is not None:
            call_id, fields = answered
            if call_id in open_calls:
                open_calls.pop(call_id).update(fields)
        elif _is_call(item):
            call = _call_of(item)
            _add_call(records, call)
            if "output" not in call:
                open_calls[call["id"]] = call
    return records, listings


def _add_call(records: list[Record], call: Record) -> None:
    """Add a call to those of the same answer: those that came before any of them was answered."""
    last = records[-1] if records else None
    if last is None or last["role"] != "calls" or any("output" in other for other in last["work"]):
        last = {"id": call["id"], "role": "calls", "work": []}
        records.append(last)
    last["work"].append(call)


def _is_call(item: Record) -> bool:
    """Whether an item is a call to show the model: of what a client gives back, those with a call id."""
    body = item["body"]
    known = "call" in (item.get("engine") or {})
    return known or body["type"] == "mcp_call" or (body["type"].endswith("_call") and "call_id" in body)


def _call_of(item: Record) -> Record:
    """Return the call that an item tells of, with its output if the item has it too."""
    known = (item.get("engine") or {}).get("call")
    if known is not None:
        return dict(known)
    body = item["body"]
    call_id = str(body.get("call_id") or body.get("id"))
    call: Record = {"id": call_id, "name": str(body.get("name") or body["type"].removesuffix("_call"))}
    call["arguments"] = body["arguments"] if isinstance(body.get("arguments"), str) else "{}"
    if body["type"] == "mcp_call":
        call["output"] = str(body.get("output") or "")
    return call


def _answered(item: Record) -> tuple[str, Record] | None:
    """Return the call that an item answers, and what it answers."""
    body, known = item["body"], item.get("engine") or {}
    if "output_of" in known:
        return known["output_of"], {"output": known["output"]}
    if body["type"] == "computer_call_output":
        picture = screenshot_block(body["output"])
        return body["call_id"], {"output": "The action was carried out.", "picture": picture}
    if body["type"] == "function_call_output":
        return body["call_id"], {"output": output_text(body["output"])}
    if body["type"].endswith("_call_output"):
        return str(body.get("call_id")), {"output": str(body.get("output") or "")}
    return None


def _message(item: Record) -> Record:
    body = item["body"]
    role = {"developer": "system"}.get(body["role"], body["role"])
    content: list[Record] = []
    for part in body["content"]:
        if part["type"] == "input_image":
            content.append(_image(part))
        else:
            text = part.get("text") or part.get("refusal") or ""
            content.append({"type": "text", "text": {"value": text, "annotations": []}})
    return {"id": item["id"], "role": role, "content": content}


def _image(part: Record) -> Record:
    detail = {"detail": part.get("detail") or "auto"}
    if part.get("file_id"):
        return {"type": "image_file", "image_file": {"file_id": part["file_id"], **detail}}
    return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}


def _listing(body: Record) -> Record:
    tools = {
        tool["name"]: {"description": tool.get("description") or "", "parameters": tool["input_schema"]}
        for tool in body["tools"]
    }
    activity = {"id": body["id"], "server_label": body["server_label"], "tools": tools}
    return {"type": "activities", "step_details": {"type": "activities", "activities": [activity]}}


def previous_not_found(response_id: str) -> ServiceError:
    """The 400 of a response that follows one which is not there."""
    return ServiceError(
        400,
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
