"""The gate of a claim: what is done for an operation or a name is done only while that is this worker's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.client import AgentsClient, AsyncAgentsClient, current_gate
from agent_tasks.errors import JournalUnreadableError, LeaseLostError
from agent_tasks.journal import Journal, LeaseKind, NewLease, held
from agent_tasks.operations import (
    AgentSpec,
    TurnSpec,
    Workspace,
    ensure_agent,
    exclusive,
    release_owner,
    run_turn,
    upload_file,
)
from agent_tasks.operations.cleanup import name_lease
from agent_tasks.tools import ToolSet, function_tool
from tests.conftest import ServiceFactory
from tests.journal.conftest import Clock
from tests.support.service import RunningService

Open = Callable[[], AbstractAsyncContextManager[Workspace]]
LEASE = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    calls = {"tool_calls": [{"name": "book", "arguments": {"name": "Oak"}}]}
    return service(
        rules={
            "rules": [{"when": {"message": "book", "tool_results": False}, "reply": calls}],
            "default": {"reply": {"text": "Done."}},
        }
    )


@pytest.fixture
def worker(running: RunningService, tmp_path: Path, clock: Clock) -> Open:
    """Workers on one journal and one clock, without heartbeats."""

    @asynccontextmanager
    async def open_() -> AsyncIterator[Workspace]:
        url = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
        async with (
            AsyncAgentsClient(running.endpoint, None) as client,
            Journal(url, lease_seconds=LEASE, clock=clock) as journal,
        ):
            yield Workspace(AgentsBackend(client), journal, scope="test")

    return open_


def count_looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that the journal is asked for."""
    looks: list[str] = []
    prolong = held.Held._prolong

    async def counted(self: held.Held, scope: str, keys: list[str]) -> int:
        looks.extend(keys)
        return await prolong(self, scope, keys)

    monkeypatch.setattr(held.Held, "_prolong", counted)
    return looks


async def test_within_the_lease_nothing_is_asked(worker: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async with worker() as ws:
        looks = count_looks(monkeypatch)
        async with exclusive(ws, "batch"):
            await upload_file(ws, b"hello", "a.txt", owner="batch")
            await release_owner(ws, "batch")
    assert looks == []


async def test_a_lease_that_ran_out_and_that_nobody_took_is_prolonged(
    worker: Open, clock: Clock, running: RunningService
) -> None:
    async with worker() as ws, exclusive(ws, "batch"):
        clock.now += 10 * LEASE
        await upload_file(ws, b"hello", "a.txt", owner="batch")
    assert len(running.requests("files.upload")) == 1


async def test_nothing_is_begun_or_deleted_for_a_name_that_another_worker_has_taken(
    worker: Open, clock: Clock, running: RunningService
) -> None:
    async with worker() as one, worker() as two:
        await upload_file(one, b"hello", "a.txt", owner="batch")
        turn = TurnSpec(step="s", agent=await _clerk(two), prompt="p", owner="batch")

        async def late() -> None:
            async with exclusive(one, "batch"):
                clock.now += 2 * LEASE
                await _take(two, name_lease("batch"))
                for attempt in (
                    release_owner(one, "batch"),
                    upload_file(one, b"more", "b.txt", owner="batch"),
                    run_turn(one, turn),
                ):
                    with pytest.raises(LeaseLostError, match="nothing is sent"):
                        await attempt

        with pytest.raises(LeaseLostError):
            await late()
        assert await two.journal.operations.unsettled("test") == []
        assert [lease.owner for lease in await two.journal.leases.of("test")] == ["batch"]
    assert len(running.requests("files.upload")) == 1
    assert running.requests("files.delete") == running.requests("runs.create_thread_and_run") == []


async def test_a_function_is_not_called_for_a_name_that_another_worker_has_taken(
    worker: Open, clock: Clock
) -> None:
    called: list[str] = []
    taken = asyncio.Event()
    document = NewLease("the document", LeaseKind.DOCUMENT, "batch", "a.txt")

    @function_tool
    async def book(name: str) -> str:
        """Book something, which must not be done twice."""
        called.append(name)
        return "booked"

    async with worker() as one, worker() as two:
        begin = one.journal.calls.begin

        async def taken_over(*args: Any) -> Any:
            begun = await begin(*args)
            clock.now += 2 * LEASE
            await _take(two, document)
            taken.set()
            return begun

        one.journal.calls.begin = taken_over  # type: ignore[method-assign]
        assert await one.journal.leases.take("test", [document]) == {"the document"}
        clerk = await _clerk(one, [*ToolSet([book]).definitions])
        with one.guarded_by_lease("the document"), pytest.raises(LeaseLostError):
            await run_turn(
                one, TurnSpec(step="s", agent=clerk, prompt="book", owner="x"), tools=ToolSet([book])
            )
    assert taken.is_set()
    assert called == []


async def test_what_is_left_unsettled_is_free_for_others_at_once(worker: Open) -> None:
    async with worker() as one, worker() as two:
        with pytest.raises(ZeroDivisionError):
            async with one.hold("key", "turn", {"owner": "batch"}):
                raise ZeroDivisionError
        assert await one.journal.renew_leases() == 0
        async with asyncio.timeout(5), two.hold("key", "turn", {"owner": "batch"}) as held:
            assert held.is_orphan


async def test_a_journal_that_does_not_tell_means_no(
    worker: Open, clock: Clock, running: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "LOOK_SECONDS", 0.2)
    async with worker() as ws:
        leases = ws.journal.leases.held
        prolong = leases._prolong

        async def for_ever(*_args: object) -> int:
            await asyncio.sleep(60)
            return 1

        async with exclusive(ws, "batch"):
            clock.now += 2 * LEASE
            monkeypatch.setattr(leases, "_prolong", for_ever)
            with pytest.raises(JournalUnreadableError, match="did not say within"):
                await upload_file(ws, b"hello", "a.txt", owner="batch")
            monkeypatch.setattr(leases, "_prolong", prolong)
    assert running.requests("files.upload") == []


async def test_a_stopped_machine_is_noticed_though_the_wall_clock_stands_still(
    worker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that slept, its wall clock not set yet: the other clock went on."""
    async with worker() as ws:
        looks = count_looks(monkeypatch)
        async with exclusive(ws, "batch"):
            now = held.steady()
            monkeypatch.setattr(held, "steady", lambda: now + 2 * LEASE)
            await ws.make_sure()
    assert len(looks) >= 1


async def test_the_blocking_client_in_a_thread_passes_the_gate_too(
    worker: Open, clock: Clock, running: RunningService
) -> None:
    def create() -> str:
        with AgentsClient(running.endpoint, None) as client:
            return client.agents.create(model="m").id

    async with worker() as one, worker() as two:

        async def late() -> None:
            async with exclusive(one, "batch"):
                clock.now += 2 * LEASE
                assert await asyncio.to_thread(create)  # asked and prolonged
                gate = current_gate()
                assert gate is not None
                gate.enter_blocking()  # open: nothing to ask
                clock.now += 2 * LEASE
                with pytest.raises(JournalUnreadableError, match=r"asyncio\.to_thread"):
                    gate.enter_blocking()
                await _take(two, name_lease("batch"))
                with pytest.raises(LeaseLostError):
                    await asyncio.to_thread(create)

        with pytest.raises(LeaseLostError):
            await late()
    assert len(running.requests("agents.create")) == 1


async def _take(ws: Workspace, lease: NewLease) -> None:
    """Take over what another worker holds whose lease has run out."""
    assert (await ws.journal.leases.hold("test", lease)).is_mine


async def _clerk(ws: Workspace, tools: list[dict[str, Any]] | None = None) -> Any:
    return await ensure_agent(
        ws, AgentSpec(name="clerk", model="m", instructions="Book.", tools=tools or []), owner="clerks"
    )
