"""Following one turn to its end: sent once, found again when its answer was lost, its calls answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import cast

from agent_tasks.backends.base import (
    FoundTurn,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnText,
    TurnUpdate,
)
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import (
    ConversationBusyError,
    NotFoundError,
    RunFailedError,
    ServerError,
    ServiceError,
    StreamBrokenError,
    TransportError,
)
from agent_tasks.journal import NewResource, Operation
from agent_tasks.logs import get_logger
from agent_tasks.operations.approvals import decide_approvals
from agent_tasks.operations.dispatch import dispatch_tools
from agent_tasks.operations.effects import is_outcome_unknown, look_up, mark_of
from agent_tasks.operations.models import TurnSpec
from agent_tasks.operations.workspace import Workspace
from agent_tasks.tools import ToolSet

logger = get_logger("agent_tasks.operations")

CONVERSATION_TTL = 24 * 3600.0
"""Seconds until a conversation that nobody deleted may be swept."""

_BREAKS = 5  # lost connections in a row, without any progress between them
_FIRST_LOOK, _LONGEST_LOOK = 0.5, 10.0  # seconds between looks at a turn that is in the way


class Following:
    """One attempt after the other at a turn operation, in this process.

    Args:
        ws: where to work.
        turn: the prompt, the agent and the bounds.
        operation: its row in the journal, held by this worker.
        is_orphan: whether an earlier worker may have sent it.
        tools: the functions that the agent may call, and the MCP servers that are decided on here.
        on_text: called with each piece of the answer.
    """

    def __init__(
        self,
        ws: Workspace,
        turn: TurnSpec,
        operation: Operation,
        *,
        is_orphan: bool,
        tools: ToolSet | None,
        on_text: Callable[[str], None] | None,
    ) -> None:
        self._ws = ws
        self._turn = turn
        self._is_orphan = is_orphan
        self._tools = tools
        self._on_text = on_text
        self.operation = operation
        self.ref = _known_ref(operation)
        """The turn on the service, as soon as it is known."""
        self.was_refused = False
        """Whether the service provably did not take it."""

    # --- beginning and recovering ----------------------------------------------------------------------

    async def begin(self) -> AsyncIterator[TurnUpdate]:
        """Send the turn, or attach to what an earlier worker has begun."""
        if self.ref is not None:
            return self._ws.backend.follow_turn(self.ref)
        if self._is_orphan:
            return await self._after_look_up()
        crash_point("turn.intended")
        return await self._start(self._conversation(), prompt_posted=False)

    async def begin_again(
        self, conversation: str | None, note: dict[str, object]
    ) -> AsyncIterator[TurnUpdate]:
        """Commit the next attempt and send it, in the conversation that has the prompt already.

        Args:
            conversation: that conversation; None: it is gone, so all is sent anew.
            note: what to remember of the attempts so far.
        """
        await self._ws.make_sure()
        keep = ["conversation"] if conversation is not None else []
        self.operation = await self._ws.journal.next_attempt(
            self._ws.scope, self.operation.key, keep=keep, note=note
        )
        crash_point("attempt.intended")
        self.ref = None
        return await self._start(conversation, prompt_posted=conversation is not None)

    def _note(self) -> dict[str, object]:
        """What is remembered of the attempts before this one."""
        usage = self.operation.remote.get("usage")
        return {"usage": usage} if usage is not None else {}

    def _conversation(self) -> str | None:
        known: str | None = self.operation.remote.get("conversation")
        return known or self._turn.conversation

    async def _start(self, conversation: str | None, *, prompt_posted: bool) -> AsyncIterator[TurnUpdate]:
        turn = self._turn
        servers = self._tools.resources.get("mcp") if self._tools is not None else None
        request = TurnRequest(
            agent_id=turn.agent.id,
            prompt=None if prompt_posted else turn.prompt,
            conversation=conversation,
            tool_choice=turn.tool_choice,
            response_format=turn.response_format,
            instructions=turn.instructions,
            max_completion_tokens=turn.max_completion_tokens,
            tool_resources={"mcp": servers} if servers else None,
        )
        return self._ws.backend.start_turn(request, mark_of(self.operation))

    async def _after_look_up(self) -> AsyncIterator[TurnUpdate]:
        """Reconcile what a lost request left behind; start anew only if that is provably nothing."""
        conversation = self._conversation()

        async def find(since: float) -> FoundTurn | None:
            return await self._ws.backend.find_turn(
                mark_of(self.operation), conversation=conversation, since=since
            )

        try:
            found = await look_up(find, self.operation)
        except NotFoundError:
            if conversation is None:
                raise  # not an answer about this turn: nothing is known of it, so nothing may be sent
            # The conversation is gone, and with it whatever was sent to it.
            if self._turn.conversation is not None:
                self.was_refused = True
                raise
            return await self.begin_again(None, self._note())
        if found is None:
            crash_point("turn.absent")
            # Later attempts continue a conversation that holds the prompt since the first.
            return await self._start(conversation, prompt_posted="conversation" in self.operation.remote)
        if found.turn_id is None:
            return await self._start(found.conversation, prompt_posted=found.prompt_posted)
        crash_point("turn.found")
        await self._attach(TurnRef(found.conversation, found.turn_id))
        return self._ws.backend.follow_turn(TurnRef(found.conversation, found.turn_id))

    async def _after_the_other(self, error: ConversationBusyError) -> AsyncIterator[TurnUpdate]:
        """Attach to the turn that is in the way if it is this one; else let it end, or end it, and start.

        A turn of a living worker is waited for. One that nobody waits for any more (of an attempt that was
        given up, of a worker that died) is cancelled. The caller's deadline bounds both.
        """
        conversation = self._conversation()
        if conversation is None:
            raise error
        prompt_posted = "conversation" in self.operation.remote
        pause = _FIRST_LOOK
        is_cancelled = False
        while (active := await self._ws.backend.active_turn(conversation)) is not None:
            if active.mark == mark_of(self.operation):
                await self._attach(active.ref)
                return self._ws.backend.follow_turn(active.ref)
            if not is_cancelled:
                other = (
                    await self._ws.journal.operation(self._ws.scope, active.mark.key) if active.mark else None
                )
                is_own = other is not None and other.key == self.operation.key
                if other is None or is_own or not self._ws.journal.is_held(other):
                    logger.warning("The turn %s, which nobody waits for, is cancelled", active.ref.turn_id)
                    await self._ws.backend.cancel_turn(active.ref)
                    is_cancelled = True
                    continue
                logger.info("Step %r waits for the turn %s", self._turn.step, active.ref.turn_id)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK)
        return await self._start(conversation, prompt_posted=prompt_posted)

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
        self.operation = await self._ws.journal.attach(
            self._ws.scope,
            self.operation.key,
            {"conversation": ref.conversation, "turn_id": ref.turn_id},
            made,
        )
        crash_point("turn.attached")
        self.ref = ref

    # --- to the end ------------------------------------------------------------------------------------

    async def to_the_end(self, updates: AsyncIterator[TurnUpdate]) -> TurnEnded:
        """Follow the attempt to its end, through calls, decisions and lost connections.

        Raises:
            AgentTasksError: it could not be followed; `was_refused` says whether anything may have happened.
        """
        breaks = 0
        while True:
            try:
                step = await self._follow(updates)
                if isinstance(step, TurnEnded):
                    return step
                breaks = 0
                updates = await self._answer(step)
            except NotFoundError:
                if self.ref is None or self._turn.conversation is not None:
                    self.was_refused = True
                    raise
                # The turn that the journal knows of is gone, with its conversation: begin again.
                updates = await self.begin_again(None, self._note())
            except ConversationBusyError as error:
                updates = await self._after_the_other(error)
            except (TransportError, ServerError, RunFailedError) as error:
                # A RunFailedError here is an `error` event: what became of the turn is read from the turn.
                breaks += 1
                maybe_sent = is_outcome_unknown(error) or isinstance(error, RunFailedError)
                if breaks > _BREAKS or not (self.ref is not None or maybe_sent):
                    self.was_refused = self.ref is None and not maybe_sent
                    raise
                logger.info("The connection to a turn of step %r broke: %s", self._turn.step, error)
                if self.ref is None:
                    updates = await self._after_look_up()
                else:
                    await asyncio.sleep(0.2 * 2**breaks)
                    updates = self._ws.backend.follow_turn(self.ref)
            except ServiceError:
                self.was_refused = self.ref is None
                raise

    async def _follow(
        self, updates: AsyncIterator[TurnUpdate]
    ) -> TurnEnded | TurnNeedsTools | TurnNeedsApproval:
        async with aclosing(cast("AsyncGenerator[TurnUpdate, None]", updates)) as stream:
            async for update in stream:
                match update:
                    case TurnStarted(ref):
                        await self._attach(ref)
                    case TurnText(text):
                        if self._on_text is not None:
                            self._on_text(text)
                    case TurnNeedsTools() | TurnNeedsApproval() | TurnEnded():
                        await self._attach(update.ref)
                        return update
        raise StreamBrokenError(
            "The stream of the turn ended before the turn did.",
            run_id=self.ref.turn_id if self.ref else None,
            thread_id=self.ref.conversation if self.ref else None,
        )

    async def _answer(self, step: TurnNeedsTools | TurnNeedsApproval) -> AsyncIterator[TurnUpdate]:
        ref, key = step.ref, self.operation.key
        if isinstance(step, TurnNeedsApproval):
            crash_point("approvals.needed")
            decisions = await decide_approvals(self._ws, key, ref.turn_id, step.calls, self._tools)
            crash_point("approvals.ready")
            return _marked("approvals.submitted", self._ws.backend.answer_approvals(ref, decisions))
        crash_point("tools.needed")
        outcomes = await dispatch_tools(self._ws, key, ref.turn_id, step.calls, self._tools)
        crash_point("tools.ready")
        outputs = [(outcome.call_id, outcome.output) for outcome in outcomes]
        return _marked("tools.submitted", self._ws.backend.answer_tools(ref, outputs))


async def _marked(name: str, updates: AsyncIterator[TurnUpdate]) -> AsyncGenerator[TurnUpdate, None]:
    """The updates, with a crash point where the first of them shows that the answer has arrived."""
    async with aclosing(cast("AsyncGenerator[TurnUpdate, None]", updates)) as stream:
        async for update in stream:
            crash_point(name)
            yield update


def _known_ref(operation: Operation) -> TurnRef | None:
    remote = operation.remote
    if "turn_id" in remote:
        return TurnRef(remote["conversation"], remote["turn_id"])
    return None
