"""Calling the functions that an agent asked for, each at most once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from agent_tasks.backend.protocol import ToolCallRequest
from agent_tasks.client._functions import error_output
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import ToolOutcomeUnknownError
from agent_tasks.journal import ToolCallState
from agent_tasks.operations.keys import content_hash
from agent_tasks.operations.models import ToolCallOutcome
from agent_tasks.operations.workspace import Workspace
from agent_tasks.telemetry import tool_span
from agent_tasks.tools import ToolContext, ToolSet
from agent_tasks.tools.toolset import unknown_tool

logger = logging.getLogger("agent_tasks.operations")


async def dispatch_tools(
    ws: Workspace,
    operation_key: str,
    turn_id: str,
    calls: Sequence[ToolCallRequest],
    tools: ToolSet | None,
) -> list[ToolCallOutcome]:
    """Run the functions of one round of tool calls, concurrently, and return an outcome for each, in their
    order.

    Every call is committed before it starts and after it ended, so a call that finished is never run again.
    One
    that was cut off in the middle is run again only if its tool is declared idempotent; otherwise the agent
    is told
    that the outcome is unknown. Whatever goes wrong inside a call becomes its output, never an exception:
    the turn waits for an output of every call.

    Args:
        ws: where to work.
        operation_key: the turn's operation.
        turn_id: the turn's id on the service.
        calls: what the agent asked for.
        tools: the functions there are.

    Raises:
        JournalError: a call could not be committed; nothing is known to be safe then.
    """
    # Every call runs to its end even if the journal refuses one: what was started must be known.
    outcomes = await asyncio.gather(
        *(_dispatch(ws, operation_key, turn_id, call, tools) for call in calls), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, ToolCallOutcome)]


async def _dispatch(
    ws: Workspace, operation_key: str, turn_id: str, call: ToolCallRequest, tools: ToolSet | None
) -> ToolCallOutcome:
    tool = tools.functions.get(call.name) if tools is not None else None
    arguments_hash = content_hash(call.arguments)
    known = await ws.journal.begin_tool_call(
        ws.scope, operation_key, turn_id, call.call_id, call.name, arguments_hash
    )
    if known is not None and known.output is not None:
        return ToolCallOutcome(
            call_id=call.call_id, name=call.name, output=known.output, error_type=known.error_type
        )
    context = ToolContext(
        call_id=call.call_id, turn_id=turn_id, idempotency_key=f"{operation_key}:{call.call_id}"
    )
    state = ToolCallState.DONE
    error: Exception | None = None
    output = ""
    if tool is None:
        error = unknown_tool(call.name, tools)
    elif known is not None and not tool.idempotent:
        state = ToolCallState.UNKNOWN
        error = ToolOutcomeUnknownError(
            f"The function {call.name!r} was cut off in the middle. It may have had its effect, so it is not "
            "run again.",
            tool=call.name,
            call_id=call.call_id,
        )
    else:
        try:
            crash_point("tool.begun")
            with tool_span(call.name, call.call_id, call.arguments) as span:
                output = await tool.call(call.arguments, context)
                span.returned(output)
            crash_point("tool.done")
        except Exception as raised:  # whatever a user's function raises is told to the agent
            error = raised
    if error is not None:
        output = error_output(error)
        logger.warning(
            "Function %s (%s of %s) gave %s", call.name, call.call_id, turn_id, type(error).__name__
        )
    error_type = type(error).__name__ if error is not None else None
    await ws.journal.finish_tool_call(
        ws.scope, turn_id, call.call_id, output, error_type=error_type, state=state
    )
    crash_point("tool.committed")
    return ToolCallOutcome(call_id=call.call_id, name=call.name, output=output, error_type=error_type)
