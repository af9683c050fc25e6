"""One turn of an agent: sent once, followed to its end, its functions called once each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from agent_tasks.backends.base import Citation, TurnEnded, Usage
from agent_tasks.crashpoints import crash_point
from agent_tasks.detaching import is_detaching
from agent_tasks.errors import (
    AgentTasksError,
    RunExpiredError,
    RunFailedError,
    RunServerError,
    RunThrottledError,
)
from agent_tasks.journal import ToolCallRecord, ToolCallState
from agent_tasks.logs import get_logger
from agent_tasks.operations.following import CONVERSATION_TTL, Following
from agent_tasks.operations.keys import content_hash, operation_key
from agent_tasks.operations.models import ToolCallOutcome, TurnResult, TurnSpec
from agent_tasks.operations.outcomes import turn_error
from agent_tasks.operations.workspace import Held, Workspace
from agent_tasks.telemetry import agent_span
from agent_tasks.tools import ToolSet

__all__ = ["CONVERSATION_TTL", "run_turn", "turn_key"]

logger = get_logger("agent_tasks.operations")

_SERVER_ERRORS = 2  # new attempts after the service failed on a turn
_EXPIRIES = 2  # new attempts after a turn reached its expiry
_THROTTLES = 10  # new attempts after throttling, within the deadline
_CANCEL_TIMEOUT = 5.0  # seconds for telling the service that a turn is given up


def turn_key(turn: TurnSpec) -> str:
    """The operation key of a turn: all that determines the answer, and whose turn it is."""
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
    )


async def run_turn(
    ws: Workspace,
    turn: TurnSpec,
    *,
    tools: ToolSet | None = None,
    on_text: Callable[[str], None] | None = None,
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

    Raises:
        RunFailedError: the turn ended without an answer (throttled beyond the deadline, expired, cancelled,
        cut off).
        ServiceError: the service refused the request.
        TransportError: the service could not be reached; the next call attaches to the turn.
        JournalError: nothing could be committed, so nothing was risked.
    """
    key = turn_key(turn)
    fingerprint = {"step": turn.step, "agent": turn.agent.name, "owner": turn.owner, "after": turn.after,
                   "prompt": content_hash(turn.prompt)}  # fmt: skip
    async with ws.hold(key, "turn", fingerprint) as held:
        if held.is_done:
            return TurnResult.model_validate({**held.operation.result, "reused": True})
        attempt = _Turn(ws, turn, held, tools, on_text)
        agent = turn.agent
        with agent_span(agent.id, agent.name, prompt=turn.prompt, step=turn.step, owner=turn.owner) as span:
            try:
                async with asyncio.timeout(turn.deadline):
                    result = await attempt.run()
            except TimeoutError:
                raise await attempt.give_up() from None
            except asyncio.CancelledError:
                if is_detaching():  # the turn goes on, and the next worker attaches to it
                    raise
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(attempt.give_up()), _CANCEL_TIMEOUT)
                raise
            except AgentTasksError as error:
                await attempt.settle_failure(error)
                raise
            span.concluded(
                conversation=result.conversation,
                turn_id=result.turn_id,
                input_tokens=result.usage.prompt_tokens,
                output_tokens=result.usage.completion_tokens,
                text=result.text,
            )
            return result


class _Turn:
    """The state of carrying out one turn operation in this process."""

    def __init__(
        self,
        ws: Workspace,
        turn: TurnSpec,
        held: Held,
        tools: ToolSet | None,
        on_text: Callable[[str], None] | None,
    ) -> None:
        self._ws = ws
        self._turn = turn
        self._tools = tools
        self._deadline = asyncio.get_running_loop().time() + turn.deadline
        self._usage = Usage.model_validate(held.operation.remote.get("usage") or {})
        self._ended = False
        self._attempts = Following(
            ws, turn, held.operation, is_orphan=held.is_orphan, tools=tools, on_text=on_text
        )

    async def run(self) -> TurnResult:
        """Carry the operation out to its result."""
        updates = await self._attempts.begin()
        server_errors = throttles = expiries = 0
        while True:
            ended = await self._attempts.to_the_end(updates)
            self._usage += ended.usage
            error = turn_error(ended)
            if error is None:
                return await self._settle(ended)
            self._ended = True
            match error:
                case RunThrottledError() if throttles < _THROTTLES:
                    throttles += 1
                    pause = error.retry_after or 0.0
                case RunServerError() if server_errors < _SERVER_ERRORS:
                    server_errors += 1
                    pause = 2.0**server_errors
                case RunExpiredError() if expiries < _EXPIRIES:
                    expiries += 1
                    pause = 0.0
                case _:
                    raise error
            crash_point("attempt.ended")
            await self._wait_within_deadline(pause, error)
            updates = await self._attempts.begin_again(
                ended.ref.conversation, {"usage": self._usage.model_dump()}
            )
            self._ended = False

    async def give_up(self) -> RunExpiredError:
        """Tell the service to stop, and commit the end.

        A turn that can't be reached, or that has completed meanwhile, stays an open intent.
        """
        ref = self._attempts.ref
        if ref is not None and not self._ended:
            try:
                self._ended = await self._ws.backend.cancel_turn(ref)
            except AgentTasksError as failure:
                logger.warning("The turn %s could not be cancelled: %s", ref.turn_id, failure)
        become = "cancelled" if self._ended else "may have completed; the next call takes its answer then"
        error = RunExpiredError(
            f"The turn of step {self._turn.step!r} was given up (deadline {self._turn.deadline:g} s), and "
            f"{become}. Raise the deadline, or look at the service.",
            run_id=ref.turn_id if ref else None,
            thread_id=ref.conversation if ref else None,
        )
        await self.settle_failure(error)
        return error

    async def settle_failure(self, error: AgentTasksError) -> None:
        """Commit a failure if the turn provably ended; otherwise the intent stays for the next call."""
        if self._ended or self._attempts.was_refused:
            await self._ws.fail(self._attempts.operation.key, error)

    async def _wait_within_deadline(self, pause: float, error: RunFailedError) -> None:
        if asyncio.get_running_loop().time() + pause > self._deadline:
            raise error
        logger.info("Step %r waits %.1f s before its next attempt: %s", self._turn.step, pause, error)
        await asyncio.sleep(pause)

    async def _settle(self, ended: TurnEnded) -> TurnResult:
        key = self._attempts.operation.key
        records = await self._ws.journal.calls.of(self._ws.scope, key) if self._tools else []
        result = TurnResult(
            key=key,
            turn_id=ended.ref.turn_id,
            conversation=ended.ref.conversation,
            text=ended.text,
            citations=await self._named(ended.citations),
            usage=self._usage,
            tool_calls=[
                ToolCallOutcome(
                    call_id=record.call_id,
                    name=record.name,
                    output=record.output or "",
                    error_type=record.error_type,
                )
                for record in _made_last(records, ended.ref.turn_id)
            ],
            attempts=self._attempts.operation.attempt,
        )
        crash_point("turn.ended")
        if any(record.state is ToolCallState.STARTED for record in records):  # of attempts that expired
            await self._ws.journal.calls.interrupt(self._ws.scope, key)
        await self._ws.journal.finish(self._ws.scope, key, result.model_dump(mode="json", exclude={"reused"}))
        crash_point("turn.committed")
        return result

    async def _named(self, citations: tuple[Citation, ...]) -> list[Citation]:
        ids = sorted({citation.file_id for citation in citations if citation.file_id})
        if not ids:
            return list(citations)
        names = await self._ws.journal.names(self._ws.scope, "file", ids)
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
