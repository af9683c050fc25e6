# Made from _async/threads.py by `make generate`: change that one.
"""Threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from agent_tasks.client._requests import path_of
from agent_tasks.client._sync.resource import Resource, request_body
from agent_tasks.wire import AgentThread, CreateThreadRequest, ThreadDeletionStatus, UpdateThreadRequest


class Threads(Resource):
    """Operations on threads."""

    def create(self, request: CreateThreadRequest | None = None, /, **fields: Any) -> AgentThread:
        """Creates a thread from a request or its fields (`messages=`, `metadata=`, `tool_resources=`)."""
        return self._create(AgentThread, "/threads", request_body(CreateThreadRequest, request, fields))

    def get(self, thread_id: str) -> AgentThread:
        """Reads a thread. Raises NotFoundError."""
        return self._get(AgentThread, path_of("threads", thread_id))

    def update(
        self, thread_id: str, request: UpdateThreadRequest | None = None, /, **fields: Any
    ) -> AgentThread:
        """Changes the given fields of a thread (`metadata=`, `tool_resources=`)."""
        body = request_body(UpdateThreadRequest, request, fields)
        return self._update(AgentThread, path_of("threads", thread_id), body)

    def delete(self, thread_id: str) -> ThreadDeletionStatus:
        """Deletes a thread with its messages and runs. Raises NotFoundError."""
        return self._delete(ThreadDeletionStatus, path_of("threads", thread_id), thread_id)

    def list(
        self,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Iterator[AgentThread]:
        """All threads, newest first unless `order="asc"`; `limit` (1 to 100) is the size of a page."""
        params = {"limit": limit, "order": order, "after": after, "before": before}
        return self._list(AgentThread, "/threads", params)
