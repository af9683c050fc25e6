# Made from _async/tries.py by `make generate`: change that one.
"""The tries of one call: the first as it is, further ones as its policy has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from tenacity import AttemptManager, Retrying

__all__ = ["Tries"]


class Tries(Iterator["FirstTry | AttemptManager"]):
    """`for attempt in Tries(...): with attempt: return ...`, as tenacity has it.

    Most calls are tried once, and what counts tries takes as long as sending does: it begins when the first
    one has failed.

    Args:
        retrying: makes what counts, waits and gives up.
    """

    def __init__(self, retrying: Callable[[], Retrying]) -> None:
        self._retrying = retrying
        self._first: FirstTry | None = None
        self._further: Iterator[AttemptManager] | None = None

    @property
    def is_first(self) -> bool:
        """Whether no try has failed yet."""
        return self._further is None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FirstTry | AttemptManager:
        if self._first is None:
            self._first = FirstTry()
            return self._first
        if self._further is None:
            self._further = iter(self._retrying())
            first = next(self._further)
            first.retry_state.start_time = self._first.begun
            with first:
                raise self._first.error
        return next(self._further)


class FirstTry:
    """Keeps what its block raises."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.error: Exception = AssertionError("the first try has not failed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self.error = error
            return True
        return False
