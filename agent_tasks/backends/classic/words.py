"""What a request says of a turn, in the words of the classic wire."""

from __future__ import annotations

from typing import Any

from agent_tasks.backends.base import ApprovalDecision, TurnRequest
from agent_tasks.wire import image_file_block


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def message_content(request: TurnRequest) -> str | list[dict[str, Any]]:
    """The content of a prompt's message: a text, or parts where it shows images."""
    if not request.images:
        return request.prompt
    shown = [image_file_block(image.file_id, detail=image.detail).to_wire() for image in request.images]
    return [{"type": "text", "text": request.prompt}, *shown]


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
