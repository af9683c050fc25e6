"""A durable call that was not awaited: whoever takes it for its result is told so, in words."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine, Generator
from types import CoroutineType
from typing import Any, NoReturn, TypeVar

from agent_tasks.errors import ConfigurationError, NotAwaitedError

__all__ = ["Pending", "refuse_pending"]

T = TypeVar("T")


def refuse_pending(what: str, **given: object) -> None:
    """Raise NotAwaitedError for the first argument that is a call which was not awaited.

    Args:
        what: whose arguments they are.
        given: the arguments by name.
    """
    for name, value in given.items():
        if inspect.isawaitable(value):
            _close(value)
            raise NotAwaitedError(
                f"`{name}` of {what} is a call that was not awaited, and not its result. Write `await` "
                "before it; in a blocking flow use the blocking form (`ask_sync`).",
            )


def _close(value: object) -> None:
    """Say that it is known that it never runs: Python need not warn as well."""
    if isinstance(value, Coroutine):
        value.close()


class Pending(Coroutine[Any, Any, T]):
    """A call to be awaited, as a coroutine is, that says so where it is taken for its result.

    Args:
        coroutine: the call.
        call: what was called, such as `planner.ask(...)`.
        warned: what Python calls it where it warns that nobody awaited it; its own name if not given.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], call: str, *, warned: str | None = None) -> None:
        self._coroutine = coroutine
        self._call = call
        self._is_begun = False
        if warned is not None and isinstance(coroutine, CoroutineType):
            coroutine.__qualname__ = warned

    def __await__(self) -> Generator[Any, Any, T]:
        if self._is_begun:
            raise self._is_used_up()
        self._is_begun = True
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """As of a coroutine."""
        if value is None and inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CLOSED:
            raise self._is_used_up()
        self._is_begun = True
        return self._coroutine.send(value)

    def _is_used_up(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._call} is awaited for the second time. A call gives its result once: keep that, or call "
            "again (in one run the same question has the same answer, without cost)."
        )

    def throw(self, *error: Any) -> Any:
        """As of a coroutine."""
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """As of a coroutine."""
        self._coroutine.close()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name.startswith(("cr_", "gi_", "ag_")):
            raise AttributeError(name)
        raise NotAwaitedError(
            f"{self._call} was called without `await`, so there is no `{name}` yet: nothing was done. Write "
            f"`await {self._call}`; in a blocking flow use the blocking form (`ask_sync`)."
        )

    def __repr__(self) -> str:
        return f"<{self._call}, not awaited>"
