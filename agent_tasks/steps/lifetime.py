"""How long a session lasts: what is done in it, and that nothing is begun in it when its block has ended."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agent_tasks.errors import ConfigurationError
from agent_tasks.logs import get_logger

__all__ = ["END_SECONDS", "Lifetime"]

T = TypeVar("T")

logger = get_logger("agent_tasks.steps")

END_SECONDS = 20.0
"""How long the end of a session waits for what is cancelled then: its turns are given up on the service."""


class Lifetime:
    """Of a session and all its children, in every thread and event loop of this process.

    Args:
        whose: the owner in its run, for errors.
    """

    def __init__(self, whose: str) -> None:
        self._whose = whose
        self._is_over = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuse to begin anything when it is over.

        Raises:
            ConfigurationError: it is.
        """
        if self._is_over:
            raise self._ended("nothing was asked")

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that is cancelled when the session ends.

        Raises:
            ConfigurationError: it has ended, before this or meanwhile.
        """
        task = asyncio.ensure_future(_awaited(work))
        with self._lock:
            if not self._is_over:
                self._under_way.add(task)
        try:
            if task not in self._under_way:
                task.cancel()
            return await task
        except asyncio.CancelledError as error:
            caller = asyncio.current_task()
            if self._is_over and task.cancelled() and not (caller and caller.cancelling()):
                raise self._ended("what was being asked is cancelled") from None
            # Anew: where in the client it waited would be pages of a traceback for whoever pressed Ctrl-C.
            raise asyncio.CancelledError(*error.args) from None
        finally:
            with self._lock:
                self._under_way.discard(task)

    async def end(self) -> None:
        """Let nothing begin any more, cancel what is under way, and wait for its end, for a while."""
        with self._lock:
            self._is_over = True
            under_way = list(self._under_way)
        if not under_way:
            return
        logger.info("%d question(s) of %s are cancelled: its block ends", len(under_way), self._whose)
        ends = [asyncio.wrap_future(_cancelled(task)) for task in under_way]
        _, late = await asyncio.wait(ends, timeout=END_SECONDS)
        if late:
            logger.warning(
                "%d question(s) of %s did not end within %g s after they were cancelled; what they made is "
                "deleted by the sweep",
                len(late),
                self._whose,
                END_SECONDS,
            )

    def _ended(self, so: str) -> ConfigurationError:
        return ConfigurationError(
            f"This session has ended (owner {self._whose}): {so}. Ask inside of its block, and wait for all "
            "tasks that ask before it ends; or open another session. With the same owner and run it has the "
            "answers of this one.",
            setting="session",
        )


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _cancelled(task: asyncio.Task[Any]) -> concurrent.futures.Future[None]:
    """Cancel a task, which may be of another event loop; the future is done when the task is."""
    ended: concurrent.futures.Future[None] = concurrent.futures.Future()

    def cancel() -> None:
        task.add_done_callback(lambda _: ended.set_result(None))
        task.cancel()

    try:
        task.get_loop().call_soon_threadsafe(cancel)
    except RuntimeError:  # its loop is closed: it will never go on
        ended.set_result(None)
    return ended
