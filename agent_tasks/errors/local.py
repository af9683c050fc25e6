"""Servers of this machine."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class FunctionsHostError(AgentTasksError):
    """The Function App cannot be run on this machine; the message has its traceback."""


class EmbeddedServiceError(AgentTasksError):
    """A local server did not start, or died."""

    log_file: str | None = None
    """Where it wrote why."""

    def text(self) -> str:
        """What happened, and where to read more."""
        return f"{self.message} (see its log: {self.log_file})" if self.log_file else self.message
