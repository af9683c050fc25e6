"""The empty conversations that a batch has ahead of its turns: made when they are wanted, taken one by one.

On the Responses wire a turn needs a conversation before it is asked for, and its id in the journal. One that
is there already is taken in the commit of the turn's intent: the turn has one request and one commit less to
wait for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from agent_tasks.backends.base import ConversationMaker
from agent_tasks.errors import AgentTasksError, JournalError
from agent_tasks.journal import Claim, Spare, Taking
from agent_tasks.logs import get_logger
from agent_tasks.operations.cleanup import delete_resource
from agent_tasks.operations.conversation_groups import make_group, recover_groups
from agent_tasks.operations.models import TurnSpec
from agent_tasks.operations.workspace import Held, Workspace

__all__ = ["SpareConversations"]

logger = get_logger("agent_tasks.operations")

_TOGETHER = 16  # conversations that are made together at most
_FEW = 8  # as long as there are more, none are made; as few are worth it while some are left
_PAUSE = 30.0  # seconds until the next try, when some could not be made
_END_SECONDS = 10.0  # for what is under way at the end


class SpareConversations:
    """Conversations ahead of turns; none, where the service makes no use of them.

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
        self._groups: set[str] = set()
        self._wanted = 0
        self._is_due = asyncio.Event()
        self._at_work = asyncio.Lock()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Make some whenever they are wanted, inside; what is left at its end is deleted.

        Those that were made by a worker that died are taken over, at the beginning and at the end. Who leaves
        with an error leaves what there is to the release of its owner.

        Raises:
            JournalError: the journal can't be used.
        """
        self._keep(await recover_groups(self._ws, self._owner))
        maker = self._ws.backend.empty_conversations
        if maker is None:
            yield
            return
        making = asyncio.create_task(self._make_ahead(maker), name="spare-conversations")
        try:
            yield
        except Exception:
            await self._made()
            raise
        else:
            await self._made()
        finally:
            making.cancel()
            await asyncio.wait({making})
        self._keep(await recover_groups(self._ws, self._owner, wait=2 * self._ws.journal.lease_seconds))
        await self._delete_unused()

    def _keep(self, made: list[Spare]) -> None:
        self._ready += made
        self._groups |= {spare.maker for spare in made}

    async def _made(self) -> None:
        """Wait for what is being made."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await self._at_work.acquire()

    def wanted(self, number: int) -> None:
        """Tell how many turns will begin before long, besides those that have: as many are of use."""
        self._wanted = number
        if self._due():
            self._is_due.set()

    def taking(self, turn: TurnSpec) -> Taking | None:
        """What a turn is to take in the commit of its intent; `settle` has to be told what came of it."""
        if turn.conversation is not None or not self._ready:
            return None
        spare = self._ready.popleft()
        remote = {"conversation": spare.remote_id}
        return Taking(spare, turn.kept_by, turn.step, turn.ttl.total_seconds(), remote)

    def settle(self, taking: Taking, held: Held) -> None:
        """Keep what a turn did not take because it was there before. One that it found gone is not kept.

        A turn that was there may have taken it all the same: its intent was committed, and the answer lost.
        """
        is_new = held.claim is Claim.FRESH and held.operation.attempt == 1
        has_taken = held.operation.remote.get("conversation") == taking.spare.remote_id
        if not is_new and not has_taken:
            self._ready.appendleft(taking.spare)

    def _due(self) -> int:
        """How many are to be made now. Few numbers, since each is a statement of its own in the journal."""
        ready = len(self._ready)
        number = min(self._wanted - ready, _TOGETHER)
        if ready > _FEW or number < (_FEW if ready else 2):
            return 0
        return 1 << (number.bit_length() - 1)

    async def _make_ahead(self, maker: ConversationMaker) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            while number := self._due():
                error: Exception | None
                try:
                    async with self._at_work:
                        made, error = await make_group(
                            self._ws, maker, owner=self._owner, ttl=self._ttl, number=number
                        )
                        self._keep(made)
                except Exception as refused:
                    error = refused
                if error is not None:  # turns make theirs then, and tell what is wrong
                    logger.warning("No conversations are made ahead for a while: %s", error)
                    await asyncio.sleep(_PAUSE)

    async def _delete_unused(self) -> None:
        """Delete what no turn has taken, as the ledger says, of the groups that were made or found here."""
        self._ready.clear()
        live = await self._ws.journal.resources.live(self._ws.scope, owner=self._owner, kind="conversation")
        for one in live:
            if one.operation_key not in self._groups:
                continue
            try:
                await delete_resource(self._ws, "conversation", one.remote_id)
            except JournalError:
                raise
            except AgentTasksError as error:
                logger.warning("A conversation that was made ahead was not deleted yet: %s", error)
