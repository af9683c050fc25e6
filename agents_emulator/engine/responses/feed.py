"""The events of a response, made of the engine's events as they happen.

The order is the recorded one. Each event carries a sequence number, from 0; the frames are kept, so that a
stream can be resumed after any of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agents_emulator.engine.broker import Event
from agents_emulator.engine.responses.shown import (
    Shown,
    Wording,
    call_item,
    listing_item,
    message_item,
    output_item,
    search_item,
)
from agents_emulator.engine.toolwork import CALL_FINISHED, CALL_OPENED, call_event
from agents_emulator.store import Record

_STAGES = {"file_search_call": ("in_progress", "searching"), "web_search_call": ("in_progress", "searching")}
_SINGLE_ITEMS = ("mcp_call", "code_interpreter_call", "web_search_call")
LAST_EVENTS = ("response.completed", "response.failed", "response.incomplete", "response.cancelled")
ITEM_OPENED, ITEM_CLOSED, ITEM_SAID = "workflow.item.opened", "workflow.item.closed", "workflow.item.said"
"""What a workflow tells of its items: an action begins, or has ended; a message is there as a whole."""
Parts = Iterator[tuple[str, Record]]


def first_number(run: Record) -> int:
    """Return the sequence number of a response's first event: 0, and 1 of a workflow's (recorded)."""
    return 1 if "workflow" in run else 0


class ResponseFeed:
    """Tells a run as a response.

    Attributes:
        frames: all that was told, in the order of their sequence numbers.
        first: the number of the first one.
        over: whether the last event was told; nothing follows it.
        resumable: whether clients may ask for the events again.
        stored: whether the response outlives its answer.
        thread_id: below which its run is stored.
    """

    def __init__(self, run: Record) -> None:
        self._shown = Shown.of(run)
        self._query: str = run["response"]["query"]
        self._places: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._wording: Wording | None = None
        self._part_open = False
        self.frames: list[bytes] = []
        self.first = first_number(run)
        self.over = False
        face = run["response"]
        self.resumable: bool = face["background"] and face["stream"]
        self.stored: bool = face["store"]
        self.thread_id: str = run["thread_id"]

    def take(self, events: Iterable[Event]) -> list[Event]:
        """Return the events of the response that the engine's events come to."""
        numbered: list[Event] = []
        for event in events:
            if self.over:
                break
            self.over = event.name in LAST_EVENTS
            for name, fields in self._told(event):
                numbered.append(self._numbered(name, fields))
        return numbered

    def _numbered(self, name: str, fields: Record) -> Event:
        number = self.first + len(self.frames)
        event = Event(name, {"type": name, **fields, "sequence_number": number})
        self.frames.append(event.frame())
        return event

    def after(self, number: int) -> list[bytes]:
        """Return the frames that follow the one of this number."""
        return self.frames[max(0, number + 1 - self.first) :]

    def begin(self, body: Record) -> list[Event]:
        """Return the first events; `body` is the response as it was made."""
        names = ["response.created"]
        if body["status"] == "queued":
            names.append("response.queued")
        return [Event(name, body) for name in names]

    def steps_so_far(self, steps: Sequence[Record]) -> list[Event]:
        """Return the engine's events of steps that there are before the run is set to work."""
        events: list[Event] = []
        for step in steps:
            if "work" not in step:
                events.append(Event("thread.run.step.completed", step))
                continue
            pairs = list(zip(step["work"], step["step_details"]["tool_calls"], strict=True))
            opened = (({**work, "state": "ready"}, body) for work, body in pairs)
            events += [call_event(CALL_OPENED, step, work, body) for work, body in opened]
            done = sorted(
                (pair for pair in pairs if "finished" in pair[0]), key=lambda pair: int(pair[0]["finished"])
            )
            events += [call_event(CALL_FINISHED, step, work, body) for work, body in done]
        return events

    def items_so_far(self, run: Record) -> list[Event]:
        """Return the events of the items that an interrupted workflow has already."""
        events: list[Event] = []
        for item in run["response"].get("output", []):
            body = dict(item["body"])
            if body["type"] == "message":
                events.append(Event(ITEM_SAID, body))
                continue
            events.append(Event(ITEM_OPENED, {**body, "status": "in_progress"}))
            if body["status"] != "in_progress":
                events.append(Event(ITEM_CLOSED, body))
        return events

    def _told(self, event: Event) -> Parts:
        body = event.body
        match event.name:
            case "thread.message.created":
                yield from self._opened(message_item(self._shown, body, [], "in_progress"))
                self._wording, self._part_open = Wording(self._shown, self._names), False
            case "thread.message.delta":
                for block in body["delta"]["content"]:
                    yield from self._said(self._message_id(body["id"]), block)
            case "thread.message.completed" | "thread.message.incomplete":
                yield from self._message_done(body)
            case "thread.run.step.completed":
                yield from self._step_done(body)
            case _ if event.name == CALL_OPENED:
                yield from self._call_opened(body)
            case _ if event.name == CALL_FINISHED:
                yield from self._call_finished(body)
            case _ if event.name == ITEM_OPENED:
                yield from self._opened(body)
            case _ if event.name == ITEM_CLOSED:
                yield from self._closed(body)
            case _ if event.name == ITEM_SAID:
                yield from self._retold(body)
            case name if name.startswith("response."):
                yield name, {"response": body}

    def retell(self, body: Record) -> list[Event]:
        """Return the events of a response that is over: of each item that it began, and that it is done."""
        early = {**body, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
        early |= {"error": None, "incomplete_details": None}
        events = self.take([Event("response.created", early), Event("response.in_progress", early)])
        for item in body["output"]:
            for name, fields in self._retold(item):
                events.append(self._numbered(name, fields))
        return [*events, *self.take([Event(f"response.{body['status']}", body)])]

    def _retold(self, item: Record) -> Parts:
        is_message = item["type"] == "message"
        yield from self._opened({**item, "content": [], "status": "in_progress"} if is_message else item)
        for place, part in enumerate(item["content"] if is_message else ()):
            empty = {**part, "text": "", "annotations": []}
            about = {"content_index": place}
            yield "response.content_part.added", self._about(item["id"], **about, part=empty)
            delta = self._about(item["id"], **about, delta=part["text"], logprobs=[], obfuscation=_noise())
            yield "response.output_text.delta", delta
            done = self._about(item["id"], **about, text=part["text"], logprobs=[])
            yield "response.output_text.done", done
            yield "response.content_part.done", self._about(item["id"], **about, part=part)
        yield from self._closed(item)

    # -- items

    def _opened(self, item: Record) -> Parts:
        self._places[item["id"]] = len(self._places)
        yield "response.output_item.added", {"item": item, "output_index": self._places[item["id"]]}

    def _closed(self, item: Record) -> Parts:
        yield "response.output_item.done", {"item": item, "output_index": self._places[item["id"]]}

    def _about(self, item_id: str, **fields: Any) -> Record:
        return {**fields, "item_id": item_id, "output_index": self._places[item_id]}

    # -- messages

    def _message_id(self, message_id: str) -> str:
        """Return the id of the item that is open: one message is written at a time."""
        return next(reversed(self._places))

    def _said(self, item_id: str, block: Record) -> Parts:
        wording = self._wording
        assert wording is not None  # noqa: S101 - a message is announced before its deltas
        yield from self._part(item_id)
        if block["type"] == "image_file":
            yield self._annotated(item_id, wording.add_image(block["image_file"]["file_id"]))
            return
        [annotation] = block["text"].get("annotations") or [None]
        text, made = wording.add(block["text"]["value"], annotation)
        if text:
            delta = self._about(item_id, content_index=0, delta=text, logprobs=[], obfuscation=_noise())
            yield "response.output_text.delta", delta
        if made is not None:
            yield self._annotated(item_id, made)

    def _part(self, item_id: str) -> Parts:
        if not self._part_open:
            self._part_open = True
            empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            yield "response.content_part.added", self._about(item_id, content_index=0, part=empty)

    def _annotated(self, item_id: str, annotation: Record) -> tuple[str, Record]:
        assert self._wording is not None  # noqa: S101 - see above
        number = len(self._wording.annotations) - 1
        fields = self._about(item_id, content_index=0, annotation_index=number, annotation=annotation)
        return "response.output_text.annotation.added", fields

    def _message_done(self, message: Record) -> Parts:
        wording = self._wording
        assert wording is not None  # noqa: S101 - see above
        item = message_item(self._shown, message, [wording.part()], message["status"])
        yield from self._part(item["id"])
        done = self._about(item["id"], content_index=0, text=wording.text, logprobs=[])
        yield "response.output_text.done", done
        yield "response.content_part.done", self._about(item["id"], content_index=0, part=wording.part())
        yield from self._closed(item)

    # -- tools

    def _step_done(self, step: Record) -> Parts:
        """Tell of what the service did by itself: searched files, listed the tools of a server."""
        details, created_at = step["step_details"], step["created_at"]
        for activity in details.get("activities", []):
            item = listing_item(self._shown, activity, created_at)
            yield from self._opened({**item, "tools": []})
            for stage in ("in_progress", "completed"):
                yield f"response.mcp_list_tools.{stage}", self._about(item["id"])
            yield from self._closed(item)
        for call in details.get("tool_calls", []):
            if call["type"] == "file_search":
                item = search_item(self._shown, step["id"], created_at, call, self._query)
                yield from self._searched(item, call)

    def _searched(self, item: Record, call: Record) -> Parts:
        self._names |= {result["file_id"]: result["file_name"] for result in call["file_search"]["results"]}
        yield from self._opened({**item, "status": "in_progress", "queries": [], "results": None})
        for stage in ("in_progress", "searching", "completed"):
            yield f"response.file_search_call.{stage}", self._about(item["id"])
        yield from self._closed(item)

    def _call_opened(self, told: Record) -> Parts:
        item = call_item(self._shown, told["work"], told["body"], told["created_at"])
        kind, item_id = item["type"], item["id"]
        if kind in _SINGLE_ITEMS:
            yield from self._single_opened(item)
            return
        begun = item if kind == "mcp_approval_request" else {**item, "status": "in_progress"}
        if "arguments" in begun and kind != "mcp_approval_request":
            begun["arguments"] = ""
        yield from self._opened(begun)
        if kind == "function_call":
            text = item["arguments"]
            delta = self._about(item_id, delta=text, obfuscation=_noise())
            yield "response.function_call_arguments.delta", delta
            done = self._about(item_id, name=item["name"], arguments=text)
            yield "response.function_call_arguments.done", done
        yield from self._closed(item)

    def _single_opened(self, item: Record) -> Parts:
        kind, item_id = item["type"], item["id"]
        begun = {**item, "code": ""} if kind == "code_interpreter_call" else item
        yield from self._opened({**begun, "arguments": ""} if kind == "mcp_call" else begun)
        for stage in _STAGES.get(kind, ("in_progress",)):
            yield f"response.{kind}.{stage}", self._about(item_id)
        if kind == "code_interpreter_call":
            for line in item["code"].splitlines(keepends=True):
                delta = self._about(item_id, delta=line, obfuscation=_noise())
                yield "response.code_interpreter_call_code.delta", delta
            yield "response.code_interpreter_call_code.done", self._about(item_id, code=item["code"])
            yield "response.code_interpreter_call.interpreting", self._about(item_id)
        elif kind == "mcp_call":
            text = item["arguments"]
            yield "response.mcp_call_arguments.delta", self._about(item_id, delta=text, obfuscation=_noise())
            yield "response.mcp_call_arguments.done", self._about(item_id, arguments=text)

    def _call_finished(self, told: Record) -> Parts:
        item = call_item(self._shown, told["work"], told["body"], told["created_at"])
        if item["type"] in _SINGLE_ITEMS:
            if item["id"] not in self._places:
                yield from self._single_opened({**item, "status": "in_progress"})
            yield f"response.{item['type']}.completed", self._about(item["id"])
            yield from self._closed(item)
            return
        outcome = output_item(self._shown, told["work"], told["body"], told["created_at"])
        if outcome is not None:
            yield from self._opened({**outcome, "status": "in_progress", "output": ""})
            yield from self._closed(outcome)


def _noise() -> str:
    """Return the padding that hides the length of a delta (recorded)."""
    return secrets.token_hex(8)
