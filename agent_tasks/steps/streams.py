"""An answer as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from agent_tasks.errors import ConfigurationError
from agent_tasks.steps.answers import Answer
from agent_tasks.steps.session import OnText

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """The pieces of an answer as they are written, and then the answer.

    Whoever leaves the block before the end gives the turn up: it is cancelled on the service, or its answer
    kept where it is complete by then. An answer from the journal comes as one piece.

    The pieces are those of the first text alone. Where that does not fit the type of answers, so that it is
    repaired or another model asked, no pieces of theirs follow: `is_replaced` says so, and `answer` counts.

    Args:
        ask: asks, and calls what it is given with each piece.
        what: what is asked, for messages.
    """

    def __init__(self, ask: Callable[[OnText], Coroutine[Any, Any, Answer[T]]], what: str) -> None:
        self._ask = ask
        self._what = what
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._task: asyncio.Task[Answer[T]] | None = None
        self._told = False

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ConfigurationError(
                f"{self._what} was read before; a stream can be entered once. Its answer is in `answer`; to "
                "ask again, make another stream (in one run it has the same answer, without cost)."
            )
        loop = asyncio.get_running_loop()

        def tell(piece: str) -> None:  # the turn may be followed in another thread
            loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

        def end(_: object) -> None:
            loop.call_soon(self._pieces.put_nowait, None)  # behind the pieces that are on their way

        self._task = asyncio.create_task(self._ask(tell), name=self._what)
        self._task.add_done_callback(end)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # read or not, Python need not report it

    def __aiter__(self) -> AsyncIterator[str]:
        return self._texts()

    async def _texts(self) -> AsyncIterator[str]:
        if self._task is None:
            raise ConfigurationError(f"Open the stream of {self._what} first: `async with ... as stream`.")
        while (piece := await self._pieces.get()) is not None:
            self._told = True
            yield piece
        answer = await self._task  # raises what asking raised
        if not self._told:
            self._told = True
            yield answer.text

    @property
    def is_replaced(self) -> bool:
        """Whether the answer is another text than that of the pieces: repaired, or of another model.

        Raises: as `answer` does.
        """
        return len(self.answer.turns) > 1

    @property
    def answer(self) -> Answer[T]:
        """The answer, when all pieces have been read.

        Raises:
            ConfigurationError: they have not been.
            AgentTasksError: what asking raised.
        """
        if self._task is None or not self._task.done() or self._task.cancelled():
            raise ConfigurationError(
                f"The answer of {self._what} is not complete: read the stream to its end first."
            )
        return self._task.result()
