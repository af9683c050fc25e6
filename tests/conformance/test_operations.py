"""Every operation, by every client that has it, blocking and async; and what clients offer above them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance.catalogue import (
    CONVENIENCES,
    DRIVERS,
    OPERATIONS,
    PREVIEW,
    PREVIEW_OPERATIONS,
    V1,
    Driver,
)
from tests.conformance.drivers import Drivers

SPECS = Path(__file__).parents[3] / "shared" / "wire" / "spec"


@pytest.mark.parametrize(
    ("driver", "operation"),
    [
        pytest.param(driver, name, marks=pytest.mark.covers("operation", name, driver), id=f"{driver}-{name}")
        for driver in DRIVERS
        for name in driver.operations
    ],
)
def test_operation(drivers: Drivers, driver: Driver, operation: str) -> None:
    drive = drivers.drive(driver, "operations")
    drive.fail_unless_passed("operation", operation)
    assert (operation, driver.api_version) in drive.served


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        pytest.param(
            driver, name, marks=pytest.mark.covers("convenience", name, driver), id=f"{driver}-{name}"
        )
        for driver in DRIVERS
        for name in CONVENIENCES
    ],
)
def test_convenience(drivers: Drivers, driver: Driver, name: str) -> None:
    drivers.drive(driver, "operations").fail_unless_passed("convenience", name)


@pytest.mark.parametrize("driver", DRIVERS, ids=str)
def test_nothing_else_failed(drivers: Drivers, driver: Driver) -> None:
    found = drivers.drive(driver, "operations").findings
    assert [finding for finding in found if finding[0] == "scenario" and finding[2]] == []


@pytest.mark.parametrize("version", [V1, PREVIEW])
def test_the_list_of_operations_is_the_published_one(version: str) -> None:
    path = SPECS / f"openapi-{version}.json"
    if not path.exists():
        pytest.skip("the spec is not at hand")
    published = {
        f"{method.upper()} {re.sub('{[^}]*}', '{}', where)}"
        for where, methods in json.loads(path.read_text())["paths"].items()
        for method in methods
        if method in ("get", "post", "delete")
    }
    ours = {line for name, line in OPERATIONS.items() if version == PREVIEW or name not in PREVIEW_OPERATIONS}
    assert ours == published
