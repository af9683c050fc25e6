"""The counts of the kill suite as the last line of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.batch.conftest import bench
from tests.durability.counts import COUNTS
from tests.durability.crash_pipeline import MCP_URL
from tests.support.mcp_server import McpLedger, mcp_ledger

__all__ = ["bench"]


@pytest.fixture(scope="module")
def ledger() -> Iterator[McpLedger]:
    """The MCP server of the crash pipeline."""
    with mcp_ledger() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv(MCP_URL, running.url)
        yield running


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that has counted a duplicate or a leak, whatever its tests made of it."""
    counts = session.config.stash.get(COUNTS, None)
    if counts is not None and (counts.duplicates or counts.leaks):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the counts after pytest's own summary."""
    counts = config.stash.get(COUNTS, None)
    if counts is not None:
        print(counts)
