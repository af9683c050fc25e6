"""Every tool, by every client that has it: defined, echoed, used in polled and in streamed runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conformance.catalogue import PREVIEW, TOOL_DRIVERS, TOOLS, V1, V1_TOOLS, Driver
from tests.conformance.drivers import Drivers
from tests.conformance.ledger import Ledger
from tests.support.chromium import MISSING_CHROMIUM
from tests.support.jails import MISSING_BUBBLEWRAP

SPECS = Path(__file__).parents[3] / "shared" / "wire" / "spec"


@pytest.mark.parametrize(
    ("driver", "tool"),
    [
        pytest.param(driver, name, marks=pytest.mark.covers("tool", name, driver), id=f"{driver}-{name}")
        for driver in TOOL_DRIVERS
        for name in driver.tools
    ],
)
def test_tool(drivers: Drivers, ledger: Ledger, driver: Driver, tool: str) -> None:
    if tool == "browser_automation" and MISSING_CHROMIUM:
        pytest.skip(MISSING_CHROMIUM)
    if tool == "code_interpreter" and MISSING_BUBBLEWRAP:
        pytest.skip(MISSING_BUBBLEWRAP)
    drive = drivers.drive(driver, "tools")
    drive.fail_unless_passed("tool", tool)
    reasons = [reason for kind, name, reason in drive.findings if (kind, name) == ("not served", tool)]
    for reason in reasons:
        ledger.not_served("tool", tool, str(reason))
    assert reasons == []


@pytest.mark.parametrize(("version", "tools"), [(V1, V1_TOOLS), (PREVIEW, TOOLS)])
def test_the_list_of_tools_is_the_published_one(version: str, tools: tuple[str, ...]) -> None:
    path = SPECS / f"openapi-{version}.json"
    if not path.exists():
        pytest.skip("the spec is not at hand")
    schemas = json.loads(path.read_text())["components"]["schemas"]
    kinds = {
        part["properties"]["type"].get("const")
        for name, schema in schemas.items()
        if name.endswith("ToolDefinition")
        for part in (schema, *schema.get("allOf", []))
        if "type" in part.get("properties", {})
    }
    assert set(tools) == kinds - {None}
