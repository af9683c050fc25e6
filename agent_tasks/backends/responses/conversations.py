"""Conversations that carry marks: made with the first prompt in them or empty, and found again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from agent_tasks.backends.base import JsonObject, Mark
from agent_tasks.backends.marks import carries, mark_in, metadata_of
from agent_tasks.backends.responses.service import ResponsesService


class MarkedConversations:
    """A `ConversationMaker` of a service that keeps conversations and lists them.

    Args:
        service: where they are.
    """

    def __init__(self, service: ResponsesService) -> None:
        self._service = service

    async def create(self, mark: Mark, *, items: Sequence[JsonObject] = ()) -> str:
        """Make one, with these items in it; returns its id."""
        body: JsonObject = {"metadata": metadata_of(mark)}
        if items:
            body["items"] = list(items)
        made = await self._service.client.post("/conversations", body)
        return str(made["id"])

    async def newest(self, mark: Mark, *, since: float) -> str | None:
        """The newest one that carries the mark; nothing that is older than `since` is looked at."""
        async for one in self._listed(since):
            if carries(one.get("metadata"), mark):
                return str(one["id"])
        return None

    async def find(self, key: str, *, since: float) -> list[str]:
        """See `ConversationMaker`."""
        found = []
        async for one in self._listed(since):
            mark = mark_in(one.get("metadata"))
            if mark is not None and mark.key == key:
                found.append(str(one["id"]))
        return found

    async def _listed(self, since: float) -> AsyncIterator[JsonObject]:
        async for one in self._service.conversations():
            if (one.get("created_at") or 0) < since:
                return
            yield one
