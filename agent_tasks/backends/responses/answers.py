"""What a response says, in the words of the seam. Items of kinds that are not known here are passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent_tasks.backends.base import (
    ApprovalRequest,
    Citation,
    ImageInput,
    JsonObject,
    ToolCallRequest,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnStatus,
)
from agent_tasks.backends.usage import Usage

RUNNING = frozenset({"queued", "in_progress"})
"""Statuses of a response that has not ended."""

CANCELLED_OUTPUT = "The turn was cancelled before this call had an output."
"""What closes a call that nobody will answer, so that its conversation can be continued."""

_STATUSES = frozenset(TurnStatus)
_REASONS = {"max_output_tokens": "max_completion_tokens"}  # to the seam's words


def conclusion(response: Mapping[str, Any], ref: TurnRef) -> TurnNeedsTools | TurnNeedsApproval | TurnEnded:
    """What a response that has ended means for its turn.

    Args:
        response: the whole body.
        ref: the turn, with the cost of its rounds before this one.
    """
    output = response.get("output") or []
    after = replace(ref, spent=ref.spent + usage_of(response))
    if response.get("status") == "completed":
        calls = calls_of(output)
        if calls:
            return TurnNeedsTools(after, calls)
        waiting = approvals_of(output)
        if waiting:
            return TurnNeedsApproval(after, waiting)
    return _ended(response, after)


def calls_of(items: Iterable[Mapping[str, Any]]) -> tuple[ToolCallRequest, ...]:
    """The function calls among items that have no output among them."""
    found = list(items)
    answered = {item.get("call_id") for item in found if item.get("type") == "function_call_output"}
    return tuple(
        ToolCallRequest(item["call_id"], item.get("name", ""), item.get("arguments", "{}"))
        for item in found
        if item.get("type") == "function_call" and item["call_id"] not in answered
    )


def approvals_of(items: Iterable[Mapping[str, Any]]) -> tuple[ApprovalRequest, ...]:
    """The approval requests among items that have no decision among them."""
    found = list(items)
    decided = {
        item.get("approval_request_id") for item in found if item.get("type") == "mcp_approval_response"
    }
    return tuple(
        ApprovalRequest(
            item["id"], item.get("server_label") or "", item.get("name", ""), item.get("arguments", "{}")
        )
        for item in found
        if item.get("type") == "mcp_approval_request" and item["id"] not in decided
    )


def waiting_in(items: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of the calls among items that wait, for an output or for a decision."""
    found = list(items)
    return {call.call_id for call in calls_of(found)} | {call.call_id for call in approvals_of(found)}


def answers_to(
    response: Mapping[str, Any], items: Sequence[Mapping[str, Any]]
) -> list[tuple[int, Mapping[str, Any]]]:
    """The outputs and decisions among items that answer what a response asked for, with their places."""
    output = response.get("output") or []
    calls = {call.call_id for call in calls_of(output)}
    approvals = {call.call_id for call in approvals_of(output)}
    return [
        (place, item)
        for place, item in enumerate(items)
        if (item.get("type") == "function_call_output" and item.get("call_id") in calls)
        or (item.get("type") == "mcp_approval_response" and item.get("approval_request_id") in approvals)
    ]


def usage_of(response: Mapping[str, Any]) -> Usage:
    """What a response cost."""
    usage = response.get("usage") or {}
    read, written = usage.get("input_tokens") or 0, usage.get("output_tokens") or 0
    return Usage(
        prompt_tokens=read,
        cached_tokens=(usage.get("input_tokens_details") or {}).get("cached_tokens") or 0,
        completion_tokens=written,
        total_tokens=usage.get("total_tokens") or read + written,
    )


def message(prompt: str, images: Sequence[ImageInput] = ()) -> JsonObject:
    """A prompt as an item, with the images that it shows; the service wants the type said (docs/wire.md)."""
    content: list[JsonObject] = [{"type": "input_text", "text": prompt}]
    content += [{"type": "input_image", **_source(image), "detail": image.detail} for image in images]
    return {"type": "message", "role": "user", "content": content}


def _source(image: ImageInput) -> JsonObject:
    """Where an image is: a file of the service, or else what makes it when it is sent."""
    return {"file_id": image.file_id} if image.file_id else {"image": image.key, "name": image.name}


def text_of(item: Mapping[str, Any]) -> str:
    """The text of a message."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or [])


def _ended(response: Mapping[str, Any], ref: TurnRef) -> TurnEnded:
    messages = [item for item in response.get("output") or [] if item.get("type") == "message"]
    text, citations = _content(messages[-1]) if messages else ("", ())
    error = response.get("error") or {}
    reason = (response.get("incomplete_details") or {}).get("reason")
    status = response.get("status")
    return TurnEnded(
        ref=ref,
        status=TurnStatus(status) if status in _STATUSES else TurnStatus.FAILED,
        text=text,
        citations=citations,
        usage=ref.spent,
        error_code=error.get("code"),
        error_message=error.get("message") or (_REASONS.get(reason, reason) if reason else None),
    )


def _content(item: Mapping[str, Any]) -> tuple[str, tuple[Citation, ...]]:
    texts: list[str] = []
    citations: list[Citation] = []
    parts: Sequence[Any] = item.get("content") or []
    for part in parts:
        if part.get("type") == "refusal":
            texts.append(part.get("refusal") or "")
        if part.get("type") != "output_text":
            continue
        before = sum(len(text) + 1 for text in texts)  # a message's parts are joined by a line's end
        text = part.get("text") or ""
        texts.append(text)
        for note in part.get("annotations") or []:
            citation = _citation(note, text, before)
            if citation is not None:
                citations.append(citation)
    return "\n".join(texts), tuple(citations)


def _citation(note: Mapping[str, Any], text: str, before: int) -> Citation | None:
    match note.get("type"):
        case "file_citation":  # at a place of the text, without a mark in it (recorded)
            index = note.get("index")
            place = None if index is None else before + min(index, len(text))
            return Citation(
                mark="", file_id=note.get("file_id"), file_name=note.get("filename"), start=place, end=place
            )
        case "url_citation":
            start, end = note.get("start_index"), note.get("end_index")
            if start is None or end is None:
                return Citation(mark="", url=note.get("url"))
            mark = text[start:end]
            return Citation(mark=mark, url=note.get("url"), start=before + start, end=before + end)
        case _:
            return None  # files of containers and unknown annotations point to no source
