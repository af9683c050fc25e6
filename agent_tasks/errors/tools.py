"""Tools that gave no result."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class ToolError(AgentTasksError):
    """A function tool gave no result."""

    tool: str | None = None
    """The tool's name."""
    call_id: str | None = None
    """The call of the agent."""


class UnknownToolError(ToolError):
    """The agent called a tool that is not there."""


class ToolArgumentsError(ToolError):
    """The arguments are not JSON or do not fit the tool's schema."""


class ToolTimeoutError(ToolError):
    """The tool took longer than its time limit."""

    retryable: bool = True


class ToolOutputError(ToolError):
    """The tool's result is longer than it may be, or cannot be written as JSON."""


class ToolOutcomeUnknownError(ToolError):
    """A call that is not idempotent was interrupted: it may have had its effect."""


class ApprovalNeededError(ToolError):
    """A call of an MCP server waits for approval, and no tool of the turn decides on it.

    The turn goes on waiting: call again with an `McpTool` of that server that has `approve`.
    """
