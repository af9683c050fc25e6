"""Turns of a service that keeps conversations: a conversation first, then a response a round."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from agent_tasks.backends.base import (
    ActiveTurn,
    ConversationCreated,
    FoundTurn,
    JsonObject,
    Mark,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStatus,
    TurnUpdate,
)
from agent_tasks.backends.marks import carries, mark_in
from agent_tasks.backends.responses.answers import (
    CANCELLED_OUTPUT,
    RUNNING,
    approvals_of,
    calls_of,
    conclusion,
    message,
    text_of,
    usage_of,
    waiting_in,
)
from agent_tasks.backends.responses.conversations import MarkedConversations
from agent_tasks.backends.responses.events import EventReader
from agent_tasks.backends.responses.rounds import OF_ITEMS, Current, Rounds
from agent_tasks.backends.responses.service import (
    ResponsesService,
    are_marked,
    of_attempt,
    of_key,
    translated,
)
from agent_tasks.backends.responses.words import Words, marked
from agent_tasks.client import path_of
from agent_tasks.client.polling import polls
from agent_tasks.errors import BadRequestError, ConversationBusyError, NotFoundError

_FIRST_POLL = 0.3  # seconds


class StoredTurns:
    """Turns in conversations that the service keeps.

    Args:
        service: where they are.
        words: how a request speaks of its agent.
        rounds: finds the newest round.
        conversations: makes theirs, and finds them again.
    """

    def __init__(
        self,
        service: ResponsesService,
        words: Words,
        rounds: Rounds,
        conversations: MarkedConversations,
    ) -> None:
        self._service = service
        self._words = words
        self._rounds = rounds
        self._conversations = conversations
        self._background = service.can.background

    # --- starting and answering ------------------------------------------------------------------------

    async def start(self, request: TurnRequest, mark: Mark) -> AsyncGenerator[TurnUpdate, None]:
        """Make the conversation, if there is none, with the prompt in it; then ask for the response."""
        fields = self._words.fields(request)
        conversation = request.conversation
        input_items: list[JsonObject] = []
        if conversation is None:
            prompt = message(request.prompt, request.images)
            conversation = await self._conversations.create(mark, items=[prompt])
            yield ConversationCreated(conversation)
        elif request.prompt_posted:
            items = await self._service.items(conversation)
            if waiting_in(items):
                yield await self._open_round(conversation, items, request, mark)
                return
            input_items = (
                [] if _ends_with(items, request.prompt) else [message(request.prompt, request.images)]
            )
        else:
            input_items = [message(request.prompt, request.images)]
        ref = TurnRef(conversation, "", mark, request)
        async with aclosing(self._created(ref, fields, input_items, starts=True)) as updates:
            async for update in updates:
                yield update

    async def _open_round(
        self, conversation: str, items: Sequence[JsonObject], request: TurnRequest, mark: Mark
    ) -> TurnUpdate:
        """The calls that an earlier attempt left open, as the first round of this one.

        Raises:
            ConversationBusyError: they are of another turn.
        """
        waiting = waiting_in(items)
        mine = of_key(await self._service.responses(conversation), mark.key)
        for response in reversed(mine):
            output = response.get("output") or []
            asked = waiting_in(output)
            if waiting & asked:
                ref = TurnRef(conversation, str(response["id"]), mark, request)
                return self._told(conclusion({**response, "usage": None}, ref))
        raise ConversationBusyError(
            f"The conversation {conversation} has calls of another turn that were not answered "
            f"({', '.join(sorted(waiting))}).",
            status=400,
        )

    async def answer(
        self, ref: TurnRef, items: Sequence[JsonObject], call_ids: set[str]
    ) -> AsyncGenerator[TurnUpdate, None]:
        """Send outputs or decisions, unless they have arrived before; follow the round that they begin."""
        is_newest = self._rounds.waiting.get(ref.turn_id) == ref.round
        if not is_newest:
            found = await self._rounds.current(ref)
            asked = waiting_in(found.response.get("output") or [])
            if not found.waits or (asked.isdisjoint(call_ids) and found.ref.round > ref.round):
                yield await self._end_of(found)
                return
            ref = found.ref
            ref = replace(ref, spent=ref.spent + usage_of(found.response))
        if ref.request is None:
            raise ValueError("a round is answered with what the turn asks: TurnRef.request")
        fields = self._words.fields(ref.request, later=True)
        self._rounds.waiting.pop(ref.turn_id, None)
        after = replace(ref, round=ref.round + 1)
        async with aclosing(self._created(after, fields, items, starts=False)) as updates:
            async for update in updates:
                yield update

    async def _created(
        self, ref: TurnRef, fields: JsonObject, items: Sequence[JsonObject], *, starts: bool
    ) -> AsyncGenerator[TurnUpdate, None]:
        """Ask for one response, once, and read its events."""
        mark = ref.mark
        body: JsonObject = {**fields, "conversation": ref.conversation, "stream": True, "store": True}
        if items:
            body["input"] = list(items)
        if mark is not None:
            body["metadata"] = marked(mark, ref.round)
        reader = EventReader(self._service.client, ref)
        try:
            with translated(starts=starts):
                asked = body | ({"background": True} if self._background else {})
                async with aclosing(reader.read(asked)) as updates:
                    async for update in updates:
                        yield self._told(update)
            return
        except BadRequestError as error:
            refused = self._background and reader.ref.turn_id == ref.turn_id and _is_about_background(error)
            if not refused:
                raise
        self._background = False  # refused, so nothing was begun (docs/wire.md)
        reader = EventReader(self._service.client, ref, background=False)
        with translated(starts=starts):
            async with aclosing(reader.read(body)) as updates:
                async for update in updates:
                    yield self._told(update)

    def _told(self, update: TurnUpdate) -> TurnUpdate:
        """Note what the caller is told of."""
        if isinstance(update, TurnNeedsTools | TurnNeedsApproval):
            self._rounds.waiting[update.ref.turn_id] = update.ref.round
        elif isinstance(update, TurnEnded):
            self._rounds.waiting.pop(update.ref.turn_id, None)
        return update

    # --- following -------------------------------------------------------------------------------------

    async def follow(self, ref: TurnRef) -> AsyncGenerator[TurnUpdate, None]:
        """Poll the newest round, with growing pauses, until it ends."""
        yield await self._end_of(await self._rounds.current(ref))

    async def _end_of(self, found: Current) -> TurnUpdate:
        pauses = polls(_FIRST_POLL)
        response = found.response
        while response.get("status") in RUNNING:
            await pauses.wait()
            response = await self._service.response(str(response["id"]))
        said = _cancelled if found.cancelled else conclusion
        return self._told(said(response, found.ref))

    # --- ending ----------------------------------------------------------------------------------------

    async def cancel(self, ref: TurnRef) -> bool:
        """Cancel the newest round, or close its calls; False if the turn has completed."""
        try:
            found = await self._rounds.current(ref)
            if found.waits:
                await self._close(found)
                return True
            if found.runs:
                found = replace(found, response=await self._stopped(str(found.response["id"])))
                if found.response.get("status") == "completed" and isinstance(
                    conclusion(found.response, found.ref), TurnNeedsTools | TurnNeedsApproval
                ):
                    await self._close(found)
                    return True
        except NotFoundError:
            return True
        self._rounds.waiting.pop(ref.turn_id, None)
        return found.cancelled or found.response.get("status") != "completed"

    async def _stopped(self, response_id: str) -> JsonObject:
        path = path_of("responses", response_id, "cancel")
        try:
            with translated():
                return await self._service.client.post(path, {}, creates=False)
        except BadRequestError:  # it has ended meanwhile; its status tells how
            response = await self._service.response(response_id)
            if response.get("status") in RUNNING:
                raise
            return response

    async def _close(self, found: Current) -> None:
        """Give open calls an output that says so: a conversation with open calls takes no other turn."""
        output = found.response.get("output") or []
        closing: list[JsonObject] = [
            {"type": "function_call_output", "call_id": call.call_id, "output": CANCELLED_OUTPUT}
            for call in calls_of(output)
        ] + [
            {
                "type": "mcp_approval_response",
                "approval_request_id": call.call_id,
                "approve": False,
                "reason": CANCELLED_OUTPUT,
            }
            for call in approvals_of(output)
        ]
        self._rounds.waiting.pop(found.ref.turn_id, None)
        path = path_of("conversations", found.ref.conversation, "items")
        await self._service.client.post(path, {"items": closing})

    # --- look-ups --------------------------------------------------------------------------------------

    async def active(self, conversation: str) -> ActiveTurn | None:
        """The turn that runs in a conversation, or whose calls are open."""
        responses = await self._service.responses(conversation)
        for response in reversed(responses):
            if response.get("status") in RUNNING:
                return _active(conversation, response, responses)
        items = await self._service.items(conversation)
        waiting = waiting_in(items)
        if not waiting:
            return None
        for response in reversed(responses):
            output = response.get("output") or []
            if waiting & waiting_in(output):
                return _active(conversation, response, responses)
        if not self._service.can.lists:  # nothing tells whose they are, and no turn can begin beside them
            return ActiveTurn(TurnRef(conversation, f"{OF_ITEMS}open"), None)
        return None

    async def find(
        self, mark: Mark, *, conversation: str | None, is_own: bool, since: float
    ) -> FoundTurn | None:
        """A turn by the mark of its responses; where none was asked for, its conversation by its own.

        A conversation that was made ahead does not carry the mark of the turn that took it, with its first
        attempt: that it is the turn's own has to be said. One that the caller knows may have a response that
        is listed late; in one that has to be found here none was asked for.
        """
        known = conversation
        if conversation is None:
            conversation = await self._conversations.newest(mark, since=since)
            if conversation is None:
                return None
        responses = await self._service.responses(conversation)
        chain = of_attempt(responses, mark)
        if chain:
            return FoundTurn(conversation, str(chain[0]["id"]), prompt_posted=True)
        kept = await self._service.conversation(conversation)
        if not (is_own and mark.attempt == 1) and not carries(kept.get("metadata"), mark):
            return None
        if responses and not are_marked(responses):  # none but this turn has been in it yet
            return FoundTurn(conversation, str(responses[0]["id"]), prompt_posted=True)
        if not self._service.can.lists and _is_answered(await self._service.items(conversation)):
            return FoundTurn(conversation, f"{OF_ITEMS}{mark.text}", prompt_posted=True)
        return FoundTurn(conversation, None, prompt_posted=True) if known is None else None


def outputs_as_items(outputs: Sequence[tuple[str, str]]) -> list[JsonObject]:
    """The outputs of calls as items."""
    return [
        {"type": "function_call_output", "call_id": call_id, "output": output} for call_id, output in outputs
    ]


def _active(conversation: str, response: JsonObject, responses: list[JsonObject]) -> ActiveTurn:
    mark = mark_in(response.get("metadata"))
    chain = of_attempt(responses, mark) if mark is not None else [response]
    return ActiveTurn(TurnRef(conversation, str(chain[0]["id"]), mark), mark)


def _ends_with(items: Sequence[Mapping[str, Any]], prompt: str) -> bool:
    """Whether the last message of a conversation is this prompt: nothing has answered it."""
    messages = [item for item in items if item.get("type") == "message"]
    return bool(messages) and messages[-1].get("role") == "user" and text_of(messages[-1]) == prompt


def _is_answered(items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a conversation holds more than prompts; what a response gave shows when it has ended."""
    return any(item.get("type") != "message" or item.get("role") != "user" for item in items)


def _cancelled(response: Mapping[str, Any], ref: TurnRef) -> TurnEnded:
    ended = conclusion({**response, "output": []}, ref)
    assert isinstance(ended, TurnEnded)  # noqa: S101 - nothing waits without output
    return replace(ended, status=TurnStatus.CANCELLED)


def _is_about_background(error: BadRequestError) -> bool:
    return error.param == "background" or "background" in (error.message or "").lower()
