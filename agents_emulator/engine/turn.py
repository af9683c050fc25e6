"""One question to the model within a run, and what its answer does to the run.

Everything that an answer changes is committed in one transaction, so an interrupted run is either before
its answer (it is asked again) or after it (it never is).
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import image_block, message_delta, text_block, text_delta, usage_body
from agents_emulator.engine.broker import Event, EventBroker
from agents_emulator.engine.citing import References
from agents_emulator.engine.toolwork import open_calls
from agents_emulator.models.base import Finished, TextDelta
from agents_emulator.store import RUNS, Record, Store
from agents_emulator.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from agents_emulator.engine.citing import Citable, FileMentions
    from agents_emulator.retrieval import CitationMarker, MarkedText

FILTERED = {
    "code": "content_filter",
    "message": "The response was filtered by the content management policy of the model.",
}


class Turn:
    """Streams one answer into a message and settles the run with it.

    An answer of tool calls leaves the run in progress, with a step of calls to be worked off.
    """

    def __init__(
        self, store: Store, broker: EventBroker, run: Record, toolbox: Toolbox, references: References
    ) -> None:
        self._store = store
        self._broker = broker
        self._run = run
        self._toolbox = toolbox
        self._references = references
        self._text = ""
        self._annotations: list[Record] = []
        self._message: Record | None = None
        self._step: Record | None = None

    async def _new_marker(self) -> CitationMarker | None:
        citable = self._references.citable
        # Citations would break an answer that has to be JSON.
        if citable is None or not citable.passages or isinstance(self._run["response_format"], dict):
            return None
        from agents_emulator.retrieval import CitationMarker

        return await asyncio.to_thread(CitationMarker, citable.passages)

    def content(self) -> list[Record]:
        """Return the content blocks of the message so far."""
        images = self._references.images if self._message is not None else ()
        blocks = [image_block(file_id) for file_id in images]
        return [*blocks, text_block(self._text, self._annotations)] if self._text else blocks

    async def consume(self, answer: AsyncIterator[TextDelta | Finished]) -> Finished:
        """Read the model's answer to its end, streaming its text; returns how it finished."""
        marker = await self._new_marker()
        async for part in answer:
            if isinstance(part, Finished):
                if marker is not None:
                    await self._add_marked(marker.finish())
                await self._add_rest()
                if self._references.images and not part.tool_calls:
                    await self._open()
                return part
            if marker is None:
                await self._add_text(part.text)
            else:
                await self._add_marked(marker.feed(part.text))
        raise RuntimeError("the model's answer ended without saying so")

    async def _add_marked(self, pieces: Sequence[MarkedText]) -> None:
        for piece in pieces:
            await self._add_text(piece.text)
            if piece.hit_index is not None and self._references.citable is not None:
                await self._add_rest()
                await self._add_citation(self._references.citable, piece.hit_index)

    async def _add_text(self, text: str) -> None:
        mentions = self._references.mentions
        for plain, name in [(text, None)] if mentions is None else mentions.feed(text):
            await self._add_piece(plain, mentions, name)

    async def _add_rest(self) -> None:
        mentions = self._references.mentions
        for plain, name in [] if mentions is None else mentions.finish():
            await self._add_piece(plain, mentions, name)

    async def _add_piece(self, text: str, mentions: FileMentions | None, name: str | None) -> None:
        if not text:
            return
        file_id = await mentions.workspace.publish(name) if mentions is not None and name else None
        if file_id is None:
            await self._open()
            first = not self._text
            self._text += text
            self._publish_delta(text, [] if first else None)
            return
        start = len(self._text)
        place = {"text": text, "start_index": start, "end_index": start + len(text)}
        await self._add_annotated({"type": "file_path", **place, "file_path": {"file_id": file_id}})

    async def _add_citation(self, citable: Citable, passage_index: int) -> None:
        await self._add_annotated(citable.annotation(passage_index, len(self._text)))

    async def _add_annotated(self, annotation: Record) -> None:
        await self._open()
        self._text += annotation["text"]
        self._annotations.append(annotation)
        numbered = {"index": len(self._annotations) - 1, **annotation}
        if annotation["type"] == "url_citation":
            # By the published document, a delta names the address and the place of the mark, not the mark.
            del numbered["text"]
        self._publish_delta(annotation["text"], [numbered])

    def _publish_delta(self, text: str, annotations: list[Record] | None) -> None:
        assert self._message is not None  # noqa: S101 - opened by the caller
        index = len(self._references.images)
        body = text_delta(self._message["id"], text, annotations, index=index)
        self._broker.publish(self._run["id"], [Event("thread.message.delta", body)])

    async def _open(self) -> None:
        if self._message is None:
            message, self._step, events = await self._store.write(
                lambda db: lifecycle.open_message(db, self._run)
            )
            self._message = message
            for index, file_id in enumerate(self._references.images):
                block = {"index": index, **image_block(file_id)}
                events.append(Event("thread.message.delta", message_delta(message["id"], block)))
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
            events += open_calls(db, run, calls, usage, self._toolbox)
            RUNS.put(db, run, run["thread_id"])
            return run, events
        if finished.finish_reason == "length":
            reason = "max_completion_tokens"
            return run, [*events, *lifecycle.end_run(db, run, "incomplete", reason=reason)]
        if finished.finish_reason == "content_filter" and "response" in run:
            return run, [*events, *lifecycle.end_run(db, run, "incomplete", reason="content_filter")]
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
