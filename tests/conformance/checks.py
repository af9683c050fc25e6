"""What one driver found: a list of checks, each passed or failed with its reason."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

Finding = tuple[str, str, str | None]
"""Kind (`operation`, `tool`, `convenience`), name and what went wrong (None: nothing)."""


class Checks:
    """Collects the findings of a driver."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    @contextmanager
    def covered(self, kind: str, name: str) -> Iterator[None]:
        """What happens inside is the check of this name; a failure ends the scenario it is part of."""
        try:
            yield
        except Exception:
            self.findings.append((kind, name, traceback.format_exc(limit=-4)))
            raise
        self.findings.append((kind, name, None))

    async def play(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Go through a scenario; its failure is among the findings and leaves the other scenarios alone."""
        before = len(self.findings)
        try:
            await scenario()
        except Exception:
            if not any(error for _, _, error in self.findings[before:]):
                name = getattr(scenario, "__name__", str(scenario))
                self.findings.append(("scenario", name, traceback.format_exc(limit=-4)))


async def settled(value: Any) -> Any:
    """The value, awaited where an async client gave an awaitable: one scenario serves both styles."""
    return await value if inspect.isawaitable(value) else value


async def every(items: Any) -> list[Any]:
    """All items of an iterable of either style."""
    items = await settled(items)
    if hasattr(items, "__aiter__"):
        return [item async for item in items]
    return list(items)


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter a context manager of either style."""
    if hasattr(manager, "__aenter__"):
        async with manager as inside:
            yield inside
    else:
        with manager as inside:
            yield inside
