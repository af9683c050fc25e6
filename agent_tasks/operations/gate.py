"""The gate of a claim: what is sent for an operation or document leaves only while that is this worker's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from agent_tasks.client import Gate
from agent_tasks.errors import JournalUnreadableError
from agent_tasks.journal import LOOK_SECONDS, Held

_HOP_SECONDS = 5.0  # beyond the look itself, for another thread's event loop to take it up


class ClaimGate:
    """Open as long as this worker holds a claim, and as the gate around it is open.

    Within the lease that costs nothing. After that the journal is asked, and a lease that nobody has taken is
    prolonged.

    Args:
        held: what the worker holds in the claim's table.
        scope: its service.
        key: its key.
        outer: the gate around: a turn's is a document's, and so on.
    """

    def __init__(self, held: Held, scope: str, key: str, outer: Gate | None) -> None:
        self._held = held
        self._scope = scope
        self._key = key
        self._outer = outer
        self._home = asyncio.get_running_loop()

    def is_open(self) -> bool:
        """Whether all of it is this worker's for sure."""
        return self._held.is_sure(self._scope, self._key) and (self._outer is None or self._outer.is_open())

    async def enter(self) -> None:
        """Make sure of all of it.

        Raises:
            LeaseLostError: another worker has taken a part of it over.
            JournalUnreadableError: the journal does not tell.
        """
        while not self.is_open():  # again, if the outer one took longer than the inner one's lease
            if self._outer is not None:
                await self._outer.enter()
            if asyncio.get_running_loop() is self._home:
                await self._held.make_sure(self._scope, self._key)
            else:  # a task in another thread, such as Prefect's task runners have
                await asyncio.wrap_future(self._at_home(self._held.make_sure(self._scope, self._key)))

    def enter_blocking(self) -> None:
        """The same from a thread without an event loop, such as that of a blocking function.

        Raises:
            LeaseLostError: another worker has taken a part of it over.
            JournalUnreadableError: the journal does not tell, or can't be asked from here.
        """
        if self.is_open():
            return
        if asyncio._get_running_loop() is self._home:  # the public one raises where there is none
            raise JournalUnreadableError(
                f"Whether {self._key} is still this worker's can't be asked by a blocking call in the "
                "journal's own event loop, so nothing was sent. Use AsyncAgentsClient there, or "
                "asyncio.to_thread."
            )
        future = self._at_home(self.enter())
        try:
            future.result(LOOK_SECONDS + _HOP_SECONDS)
        except TimeoutError:
            future.cancel()
            raise self._unanswered() from None

    def _at_home(self, look: Coroutine[Any, Any, None]) -> Any:
        if self._home.is_closed():
            look.close()
            raise self._unanswered()
        return asyncio.run_coroutine_threadsafe(look, self._home)

    def _unanswered(self) -> JournalUnreadableError:
        return JournalUnreadableError(
            f"The event loop of the journal does not answer whether {self._key} is still this worker's, so "
            "nothing was sent for it. Keep the workspace open, and its loop free, while its operations run."
        )
