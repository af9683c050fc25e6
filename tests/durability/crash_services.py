"""Local services for the pipeline of crash_pipeline.py, and stories told on them side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import pytest

from agent_tasks.testing import ServiceLog
from tests.durability.counts import counted
from tests.durability.crash_pipeline import REPLY, rules
from tests.durability.effects import duplicate_effects, repeated_calls
from tests.support.service import ThreadService, start_in_thread, write_rules

T = TypeVar("T")


@contextmanager
def crash_services(folder: Path, cases: Iterable[str], number: int) -> Iterator[list[ThreadService]]:
    """So many services, each of which knows the rules of all cases."""
    told = {"rules": rules(*cases), "default": REPLY}
    started = []
    for place in range(number):
        here = folder / str(place)
        here.mkdir()
        started.append(start_in_thread(here / "data", write_rules(here, told)))
    yield started
    for running in started:
        running.stop()


def side_by_side(
    services: Sequence[ThreadService], work: Callable[[T, ThreadService], T], stories: Iterable[T]
) -> list[T]:
    """Each story on a service that it has for itself while it lasts; as many at a time as there are."""
    free: SimpleQueue[ThreadService] = SimpleQueue()
    for running in services:
        free.put(running)

    def one(story: T) -> T:
        running = free.get()
        try:
            return work(story, running)
        finally:
            free.put(running)

    with ThreadPoolExecutor(len(services)) as pool:
        return list(pool.map(one, stories))


def findings(
    services: Sequence[ThreadService], config: pytest.Config, folder: Path, *, tolerated: str | None = None
) -> tuple[list[object], dict[str, object]]:
    """What the services say in the end, counted for the session: duplicate effects, and all that is wrong.

    Args:
        services: where the stories were told.
        config: the session's.
        folder: in which the functions wrote down that they ran.
        tolerated: a finding of the verdict that the stories explain.
    """
    duplicates = [effect for running in services for effect in duplicate_effects(running.requests())]
    duplicates += repeated_calls(folder)
    verdicts = [ServiceLog(running.endpoint).verdict() for running in services]
    leaks = sum(verdict["left_over"]["count"] + verdict["active_runs"]["count"] for verdict in verdicts)
    counted(config).add(duplicates=len(duplicates), leaks=leaks)
    wrong = {
        name: found["details"]
        for verdict in verdicts
        for name, found in verdict.items()
        if isinstance(found, dict) and found["count"] and name != tolerated
    }
    return duplicates, wrong
