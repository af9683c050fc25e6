"""What a request says of a turn, in the words of the classic wire."""

from __future__ import annotations

from typing import Any

from agent_tasks.backends.base import ApprovalDecision, TurnRequest


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def of_servers(request: TurnRequest) -> dict[str, Any] | None:
    """What is said of MCP servers with each turn; None: nothing."""
    servers = [
        given(
            {
                "server_label": server.label,
                "headers": dict(server.headers),
                "require_approval": server.require_approval,
            }
        )
        for server in request.servers
    ]
    return {"mcp": servers} if servers else None


def decided(decision: ApprovalDecision) -> dict[str, Any]:
    """A decision on a call of an MCP server."""
    headers = {"headers": dict(decision.headers)} if decision.headers else {}
    return {"tool_call_id": decision.call_id, "approve": decision.approve, **headers}
