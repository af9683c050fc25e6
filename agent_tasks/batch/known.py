"""Which documents of a chunk are new: nothing else has to be looked up for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agent_tasks.batch.context import Batch

__all__ = ["KnownDocuments"]


class KnownDocuments:
    """Which documents of a chunk have a row, or a decision about one; looked up once for all of them.

    What is new stays so: others neither work on these documents, nor decide about one that has no row.
    """

    def __init__(self, batch: Batch, names: Sequence[str]) -> None:
        self._batch = batch
        self._names = names
        self._looking = asyncio.Lock()
        self._known: set[str] | None = None

    async def lack(self, name: str) -> bool:
        """Whether a document is new."""
        async with self._looking:
            if self._known is None:
                journal, scope = self._batch.ws.journal, self._batch.ws.scope
                self._known = await journal.documents.known(scope, self._batch.key, self._names)
        return name not in self._known
