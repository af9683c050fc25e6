"""docs/conformance.md, from the outcomes of a test run and the differences named in docs/local-service.md."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.conformance.catalogue import CONVENIENCES, OPERATIONS, RECORDINGS, TOOLS
from tests.conformance.ledger import Ledger
from tests.conformance.successor.page import SuccessorPart

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "conformance.md"
SERVICE_PAGE = REPOSITORY / "docs" / "local-service.md"
DIFFERENCES = Path(__file__).with_name("differences.yaml")
CLIENTS = {"ours": "our client", "1.1.0": "official 1.1.0", "1.2.0b6": "official 1.2.0b6"}

INTRODUCTION = """\
# Conformance

This page is written by `make conformance`; a test fails where it is out of date. First the classic wire, then
[the successor's](#the-successors-wire). Each row is a check that was
made with the clients named, blocking and async, over HTTP against the local service, whose answers are in
turn checked against the published schemas. The official clients are azure-ai-agents 1.1.0 (api-version `v1`)
and 1.2.0b6 (`2025-05-15-preview`); our client is checked with both api-versions.

`yes`: passes, blocking and async. `-`: the client does not have it. `in part`: the service takes it, but does
not carry it out; that does not count. What differs from the real service comes from the
[page of the local service](local-service.md#differences-from-the-real-service).
"""


def differences() -> dict[str, str]:
    """The local service's side of each row of its table of differences, by subject."""
    text = SERVICE_PAGE.read_text(encoding="utf-8").partition("## Differences from the real service")[2]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[2].replace("](#", "](local-service.md#") for row in rows[1:] if len(row) == 3}


class Page:
    """Renders a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._texts = differences()
        self._successor = SuccessorPart(ledger)
        self._subjects = yaml.safe_load(DIFFERENCES.read_text(encoding="utf-8"))

    def render(self) -> str:
        """The whole page."""
        clients = " | ".join(CLIENTS.values())
        lines = [
            *(INTRODUCTION, self._ledger.summary("classic"), ""),
            *("## Operations", ""),
            f"| operation | request | {clients} | local service | what differs |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(
                f"| `{name}` | `{request.replace('{}', '{id}')}` | {self._row('operation', name)} |"
                for name, request in OPERATIONS.items()
            ),
            *("", "## Tools", ""),
            "Each is defined by the client's own class, comes back from the service as defined, and is used",
            "in a run that is polled and in one that is streamed to an event handler.",
            "",
            f"| tool | {clients} | local service | what differs |",
            "| --- | --- | --- | --- | --- | --- |",
            *(f"| `{name}` | {self._row('tool', name)} |" for name in TOOLS),
            *("", "## Above the operations", ""),
            f"| what | {clients} |",
            "| --- | --- | --- | --- |",
            *(
                f"| {text} | {' | '.join(self._cells('convenience', name))} |"
                for name, text in CONVENIENCES.items()
            ),
            *("", "## Recordings", ""),
            "Traffic of the real service: its bodies pass through our models unchanged, and its requests,",
            "sent to the local service, get answers with the same keys, types and order of events.",
            "",
            "| recording | our models | local service | what differs |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{name}` | {self._passes('recording', name)} | {self._service('recording', name)} "
                f"| {self._differs('recording', name)} |"
                for name in RECORDINGS
            ),
            "",
            *self._successor.lines(),
        ]
        return "\n".join(lines)

    def _row(self, kind: str, name: str) -> str:
        return " | ".join([*self._cells(kind, name), self._service(kind, name), self._differs(kind, name)])

    def _cells(self, kind: str, name: str) -> list[str]:
        outcomes = self._ledger.drivers(kind, name)
        cells = []
        for client in CLIENTS:
            its = [passed for driver, passed in outcomes.items() if driver and driver.client == client]
            cells.append(("yes" if all(its) else "no") if its else "-")
        return cells

    def _passes(self, kind: str, name: str) -> str:
        return "yes" if all(self._ledger.drivers(kind, name).values()) else "no"

    def _service(self, kind: str, name: str) -> str:
        if self._ledger.conforms(kind, name):
            return "yes"
        return "no" if self._ledger.reason(kind, name) is None else "in part"

    def _differs(self, kind: str, name: str) -> str:
        subjects = (self._subjects[kind] or {}).get(name, [])
        return "; ".join(f"{subject}: {self._texts[subject]}" for subject in subjects)
