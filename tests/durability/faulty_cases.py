"""Cases of the crash pipeline in which requests go wrong: what its undisturbed run sends says which."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from agent_tasks.client.certificates import trusted_certificates
from agent_tasks.errors import AgentTasksError
from tests.durability.crash_pipeline import CALLS, executions, pipeline
from tests.support.service import ThreadService

Fault = dict[str, Any]
"""A rule of a plan of faults."""

POLLS = ("vector_stores.get",)
"""How often these are asked depends on the machine's speed: only the first is sure to be."""


@dataclass
class Case:
    """Faults in one run of the pipeline."""

    name: str
    faults: list[Fault] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)
    error: AgentTasksError | None = None
    """What it was left with; then it was run once more."""
    runs: dict[str, int] = field(default_factory=dict)
    acted: int = 0
    """How often a fault acted."""
    paid: int = 0
    """How often the model was asked."""
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def operations(self) -> Counter[str]:
        """What was asked of the service."""
        return Counter(row["operation"] for row in self.log)


def carry_out(case: Case, running: ThreadService, folder: Path) -> Case:
    """Run the pipeline with the case's faults; each case has a document, and so marks, of its own."""
    folder.mkdir()
    faults = f"{running.origin}/_emulator/faults"
    before, asked = len(running.requests()), len(running.generations())
    if case.faults:
        rules = [{"count": 1, **fault} for fault in case.faults]
        plan = yaml.safe_dump({"rules": rules})
        httpx.put(faults, content=plan, verify=trusted_certificates()).raise_for_status()
    label = f"case{folder.name}x"
    try:
        told = asyncio.run(pipeline(running.endpoint, str(folder), label))
    except AgentTasksError as error:
        case.error = error
        told = asyncio.run(pipeline(running.endpoint, str(folder), label))
    case.outcome = {name: _without(value, label) for name, value in told.items()}
    if case.faults:
        case.acted = sum(bool(row["fault"]) for row in running.requests()[before:])
        httpx.delete(faults, verify=trusted_certificates()).raise_for_status()
    case.runs = {name: executions(folder, name) for name in CALLS}
    case.paid = len(running.generations()) - asked
    case.log = running.requests()[before:]
    return case


def _without(value: Any, label: str) -> Any:
    if isinstance(value, str):
        return value.replace(label, "CASE")
    if isinstance(value, dict):
        return {_without(key, label): _without(one, label) for key, one in value.items()}
    return [_without(one, label) for one in value] if isinstance(value, list) else value


def fault(operation: str, then: Mapping[str, Any], nth: int = 1) -> Fault:
    """A rule for the nth request of an operation."""
    return {"when": {"operation": operation, "nth": nth}, "then": dict(then)}


def refused(operations: Counter[str], refusals: Mapping[str, Mapping[str, Any]]) -> list[Case]:
    """A case for each refusal of the first two requests of each operation."""
    return [
        Case(f"{operation} {nth}: {how}", [fault(operation, then, nth)])
        for operation, times in operations.items()
        for nth in range(1, min(times, 1 if operation in POLLS else 2) + 1)
        for how, then in refusals.items()
    ]


def broken(streams: Iterable[str], lengths: Iterable[int]) -> list[Case]:
    """A case for each event of each stream, after which it breaks off.

    Args:
        streams: the operations whose answers are streams, in their order.
        lengths: how many events each of them has.
    """
    seen: Counter[str] = Counter()
    found = []
    for operation, length in zip(streams, lengths, strict=True):
        seen[operation] += 1
        found += [
            Case(
                f"{operation} {seen[operation]}: broken after {events} events",
                [fault(operation, {"break_stream": {"after_events": events}}, seen[operation])],
            )
            for events in range(length + 1)
        ]
    return found
