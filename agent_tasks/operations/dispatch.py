"""Calling the functions that an agent asked for, each at most once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine, Sequence
from typing import Any

from agent_tasks.backends.base import ToolCallRequest
from agent_tasks.crashpoints import crash_point
from agent_tasks.detaching import DETACH_SECONDS, is_detaching
from agent_tasks.errors import ToolOutcomeUnknownError
from agent_tasks.journal import ToolCallRecord, ToolCallState
from agent_tasks.operations.arguments import shown_arguments
from agent_tasks.operations.keys import content_hash
from agent_tasks.operations.models import ToolCallOutcome
from agent_tasks.operations.workspace import Workspace
from agent_tasks.tools import CallableTool, ToolContext, ToolSet, WhenUnknown
from agent_tasks.tools.execution import Executed, execute, failed


async def dispatch_tools(
    ws: Workspace,
    operation_key: str,
    turn_id: str,
    calls: Sequence[ToolCallRequest],
    tools: ToolSet | None,
) -> list[ToolCallOutcome]:
    """Run the functions of one round of tool calls, concurrently; returns their outcomes, in their order.

    Every call is committed before it starts and after it ended, so a call that finished is never run again,
    also when a later attempt at the turn asks for it anew. One that was interrupted is run again
    only if its tool is declared idempotent; otherwise the agent is told that the outcome is unknown, or a
    person is asked, as the tool says (`WhenUnknown`). Whatever goes wrong inside a call becomes its output:
    the turn waits for an output of every call.

    Args:
        ws: where to work.
        operation_key: the turn's operation.
        turn_id: the turn's id on the service.
        calls: what the agent asked for.
        tools: the functions there are.

    Raises:
        ToolOutcomeUnknownError: a call was interrupted whose tool wants a person to decide (`answer_call`,
            `repeat_call`); all other calls have their outcomes.
        JournalError: a call could not be committed; nothing is known to be safe then.
    """
    earlier = await _earlier_calls(ws, operation_key, turn_id, calls)
    # Every call runs to its end even if the journal refuses one: what was started must be known.
    outcomes = await _all_ended(
        [_dispatch(ws, operation_key, turn_id, call, tools, earlier.get(call.call_id)) for call in calls]
    )
    unknown = [outcome for outcome in outcomes if isinstance(outcome, ToolOutcomeUnknownError)]
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and outcome not in unknown:
            raise outcome
    if unknown:
        raise _all_of(unknown)
    return [outcome for outcome in outcomes if isinstance(outcome, ToolCallOutcome)]


async def _all_ended(calls: Sequence[Coroutine[Any, Any, ToolCallOutcome]]) -> list[Any]:
    """The outcomes and errors of all calls; whoever detaches waits a little, so that they are known."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        if is_detaching():
            await asyncio.wait(tasks, timeout=DETACH_SECONDS)
        raise
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    return outcomes


async def _earlier_calls(
    ws: Workspace, operation_key: str, turn_id: str, calls: Sequence[ToolCallRequest]
) -> dict[str, ToolCallRecord]:
    """For each call, the same call (name and arguments) of an earlier attempt, each of which serves once."""
    made: dict[tuple[str, str], dict[str, list[ToolCallRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in await ws.journal.calls.of(ws.scope, operation_key):
        made[record.name, record.arguments_hash][record.turn_id].append(record)
    found: dict[str, ToolCallRecord] = {}
    taken: Counter[tuple[str, str]] = Counter()
    for call in calls:
        what = call.name[:200], content_hash(call.arguments)
        here = made[what][turn_id] if what in made else []
        if any(record.call_id == call.call_id and record.output is not None for record in here):
            continue
        # An attempt that made it more often than others really made it that often; others took it over.
        others = [records for other, records in made.get(what, {}).items() if other != turn_id]
        # A call that an earlier attempt left open is that very one: the service asks for it by the same id.
        same = [record for records in others for record in records if record.call_id == call.call_id]
        if same:
            found[call.call_id] = same[0]
            continue
        served = sum(record.output is not None for record in here) + taken[what]
        best = max(others, key=len, default=[])
        if served < len(best):
            found[call.call_id] = best[served]
            taken[what] += 1
    return found


async def _dispatch(
    ws: Workspace,
    operation_key: str,
    turn_id: str,
    call: ToolCallRequest,
    tools: ToolSet | None,
    earlier: ToolCallRecord | None,
) -> ToolCallOutcome:
    await ws.make_sure()  # before it counts as begun
    known = await ws.journal.calls.begin(
        ws.scope, operation_key, turn_id, call.call_id, call.name, content_hash(call.arguments),
        shown_arguments(call.arguments),
    )  # fmt: skip
    done = known if known is not None and known.output is not None else earlier
    if done is not None and done.output is not None:
        outcome = ToolCallOutcome(
            call_id=call.call_id, name=call.name, output=done.output, error_type=done.error_type
        )
        if done is not known:
            await _commit(ws, turn_id, outcome, done.state)
        return outcome
    tool = tools.functions.get(call.name) if tools is not None else None
    interrupted = known or earlier
    if interrupted is not None and tool is not None and not tool.idempotent:
        return await _of_unknown_outcome(ws, turn_id, call, tool)
    # A repeated call is known to the function's other side by the key of the first.
    first = earlier.call_id if earlier is not None else call.call_id
    context = ToolContext(call_id=call.call_id, turn_id=turn_id, idempotency_key=f"{operation_key}:{first}")
    if tool is not None:
        crash_point("tool.begun")
        await ws.make_sure()
    executed = await execute(tools.functions if tools is not None else {}, call.name, call.arguments, context)
    if executed.error is None:
        crash_point("tool.done")
    outcome = _outcome(call, executed)
    await _commit(ws, turn_id, outcome, ToolCallState.DONE)
    return outcome


async def _of_unknown_outcome(
    ws: Workspace, turn_id: str, call: ToolCallRequest, tool: CallableTool
) -> ToolCallOutcome:
    if tool.when_unknown is WhenUnknown.STOP:
        raise ToolOutcomeUnknownError(
            f"The function {call.name!r} with {shown_arguments(call.arguments)} (call {call.call_id} of "
            f"{turn_id}) was interrupted, and may have had its effect. Find out, then give its "
            "output with `agent-tasks calls answer`, or have it run again with `agent-tasks calls repeat`, "
            "and start the step again.",
            tool=call.name,
            call_id=call.call_id,
        )
    error = ToolOutcomeUnknownError(
        f"The function {call.name!r} with {shown_arguments(call.arguments)} was interrupted. It "
        "may have had its effect, so it is not run again.",
        tool=call.name,
        call_id=call.call_id,
    )
    outcome = _outcome(call, failed(call.name, call.call_id, turn_id, error))
    await _commit(ws, turn_id, outcome, ToolCallState.UNKNOWN)
    return outcome


def _all_of(unknown: Sequence[ToolOutcomeUnknownError]) -> ToolOutcomeUnknownError:
    """One error that names every call that waits for a person."""
    first, *others = unknown
    if not others:
        return first
    text = " ".join(error.message for error in unknown)
    return ToolOutcomeUnknownError(
        f"{len(unknown)} calls wait for a person. {text}", tool=first.tool, call_id=first.call_id
    )


def _outcome(call: ToolCallRequest, executed: Executed) -> ToolCallOutcome:
    return ToolCallOutcome(
        call_id=call.call_id, name=call.name, output=executed.output, error_type=executed.error_type
    )


async def _commit(ws: Workspace, turn_id: str, outcome: ToolCallOutcome, state: ToolCallState) -> None:
    await ws.journal.calls.finish(
        ws.scope, turn_id, outcome.call_id, outcome.output, error_type=outcome.error_type, state=state
    )
    crash_point("tool.committed")
