"""Tools of an MCP server, their approvals and their headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent_tasks.backends.base import ServerAccess
from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.base import HostedTool, given, named
from agent_tasks.wire import (
    MCPApprovalPerTool,
    MCPToolDefinition,
    MCPToolList,
    MCPToolResource,
    RequiredMcpToolCall,
    ToolApproval,
    ToolDefinition,
    ToolResources,
)

ApprovalMode = Literal["always", "never"]
Approve = Callable[[RequiredMcpToolCall], bool | Awaitable[bool]]


@dataclass(frozen=True)
class ApprovalPerTool:
    """Which tools of a server are called without asking, and which only with approval."""

    never: Sequence[str] = ()
    """Tools that need no approval."""
    always: Sequence[str] = ()
    """Tools that need one."""

    def to_wire(self) -> MCPApprovalPerTool:
        """As on the wire; a side without names is left out."""
        return MCPApprovalPerTool(
            **given(
                never=MCPToolList(tool_names=list(self.never)) if self.never else None,
                always=MCPToolList(tool_names=list(self.always)) if self.always else None,
            )
        )


@dataclass(frozen=True)
class AskPerson:
    """Has a person decide on each call of a server: at the review desk, or by `agent-tasks approvals`.

    The turn waits without a worker, as a step `approve` does: what runs it raises WaitingForPersonError, and
    called again it goes on with the decision. For durable turns (sessions, pipelines, `run_turn`) only.

    Raises ConfigurationError for a time limit that is none.
    """

    time_limit: timedelta | None = None
    """How long a call waits; None: for ever."""
    at_limit: Literal["approve", "reject", "fail"] = "reject"
    """What counts when that is over; `fail` ends the turn without an answer."""

    def __post_init__(self) -> None:
        if self.time_limit is not None and self.time_limit <= timedelta():
            raise ConfigurationError(
                f"The time limit {self.time_limit} of AskPerson is no time. Give one above 0, or none to "
                "wait for ever.",
                setting="time_limit",
            )
        if self.at_limit not in ("approve", "reject", "fail"):
            raise ConfigurationError(
                f"at_limit={self.at_limit!r} of AskPerson is unknown. Give approve, reject or fail.",
                setting="at_limit",
            )


@dataclass(frozen=True)
class McpTool(HostedTool):
    """Tools of an MCP server that the service calls over the network (preview).

    Give `resources` to the run, not to the agent: headers are kept with what they are given to. Where a call
    needs approval, the run stops at `requires_action` with `submit_tool_approval`: answer each call with
    `approval(...)`, or give `approve`, which decides where a toolset with this tool follows the run.

    Raises ConfigurationError for an empty label, or an address that is neither https nor on this machine.
    """

    server_label: str
    """Name of the server, once for each agent."""
    server_url: str
    """Address of the server."""
    allowed_tools: Sequence[str] = ()
    """The tools that may be used; none named: all."""
    headers: Mapping[str, SecretStr | str] = field(default_factory=dict)
    """Headers for the server, kept secret: they show in no text form of the tool."""
    require_approval: ApprovalMode | ApprovalPerTool = "always"
    """Which calls stop for approval. The service's own default is `always`."""
    approve: Callable[[RequiredMcpToolCall], bool | Awaitable[bool]] | AskPerson | None = field(
        default=None, compare=False
    )
    """Decides on a call that stopped for approval, by its name and arguments; may be async. What it raises
    refuses the call. `AskPerson()`: a person does."""

    def __post_init__(self) -> None:
        named("McpTool", server_label=self.server_label, server_url=self.server_url)
        parts = urlsplit(self.server_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"McpTool {self.server_label}: server_url must be an http address", setting="server_url"
            )
        if parts.username or parts.password:
            raise ConfigurationError(
                f"McpTool {self.server_label}: server_url holds a password; pass it in headers",
                setting="server_url",
            )
        if not isinstance(self.require_approval, ApprovalPerTool) and self.require_approval not in (
            "always",
            "never",
        ):
            raise ConfigurationError(
                f"McpTool {self.server_label}: require_approval is 'always', 'never' or an ApprovalPerTool",
                setting="require_approval",
            )
        secret = {
            name: value if isinstance(value, SecretStr) else SecretStr(value)
            for name, value in self.headers.items()
        }
        object.__setattr__(self, "headers", secret)
        object.__setattr__(self, "allowed_tools", tuple(dict.fromkeys(self.allowed_tools)))

    def approval(self, call_id: str, *, approve: bool = True) -> dict[str, Any]:
        """The answer to one call that waits for approval, for `tool_approvals=` of `submit_tool_outputs`."""
        fields = given(tool_call_id=call_id, approve=approve, headers=self._plain_headers() or None)
        return ToolApproval(**fields).to_wire()

    @property
    def access(self) -> ServerAccess:
        """What each turn says of the server; holds the headers in plain text."""
        needed = self.require_approval
        return ServerAccess(
            self.server_label,
            self._plain_headers(),
            needed.to_wire().to_wire() if isinstance(needed, ApprovalPerTool) else needed,
        )

    def _plain_headers(self) -> dict[str, str]:
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.headers.items()
        }

    def _definitions(self) -> list[ToolDefinition]:
        allowed = list(self.allowed_tools) or None
        return [
            MCPToolDefinition(
                server_label=self.server_label, server_url=self.server_url, **given(allowed_tools=allowed)
            )
        ]

    def _resources(self) -> ToolResources | None:
        needed = self.require_approval
        resource = MCPToolResource(
            server_label=self.server_label,
            headers=self._plain_headers(),
            require_approval=needed.to_wire() if isinstance(needed, ApprovalPerTool) else needed,
        )
        return ToolResources(mcp=[resource])
