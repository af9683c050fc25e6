"""The journal, where it refuses."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class JournalError(AgentTasksError):
    """The durable memory refused."""

    key: str | None = None
    """The operation key at hand, if there is one."""


class JournalUnreadableError(JournalError):
    """The journal cannot be read. That never means that an effect is safe to repeat."""


class JournalVersionError(JournalError):
    """The journal was written by a version of this library that this one cannot read."""


class LeaseLostError(JournalError):
    """Another worker has taken over what this one was doing; leave it alone."""
