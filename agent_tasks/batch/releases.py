"""What settled documents have left on the service: deleted some at a time, beside the work on others."""

from __future__ import annotations

import asyncio

from agent_tasks.batch.context import Batch
from agent_tasks.errors import JournalError

_RELEASED_TOGETHER = 20  # documents whose conversations are deleted together


class Releases:
    """The conversations of settled documents: some are deleted together, beside the work on others.

    Until then the ledger has them: a process that dies leaves them to the end of the next run, or the sweep.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._waiting: dict[str, str | None] = {}
        self._begun: list[asyncio.Task[None]] = []

    def add(self, owner: str, held: str | None) -> None:
        """Delete what is a document's, worked on under the lease `held`, with that of others."""
        self._waiting[owner] = held
        if len(self._waiting) >= _RELEASED_TOGETHER:
            self._begin()

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._begun.append(asyncio.create_task(self._batch.release_documents(waiting)))

    async def finish(self) -> None:
        """Delete what is left, and wait for all of it. Raises the reason why the whole batch stops."""
        if self._waiting:
            self._begin()
        try:
            await asyncio.gather(*self._begun)
        except JournalError as error:
            self._batch.breaker.stop(error)

    def cancel(self) -> None:
        """Give up what is under way; it stays in the ledger."""
        for task in self._begun:
            task.cancel()
