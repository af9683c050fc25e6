"""The counts of the load test as the last line of a session (see `make queues`)."""

from __future__ import annotations

import pytest

from tests.queues.counts import SUMMARY


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the counts after pytest's own summary."""
    counts = config.stash.get(SUMMARY, None)
    if counts is not None:
        print(counts)
