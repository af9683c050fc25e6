"""An event loop in a thread of its own, for callers that have none, or another one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Portal", "portal"]

T = TypeVar("T")

_END_SECONDS = 10.0
"""How long a blocking caller that is interrupted waits for what it called to end: a turn is cancelled."""


class Portal:
    """The loop and its thread, which never keeps the process from ending."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.process = os.getpid()
        self._thread = threading.Thread(target=self._serve, name="agent-tasks-portal", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Have something done there, in the context (`contextvars`) of the caller."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done there, and wait for it. It is cancelled where the wait is interrupted."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            if not future.done():
                future.cancel()
                concurrent.futures.wait([future], _END_SECONDS)
            raise


_made: list[Portal] = []
_making = threading.Lock()


def portal() -> Portal:
    """The portal of this process, started when it is first needed; a forked process has its own."""
    with _making:
        if not _made or _made[0].process != os.getpid():
            _made[:] = [Portal()]
        return _made[0]
