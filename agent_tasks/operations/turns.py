"""One turn of an agent: sent once, followed to its end, its functions called once each."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from agent_tasks.backends.base import Citation, TurnEnded
from agent_tasks.client import Resent, counting_resent
from agent_tasks.crashpoints import crash_point
from agent_tasks.detaching import is_detaching
from agent_tasks.errors import AgentTasksError
from agent_tasks.journal import OperationState, ToolCallRecord, ToolCallState
from agent_tasks.operations.attempts import Attempts
from agent_tasks.operations.keys import content_hash, operation_key
from agent_tasks.operations.models import ToolCallOutcome, TurnResult, TurnSpec
from agent_tasks.operations.pacing import go_on
from agent_tasks.operations.services import (
    SERVICE,
    home_of,
    home_of_conversation,
    is_here,
    moved,
    no_conversation,
)
from agent_tasks.operations.spare_conversations import SpareConversations
from agent_tasks.operations.transcripts import keep_failure, kept_with
from agent_tasks.operations.workspace import Held, Workspace
from agent_tasks.telemetry import agent_span
from agent_tasks.tools import ToolSet

__all__ = ["finished_turn", "run_turn", "turn_key"]

_CANCEL_TIMEOUT = 5.0  # seconds for telling the service that a turn is given up


def turn_key(turn: TurnSpec) -> str:
    """The operation key of a turn: all that determines the answer, and whose turn it is."""
    shown = {"images": [[image.key, image.detail] for image in turn.images]} if turn.images else {}
    return operation_key(
        "turn",
        owner=turn.owner,
        step=turn.step,
        agent=turn.agent.key,
        prompt=turn.prompt,
        after=turn.after,
        tool_choice=turn.tool_choice,
        response_format=turn.response_format,
        instructions=turn.instructions,
        max_completion_tokens=turn.max_completion_tokens,
        **shown,
    )


async def finished_turn(ws: Workspace, turn: TurnSpec) -> TurnResult | None:
    """The result of a turn that an earlier call has finished; None: it has to be run. Nothing is claimed.

    Args:
        ws: where to look.
        turn: the turn; of its agent only the key counts, so it need not be there.

    Raises:
        JournalError: the journal can't be read.
    """
    found = await ws.journal.operations.get(ws.scope, turn_key(turn))
    if found is None or found.state is not OperationState.DONE:
        return None
    return found.written.read(TurnResult, {**found.result, "reused": True})


async def run_turn(
    ws: Workspace,
    turn: TurnSpec,
    *,
    tools: ToolSet | None = None,
    on_text: Callable[[str], None] | None = None,
    spares: SpareConversations | None = None,
) -> TurnResult:
    """Prompt an agent and wait for its answer, calling the functions that it asks for.

    One streamed request starts the turn. If its answer is lost, or the process dies, the turn is found by
    its mark and
    followed; it is never paid for twice. A throttled turn waits as long as the service says and is retried in
    the same conversation without posting the prompt again, and so does one that expired; calls that they make
    again are answered from the journal. A caller that is cancelled cancels the turn, unless the process was
    told to end by SIGTERM (`agent_tasks.detaching`).

    Args:
        ws: where to work.
        turn: the prompt, the agent and the bounds.
        tools: the functions that the agent may call.
        on_text: called with each piece of the answer as it is written; not called for a reused answer.
        spares: conversations that were made ahead; one that begins here begins in one of them, if there is
            one.

    Raises:
        RunFailedError: the turn ended without an answer (throttled beyond the deadline, expired, cancelled,
        cut off).
        ServiceError: the service refused the request.
        TransportError: the service could not be reached; the next call attaches to the turn.
        JournalError: nothing could be committed, so nothing was risked.
    """
    home = await home_of_conversation(ws, turn)
    if home is not ws:
        done = await finished_turn(ws, turn)
        if done is not None:
            return done
        if home is None:
            raise no_conversation(turn)
        return await run_turn(home, await moved(ws, home, turn), tools=tools, on_text=on_text)
    key = turn_key(turn)
    fingerprint: dict[str, Any] = {
        "step": turn.step, "agent": turn.agent.name, "owner": turn.kept_by, "after": turn.after,
        "prompt": content_hash(turn.prompt), "ttl": turn.ttl.total_seconds(),
    }  # fmt: skip
    if turn.agent.spec is not None:
        fingerprint["model"] = turn.agent.spec.model
    if turn.reserved is not None:
        fingerprint["reserved"] = turn.reserved.model_dump()
    if ws.backend.capabilities.in_keys:
        fingerprint[SERVICE] = ws.backend.capabilities.in_keys
    taking = spares.taking(turn) if spares is not None else None
    async with ws.hold(key, "turn", fingerprint, taking=taking) as held:
        if spares is not None and taking is not None:
            spares.settle(taking, held)
        if held.is_done:
            found = held.operation
            return found.written.read(TurnResult, {**found.result, "reused": True})
        if is_here(ws, held.operation):
            return await _carried_out(ws, turn, held, tools=tools, on_text=on_text)
        home = await home_of(ws, turn, held.operation)
    return await run_turn(home, await moved(ws, home, turn), tools=tools, on_text=on_text)


async def _carried_out(
    ws: Workspace,
    turn: TurnSpec,
    held: Held,
    *,
    tools: ToolSet | None,
    on_text: Callable[[str], None] | None,
) -> TurnResult:
    """A turn of this service, from wherever it is to its result."""
    began = time.monotonic()
    attempts = Attempts(ws, turn, held, tools=tools, on_text=on_text)
    agent = turn.agent
    with (
        counting_resent() as resent,
        agent_span(agent.id, agent.name, prompt=turn.prompt, step=turn.step, owner=turn.owner) as span,
    ):
        try:
            async with attempts.limit:
                ended = await attempts.to_an_answer()
                await go_on()  # without a deadline: the rest waits for us and the journal
                result = await _committed(ws, turn, attempts, ended, began, resent, may_call=bool(tools))
        except TimeoutError:
            given_up = await attempts.give_up()
            await keep_failure(ws, turn, attempts.operation.key, given_up, attempts.usage)
            raise given_up from None
        except asyncio.CancelledError:
            if is_detaching():  # the turn goes on, and the next worker attaches to it
                raise
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(attempts.give_up()), _CANCEL_TIMEOUT)
            raise
        except AgentTasksError as error:
            await attempts.commit_failure(error)
            await keep_failure(ws, turn, attempts.operation.key, error, attempts.usage)
            raise
        span.concluded(
            conversation=result.conversation,
            turn_id=result.turn_id,
            input_tokens=result.usage.prompt_tokens,
            output_tokens=result.usage.completion_tokens,
            text=result.text,
        )
        return result


async def _committed(
    ws: Workspace,
    turn: TurnSpec,
    attempts: Attempts,
    ended: TurnEnded,
    began: float,
    resent: Resent,
    *,
    may_call: bool,
) -> TurnResult:
    """The result of the attempt that gave the answer, committed."""
    key = attempts.operation.key
    records = await ws.journal.calls.of(ws.scope, key) if may_call else []
    result = TurnResult(
        key=key,
        turn_id=ended.ref.turn_id,
        conversation=ended.ref.conversation,
        text=ended.text,
        citations=await _named(ws, ended.citations),
        usage=attempts.usage,
        tool_calls=[
            ToolCallOutcome(
                call_id=record.call_id,
                name=record.name,
                output=record.output or "",
                error_type=record.error_type,
                arguments=record.arguments,
            )
            for record in _made_last(records, ended.ref.turn_id)
        ],
        attempts=attempts.operation.attempt,
        throttled=attempts.failures.throttled,
        resent=resent.requests,
        resent_throttled=resent.throttled,
        seconds=round(time.monotonic() - began, 2),
    )
    crash_point("turn.ended")
    if any(record.state is ToolCallState.STARTED for record in records):  # of attempts that expired
        await ws.journal.calls.interrupt(ws.scope, key)
    await ws.journal.operations.finish(
        ws.scope,
        key,
        result.model_dump(mode="json", exclude={"reused"}),
        also=kept_with(ws, turn, result, records),
    )
    crash_point("turn.committed")
    return result


async def _named(ws: Workspace, citations: tuple[Citation, ...]) -> list[Citation]:
    """Citations with the files' own names, as the journal knows them."""
    ids = sorted({citation.file_id for citation in citations if citation.file_id})
    if not ids:
        return list(citations)
    names = await ws.journal.resources.names(ws.scope, "file", ids)
    return [
        citation.model_copy(update={"file_name": names.get(citation.file_id or "", citation.file_name)})
        for citation in citations
    ]


def _made_last(records: Sequence[ToolCallRecord], turn_id: str) -> list[ToolCallRecord]:
    """The calls of the attempt that gave the answer, and those of earlier ones that it did not make again."""
    last = [record for record in records if record.turn_id == turn_id]
    again = {(record.name, record.arguments_hash) for record in last}
    earlier = [record for record in records if record.turn_id != turn_id]
    return [record for record in earlier if (record.name, record.arguments_hash) not in again] + last
