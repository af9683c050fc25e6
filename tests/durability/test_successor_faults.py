"""The same on the successor's wire: every operation of it, with agents and inline, and those that only a
recovery sends, which are found out by causing one.

The short form takes a part of the cases, `make durability` all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agent_tasks.client import AsyncResponsesClient
from agent_tasks.errors import RunExpiredError
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, release_owner, run_turn
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.settings import ServiceKind
from agent_tasks.testing import ServiceLog
from tests.conftest import ServiceFactory
from tests.durability.crash_pipeline import ONCE, REPEATABLE, SERVICE
from tests.durability.crash_services import crash_services, findings, side_by_side
from tests.durability.faulty_cases import Case, broken, carry_out, fault, refused
from tests.support.mcp_server import McpLedger
from tests.support.service import ThreadService

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
STEP = 1 if ALL else 41
"""Of how many cases one is taken."""
MOST = 700 if ALL else 30
"""Cases at most; the last ones are those that cause recoveries."""
AT_ONCE = 4
"""Services; one case at a time on each, since faults are the service's."""
REFUSALS: dict[str, dict[str, Any]] = {
    "its answer lost": {"lose_answer": True},
    "408 while the work goes on": {"gateway_timeout": 0.2},
    "429": {"status": 429, "retry_after": 0.3},
    "500": {"status": 500},
    "500 after the effect": {"status": 500, "after_effect": True},
    "503": {"status": 503, "retry_after": 0.1},
}
WITH_EFFECT = ("its answer lost", "408 while the work goes on", "500 after the effect")
STREAM = "responses.create"
LOST = {"lose_answer": True}
CAUSES = {
    "a stream that broke": fault(STREAM, {"break_stream": {"after_events": 3}}),
    "a lost first round": fault(STREAM, LOST),
    "a lost second round": fault(STREAM, LOST, 2),
    "a lost turn in a conversation": fault(STREAM, LOST, 4),
    "a lost decision": fault(STREAM, LOST, 6),
    "a lost conversation": fault("conversations.create", LOST),
    "a lost agent": fault("agent_versions.create", LOST),
    "a lost upload": fault("files.upload", LOST),
    "a lost store": fault("vector_stores.create", LOST),
    "lost files of a store": fault("file_batches.create", LOST),
}
"""What makes a pipeline look up what became of a request."""


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ThreadService]]:
    folder = tmp_path_factory.mktemp("faulty")
    with crash_services(folder, (f"case{number}x" for number in range(MOST)), AT_ONCE) as started:
        yield started


def undisturbed(running: ThreadService, folder: Path) -> tuple[Case, list[int]]:
    """A calm run, and the number of events of each of its streams."""
    lengths: list[int] = []
    original = AsyncResponsesClient.stream

    @asynccontextmanager
    async def counting(stream: AbstractAsyncContextManager[Any]) -> AsyncIterator[AsyncIterator[Any]]:
        number = len(lengths)
        lengths.append(0)

        async def counted_events(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
            async for event in events:
                lengths[number] += 1
                yield event

        async with stream as events:
            yield counted_events(events)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncResponsesClient, "stream", lambda *args, **more: counting(original(*args, **more)))
        calm = carry_out(Case("undisturbed"), running, folder)
    return calm, lengths


def recoveries(running: ThreadService, folder: Path, calm: Case) -> list[Case]:
    """A case for each refusal of what only a recovery asks."""
    found = []
    for number, (cause, first) in enumerate(CAUSES.items()):
        if first["when"]["operation"] not in calm.operations:
            continue
        one = carry_out(Case(cause, [first]), running, folder / f"{MOST - 1 - number}")
        assert (one.acted, one.outcome) == (1, calm.outcome), cause
        for operation in (one.operations - calm.operations).keys() - {first["when"]["operation"]}:
            nth = calm.operations[operation] + 1 if operation not in ("vector_stores.get",) else 1
            found += [
                Case(f"{cause}, then {operation} {nth}: {how}", [first, fault(operation, then, nth)])
                for how, then in REFUSALS.items()
            ]
    return found


def _acted(case: Case) -> bool:
    """Whether all faults did; a response that has ended when it is looked up is not asked for by its id."""
    wanted = {len(case.faults)}
    if len(case.faults) > 1 and case.faults[1]["when"]["operation"] == "responses.get":
        wanted.add(1)
    return case.acted in wanted


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kind", ["responses", "inline"] if ALL else ["responses"])
def test_a_fault_anywhere_changes_nothing(
    services: list[ThreadService],
    ledger: McpLedger,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv(SERVICE, kind)
    ledger.written.clear()
    calm, lengths = undisturbed(services[0], tmp_path / "0")
    assert calm.runs == {REPEATABLE: 1, ONCE: 1}
    streams = [row["operation"] for row in calm.log if row["operation"] == STREAM]
    found = refused(calm.operations, REFUSALS) + broken(streams, lengths)
    found += recoveries(services[0], tmp_path, calm) if ALL else []
    chosen = found[::STEP]
    assert len(chosen) < MOST - len(CAUSES)
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
    assert [case.name for case in done if not _acted(case)] == []
    assert [case.name for case in done if case.paid != calm.paid] == []
    assert duplicates == []
    assert wrong == {}
    assert set(ledger.written.values()) == {1}


SLOW = {"rules": [{"when": {"message": "^Slow"}, "reply": {"text": "At last."}, "delay": 60}]}
CANCELS = [(kind, how) for kind in (ServiceKind.RESPONSES, ServiceKind.INLINE) for how in REFUSALS]


@pytest.mark.parametrize(("kind", "how"), CANCELS if ALL else CANCELS[:1])
async def test_a_turn_that_is_given_up_is_over_whatever_becomes_of_the_request(
    service: ServiceFactory, tmp_path: Path, kind: ServiceKind, how: str
) -> None:
    running = service(rules=SLOW)
    endpoint = running.endpoint if kind is ServiceKind.RESPONSES else f"{running.endpoint}/openai/v1"
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with Workspace.open(endpoint, None, journal, service=kind) as ws:
        spec = AgentSpec(name="clerk", model="scripted", instructions="Work.")
        agent = await ensure_agent(ws, spec, owner="doc")
        plan = {"rules": [{**fault("responses.cancel", REFUSALS[how]), "count": 1}]}
        faults = f"{running.origin}/_emulator/faults"
        (await asyncio.to_thread(httpx.put, faults, content=yaml.safe_dump(plan))).raise_for_status()
        turn = TurnSpec(step="slow", agent=agent, prompt="Slow", owner="doc", deadline=1.0)
        with pytest.raises(RunExpiredError, match="Raise the deadline"):
            await run_turn(ws, turn)
        await cancel_owner(ws, "doc")  # what could not be cancelled then
        await release_owner(ws, "doc")
    cancels = running.requests("responses.cancel")
    assert [row["fault"] for row in cancels].count(None) >= (0 if how in WITH_EFFECT else 1), cancels
    assert sum(bool(row["fault"]) for row in cancels) == 1
    assert len(running.requests("responses.create")) == 1
    verdict = ServiceLog(running.endpoint).verdict()
    assert verdict["active_runs"]["count"] == verdict["left_over"]["count"] == 0, verdict
