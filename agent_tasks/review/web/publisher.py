"""Results written behind the page: a moment after the last decision, and when the page is closed."""

from __future__ import annotations

import asyncio
import contextlib

from agent_tasks.errors import AgentTasksError
from agent_tasks.journal import BatchRecord
from agent_tasks.logs import get_logger
from agent_tasks.review.desk import Desk
from agent_tasks.review.publishing import publish, publish_all

__all__ = ["Publisher"]

logger = get_logger("agent_tasks.review")

_PAUSE = 1.0  # seconds after the last decision; of several in a row the results are written once
_LATER = 10.0  # seconds until the next look at a batch with a run under way


class Publisher:
    """Writes the results of batches in which something was decided."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._changed: dict[str, BatchRecord] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, batch: BatchRecord) -> None:
        """Have the results of a batch written."""
        self._changed[batch.key] = batch
        self._wake.set()

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="review-publisher")

    async def close(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for problem in await publish_all(self._desk, list(self._changed.values())):
            logger.warning("%s", problem)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            while self._wake.is_set():
                self._wake.clear()
                await asyncio.sleep(_PAUSE)
            for batch in list(self._changed.values()):
                if await self._written(batch) and not self._wake.is_set():
                    self._changed.pop(batch.key, None)
            if self._changed:
                await asyncio.sleep(_LATER)
                self._wake.set()

    async def _written(self, batch: BatchRecord) -> bool:
        """Write the results of a batch; False: later, since a run is under way."""
        try:
            return await publish(self._desk, batch) is not None
        except AgentTasksError as error:
            logger.warning("The results of %s are written by its next run: %s", batch.pipeline, error)
            return True
