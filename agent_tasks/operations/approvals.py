"""Deciding on the calls of MCP servers that wait for approval, once each: here, or by a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from agent_tasks.backends.base import ApprovalDecision, ApprovalRequest
from agent_tasks.display import one_line
from agent_tasks.errors import ApprovalNeededError, WaitingForPersonError
from agent_tasks.journal import ToolCallRecord
from agent_tasks.logs import get_logger
from agent_tasks.operations.arguments import shown_arguments
from agent_tasks.operations.decisions import ask_person
from agent_tasks.operations.keys import content_hash
from agent_tasks.operations.models import TurnSpec
from agent_tasks.operations.workspace import Workspace
from agent_tasks.tools import AskPerson, ToolSet

logger = get_logger("agent_tasks.operations")

APPROVED, REFUSED = "approved", "refused"
"""What the journal keeps as the output of a decision."""

APPROVAL = "approve "
"""How the names of decisions begin in the journal; functions have no spaces in theirs."""


async def decide_approvals(
    ws: Workspace,
    turn: TurnSpec,
    operation_key: str,
    turn_id: str,
    calls: Sequence[ApprovalRequest],
    tools: ToolSet | None,
) -> list[ApprovalDecision]:
    """A decision on each call, in their order, as its `McpTool` makes it or has it made (`approve`).

    Decisions are journaled like function calls: one that was made stays, also after a crash. One that was cut
    off is made again, for to decide has no effect. What `approve` raises refuses the call.

    Args:
        ws: where to work.
        turn: the turn.
        operation_key: its operation.
        turn_id: its id on the service.
        calls: what waits.
        tools: the tools that decide.

    Raises:
        ApprovalNeededError: no tool decides on calls of that server; the turn keeps waiting.
        WaitingForPersonError: a person has not decided yet; the turn keeps waiting, without a worker.
        DecisionExpiredError: nobody decided in time, and the tool says to fail then.
        JournalError: a decision could not be committed; none is sent.
    """
    decider = tools or ToolSet()
    for call in calls:
        if not decider.decides(call.server) and decider.asks(call.server) is None:
            raise ApprovalNeededError(
                f"The turn {turn_id} waits for the approval of {call.name!r} of the MCP server "
                f"{call.server!r}, and no tool decides on it. Give the turn an McpTool with `approve`.",
                tool=call.name,
                call_id=call.call_id,
            )
    # All begin before one is decided: of two that are alike in one round each is asked about.
    for call in calls:
        known = await ws.journal.calls.begin(
            ws.scope, operation_key, turn_id, call.call_id, _named(call), content_hash(call.arguments),
            shown_arguments(call.arguments),
        )  # fmt: skip
        is_asked = known is None and decider.asks(call.server) is not None
        if is_asked and any(one.output == REFUSED for one in await _alike(ws, operation_key, call)):
            # A person has said no to this very call, and the agent tries again.
            await ws.journal.calls.finish(ws.scope, turn_id, call.call_id, REFUSED)
    decisions, waiting = [], []
    for call in calls:
        try:
            is_approved = await _decided(ws, turn, operation_key, turn_id, call, decider)
        except WaitingForPersonError as error:
            waiting.append(error)  # the other ones are asked about too
        else:
            decisions.append(ApprovalDecision(call.call_id, is_approved, decider.headers(call.server)))
    if waiting:
        first, *others = waiting
        first.also = tuple(others)
        raise first
    return decisions


def _named(call: ApprovalRequest) -> str:
    return f"{APPROVAL}{call.server}.{call.name}"[:200]


async def _decided(
    ws: Workspace, turn: TurnSpec, key: str, turn_id: str, call: ApprovalRequest, tools: ToolSet
) -> bool:
    """The decision on a call: the one that was made, or one that is made and committed now."""
    alike = await _alike(ws, key, call)
    here = next(one for one in alike if (one.turn_id, one.call_id) == (turn_id, call.call_id))
    if here.output is not None:
        return here.output == APPROVED
    asking = tools.asks(call.server)
    if asking is None:
        is_approved = await _decide(tools, call)
    else:
        is_approved = await _asked(ws, turn, key, call, asking, here, alike)
    await ws.journal.calls.finish(ws.scope, turn_id, call.call_id, APPROVED if is_approved else REFUSED)
    return is_approved


async def _alike(ws: Workspace, key: str, call: ApprovalRequest) -> list[ToolCallRecord]:
    """Calls of this tool with these arguments, in all attempts at the turn, the first one first."""
    what = _named(call), content_hash(call.arguments)
    records = await ws.journal.calls.of(ws.scope, key)
    return [one for one in records if (one.name, one.arguments_hash) == what]


async def _asked(
    ws: Workspace,
    turn: TurnSpec,
    key: str,
    call: ApprovalRequest,
    asking: AskPerson,
    here: ToolCallRecord,
    alike: Sequence[ToolCallRecord],
) -> bool:
    """Ask a person: each call once, and not again where an attempt that expired had asked about it.

    What was approved in an earlier attempt may have been carried out there, so it is another question now.
    """
    before = alike[: alike.index(here)]
    counted = [one for one in before if one.turn_id == here.turn_id or one.output == APPROVED]
    again = "again, which may have been done" if any(one.output == APPROVED for one in before) else ""
    what = f"call {one_line(call.name)} of the MCP server {one_line(call.server)}"
    decision = await ask_person(
        ws,
        owner=turn.owner,
        keeper=turn.kept_by,
        step=turn.step,
        question=f"May the agent {what}{f', {again}' if again else ''}?",
        shown=f"{one_line(call.name)}\n{readable(call.arguments)}",
        time_limit=asking.time_limit,
        at_limit=asking.at_limit,
        run=f"{key} {len(counted)}",
    )
    return decision.approved


def readable(arguments: str) -> str:
    """Arguments on lines of their own; as they were written if anything would be lost by that."""
    try:
        values = json.loads(arguments, object_pairs_hook=_each_once, parse_float=_exactly)
    except (ValueError, RecursionError):
        return arguments
    return json.dumps(values, indent=2, ensure_ascii=False)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _exactly(text: str) -> float:
    number = float(text)
    if Decimal(text) != Decimal(repr(number)):
        raise ValueError("more digits than a float has")
    return number


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
