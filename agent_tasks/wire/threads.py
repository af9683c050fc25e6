"""Threads."""

from __future__ import annotations

from agent_tasks.wire.base import DeletionStatus, Metadata, UnixTime, WireModel
from agent_tasks.wire.messages import ThreadMessageOptions
from agent_tasks.wire.tool_resources import ToolResources

__all__ = ["AgentThread", "AgentThreadCreationOptions", "ThreadDeletionStatus"]


class AgentThread(WireModel):
    """A thread: the messages of one conversation."""

    id: str
    object: str = "thread"
    created_at: UnixTime
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None


class AgentThreadCreationOptions(WireModel):
    """A thread to create, with its first messages."""

    messages: list[ThreadMessageOptions] | None = None
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None


class ThreadDeletionStatus(DeletionStatus):
    """Answer of the deletion of a thread."""

    object: str = "thread.deleted"
