"""docs/conformance.md says what the tests found."""

from __future__ import annotations

import pytest
import yaml

from tests.conformance.catalogue import DRIVERS, OPERATIONS, RECORDINGS, TOOL_DRIVERS, TOOLS
from tests.conformance.ledger import Ledger
from tests.conformance.page import DIFFERENCES, PAGE, Page, differences
from tests.conformance.successor.page import TITLE, expected_of_successor


def test_the_differences_are_those_of_the_services_page() -> None:
    named = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))
    known = {"operation": set(OPERATIONS), "tool": set(TOOLS), "recording": set(RECORDINGS)}
    for kind, names in named.items():
        assert set(names) <= known[kind]
        for subjects in names.values():
            assert set(subjects) <= set(differences())


@pytest.mark.conformance_page
def test_the_page_is_up_to_date(ledger: Ledger, pytestconfig: pytest.Config) -> None:
    writes = bool(pytestconfig.getoption("--conformance", default=False))
    expected = {("operation", name, driver) for driver in DRIVERS for name in driver.operations}
    expected |= {("tool", name, driver) for driver in TOOL_DRIVERS for name in driver.tools}
    expected |= {("recording", name, None) for name in RECORDINGS}
    missing = expected - ledger.checked
    of_successor = expected_of_successor() - ledger.checked
    if missing or (of_successor and writes):
        missing |= of_successor
        why = "; ".join(sorted({ledger.skipped[check] for check in missing if check in ledger.skipped}))
        reason = why or "not asked for"
        text = f"the page tells of all checks, and {len(missing)} of them were not made ({reason})"
        if why and writes:
            pytest.fail(f"{text}: docs/conformance.md was left as it is", pytrace=False)
        pytest.skip(text)
    page = Page(ledger).render()
    if writes:
        PAGE.write_text(page, encoding="utf-8")
    written = PAGE.read_text(encoding="utf-8")
    if of_successor:
        # Its clients drive in `make conformance` alone; the part about the classic wire can be told.
        page, written = (text.partition(TITLE)[0] for text in (page, written))
    assert written == page, "run `make conformance`, which writes the page"
