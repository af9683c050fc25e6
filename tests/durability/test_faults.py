"""Answers lost after the effect, refusals and failures on every operation, streams broken at every event.

What the pipeline sends, and how many events its streams have, is read from an undisturbed run, so a new
operation is covered by itself. The short form takes a part of the cases, `make durability` all.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.wire import StreamEvent
from tests.durability.crash_pipeline import ONCE, REPEATABLE
from tests.durability.crash_services import crash_services, findings, side_by_side
from tests.durability.faulty_cases import Case, broken, carry_out, refused
from tests.support.mcp_server import McpLedger
from tests.support.service import ThreadService

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
STEP = 1 if ALL else 9
"""Of how many cases one is taken."""
MOST = 400 if ALL else 50
"""Cases at most."""
AT_ONCE = 4
"""Services; one case at a time on each, since faults are the service's."""
REFUSALS: dict[str, dict[str, Any]] = {
    "its answer lost": {"lose_answer": True},
    "429": {"status": 429, "retry_after": 0.3},
    "500": {"status": 500},
    "503": {"status": 503, "retry_after": 0.1},
}
STREAMS = ("runs.create_thread_and_run", "runs.create", "runs.submit_tool_outputs")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ThreadService]]:
    folder = tmp_path_factory.mktemp("faulty")
    with crash_services(folder, (f"case{number}x" for number in range(MOST)), AT_ONCE) as started:
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
        calm = carry_out(Case("undisturbed"), running, folder)
    return calm, lengths


def cases(calm: Case, lengths: list[int]) -> list[Case]:
    """A case for each operation and refusal, and one for each event of each stream."""
    streams = [row["operation"] for row in calm.log if row["operation"] in STREAMS]
    return refused(calm.operations, REFUSALS) + broken(streams, lengths)


@pytest.mark.timeout(600)
def test_a_fault_anywhere_changes_nothing(
    services: list[ThreadService], ledger: McpLedger, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    calm, lengths = undisturbed(services[0], tmp_path / "0")
    assert calm.runs == {REPEATABLE: 1, ONCE: 1}
    chosen = cases(calm, lengths)[::STEP]
    assert len(chosen) < MOST
    done = [
        case
        for _, case in side_by_side(
            services,
            lambda one, running: (one[0], carry_out(one[1], running, tmp_path / str(one[0]))),
            enumerate(chosen, start=1),
        )
    ]
    duplicates, wrong = findings(services, pytestconfig, tmp_path)

    assert [f"{case.name}: {case.error}" for case in done if case.error is not None] == []
    assert [case.name for case in done if case.outcome != calm.outcome] == []
    assert [case.name for case in done if case.runs != {REPEATABLE: 1, ONCE: 1}] == []
    assert [case.name for case in done if case.acted != 1] == []
    assert [case.name for case in done if case.paid != calm.paid] == []
    assert duplicates == []
    assert wrong == {}
    assert set(ledger.written.values()) == {1}
    assert len(ledger.written) == len(done) + 1
