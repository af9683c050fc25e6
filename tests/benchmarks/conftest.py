"""What benchmarks share: their marker, which `make test` leaves out, and a table of figures at the end."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

FIGURES = pytest.StashKey[list[str]]()
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all benchmarks, so that only `make bench` runs them."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.benchmark)
            item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures of all benchmarks."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture
def figure(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Add a line to the table of figures."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


async def alternate(
    rounds: int, first: Callable[[int], Awaitable[object]], second: Callable[[int], Awaitable[object]]
) -> tuple[float, float]:
    """Do two things in turns, so that a busy machine slows both alike.

    Args:
        rounds: how often each.
        first, second: what to do, given the number of the round.

    Returns:
        The median seconds of each.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for times, work in zip(taken, (first, second), strict=True):
            started = time.perf_counter()
            await work(number)
            times.append(time.perf_counter() - started)
    return statistics.median(taken[0]), statistics.median(taken[1])
