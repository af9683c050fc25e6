"""What benchmarks share: their marker, which `make test` leaves out, and a table of figures at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.figures import Figures
from tests.journal.conftest import BACKENDS, new_journal

FIGURES = pytest.StashKey[list[str]]()
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all benchmarks, so that only `make bench` runs them."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.benchmark)
            item.add_marker(pytest.mark.timeout(600))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures of all benchmarks."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of journal."""
    return str(request.param)


@pytest.fixture
async def journal_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A new journal of this kind."""
    return await new_journal(database, tmp_path, request)


@pytest.fixture
def figures(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Figures:
    """Add a line to the table of figures."""
    lines = pytestconfig.stash.setdefault(FIGURES, [])
    of_journal = "database" in request.fixturenames
    return Figures(lines, str(request.getfixturevalue("database")) if of_journal else "")
