# Made from _async/agents.py by `make generate`: change that one.
"""Agents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from agent_tasks.client._requests import path_of
from agent_tasks.client._sync.resource import Resource, request_body
from agent_tasks.client.functions import CallableTools, with_toolset
from agent_tasks.wire import Agent, AgentDeletionStatus, CreateAgentRequest, UpdateAgentRequest


class Agents(Resource):
    """Operations on agents (`/assistants`)."""

    def create(
        self,
        request: CreateAgentRequest | None = None,
        /,
        *,
        toolset: CallableTools | None = None,
        **fields: Any,
    ) -> Agent:
        """Creates an agent from a request or its fields (`model=`, `instructions=`, `tools=`, ...).

        `toolset` gives the tools and their resources, unless the fields name others.
        """
        body = request_body(CreateAgentRequest, request, with_toolset(fields, toolset))
        return self._create(Agent, "/assistants", body)

    def get(self, agent_id: str) -> Agent:
        """Reads an agent. Raises NotFoundError."""
        return self._get(Agent, path_of("assistants", agent_id))

    def update(
        self,
        agent_id: str,
        request: UpdateAgentRequest | None = None,
        /,
        *,
        toolset: CallableTools | None = None,
        **fields: Any,
    ) -> Agent:
        """Changes the given fields of an agent; `toolset` is as in `create`."""
        body = request_body(UpdateAgentRequest, request, with_toolset(fields, toolset))
        return self._update(Agent, path_of("assistants", agent_id), body)

    def delete(self, agent_id: str) -> AgentDeletionStatus:
        """Deletes an agent. Raises NotFoundError."""
        return self._delete(AgentDeletionStatus, path_of("assistants", agent_id), agent_id)

    def list(
        self,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Iterator[Agent]:
        """All agents, newest first unless `order="asc"`; `limit` (1 to 100) is the size of a page."""
        params = {"limit": limit, "order": order, "after": after, "before": before}
        return self._list(Agent, "/assistants", params)
