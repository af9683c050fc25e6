"""Counts what conforms, from the outcomes of the tests that say what they cover.

`@pytest.mark.covers("operation", "runs.create", driver)` names what a test is the check of. With
`--conformance` (see `make conformance`) docs/conformance.md is written and the counts end the output.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.drivers import Drivers
from tests.conformance.ledger import Ledger
from tests.conformance.successor.drivers import SuccessorDrivers

LEDGER = pytest.StashKey[Ledger]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--conformance`."""
    parser.addoption(
        "--conformance", action="store_true", help="write docs/conformance.md and end with what conforms"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start the ledger."""
    config.addinivalue_line("markers", "conformance_page: runs after all that the page tells of")
    config.addinivalue_line("markers", "covers(kind, name, driver=None): what the test is the check of")
    ledger = Ledger(ends_output=bool(config.getoption("--conformance", default=False)))
    config.stash[LEDGER] = ledger
    config.pluginmanager.register(ledger, "conformance-ledger")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the test of the page behind all that the page tells of."""
    page = [item for item in items if item.get_closest_marker("conformance_page")]
    items[:] = [item for item in items if item not in page]
    last = max((n for n, item in enumerate(items) if item.get_closest_marker("covers")), default=-1)
    items[last + 1 : last + 1] = page


@pytest.fixture(scope="session")
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Outcomes so far."""
    return request.config.stash[LEDGER]


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drivers]:
    """Everybody who is made to use the service; each is started when it is first asked about."""
    started = Drivers(tmp_path_factory.mktemp("conformance"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def successor(
    drivers: Drivers, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> SuccessorDrivers:
    """Official clients of the successor's wire; each is started when it is first asked about."""
    drives = bool(pytestconfig.getoption("--conformance", default=False))
    return SuccessorDrivers(tmp_path_factory.mktemp("successor"), drivers, drives=drives)
