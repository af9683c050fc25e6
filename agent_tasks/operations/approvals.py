"""Deciding on the calls of MCP servers that wait for approval, once each."""

from __future__ import annotations

from collections.abc import Sequence

from agent_tasks.backends.base import ApprovalDecision, ApprovalRequest
from agent_tasks.errors import ApprovalNeededError
from agent_tasks.logs import get_logger
from agent_tasks.operations.arguments import shown_arguments
from agent_tasks.operations.keys import content_hash
from agent_tasks.operations.workspace import Workspace
from agent_tasks.tools import ToolSet

logger = get_logger("agent_tasks.operations")

APPROVED, REFUSED = "approved", "refused"
"""What the journal keeps as the output of a decision."""

APPROVAL = "approve "
"""How the names of decisions begin in the journal; functions have no spaces in theirs."""


async def decide_approvals(
    ws: Workspace,
    operation_key: str,
    turn_id: str,
    calls: Sequence[ApprovalRequest],
    tools: ToolSet | None,
) -> list[ApprovalDecision]:
    """A decision on each call, in their order, as its `McpTool` makes it (`approve`).

    Decisions are journaled like function calls: one that was made stays, also after a crash. One that was cut
    off is made again, for to decide has no effect. What `approve` raises refuses the call.

    Args:
        ws: where to work.
        operation_key: the turn's operation.
        turn_id: the turn's id on the service.
        calls: what waits.
        tools: the tools that decide.

    Raises:
        ApprovalNeededError: no tool decides on calls of that server; the turn keeps waiting.
        JournalError: a decision could not be committed; none is sent.
    """
    decider = tools or ToolSet()
    for call in calls:
        if not decider.decides(call.server):
            raise ApprovalNeededError(
                f"The turn {turn_id} waits for the approval of {call.name!r} of the MCP server "
                f"{call.server!r}, and no tool decides on it. Give the turn an McpTool with `approve`.",
                tool=call.name,
                call_id=call.call_id,
            )
    decisions = []
    for call in calls:
        name = f"{APPROVAL}{call.server}.{call.name}"
        known = await ws.journal.calls.begin(
            ws.scope, operation_key, turn_id, call.call_id, name, content_hash(call.arguments),
            shown_arguments(call.arguments),
        )  # fmt: skip
        if known is not None and known.output is not None:
            is_approved = known.output == APPROVED
        else:
            is_approved = await _decide(decider, call)
            await ws.journal.calls.finish(
                ws.scope, turn_id, call.call_id, APPROVED if is_approved else REFUSED
            )
        headers = decider.headers(call.server)
        decisions.append(ApprovalDecision(call.call_id, is_approved, headers))
    return decisions


async def _decide(tools: ToolSet, call: ApprovalRequest) -> bool:
    try:
        return await tools.decide(
            call_id=call.call_id, server=call.server, name=call.name, arguments=call.arguments
        )
    except Exception as error:
        logger.warning(
            "Call %s of the MCP server %s is refused: its approval raised %s",
            call.call_id, call.server, type(error).__name__,
        )  # fmt: skip
        return False
