"""Every operation, tool and convenience of the successor's wire, by every official client that has it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agents_emulator.responses.operations import OPERATIONS as SERVED
from tests.conformance.successor.catalogue import DRIVERS, OPERATIONS, REFUSED_TOOLS, TOOLS, Driver
from tests.conformance.successor.drivers import SuccessorDrivers
from tests.emulator.responses.helpers import wire
from tests.support.answers import ANSWERS
from tests.support.chromium import MISSING_CHROMIUM
from tests.support.jails import MISSING_BUBBLEWRAP

SPEC = Path(__file__).parents[3] / "shared" / "wire" / "spec" / "openapi-foundry-agents-v2.json"
pytestmark = pytest.mark.timeout(400)


def _checks(kind: str) -> list[object]:
    return [
        pytest.param(
            driver, name, marks=pytest.mark.covers(f"responses {kind}", name, driver), id=f"{driver}-{name}"
        )
        for driver in DRIVERS
        for name in getattr(driver.client, {"convenience": "conveniences"}.get(kind, f"{kind}s"))
    ]


@pytest.mark.parametrize(("driver", "name"), _checks("operation"))
def test_operation(successor: SuccessorDrivers, driver: Driver, name: str) -> None:
    drive = successor.drive(driver, "operations")
    drive.fail_unless_passed("operation", name)
    assert (name, "") in drive.served


@pytest.mark.parametrize(("driver", "name"), _checks("convenience"))
def test_convenience(successor: SuccessorDrivers, driver: Driver, name: str) -> None:
    successor.drive(driver, "operations").fail_unless_passed("convenience", name)


@pytest.mark.parametrize(("driver", "name"), _checks("tool"))
def test_tool(successor: SuccessorDrivers, driver: Driver, name: str) -> None:
    if name.startswith("browser_automation") and MISSING_CHROMIUM:
        pytest.skip(MISSING_CHROMIUM)
    if name == "code_interpreter" and MISSING_BUBBLEWRAP:
        pytest.skip(MISSING_BUBBLEWRAP)
    successor.drive(driver, "tools").fail_unless_passed("tool", name)


@pytest.mark.parametrize(
    "driver",
    [
        pytest.param(
            driver, marks=pytest.mark.covers("responses client", str(driver.client), driver), id=str(driver)
        )
        for driver in DRIVERS
    ],
)
def test_nothing_at_all_failed(successor: SuccessorDrivers, driver: Driver) -> None:
    parts = ["operations", "tools"] if driver.client.tools else ["operations"]
    found = [finding for part in parts for finding in successor.drive(driver, part).findings]
    assert found
    assert [finding for finding in found if finding[2]] == []


def test_a_tool_that_is_not_carried_out_is_taken_and_fails_the_response(service: Any) -> None:
    with wire(service()) as api:
        for kind in REFUSED_TOOLS:
            reference = api.agent(f"has-{kind}".replace("_", "-"), tools=[{"type": kind, "name": "x"}])
            answer = api.respond(input="Hello", agent_reference=reference)
            assert (answer["status"], answer["error"]["code"]) == ("failed", "unsupported_tool"), kind
        ANSWERS.violations(longest=0)  # the definitions lack what the published ones require


def test_the_list_of_operations_is_the_services() -> None:
    served = {
        operation.name: f"{operation.method} {re.sub('{[^}]*}', '{}', operation.path)}"
        for operation in reversed(SERVED)  # below the endpoint of an agent the same ones once more
    }
    assert served == OPERATIONS


def test_the_list_of_tools_is_the_published_one() -> None:
    if not SPEC.exists():
        pytest.skip("the spec is not at hand")
    schemas = json.loads(SPEC.read_text(encoding="utf-8"))["components"]["schemas"]
    published = {*schemas["Tool"]["discriminator"]["mapping"], "toolbox_search_preview"}  # known, undescribed
    assert set(TOOLS) | set(REFUSED_TOOLS) == published
