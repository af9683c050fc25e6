"""Lines of figures after pytest's own summary: `make documents` prints them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

import pytest

DOCUMENT_LINES = "AGENT_TASKS_DOCUMENT_LINES"
"""Set by `make documents`: the lines are printed."""

LINES = pytest.StashKey[set[tuple[int, str]]]()

FORMATS, CONSTRUCTS, GROUNDING = 10, 20, 90
"""Where a line stands among the others: lower numbers come first."""


class Tell(Protocol):
    """Adds a line to those that are printed."""

    def __call__(self, line: str, *, order: int) -> None: ...


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Print a line of figures at the end, in its place (also from another process of pytest-xdist)."""

    def add(line: str, *, order: int) -> None:
        record_property("document line", f"{order:03} {line}")

    return add


class _Collector:
    """Takes the lines from the reports of tests, here or in other processes."""

    def __init__(self, lines: set[tuple[int, str]]) -> None:
        self._lines = lines

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "document line" and isinstance(value, str):
                self._lines.add((int(value[:3]), value[4:]))


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect."""
    config.stash[LINES] = set()
    config.pluginmanager.register(_Collector(config.stash[LINES]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the lines, where they were asked for."""
    lines = config.stash.get(LINES, None)
    if lines and os.environ.get(DOCUMENT_LINES) and not hasattr(config, "workerinput"):
        print(*(line for _, line in sorted(lines)), sep="\n")
