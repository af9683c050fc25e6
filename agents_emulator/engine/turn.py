"""One question to the model within a run, and what its answer does to the run.

Everything that an answer changes is committed in one transaction, so a run that was cut off is either before
its answer (it is asked again) or after it (it never is).
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from typing import TYPE_CHECKING

from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import message_delta, step_delta, text_block, usage_body
from agents_emulator.engine.broker import Event, EventBroker
from agents_emulator.ids import new_id
from agents_emulator.models.base import Finished, TextDelta, ToolCall
from agents_emulator.store import Record, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from agents_emulator.engine.file_search import SearchOutcome
    from agents_emulator.retrieval import CitationMarker, MarkedText

FILTERED = {
    "code": "content_filter",
    "message": "The response was filtered by the content management policy of the model.",
}


class Turn:
    """Streams one answer into a message and settles the run with it."""

    def __init__(
        self,
        store: Store,
        broker: EventBroker,
        run: Record,
        action_ttl: int,
        found: SearchOutcome | None = None,
    ) -> None:
        self._store = store
        self._broker = broker
        self._run = run
        self._action_ttl = action_ttl
        self._found = found
        self._text = ""
        self._annotations: list[Record] = []
        self._message: Record | None = None
        self._step: Record | None = None

    async def _new_marker(self) -> CitationMarker | None:
        # Citations would break an answer that has to be JSON.
        if self._found is None or not self._found.passages or isinstance(self._run["response_format"], dict):
            return None
        from agents_emulator.retrieval import CitationMarker

        return await asyncio.to_thread(CitationMarker, self._found.passages)

    def content(self) -> list[Record]:
        """Return the content blocks of the message so far."""
        return [text_block(self._text, self._annotations)] if self._text else []

    async def consume(self, answer: AsyncIterator[TextDelta | Finished]) -> Finished:
        """Read the model's answer to its end, streaming its text; returns how it finished."""
        marker = await self._new_marker()
        async for part in answer:
            if isinstance(part, Finished):
                if marker is not None:
                    await self._add_marked(marker.finish())
                return part
            if marker is None:
                await self._add_text(part.text)
            else:
                await self._add_marked(marker.feed(part.text))
        raise RuntimeError("the model's answer ended without saying so")

    async def _add_marked(self, pieces: Sequence[MarkedText]) -> None:
        for piece in pieces:
            await self._add_text(piece.text)
            if piece.hit_index is not None and self._found is not None:
                await self._add_citation(self._found, piece.hit_index)

    async def _add_text(self, text: str) -> None:
        if not text:
            return
        await self._open()
        first = not self._text
        self._text += text
        self._publish_delta(text, [] if first else None)

    async def _add_citation(self, found: SearchOutcome, passage_index: int) -> None:
        passage = found.passages[passage_index]
        mark = f"【4:{found.result_index(passage)}†source】"
        annotation: Record = {
            "type": "file_citation",
            "text": mark,
            "start_index": len(self._text),
            "end_index": len(self._text) + len(mark),
            "file_citation": {"file_id": passage.file_id},
        }
        await self._open()
        self._text += mark
        self._annotations.append(annotation)
        self._publish_delta(mark, [{"index": len(self._annotations) - 1, **annotation}])

    def _publish_delta(self, text: str, annotations: list[Record] | None) -> None:
        assert self._message is not None  # noqa: S101 - opened by the caller
        body = message_delta(self._message["id"], text, annotations)
        self._broker.publish(self._run["id"], [Event("thread.message.delta", body)])

    async def _open(self) -> None:
        if self._message is None:
            self._message, self._step, events = await self._store.write(
                lambda db: lifecycle.open_message(db, self._run)
            )
            self._broker.publish(self._run["id"], events)

    async def settle(self, finished: Finished) -> Record:
        """Commit the answer and what follows from it; returns the run in its new state."""
        run, events = await self._store.write(lambda db: self._settled(db, finished))
        self._broker.publish(run["id"], events)
        return run

    def _settled(self, db: sqlite3.Connection, finished: Finished) -> tuple[Record, list[Event]]:
        run = lifecycle.expect(db, self._run, "in_progress")
        run["spent"]["prompt_tokens"] += finished.prompt_tokens
        run["spent"]["completion_tokens"] += finished.completion_tokens
        usage = usage_body(finished.prompt_tokens, finished.completion_tokens)
        calls = finished.tool_calls if finished.finish_reason in ("tool_calls", "stop") else ()
        events = self._close_message(db, run, finished, None if calls else usage)
        if calls:
            return run, [*events, *self._require_action(db, run, calls, usage)]
        if finished.finish_reason == "length":
            reason = "max_completion_tokens"
            return run, [*events, *lifecycle.end_run(db, run, "incomplete", reason=reason)]
        if finished.finish_reason == "content_filter":
            return run, [*events, *lifecycle.end_run(db, run, "failed", error=dict(FILTERED))]
        return run, [*events, *lifecycle.end_run(db, run, "completed")]

    def _close_message(
        self, db: sqlite3.Connection, run: Record, finished: Finished, usage: Record | None
    ) -> list[Event]:
        if self._message is None or self._step is None:
            return []
        reason = {"length": "max_tokens", "content_filter": "content_filter"}.get(finished.finish_reason)
        return [
            lifecycle.close_message(db, self._message, self.content(), reason),
            lifecycle.close_step(db, run, self._step, usage),
        ]

    def _require_action(
        self, db: sqlite3.Connection, run: Record, calls: Sequence[ToolCall], usage: Record
    ) -> list[Event]:
        """in_progress -> requires_action, with a step that holds the calls and waits for their outputs."""
        # The model's own call ids may repeat from turn to turn; outputs are matched by ours.
        made = [(new_id("call"), call.name, call.arguments) for call in calls]
        details = [
            {
                "id": call_id,
                "type": "function",
                "function": {"name": name, "arguments": arguments, "output": None},
            }
            for call_id, name, arguments in made
        ]
        run["expires_at"] = run["created_at"] + self._action_ttl
        step, events = lifecycle.open_step(db, run, "tool_calls", details, usage)
        for index, (call_id, name, arguments) in enumerate(made):
            events += [
                _call_delta(
                    step, {"index": index, "id": call_id, **_function(name=name, arguments="", output=None)}
                ),
                _call_delta(step, {"index": index, **_function(arguments=arguments)}),
            ]
        run["status"] = "requires_action"
        run["required_action"] = {
            "type": "submit_tool_outputs",
            "submit_tool_outputs": {
                "tool_calls": [
                    {"id": call_id, **_function(name=name, arguments=arguments)}
                    for call_id, name, arguments in made
                ]
            },
        }
        return [*events, lifecycle.save_run(db, run)]


def _function(**fields: str | None) -> Record:
    return {"type": "function", "function": fields}


def _call_delta(step: Record, call: Record) -> Event:
    return Event("thread.run.step.delta", step_delta(step["id"], call))


_RATE_LIMIT = re.compile(r"try again in \d+ second", re.IGNORECASE)


def throttling_message(message: str, retry_after: float | None) -> str:
    """Return the recorded text of a throttled run: the wait is nowhere else but in it."""
    if _RATE_LIMIT.search(message):
        return message
    return f"Rate limit is exceeded. Try again in {max(1, round(retry_after or 1))} seconds."
