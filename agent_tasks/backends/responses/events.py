"""The events of a response, read on across broken connections, as the seam's updates."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from agent_tasks.backends.base import JsonObject, TurnRef, TurnStarted, TurnText, TurnUpdate
from agent_tasks.backends.responses.answers import RUNNING, conclusion
from agent_tasks.client import AsyncResponsesClient, failure, path_of
from agent_tasks.client.polling import polls
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import BadRequestError, StreamBrokenError, TransportError

_BREAKS = 3  # streams that broke one after the other, until the response is polled
UNHEARD = frozenset({"response.created"})
"""What is read of a response, besides its end, where nobody listens to its text."""
_HEARD = UNHEARD | {"response.output_text.delta"}
_FIRST_POLL = 0.3  # seconds


class EventReader:
    """Reads one response from its creation to its end.

    A stream that breaks after the id was heard of is resumed behind the last event (`starting_after`), and
    the response polled where that is refused. One that breaks before is a lost answer.

    Args:
        client: sends the request.
        ref: the turn; without an id it gets that of the response.
        background: whether the response goes on without a reader.
    """

    def __init__(self, client: AsyncResponsesClient, ref: TurnRef, *, background: bool = True) -> None:
        self._client = client
        self._background = background
        self._response_id: str | None = None
        self._last = -1
        is_heard = ref.request is None or ref.request.is_heard
        self._only = _HEARD if is_heard else UNHEARD
        self.ref = ref
        """The turn, with its id as soon as that is known."""

    async def read(self, body: JsonObject) -> AsyncGenerator[TurnUpdate, None]:
        """Create the response and read it to its end.

        Raises:
            StreamBrokenError: no id came, so nobody knows whether there is a response.
            RunFailedError: an `error` event.
        """
        stream: AbstractAsyncContextManager[Any] = self._client.stream(
            "POST", "/responses", body=body, only=self._only
        )
        for left in reversed(range(_BREAKS + 1)):
            try:
                async with stream as events:
                    async for event in events:
                        update = self._update(event)
                        if update is not None:
                            yield update
                return
            except TransportError as error:
                if self._response_id is None or not self._background:
                    raise
                if not left or not isinstance(error, StreamBrokenError):
                    break
            except BadRequestError:
                if self._last < 0 or self._response_id is None:
                    raise
                break  # it can't be replayed
            path = path_of("responses", self._response_id)
            stream = self._client.stream(
                "GET",
                path,
                params={"stream": "true", "starting_after": str(self._last)},
                only=self._only,
            )
        yield await self._polled()

    def _update(self, event: Mapping[str, Any]) -> TurnUpdate | None:
        """What an event says of the turn. Raises RunFailedError for an `error`."""
        self._last = max(self._last, event.get("sequence_number", -1))
        match event["type"]:
            case "response.created":
                crash_point("response.unread" if self.ref.round == 1 else "round.unread")
                self._heard_of(event["response"])
                return TurnStarted(self.ref)
            case "response.output_text.delta" if event.get("delta"):
                return TurnText(event["delta"])
            case "response.completed" | "response.failed" | "response.incomplete" | "response.cancelled":
                self._heard_of(event["response"])
                return conclusion(event["response"], self.ref)
            case "error":
                raise self._failure(event)
            case _:
                return None  # items as they come, and events of a newer service, say nothing of the outcome

    def _heard_of(self, response: Mapping[str, Any]) -> None:
        self._response_id = str(response["id"])
        if not self.ref.turn_id:
            self.ref = replace(self.ref, turn_id=self._response_id)

    def _failure(self, event: Mapping[str, Any]) -> Exception:
        said = event.get("error") or event
        return failure(
            f"the turn {self.ref.turn_id}" if self.ref.turn_id else "the turn",
            code=said.get("code"),
            said=said.get("message"),
            run_id=self.ref.turn_id or None,
            thread_id=self.ref.conversation,
        )

    async def _polled(self) -> TurnUpdate:
        pauses = polls(_FIRST_POLL)
        path = path_of("responses", self._response_id or "")
        while True:
            response = await self._client.get(path)
            if response.get("status") not in RUNNING:
                return conclusion(response, self.ref)
            await pauses.wait()
