"""Answers lost after the effect, refusals and failures on every operation, streams broken at every event.

What the pipeline sends, and how many events its streams have, is read from an undisturbed run, so a new
operation is covered by itself. The short form takes a part of the cases, `make durability` all.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.wire import StreamEvent
from tests.durability.crash_pipeline import (
    CALLS,
    ONCE,
    REPEATABLE,
    executions,
    pipeline,
)
from tests.durability.crash_services import crash_services, findings, side_by_side
from tests.support.mcp_server import McpLedger
from tests.support.service import ThreadService

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
STEP = 1 if ALL else 9
"""Of how many cases one is taken."""
AT_ONCE = 4
"""Services; one case at a time on each, since faults are the service's."""
REFUSALS: dict[str, dict[str, Any]] = {
    "its answer lost": {"lose_answer": True},
    "429": {"status": 429, "retry_after": 0.3},
    "500": {"status": 500},
    "503": {"status": 503, "retry_after": 0.1},
}
POLLS = ("vector_stores.get",)
"""How often these are asked depends on the machine's speed: only the first is sure to be."""
STREAMS = ("runs.create_thread_and_run", "runs.create", "runs.submit_tool_outputs")


@dataclass
class Case:
    """One fault in one run of the pipeline."""

    name: str
    fault: dict[str, Any] | None
    outcome: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    acted: int = 0
    """How often the fault acted."""
    log: list[dict[str, Any]] = field(default_factory=list)


def carry_out(case: Case, running: ThreadService, folder: Path) -> Case:
    """Run the pipeline with the case's fault; each case has a document, and so marks, of its own."""
    folder.mkdir()
    faults = f"{running.origin}/_emulator/faults"
    before = len(running.requests())
    if case.fault is not None:
        httpx.put(faults, content=yaml.safe_dump({"rules": [{**case.fault, "count": 1}]})).raise_for_status()
    label = f"case{folder.name}x"
    told = asyncio.run(pipeline(running.endpoint, str(folder), label))
    case.outcome = {name: _without(value, label) for name, value in told.items()}
    if case.fault is not None:
        case.acted = sum(bool(row["fault"]) for row in running.requests()[before:])
        httpx.delete(faults).raise_for_status()
    case.runs = {name: executions(folder, name) for name in CALLS}
    case.log = running.requests()[before:]
    return case


def _without(value: Any, label: str) -> Any:
    if isinstance(value, str):
        return value.replace(label, "CASE")
    if isinstance(value, dict):
        return {_without(key, label): _without(one, label) for key, one in value.items()}
    return [_without(one, label) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ThreadService]]:
    folder = tmp_path_factory.mktemp("faulty")
    with crash_services(folder, (f"case{number}x" for number in range(400)), AT_ONCE) as started:
        yield started


def undisturbed(running: ThreadService, folder: Path) -> tuple[Case, list[int]]:
    """A calm run, and the number of events of each of its streams."""
    lengths: list[int] = []
    original = AgentsBackend._updates

    @asynccontextmanager
    async def counting(
        stream: AbstractAsyncContextManager[AsyncIterator[StreamEvent]],
    ) -> AsyncIterator[AsyncIterator[StreamEvent]]:
        number = len(lengths)
        lengths.append(0)

        async def counted_events(events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in events:
                lengths[number] += 1
                yield event

        async with stream as events:
            yield counted_events(events)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AgentsBackend, "_updates", lambda self, stream: original(self, counting(stream)))
        calm = carry_out(Case("undisturbed", None), running, folder)
    return calm, lengths


def cases(calm: Case, lengths: list[int]) -> list[Case]:
    """A case for each operation and refusal, and one for each event of each stream."""
    operations = Counter(row["operation"] for row in calm.log)
    found = [
        Case(
            f"{operation} {nth}: {how}",
            {"when": {"operation": operation, "nth": nth}, "then": then},
        )
        for operation, times in operations.items()
        for nth in range(1, min(times, 1 if operation in POLLS else 2) + 1)
        for how, then in REFUSALS.items()
    ]
    streams = [row["operation"] for row in calm.log if row["operation"] in STREAMS]
    assert len(streams) == len(lengths)
    for number, (operation, length) in enumerate(zip(streams, lengths, strict=True)):
        nth = streams[: number + 1].count(operation)
        found += [
            Case(
                f"{operation} {nth}: broken after {events} events",
                {
                    "when": {"operation": operation, "nth": nth},
                    "then": {"break_stream": {"after_events": events}},
                },
            )
            for events in range(length + 1)
        ]
    return found


@pytest.mark.timeout(600)
def test_a_fault_anywhere_changes_nothing(
    services: list[ThreadService], ledger: McpLedger, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    calm, lengths = undisturbed(services[0], tmp_path / "0")
    assert calm.runs == {REPEATABLE: 1, ONCE: 1}
    chosen = cases(calm, lengths)[::STEP]
    done = [
        case
        for _, case in side_by_side(
            services,
            lambda one, running: (one[0], carry_out(one[1], running, tmp_path / str(one[0]))),
            enumerate(chosen, start=1),
        )
    ]
    duplicates, wrong = findings(services, pytestconfig, tmp_path)

    assert [case.name for case in done if case.outcome != calm.outcome] == []
    assert [case.name for case in done if case.runs != {REPEATABLE: 1, ONCE: 1}] == []
    assert [case.name for case in done if case.acted != 1] == []
    assert duplicates == []
    assert wrong == {}
    assert set(ledger.written.values()) == {1}
    assert len(ledger.written) == len(done) + 1
