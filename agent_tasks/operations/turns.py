"""One turn of an agent: sent once, followed to its end, its functions called once each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from agent_tasks.backend.protocol import (
    Citation,
    FoundTurn,
    TurnEnded,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnText,
    TurnUpdate,
    Usage,
)
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import (
    AgentTasksError,
    NotFoundError,
    RunExpiredError,
    RunFailedError,
    RunServerError,
    RunThrottledError,
    ServerError,
    ServiceError,
    StreamBrokenError,
    TransportError,
)
from agent_tasks.journal import NewResource, Operation
from agent_tasks.operations.dispatch import dispatch_tools
from agent_tasks.operations.effects import is_outcome_unknown, look_up, mark_of
from agent_tasks.operations.keys import content_hash, operation_key
from agent_tasks.operations.models import ToolCallOutcome, TurnResult, TurnSpec
from agent_tasks.operations.outcomes import turn_error
from agent_tasks.operations.workspace import Held, Workspace
from agent_tasks.telemetry import agent_span
from agent_tasks.tools import ToolSet

logger = logging.getLogger("agent_tasks.operations")

CONVERSATION_TTL = 24 * 3600.0
"""Seconds until a conversation that nobody deleted may be swept."""

_SERVER_ERRORS = 2  # new attempts after the service failed on a turn
_THROTTLES = 10  # new attempts after throttling, within the deadline
_BREAKS = 5  # lost connections in a row, without any progress between them
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
    followed; it is never paid for twice. A throttled turn waits as long as the service says and goes on in
    the same conversation without posting the prompt again.

    Args:
        ws: where to work.
        turn: the prompt, the agent and the bounds.
        tools: the functions that the agent may call.
        on_text: called with each piece of the answer as it is written; not called for a reused answer.

    Raises:
        RunFailedError: the turn ended without an answer (throttled beyond the deadline, expired, cancelled,
        cut off).
        ServiceError: the service refused the request.
        TransportError: the service could not be reached; the turn is taken up again by the next call.
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
        self._operation = held.operation
        self._is_orphan = held.is_orphan
        self._tools = tools
        self._on_text = on_text
        self._deadline = asyncio.get_running_loop().time() + turn.deadline
        self._usage = Usage()
        self._ended = False
        self._refused = False
        self.ref = _known_ref(held.operation)

    async def run(self) -> TurnResult:
        """Carry the operation out to its result."""
        updates = await self._begin()
        server_errors = throttles = 0
        while True:
            ended = await self._drive(updates)
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
                case _:
                    raise error
            crash_point("attempt.ended")
            await self._wait_within_deadline(pause, error)
            conversation = ended.ref.conversation
            self._operation = await self._ws.journal.next_attempt(
                self._ws.scope, self._operation.key, keep=["conversation"]
            )
            crash_point("attempt.intended")
            self.ref, self._ended = None, False
            updates = self._start(conversation, prompt_posted=True)

    async def give_up(self) -> RunExpiredError:
        """Tell the service to stop and commit the end; a turn that can't be reached stays an open intent."""
        error = RunExpiredError(
            f"The turn of step {self._turn.step!r} was given up (deadline {self._turn.deadline:g} s) and "
            "cancelled. Raise the deadline, or look at the service.",
            run_id=self.ref.turn_id if self.ref else None,
            thread_id=self.ref.conversation if self.ref else None,
        )
        if self.ref is not None and not self._ended:
            try:
                await self._ws.backend.cancel_turn(self.ref)
                self._ended = True
            except AgentTasksError as failure:
                logger.warning("The turn %s could not be cancelled: %s", self.ref.turn_id, failure)
        await self.settle_failure(error)
        return error

    async def settle_failure(self, error: AgentTasksError) -> None:
        """Commit a failure if the turn provably ended; otherwise the intent stays for the next call."""
        if self._ended or self._refused:
            await self._ws.fail(self._operation.key, error)

    # --- beginning and recovering ----------------------------------------------------------------------

    async def _begin(self) -> AsyncIterator[TurnUpdate]:
        if self.ref is not None:
            return self._ws.backend.follow_turn(self.ref)
        if self._is_orphan:
            return await self._after_look_up()
        crash_point("turn.intended")
        known = self._operation.remote.get("conversation") or self._turn.conversation
        return self._start(known, prompt_posted=False)

    def _start(self, conversation: str | None, *, prompt_posted: bool) -> AsyncIterator[TurnUpdate]:
        turn = self._turn
        request = TurnRequest(
            agent_id=turn.agent.id,
            prompt=None if prompt_posted else turn.prompt,
            conversation=conversation,
            tool_choice=turn.tool_choice,
            response_format=turn.response_format,
            instructions=turn.instructions,
            max_completion_tokens=turn.max_completion_tokens,
        )
        return self._ws.backend.start_turn(request, mark_of(self._operation))

    async def _after_look_up(self) -> AsyncIterator[TurnUpdate]:
        """Go on from whatever a lost request left behind; start anew only if that is provably nothing."""
        conversation = self._operation.remote.get("conversation") or self._turn.conversation

        async def find(since: float) -> FoundTurn | None:
            return await self._ws.backend.find_turn(
                mark_of(self._operation), conversation=conversation, since=since
            )

        found = await look_up(find, self._operation)
        if found is None:
            crash_point("turn.absent")
            # Later attempts go on in a conversation that holds the prompt since the first.
            return self._start(conversation, prompt_posted="conversation" in self._operation.remote)
        if found.turn_id is None:
            return self._start(found.conversation, prompt_posted=found.prompt_posted)
        crash_point("turn.found")
        await self._attach(TurnRef(found.conversation, found.turn_id))
        return self._ws.backend.follow_turn(TurnRef(found.conversation, found.turn_id))

    async def _attach(self, ref: TurnRef) -> None:
        if self.ref == ref:
            return
        crash_point("turn.started")
        made = []
        if self._turn.conversation is None:
            made.append(
                NewResource(
                    "conversation", ref.conversation, self._turn.owner, self._turn.step, CONVERSATION_TTL
                )
            )
        self._operation = await self._ws.journal.attach(
            self._ws.scope,
            self._operation.key,
            {"conversation": ref.conversation, "turn_id": ref.turn_id},
            made,
        )
        crash_point("turn.attached")
        self.ref = ref

    # --- following -------------------------------------------------------------------------------------

    async def _drive(self, updates: AsyncIterator[TurnUpdate]) -> TurnEnded:
        """Follow a turn to its end, through tool calls and lost connections."""
        breaks = 0
        while True:
            try:
                step = await self._follow(updates)
                if isinstance(step, TurnEnded):
                    return step
                breaks = 0
                crash_point("tools.needed")
                outcomes = await dispatch_tools(
                    self._ws, self._operation.key, step.ref.turn_id, step.calls, self._tools
                )
                crash_point("tools.ready")
                updates = self._answer(step.ref, outcomes)
            except NotFoundError:
                if self.ref is None or self._turn.conversation is not None:
                    self._refused = True
                    raise
                # The turn that the journal knows of is gone, with its conversation: begin again.
                self._operation = await self._ws.journal.next_attempt(self._ws.scope, self._operation.key)
                crash_point("attempt.intended")
                self.ref = None
                updates = self._start(None, prompt_posted=False)
            except (TransportError, ServerError, RunFailedError) as error:
                # A RunFailedError here is an `error` event: what became of the turn is read from the turn.
                breaks += 1
                maybe_sent = is_outcome_unknown(error) or isinstance(error, RunFailedError)
                if breaks > _BREAKS or not (self.ref is not None or maybe_sent):
                    self._refused = self.ref is None and not maybe_sent
                    raise
                logger.info("The connection to a turn of step %r broke: %s", self._turn.step, error)
                if self.ref is None:
                    updates = await self._after_look_up()
                else:
                    await asyncio.sleep(0.2 * 2**breaks)
                    updates = self._ws.backend.follow_turn(self.ref)
            except ServiceError:
                self._refused = self.ref is None
                raise

    async def _answer(
        self, ref: TurnRef, outcomes: Sequence[ToolCallOutcome]
    ) -> AsyncGenerator[TurnUpdate, None]:
        outputs = [(outcome.call_id, outcome.output) for outcome in outcomes]
        answer = cast("AsyncGenerator[TurnUpdate, None]", self._ws.backend.answer_tools(ref, outputs))
        async with aclosing(answer) as updates:
            async for update in updates:
                crash_point("tools.submitted")
                yield update

    async def _follow(self, updates: AsyncIterator[TurnUpdate]) -> TurnEnded | TurnNeedsTools:
        async with aclosing(cast("AsyncGenerator[TurnUpdate, None]", updates)) as stream:
            async for update in stream:
                match update:
                    case TurnStarted(ref):
                        await self._attach(ref)
                    case TurnText(text):
                        if self._on_text is not None:
                            self._on_text(text)
                    case TurnNeedsTools() | TurnEnded():
                        await self._attach(update.ref)
                        return update
        raise StreamBrokenError(
            "The stream of the turn ended before the turn did.",
            run_id=self.ref.turn_id if self.ref else None,
            thread_id=self.ref.conversation if self.ref else None,
        )

    async def _wait_within_deadline(self, pause: float, error: RunFailedError) -> None:
        if asyncio.get_running_loop().time() + pause > self._deadline:
            raise error
        logger.info("Step %r waits %.1f s before its next attempt: %s", self._turn.step, pause, error)
        await asyncio.sleep(pause)

    # --- the end ---------------------------------------------------------------------------------------

    async def _settle(self, ended: TurnEnded) -> TurnResult:
        key = self._operation.key
        records = await self._ws.journal.tool_calls(self._ws.scope, key) if self._tools else []
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
                for record in records
            ],
            attempts=self._operation.attempt,
        )
        crash_point("turn.ended")
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


def _known_ref(operation: Operation) -> TurnRef | None:
    remote = operation.remote
    if "turn_id" in remote:
        return TurnRef(remote["conversation"], remote["turn_id"])
    return None
