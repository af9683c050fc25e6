"""The ledger of a test run: what was checked, by which driver, and how it went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

import pytest

from tests.conformance import catalogue
from tests.conformance.successor import catalogue as successor

EXAMPLES = "tests/examples/"
SUCCESSOR = "responses "
"""Before the kinds of what is checked on the successor's wire."""
COUNTED: dict[str, list[tuple[str, str, Iterable[str]]]] = {
    "classic": [
        ("operations", "operation", catalogue.OPERATIONS),
        ("tools", "tool", catalogue.TOOLS),
        ("recordings", "recording", catalogue.RECORDINGS),
    ],
    "responses": [
        ("operations", f"{SUCCESSOR}operation", successor.OPERATIONS),
        ("tools", f"{SUCCESSOR}tool", successor.TOOLS),
        ("recordings", f"{SUCCESSOR}recording", successor.RECORDINGS),
        ("official clients", f"{SUCCESSOR}client", [str(client) for client in successor.CLIENTS]),
    ],
}
"""What the counts are of, wire by wire: a title, a kind of check and the names of it."""


class Ledger:
    """Collects the outcomes of tests that carry the marker `covers`, and of the guide's examples."""

    def __init__(self, *, ends_output: bool = False) -> None:
        self._ends_output = ends_output
        self._outcomes: dict[tuple[str, str], dict[Hashable, bool]] = defaultdict(dict)
        self._partial: dict[tuple[str, str], str] = {}
        self.skipped: dict[tuple[str, str, Hashable], str] = {}
        """Why a check was not made."""
        self._examples: dict[str, bool] = {}
        self._collected = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the examples that are to pass."""
        self._collected = sum(_is_example(item.nodeid) for item in session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Note the outcome of a phase: what fails or is skipped in any of them does not conform."""
        report: pytest.TestReport = yield
        passed = report.outcome == "passed"
        if _is_example(item.nodeid):
            self._examples[item.nodeid] = passed and self._examples.get(item.nodeid, True)
        for marker in item.iter_markers("covers"):
            kind, name, driver = (*marker.args, None)[:3]
            if report.outcome == "skipped":
                self.skipped[kind, name, driver] = _reason(report)
            outcomes = self._outcomes[kind, name]
            outcomes[driver] = passed and outcomes.get(driver, True)
        return report

    def not_served(self, kind: str, name: str, reason: str) -> None:
        """Note that the local service takes something, but does not carry it out."""
        self._partial[kind, name] = reason

    def reason(self, kind: str, name: str) -> str | None:
        """Why the local service does not carry something out; None if it does."""
        return self._partial.get((kind, name))

    def drivers(self, kind: str, name: str) -> dict[Hashable, bool]:
        """Who was made to check this, and whether it passed."""
        return dict(self._outcomes.get((kind, name), {}))

    def conforms(self, kind: str, name: str) -> bool:
        """Whether everybody who checked this passed, and the local service does it in full."""
        outcomes = self._outcomes.get((kind, name), {})
        return bool(outcomes) and all(outcomes.values()) and (kind, name) not in self._partial

    @property
    def checked(self) -> set[tuple[str, str, Hashable]]:
        """Everything that was checked and not skipped, by whom."""
        return {
            (kind, name, driver) for (kind, name), its in self._outcomes.items() for driver in its
        } - self.skipped.keys()

    def summary(self, wire: str) -> str:
        """The counts of a wire: what conforms, of what there is."""
        counts = [
            f"{title} {sum(self.conforms(kind, name) for name in names)}/{len(list(names))}"
            for title, kind, names in COUNTED[wire]
        ]
        return f"{wire}: {', '.join(counts)}"

    def pytest_unconfigure(self) -> None:
        """End the output with the counts."""
        if self._ends_output:
            print(f"examples: {sum(self._examples.values())}/{self._collected}")
            print(" · ".join(map(self.summary, COUNTED)))


def _is_example(nodeid: str) -> bool:
    return nodeid.startswith(EXAMPLES) and "guide" in nodeid


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    where = report.longrepr
    return where[2].removeprefix("Skipped: ") if isinstance(where, tuple) else str(where)
