"""The part of docs/conformance.md about the successor's wire."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from tests.conformance.successor.catalogue import (
    CLIENTS,
    CONVENIENCES,
    DRIVERS,
    OPERATIONS,
    RECORDINGS,
    REFUSED_TOOLS,
    TOOLS,
)

if TYPE_CHECKING:
    from tests.conformance.ledger import Ledger

TITLE = "## The successor's wire"
INTRODUCTION = f"""\
{TITLE}

Agents with versions, conversations and responses. Each row is a check that was made with the official
clients named, each with its own packages alone, blocking and async (agent-framework has async only). Answers
are also checked against the classes of the openai client, agents and versions against the published schemas.
Four operations have no method in the clients, which send them as plain requests: `POST /agents`,
`POST /agents/{{id}}`, and the lists of conversations and of responses.
"""


def expected_of_successor() -> set[tuple[str, str, Hashable]]:
    """All checks that the page tells of."""
    expected: set[tuple[str, str, Hashable]] = {
        (f"responses {kind}", name, driver)
        for driver in DRIVERS
        for kind, names in (
            ("operation", driver.client.operations),
            ("tool", driver.client.tools),
            ("convenience", driver.client.conveniences),
        )
        for name in names
    }
    expected |= {("responses client", str(driver.client), driver) for driver in DRIVERS}
    return expected | {("responses recording", name, None) for name in RECORDINGS}


class SuccessorPart:
    """Renders what a ledger has of the successor's wire."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def lines(self) -> Iterator[str]:
        """The lines of the part."""
        yield from (INTRODUCTION, self._ledger.summary("responses"), "")
        yield from ("### Operations of the successor", "")
        yield from _head("operation", "request")
        for name, request in OPERATIONS.items():
            yield f"| `{name}` | `{request.replace('{}', '{id}')}` | {self._cells('operation', name)} |"
        yield from ("", "### Tools of the successor", "")
        yield "Each is defined, shown by the response as defined, and used in a response that is waited for"
        yield from ("and in one that is streamed.", "")
        yield from _head("tool")
        for name in TOOLS:
            yield f"| `{name}` | {self._cells('tool', name)} |"
        yield ""
        yield "Taken in definitions, but not carried out (a response then fails with `unsupported_tool`): "
        yield ", ".join(f"`{name}`" for name in REFUSED_TOOLS) + "."
        yield from ("", "### Above the operations of the successor", "")
        yield from _head("what")
        for name, text in CONVENIENCES.items():
            yield f"| {text} | {self._cells('convenience', name)} |"
        yield from ("", "### Recordings of the successor", "")
        yield "The requests, sent to the local service, get answers with the recorded keys, kinds and order"
        yield "of events."
        yield from ("", "| recording | local service |", "| --- | --- |")
        for name in RECORDINGS:
            yield f"| `{name}` | {self._recording(name)} |"
        yield ""

    def _cells(self, kind: str, name: str) -> str:
        outcomes = self._ledger.drivers(f"responses {kind}", name)
        cells = []
        for client in CLIENTS:
            its = [passed for driver, passed in outcomes.items() if getattr(driver, "client", None) == client]
            cells.append(("yes" if all(its) else "no") if its else "-")
        return " | ".join(cells)

    def _recording(self, name: str) -> str:
        return "yes" if self._ledger.conforms("responses recording", name) else "no"


def _head(*columns: str) -> tuple[str, str]:
    names = [*columns, *(str(client) for client in CLIENTS)]
    return f"| {' | '.join(names)} |", f"| {' | '.join('---' for _ in names)} |"
