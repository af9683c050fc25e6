"""Turns of a server that keeps nothing: the journal has the conversation, each request carries it whole."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from agent_tasks.backends.base import (
    ConversationCreated,
    JsonObject,
    Mark,
    Memory,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRemembered,
    TurnRequest,
    TurnStarted,
    TurnText,
    TurnUpdate,
)
from agent_tasks.backends.responses.answers import conclusion, message, usage_of
from agent_tasks.backends.responses.words import Words
from agent_tasks.client import AsyncResponsesClient, failure
from agent_tasks.errors import DocumentTooLongError, TransportError, UnreadableDocumentError

__all__ = ["StatelessTurns"]

MAX_IMAGE_BYTES = 50_000_000
"""Of all images of a request together; services take no larger ones."""
_ROUND = "agent_tasks_round"
"""Type of the entry in a memory that closes a round: what the service said of it. It is never sent."""


class StatelessTurns:
    """Turns whose conversation the journal keeps.

    Each round is remembered before anything is done with it. Of an image the memory has what it shows; the
    image is made again for each request. A round whose answer was lost is asked for
    again: functions are called once, tokens may be paid for twice.

    Args:
        client: sends the requests.
        words: how a request speaks of its agent.
    """

    def __init__(self, client: AsyncResponsesClient, words: Words) -> None:
        self._client = client
        self._words = words

    async def start(self, request: TurnRequest, mark: Mark) -> AsyncGenerator[TurnUpdate, None]:
        """Put the prompt behind what the conversation holds, and ask."""
        conversation = request.conversation
        if conversation is None:
            conversation = f"local-{mark.text}"
            yield ConversationCreated(conversation)
        ref = TurnRef(conversation, f"turn-{mark.text}", mark, request)
        # An earlier attempt that came further than its first round has left its calls behind.
        begun = _of_key(request.memory, mark)
        memory = request.memory if begun else (*request.memory, message(request.prompt, request.images))
        async with aclosing(self._goes_on(ref, memory)) as updates:
            async for update in updates:
                yield update

    async def follow(self, ref: TurnRef) -> AsyncGenerator[TurnUpdate, None]:
        """Take up where the memory ends; ask again if it holds no answer."""
        request = _request(ref)
        begun = _of_key(request.memory, ref.mark)
        memory = request.memory if begun else (*request.memory, message(request.prompt, request.images))
        async with aclosing(self._goes_on(ref, memory)) as updates:
            async for update in updates:
                yield update

    async def answer(
        self, ref: TurnRef, items: Sequence[JsonObject], call_ids: set[str]
    ) -> AsyncGenerator[TurnUpdate, None]:
        """Put the outputs behind the calls, and ask."""
        request = _request(ref)
        memory = (*request.memory, *items)
        after = replace(ref, round=ref.round + 1)
        async with aclosing(self._ask(after, memory)) as updates:
            async for update in updates:
                yield update

    async def _goes_on(self, ref: TurnRef, memory: Memory) -> AsyncGenerator[TurnUpdate, None]:
        """What the last round of the memory means for the turn, or the next round if there is none."""
        rounds = _of_key(memory, ref.mark)
        if rounds and memory[-1] is rounds[-1] and rounds[-1]["response"].get("status") == "completed":
            yield TurnStarted(ref)
            yield _meaning(replace(ref, round=len(rounds)), memory, rounds)
            return
        if rounds and memory[-1] is rounds[-1] and _is_of_attempt(rounds[-1], ref.mark):
            yield TurnStarted(ref)  # it failed, and that was not heard of: not asked again in this attempt
            yield conclusion({**rounds[-1]["response"], "output": []}, replace(ref, round=len(rounds)))
            return
        async with aclosing(self._ask(replace(ref, round=len(rounds) + 1), memory)) as updates:
            async for update in updates:
                yield update

    async def _ask(self, ref: TurnRef, memory: Memory) -> AsyncGenerator[TurnUpdate, None]:
        request = _request(ref)
        items = [_as_sent(item) for item in memory if item.get("type") != _ROUND]
        sent = await _with_images(items, request)
        fields = self._words.fields(request, later=ref.round > 1)
        body = {**fields, "input": sent, "stream": True, "store": False}
        response: JsonObject | None = None
        async with self._client.stream("POST", "/responses", body=body) as events:
            async for event in events:
                match event["type"]:
                    case "response.created":
                        yield TurnStarted(ref)
                    case "response.output_text.delta":
                        if event.get("delta"):
                            yield TurnText(event["delta"])
                    case "error":
                        said = event.get("error") or event
                        raise failure(
                            f"the turn {ref.turn_id}",
                            code=said.get("code"),
                            said=said.get("message"),
                            run_id=ref.turn_id,
                            thread_id=ref.conversation,
                        )
                    case _ if isinstance(event.get("response"), dict):
                        response = event["response"]
        if response is None:
            raise TransportError(
                f"The turn {ref.turn_id} got a stream without a response.", outcome_unknown=True
            )
        output = [_numbered(item, ref.round) for item in response.get("output") or []]
        mark = ref.mark
        closing: JsonObject = {
            "type": _ROUND,
            "key": mark.key if mark is not None else "",
            "attempt": mark.attempt if mark is not None else 1,
            "response": {
                name: response.get(name) for name in ("status", "error", "incomplete_details", "usage")
            },
            "items": len(output) if response.get("status") == "completed" else 0,
        }
        if response.get("status") == "completed":
            memory = (*memory, *output, closing)
            ref = replace(ref, request=replace(_request(ref), memory=memory))
            yield TurnRemembered(ref, memory)
            yield _meaning(ref, memory, _of_key(memory, mark))
        else:
            memory = (*memory, closing)
            ref = replace(ref, request=replace(_request(ref), memory=memory))
            yield TurnRemembered(ref, memory)
            yield conclusion({**response, "output": output}, ref)


def _request(ref: TurnRef) -> TurnRequest:
    if ref.request is None:
        raise ValueError("a server that keeps nothing is told what the turn asks: TurnRef.request")
    return ref.request


def _of_key(memory: Memory, mark: Mark | None) -> list[JsonObject]:
    """The rounds of a turn that ended, with an answer, calls or a failure, whichever attempt made them."""
    key = mark.key if mark is not None else ""
    return [item for item in memory if item.get("type") == _ROUND and item.get("key") == key]


def _is_of_attempt(round: JsonObject, mark: Mark | None) -> bool:
    return bool(round["attempt"] == (mark.attempt if mark is not None else 1))


def _meaning(
    ref: TurnRef, memory: Memory, rounds: Sequence[JsonObject]
) -> TurnNeedsTools | TurnNeedsApproval | TurnEnded:
    """What the last round of a memory means for its turn, with the cost of all its rounds."""
    last = rounds[-1]
    output = list(memory[len(memory) - 1 - last["items"] : len(memory) - 1])
    attempt = ref.mark.attempt if ref.mark is not None else 1
    spent = ref.spent
    for one in rounds[:-1]:
        if one["attempt"] == attempt:
            spent = spent + usage_of(one["response"])
    here = replace(ref, spent=spent, request=replace(_request(ref), memory=memory))
    return conclusion({**last["response"], "output": output}, here)


def _numbered(item: JsonObject, round: int) -> JsonObject:
    """An item whose call has an id of its own: some servers begin to count in each answer."""
    if item.get("type") != "function_call":
        return item
    return {**item, "call_id": f"{item['call_id']}.{round}"}


def _as_sent(item: JsonObject) -> JsonObject:
    """An item of the memory as the server takes it: what only answers hold is left out."""
    left: dict[str, Any] = {key: value for key, value in item.items() if value is not None}
    if item.get("type") in ("function_call", "message") and item.get("role") != "user":
        left.pop("id", None)
    return left


async def _with_images(items: Sequence[JsonObject], request: TurnRequest) -> list[JsonObject]:
    """The items with the images that they show, made again.

    Raises:
        DocumentTooLongError: They are too large together.
        UnreadableDocumentError: Nothing here makes one of them.
    """
    makers = {image.key: image.content for image in (*request.earlier_images, *request.images)}
    size, sent = 0, list[JsonObject]()
    for item in items:
        parts = item.get("content")
        if isinstance(parts, list):
            shown = []
            for part in parts:
                if "image" in part:
                    content = await _made(part, makers.get(part["image"]))
                    size = _bounded(size + len(content), part["name"])
                    address = f"data:image/jpeg;base64,{base64.b64encode(content).decode('ascii')}"
                    part = {"type": part["type"], "image_url": address, "detail": part["detail"]}
                shown.append(part)
            item = {**item, "content": shown}
        sent.append(item)
    return sent


async def _made(part: JsonObject, make: Callable[[], Awaitable[bytes]] | None) -> bytes:
    if make is None:
        raise UnreadableDocumentError(
            f"The conversation shows {part['name']}, and nothing here draws it again: it is of another"
            " document or program. Ask in a new conversation.",
            document=part["name"],
        )
    return await make()


def _bounded(size: int, name: str) -> int:
    if size > MAX_IMAGE_BYTES:
        raise DocumentTooLongError(
            f"The images of a turn have more than {MAX_IMAGE_BYTES:,} bytes together (at {name})."
            " Lower max_pages or max_pixels of `vision`.",
            document=name,
        )
    return size
