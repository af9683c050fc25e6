"""Empty conversations that are made ahead, several together, for turns that begin in one.

On the Responses wire a turn needs a conversation before it is asked for, and its id in the journal. One that
is there already is taken in the commit of the turn's intent: the turn has one request and one commit less to
wait for. Each group is an operation with an intent and marks of its own, and is in the ledger before any of
it is taken; so none is lost or taken twice, whoever dies.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from agent_tasks.backends.base import ConversationMaker, Mark
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import AgentTasksError, JournalError
from agent_tasks.journal import Claim, NewResource, Operation, Spare, Taking
from agent_tasks.logs import get_logger
from agent_tasks.operations.cleanup import delete_resource
from agent_tasks.operations.effects import CLOCK_SKEW, is_outcome_unknown, lookup_grace
from agent_tasks.operations.keys import operation_key
from agent_tasks.operations.models import TurnSpec
from agent_tasks.operations.ownership import owner_of
from agent_tasks.operations.workspace import Held, Workspace

__all__ = ["SpareConversations"]

logger = get_logger("agent_tasks.operations")

_KIND = "conversations"
_NAME = "made ahead"  # in the ledger, until a turn takes it
_TOGETHER = 16  # conversations that are made together at most
_FEW = 8  # as long as there are more, none are made; as few are worth it while some are left
_PAUSE = 30.0  # seconds until the next try, when some could not be made
_END_SECONDS = 10.0  # for what is under way at the end


class SpareConversations:
    """The conversations that a batch has ahead of its turns; none, where the service makes no use of them.

    Args:
        ws: where to work.
        owner: whose they are until a turn takes them.
        ttl: how long they may live if none does, and their owner is not released before.
    """

    def __init__(self, ws: Workspace, *, owner: str, ttl: timedelta) -> None:
        self._ws = ws
        self._owner = owner
        self._ttl = ttl
        self._ready: deque[Spare] = deque()
        self._wanted = 0
        self._is_wanted = asyncio.Event()
        self._at_work = asyncio.Lock()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Make some whenever they are wanted, inside; what is left at its end is deleted.

        Those of a group whose worker died are taken over, at the beginning and at the end. Whoever leaves
        with an error leaves what there is to the release of its owner.

        Raises:
            JournalError: the journal can't be used.
        """
        maker = self._ws.backend.empty_conversations
        if maker is None:
            yield
            return
        await self._recover(maker, wait=None)
        making = asyncio.create_task(self._make_ahead(maker), name="spare-conversations")
        patience = 0.0
        try:
            yield
            patience = _END_SECONDS
        except Exception:
            patience = _END_SECONDS
            raise
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._at_work.acquire()
            making.cancel()
            with suppress(asyncio.CancelledError):
                await making
        await self._recover(maker, wait=2 * self._ws.journal.lease_seconds)
        await self._delete_unused()

    # --- taking ----------------------------------------------------------------------------------------

    def wanted(self, number: int) -> None:
        """Tell how many turns will begin before long, besides those that have: as many are of use."""
        self._wanted = number
        if self._due():
            self._is_wanted.set()

    def taking(self, turn: TurnSpec) -> Taking | None:
        """What a turn is to take in the commit of its intent; `settle` has to be told whether it has."""
        if turn.conversation is not None or not self._ready:
            return None
        spare = self._ready.popleft()
        if self._due():
            self._is_wanted.set()
        return Taking(
            spare, turn.kept_by, turn.step, turn.ttl.total_seconds(), {"conversation": spare.remote_id}
        )

    def settle(self, taking: Taking, held: Held) -> None:
        """Keep what a turn did not take, since it was there before; one that is gone is not kept."""
        is_new = held.claim is Claim.FRESH and held.operation.attempt == 1
        if not is_new:
            self._ready.appendleft(taking.spare)

    # --- making ----------------------------------------------------------------------------------------

    def _due(self) -> int:
        """How many are to be made now. Few numbers, since each is a statement of its own in the journal."""
        ready = len(self._ready)
        number = min(self._wanted - ready, _TOGETHER)
        if ready > _FEW or number < (_FEW if ready else 2):
            return 0
        return 1 << (number.bit_length() - 1)

    async def _make_ahead(self, maker: ConversationMaker) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            while number := self._due():
                key = operation_key(_KIND, owner=self._owner, group=uuid.uuid4().hex)
                intent = {"owner": self._owner, "count": number, "ttl": self._ttl.total_seconds()}
                try:
                    async with self._at_work:
                        await self._make(maker, key, intent, wait=None)
                except AgentTasksError as error:
                    # Turns make their own then, and tell what is wrong.
                    logger.warning("No conversations are made ahead now: %s", error)
                    await asyncio.sleep(_PAUSE)

    async def _make(
        self, maker: ConversationMaker, key: str, intent: dict[str, Any], wait: float | None
    ) -> None:
        """Make a group, or find what there is of one whose worker died."""
        async with self._ws.hold(key, _KIND, intent, wait=wait) as held:
            if held.is_done:
                return
            if held.is_orphan:
                made = await self._found(maker, held.operation)
                crash_point("spares.found")
            else:
                crash_point("spares.intended")
                made = await self._made(maker, held.operation)
            seconds = float(intent["ttl"])
            await self._ws.journal.operations.finish(
                self._ws.scope,
                key,
                {"conversations": made},
                [NewResource("conversation", one, self._owner, _NAME, seconds) for one in made],
            )
            crash_point("spares.committed")
        self._ready += [Spare("conversation", one, key) for one in made]

    async def _made(self, maker: ConversationMaker, operation: Operation) -> list[str]:
        """Ask for them side by side, each once; where an answer was lost, the list tells.

        Raises:
            AgentTasksError: none could be made; or it is not known which, and the intent stays open.
        """

        async def one(number: int) -> str:
            made = await maker.create(Mark(operation.key, number))
            crash_point("spares.made")
            return made

        numbers = range(1, operation.fingerprint["count"] + 1)
        outcomes = await asyncio.gather(*(one(number) for number in numbers), return_exceptions=True)
        made: list[str] = []
        errors: list[AgentTasksError] = []
        for outcome in outcomes:
            if isinstance(outcome, str):
                made.append(outcome)
            elif isinstance(outcome, AgentTasksError):
                errors.append(outcome)
            else:
                raise outcome
        if any(is_outcome_unknown(error) for error in errors):
            return await self._found(maker, operation)
        if errors and not made:
            await self._ws.fail(operation.key, errors[0])
            raise errors[0]
        return made

    async def _found(self, maker: ConversationMaker, operation: Operation) -> list[str]:
        """All of a group that the service has, which may show some of them late."""
        found: list[str] = []
        async for _ in lookup_grace():
            found = await maker.find(operation.key, since=operation.intended_at - CLOCK_SKEW)
            if len(found) >= operation.fingerprint["count"]:
                break
        return found

    # --- what others left, and what is left ------------------------------------------------------------

    async def _recover(self, maker: ConversationMaker, *, wait: float | None) -> None:
        """Take over the groups of workers that died.

        Args:
            maker: finds them.
            wait: seconds to wait for those of workers that may be alive; None: they are left alone.
        """
        operations = self._ws.journal.operations
        for one in await operations.unsettled(self._ws.scope):
            if one.kind != _KIND or owner_of(one) != self._owner:
                continue
            if wait is None and operations.is_held(one):
                continue
            try:
                await self._make(maker, one.key, one.fingerprint, wait=wait)
            except AgentTasksError as error:
                logger.warning("Conversations that were made ahead are not in the ledger yet: %s", error)

    async def _delete_unused(self) -> None:
        while self._ready:
            try:
                await delete_resource(self._ws, "conversation", self._ready.popleft().remote_id)
            except JournalError:
                raise
            except AgentTasksError as error:
                logger.warning("A conversation that was made ahead was not deleted yet: %s", error)
