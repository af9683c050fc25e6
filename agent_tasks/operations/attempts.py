"""The attempts at one turn, as one state machine: sent once, found again, followed, answered, given up.

An attempt goes through these states; what the journal has to know is committed before one is entered::

    INTENDED ──> SENT ──> ATTACHED <──> NEEDS_OUTPUTS
       ^          │           ├──> ANSWERED    the result is committed next (`turns`)
       │          │           ├──> ENDED ───┐  without an answer
       │          │           └──> GIVEN_UP │  cancelled on the service: the failure is committed
       │          └──> REFUSED              │  provably not on the service: likewise
       └───────── next attempt ─────────────┘  committed as a new intent

A process that takes the operation over enters where the journal is: at ATTACHED if there is an id, at SENT if
an earlier worker may have sent it, else at INTENDED.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, cast

from agent_tasks.backends.base import (
    ConversationCreated,
    Memory,
    ServerAccess,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRemembered,
    TurnRequest,
    TurnStarted,
    TurnText,
    TurnUpdate,
)
from agent_tasks.backends.usage import NO_USAGE, Usage
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import (
    AgentTasksError,
    ConversationBusyError,
    NotFoundError,
    RunExpiredError,
    RunFailedError,
    ServerError,
    ServiceError,
    StreamBrokenError,
    TransportError,
)
from agent_tasks.journal import NewResource
from agent_tasks.logs import get_logger
from agent_tasks.operations.approvals import decide_approvals
from agent_tasks.operations.attempt_states import NEXT, OVER, AttemptState
from agent_tasks.operations.dispatch import dispatch_tools
from agent_tasks.operations.effects import is_outcome_unknown, mark_of
from agent_tasks.operations.failed_attempts import FailedAttempts
from agent_tasks.operations.models import TurnSpec
from agent_tasks.operations.outcomes import turn_error
from agent_tasks.operations.pacing import step_aside
from agent_tasks.operations.sent_turns import known_ref, look_up_turn, new_conversation
from agent_tasks.operations.workspace import Held, Workspace
from agent_tasks.tools import ToolSet

logger = get_logger("agent_tasks.operations")

_BREAKS = 5  # lost connections in a row, without any progress between them
_FIRST_LOOK, _LONGEST_LOOK = 0.5, 10.0  # seconds between looks at a turn that is in the way


class Attempts:
    """One attempt after the other at a turn operation, in this process.

    Args:
        ws: where to work.
        turn: the prompt, the agent and the bounds. Its deadline counts from now.
        held: the operation, held by this worker.
        tools: the functions that the agent may call, and the MCP servers that are decided on here.
        on_text: called with each piece of the answer.
    """

    def __init__(
        self,
        ws: Workspace,
        turn: TurnSpec,
        held: Held,
        *,
        tools: ToolSet | None,
        on_text: Callable[[str], None] | None,
    ) -> None:
        self._ws = ws
        self._turn = turn
        self._tools = tools
        self._on_text = on_text
        self._deadline = asyncio.get_running_loop().time() + turn.deadline
        self.limit = asyncio.timeout_at(self._deadline)
        """Ends at the deadline what is done within it; lifted as soon as an answer is heard, since what comes
        after it, such as the end of a stream that the service holds open, is not the turn's."""
        self.failures = FailedAttempts()
        """Those before the current one."""
        self.operation = held.operation
        """Its row in the journal, as it was when the current attempt was claimed or intended."""
        self._remote = held.operation.remote
        """The ids in that row, as they are now."""
        spent = self._remote.get("usage")
        self.usage = held.operation.written.read(Usage, spent) if spent else NO_USAGE
        """What the attempts have cost that ended."""
        self._before: Memory = ()
        self.ref = known_ref(held.operation)
        """The turn on the service, as soon as the journal knows it."""
        self.state = AttemptState.INTENDED
        """How far the current attempt is."""
        if self.ref is not None:
            self.state = AttemptState.ATTACHED
        elif held.is_orphan:
            self.state = AttemptState.SENT

    @property
    def is_over(self) -> bool:
        """Whether nothing of it can go on, on the service or here: a failure is final then."""
        return self.state in OVER

    def _become(self, state: AttemptState) -> None:
        if state not in NEXT[self.state]:
            raise AssertionError(f"a turn that is {self.state} can't become {state}")
        self.state = state

    async def to_an_answer(self) -> TurnEnded:
        """Carry out attempts until one gives an answer; to be called within `limit`.

        Raises:
            RunFailedError: the last attempt gave none, and another one is not due.
            AgentTasksError: it could not be followed; the state says whether anything may have happened.
        """
        await self._remember_the_earlier()
        updates = await self._resumed()
        while True:
            ended = await self._to_the_end(updates)
            self.usage += ended.usage
            error = turn_error(ended)
            if error is None:
                self._become(AttemptState.ANSWERED)
                return ended
            self._become(AttemptState.ENDED)
            pause = self.failures.pause_after(error)
            crash_point("attempt.ended")
            await self._wait_within_deadline(pause, error)
            updates = await self._begin_again(ended.ref.conversation)

    async def _wait_within_deadline(self, pause: float, error: RunFailedError) -> None:
        if asyncio.get_running_loop().time() + pause > self._deadline:
            raise error
        logger.info("Step %r waits %.1f s before its next attempt: %s", self._turn.step, pause, error)
        await asyncio.sleep(pause)

    # --- giving up -------------------------------------------------------------------------------------

    async def give_up(self) -> RunExpiredError:
        """Tell the service to stop and commit the end.

        A turn whose id was not heard of yet is looked for first. One that can't be reached, or that has
        completed meanwhile, stays an open intent.
        """
        if self.state is AttemptState.SENT:
            await self._find_what_was_sent()
        ref = self.ref
        if ref is not None and not self.is_over:
            try:
                if await self._ws.backend.cancel_turn(ref):
                    self._become(AttemptState.GIVEN_UP)
            except AgentTasksError as failure:
                logger.warning("The turn %s could not be cancelled: %s", ref.turn_id, failure)
        become = "cancelled" if self.is_over else "may have completed; the next call takes its answer then"
        error = RunExpiredError(
            f"The turn of step {self._turn.step!r} was given up (deadline {self._turn.deadline:g} s), and "
            f"{become}. Raise the deadline, or look at the service.",
            run_id=ref.turn_id if ref else None,
            thread_id=ref.conversation if ref else None,
        )
        await self.commit_failure(error)
        return error

    async def _find_what_was_sent(self) -> None:
        """Attach to what a request has started whose answer nobody waited for, or find that it is nothing."""
        conversation = self._conversation()
        try:
            found = await look_up_turn(self._ws, self.operation, conversation)
            if found is not None and found.turn_id is not None:
                await self._attach(self._at(found.conversation, found.turn_id))
            elif found is not None:
                await self._put_into_the_ledger(found.conversation)
        except AgentTasksError as failure:
            if conversation is None or not isinstance(failure, NotFoundError):
                logger.warning("The turn of step %r was not found out about: %s", self._turn.step, failure)
                return
            found = None  # its conversation is gone, and with it whatever was sent to it
        if found is None or found.turn_id is None:
            self._become(AttemptState.REFUSED)

    def _new_conversation(self, conversation: str) -> NewResource:
        turn = self._turn
        return new_conversation(conversation, owner=turn.kept_by, step=turn.step, ttl=turn.ttl)

    async def _put_into_the_ledger(self, conversation: str) -> None:
        """Commit a conversation that was made for a turn which it may never get."""
        await self._commit({"conversation": conversation}, self._made(conversation))

    async def _commit(self, ids: dict[str, Any], made: Sequence[NewResource] = ()) -> None:
        """Commit what has become known of the attempt, beside what was known."""
        remote = {**self._remote, **ids}
        await self._ws.journal.operations.attach(self._ws.scope, self.operation.key, remote, made)
        self._remote = remote

    def _made(self, conversation: str) -> list[NewResource]:
        """The conversation for the ledger, if this turn made it, it is kept, and not in there yet."""
        is_kept = self._turn.conversation is None and self._ws.backend.capabilities.keeps_conversations
        if not is_kept or self._remote.get("conversation") == conversation:
            return []
        return [self._new_conversation(conversation)]

    async def commit_failure(self, error: AgentTasksError) -> None:
        """Commit a failure if the turn is provably over; otherwise the intent stays for the next call."""
        if self.is_over:
            await self._ws.fail(self.operation.key, error)

    # --- beginning and recovering ----------------------------------------------------------------------

    async def _resumed(self) -> AsyncIterator[TurnUpdate]:
        """The attempt's updates, from wherever this process or an earlier worker has come."""
        if self.ref is not None:
            return self._ws.backend.follow_turn(self._at(self.ref.conversation, self.ref.turn_id))
        if self.state is AttemptState.SENT:
            return await self._after_look_up()
        crash_point("turn.intended")
        return self._send(self._conversation(), prompt_posted=False)

    async def _begin_again(self, conversation: str | None) -> AsyncIterator[TurnUpdate]:
        """Commit the next attempt and send it, in the conversation that has the prompt already.

        Args:
            conversation: that conversation; None: it is gone, so all is sent anew.
        """
        await self._ws.make_sure()
        keep = ["conversation", "memory"] if conversation is not None else []
        self.operation = await self._ws.journal.operations.next_attempt(
            self._ws.scope, self.operation.key, keep=keep, note={"usage": self.usage.model_dump()}
        )
        self._remote = self.operation.remote
        crash_point("attempt.intended")
        self.ref = None
        self._become(AttemptState.INTENDED)
        return self._send(conversation, prompt_posted=conversation is not None)

    def _conversation(self) -> str | None:
        known: str | None = self._remote.get("conversation")
        return known or self._turn.conversation

    def _send(self, conversation: str | None, *, prompt_posted: bool) -> AsyncIterator[TurnUpdate]:
        self.ref = None
        self._become(AttemptState.SENT)
        request = self._request(conversation, prompt_posted=prompt_posted)
        return self._ws.backend.start_turn(request, mark_of(self.operation))

    def _request(self, conversation: str | None, *, prompt_posted: bool) -> TurnRequest:
        turn = self._turn
        memory = self._remote.get("memory")
        return TurnRequest(
            agent_id=turn.agent.id,
            prompt=turn.prompt,
            images=turn.images,
            earlier_images=turn.earlier_images,
            conversation=conversation,
            prompt_posted=prompt_posted,
            tool_choice=turn.tool_choice,
            response_format=turn.response_format,
            instructions=turn.instructions,
            max_completion_tokens=turn.max_completion_tokens,
            servers=_servers(self._tools),
            spec=turn.agent.spec,
            memory=tuple(memory) if memory is not None else self._before,
            is_heard=self._on_text is not None,
        )

    def _at(self, conversation: str, turn_id: str) -> TurnRef:
        """Where the current attempt is, with what the backend may need to find its newest round."""
        request = self._request(conversation, prompt_posted=True)
        return TurnRef(conversation, turn_id, mark_of(self.operation), request)

    async def _remember_the_earlier(self) -> None:
        """Take what the conversation held before this turn from the journal, where no service keeps it."""
        if self._ws.backend.capabilities.keeps_conversations or self._turn.after is None:
            return
        earlier = await self._ws.journal.operations.get(self._ws.scope, self._turn.after)
        self._before = tuple(earlier.remote.get("memory") or ()) if earlier is not None else ()

    async def _after_look_up(self) -> AsyncIterator[TurnUpdate]:
        """Reconcile what a lost request left behind; start anew only if that is provably nothing."""
        conversation = self._conversation()

        try:
            found = await look_up_turn(self._ws, self.operation, conversation)
        except NotFoundError:
            if conversation is None:
                raise  # not an answer about this turn: nothing is known of it, so nothing may be sent
            # The conversation is gone, and with it whatever was sent to it.
            if self._turn.conversation is not None:
                self._become(AttemptState.REFUSED)
                raise
            return await self._begin_again(None)
        if found is None:
            crash_point("turn.absent")
            # Later attempts continue a conversation that holds the prompt since the first.
            return self._send(conversation, prompt_posted="conversation" in self._remote)
        if found.turn_id is None:
            if conversation is None:
                await self._put_into_the_ledger(found.conversation)
            return self._send(found.conversation, prompt_posted=found.prompt_posted)
        crash_point("turn.found")
        await self._attach(self._at(found.conversation, found.turn_id))
        return await self._resumed()

    async def _after_the_other(self, error: ConversationBusyError) -> AsyncIterator[TurnUpdate]:
        """Attach to the turn that is in the way if it is this one; else let it end, or end it, and start.

        A round of this turn that is in the way is followed. A turn of a living worker is waited for. One that
        nobody waits for any more (of an attempt that was given up, of a worker that died) is cancelled. The
        deadline of the caller bounds all.
        """
        if self.ref is not None:
            await asyncio.sleep(_FIRST_LOOK)
            return await self._resumed()
        conversation = self._conversation()
        if conversation is None:
            raise error
        prompt_posted = "conversation" in self._remote
        pause = _FIRST_LOOK
        is_cancelled = False
        while (active := await self._ws.backend.active_turn(conversation)) is not None:
            if active.mark == mark_of(self.operation):
                await self._attach(self._at(conversation, active.ref.turn_id))
                return await self._resumed()
            if not is_cancelled:
                other = (
                    await self._ws.journal.operations.get(self._ws.scope, active.mark.key)
                    if active.mark
                    else None
                )
                is_own = other is not None and other.key == self.operation.key
                if other is None or is_own or not self._ws.journal.operations.is_held(other):
                    logger.warning("The turn %s, which nobody waits for, is cancelled", active.ref.turn_id)
                    await self._ws.backend.cancel_turn(active.ref)
                    is_cancelled = True
                    continue
                logger.info("Step %r waits for the turn %s", self._turn.step, active.ref.turn_id)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_LOOK)
        # What was in the way may be this very attempt, on a service that shows it only when it has ended.
        found = await look_up_turn(self._ws, self.operation, conversation) if pause == _FIRST_LOOK else None
        if found is not None and found.turn_id is not None:
            await self._attach(self._at(conversation, found.turn_id))
            return await self._resumed()
        return self._send(conversation, prompt_posted=prompt_posted)

    async def _attach(self, ref: TurnRef) -> None:
        if self.ref == ref:
            return
        crash_point("turn.started")
        ids = {"conversation": ref.conversation, "turn_id": ref.turn_id}
        await self._commit(ids, self._made(ref.conversation))
        crash_point("turn.attached")
        self.ref = ref
        self._become(AttemptState.ATTACHED)

    # --- to the end ------------------------------------------------------------------------------------

    async def _to_the_end(self, updates: AsyncIterator[TurnUpdate]) -> TurnEnded:
        """Follow the attempt to its end, through calls, decisions and lost connections.

        Raises:
            AgentTasksError: it could not be followed; the state says whether anything may have happened.
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
                if not await self._is_gone():
                    self._become(AttemptState.REFUSED)
                    raise
                # What the journal knows of is gone, the turn with its conversation: begin again.
                updates = await self._begin_again(None)
            except ConversationBusyError as error:
                updates = await self._after_the_other(error)
            except (TransportError, ServerError, RunFailedError) as error:
                # A RunFailedError here is an `error` event: what became of the turn is read from the turn.
                breaks += 1
                maybe_sent = is_outcome_unknown(error) or isinstance(error, RunFailedError)
                if breaks > _BREAKS or not (self.ref is not None or maybe_sent):
                    if self.ref is None and not maybe_sent:
                        self._become(AttemptState.REFUSED)
                    raise
                logger.info("The connection to a turn of step %r broke: %s", self._turn.step, error)
                if self.ref is not None:
                    await asyncio.sleep(0.2 * 2**breaks)
                    self._become(AttemptState.ATTACHED)
                updates = await self._resumed()
            except ServiceError:
                if self.ref is None:
                    self._become(AttemptState.REFUSED)
                raise

    async def _is_gone(self) -> bool:
        """Whether this turn or its conversation was what was not found, and both may be begun anew."""
        if self._turn.conversation is not None:
            return False
        if self.ref is not None:
            return True
        known = self._remote.get("conversation")
        return known is not None and not await self._ws.backend.exists("conversation", known)

    async def _follow(
        self, updates: AsyncIterator[TurnUpdate]
    ) -> TurnEnded | TurnNeedsTools | TurnNeedsApproval:
        step_aside()
        async with aclosing(cast("AsyncGenerator[TurnUpdate, None]", updates)) as stream:
            async for update in stream:
                match update:
                    case ConversationCreated(conversation):
                        crash_point("conversation.created")
                        await self._put_into_the_ledger(conversation)
                        crash_point("conversation.attached")
                    case TurnStarted(ref):
                        await self._attach(ref)
                    case TurnRemembered(ref, memory):
                        await self._attach(ref)
                        await self._remember(memory)
                    case TurnText(text):
                        if self._on_text is not None:
                            self._on_text(text)
                    case TurnNeedsTools() | TurnNeedsApproval() | TurnEnded():
                        await self._attach(update.ref)
                        if isinstance(update, TurnEnded) and turn_error(update) is None:
                            self.limit.reschedule(None)
                        return update
        raise StreamBrokenError(
            "The stream of the turn ended before the turn did.",
            run_id=self.ref.turn_id if self.ref else None,
            thread_id=self.ref.conversation if self.ref else None,
        )

    async def _remember(self, memory: Memory) -> None:
        """Commit what a round gave that no service keeps."""
        await self._commit({"memory": list(memory)})
        crash_point("turn.remembered")

    async def _answer(self, step: TurnNeedsTools | TurnNeedsApproval) -> AsyncIterator[TurnUpdate]:
        ref, key = step.ref, self.operation.key
        self._become(AttemptState.NEEDS_OUTPUTS)
        if isinstance(step, TurnNeedsApproval):
            crash_point("approvals.needed")
            decisions = await decide_approvals(
                self._ws, self._turn, key, ref.turn_id, step.calls, self._tools
            )
            crash_point("approvals.ready")
            self._become(AttemptState.ATTACHED)
            return _marked("approvals.submitted", self._ws.backend.answer_approvals(ref, decisions))
        crash_point("tools.needed")
        outcomes = await dispatch_tools(self._ws, key, ref.turn_id, step.calls, self._tools)
        crash_point("tools.ready")
        outputs = [(outcome.call_id, outcome.output) for outcome in outcomes]
        self._become(AttemptState.ATTACHED)
        return _marked("tools.submitted", self._ws.backend.answer_tools(ref, outputs))


def _servers(tools: ToolSet | None) -> tuple[ServerAccess, ...]:
    """What the turn tells of its MCP servers."""
    return tools.servers if tools is not None else ()


async def _marked(name: str, updates: AsyncIterator[TurnUpdate]) -> AsyncGenerator[TurnUpdate, None]:
    """The updates, with a crash point where the first of them shows that the answer has arrived."""
    async with aclosing(cast("AsyncGenerator[TurnUpdate, None]", updates)) as stream:
        async for update in stream:
            crash_point(name)
            yield update
