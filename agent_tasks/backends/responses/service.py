"""What an endpoint of the Responses wire can do, and what is asked of it: look-ups that no caller repeats."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent_tasks.backends.base import JsonObject, Mark
from agent_tasks.backends.marks import KEY_FIELD, carries, mark_in
from agent_tasks.backends.responses.words import ROUND_FIELD
from agent_tasks.client import AsyncResponsesClient, path_of
from agent_tasks.errors import (
    BadRequestError,
    ConflictError,
    ConversationBusyError,
    NotFoundError,
    ServiceError,
)

__all__ = ["Abilities", "ResponsesService", "is_gone", "translated"]

_LOCKED = "conversation_locked"
_OPEN_CALL = "No tool output found"
_PAGE = 100
SHOWN_WITHIN = 3.0
"""Seconds for which look-ups go on: docs/durability.md, "What is not"."""


@dataclass(frozen=True)
class Abilities:
    """What an endpoint of the Responses wire has."""

    agents: bool
    """Agents with versions, below the project's address."""
    conversations: bool
    """Conversations, kept on the service."""
    lists: bool
    """Lists of responses and conversations, with their metadata."""
    background: bool = True
    """Responses that go on when nobody reads them, and can be resumed and cancelled."""
    shows_running: bool = True
    """Lists have what still runs, too."""
    shows_after: float = 0.0
    """Seconds until a response is in the list."""
    keeps_metadata: bool = True
    """Responses keep their metadata."""
    locks: bool = True
    """A conversation takes one response at a time."""
    cascades: bool = False
    """The responses of a conversation go with it."""

    @property
    def proves_absence(self) -> bool:
        """Whether it is known of every turn that it was not sent: seen in a list, or kept out by a lock."""
        is_seen = self.shows_running and self.shows_after <= SHOWN_WITHIN
        return self.lists and self.keeps_metadata and (is_seen or self.locks)


def is_gone(error: ServiceError) -> bool:
    """Whether an answer says that there is no such thing: 404, or 400 in words (recorded after a DELETE)."""
    return isinstance(error, NotFoundError) or (
        isinstance(error, BadRequestError) and "not found" in (error.message or "").lower()
    )


@contextlib.contextmanager
def translated(*, starts: bool = False) -> Iterator[None]:
    """Turn the wire's words into the seam's errors: gone is NotFoundError, in use is ConversationBusyError.

    Args:
        starts: a turn is started here, which open calls of another turn keep out.
    """
    try:
        yield
    except (BadRequestError, ConflictError) as error:
        known: dict[str, Any] = {
            name: getattr(error, name)
            for name in ("status", "code", "type", "param", "request_id", "method", "path")
        }
        said = error.message or ""
        if error.code == _LOCKED or _LOCKED in said or (starts and _OPEN_CALL in said):
            raise ConversationBusyError(said, **known) from error
        if is_gone(error) and _OPEN_CALL not in said and "No tool call found" not in said:
            raise NotFoundError(said, **known) from error
        raise


class ResponsesService:
    """Look-ups on a service of responses.

    Args:
        client: speaks below the address of `/responses`.
        can: what the service has.
    """

    def __init__(self, client: AsyncResponsesClient, can: Abilities) -> None:
        self.client = client
        self.can = can

    async def response(self, response_id: str) -> JsonObject:
        """A response with its output. Raises NotFoundError."""
        with translated():
            return await self.client.get(path_of("responses", response_id))

    async def conversation(self, conversation: str) -> JsonObject:
        """A conversation with its metadata. Raises NotFoundError."""
        with translated():
            return await self.client.get(path_of("conversations", conversation))

    async def items(self, conversation: str) -> list[JsonObject]:
        """The newest hundred items of a conversation, the oldest of them first. Raises NotFoundError."""
        with translated():
            page = await self.client.get(
                path_of("conversations", conversation, "items"), {"order": "desc", "limit": _PAGE}
            )
        return list(reversed(page.get("data") or []))

    async def responses(self, conversation: str) -> list[JsonObject]:
        """The responses of a conversation, the oldest first. None are listed where the service has no list.

        Raises NotFoundError for a conversation that is gone, as far as the service says so.
        """
        if not self.can.lists:
            return []
        query = {"conversation_id": conversation, "order": "desc", "limit": _PAGE}
        with translated():
            found = [item async for item in self.client.pages("/responses", query)]
        found.reverse()  # the sort keeps the order of what was made within one second
        return sorted(found, key=lambda one: one.get("created_at") or 0)

    async def conversations(self) -> AsyncIterator[JsonObject]:
        """All conversations, the newest first."""
        if not self.can.lists:
            return
        async for item in self.client.pages("/conversations", {"order": "desc", "limit": _PAGE}):
            yield item


def of_key(responses: list[JsonObject], key: str) -> list[JsonObject]:
    """The responses of an operation, in their order."""
    return [one for one in responses if (one.get("metadata") or {}).get(KEY_FIELD) == key]


def of_attempt(responses: list[JsonObject], mark: Mark) -> list[JsonObject]:
    """The rounds of an attempt, in their order."""
    found = [one for one in responses if carries(one.get("metadata"), mark)]
    return sorted(found, key=round_of)


def are_marked(responses: list[JsonObject]) -> bool:
    """Whether the service keeps the metadata of responses at all."""
    return any(mark_in(one.get("metadata")) is not None for one in responses)


def round_of(response: Mapping[str, Any]) -> int:
    """Which round of its attempt a response is."""
    number = (response.get("metadata") or {}).get(ROUND_FIELD, "")
    return int(number) if number.isdecimal() else 1
