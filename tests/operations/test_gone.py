"""What others have deleted, or ended, while nobody looked: made again once, and never paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent_tasks.backends.base import Mark, TurnRef, TurnRequest, TurnUpdate
from agent_tasks.errors import NotFoundError, TransportError
from agent_tasks.journal import Claim
from agent_tasks.operations import (
    AgentSpec,
    TurnSpec,
    Workspace,
    attempts,
    build_vector_store,
    ensure_agent,
    files,
    run_turn,
    upload_file,
)
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.operations.effects import create_or_find
from agent_tasks.operations.ownership import release_unused
from agent_tasks.operations.turns import turn_key
from tests.conftest import ServiceFactory
from tests.operations.conftest import OpenWorkspace
from tests.support.service import RunningService
from tests.support.waiting import eventually

SPEC = AgentSpec(name="clerk", model="scripted", instructions="Greet.")


async def test_a_store_that_is_deleted_while_it_takes_its_files_in_is_built_anew(
    service: ServiceFactory, open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = service()

    waits = asyncio.Event()

    async def for_ever(*_args: object) -> dict[str, str]:
        waits.set()
        await asyncio.sleep(60)
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(files, "_wait_until_ingested", for_ever)
        async with open_workspace(running) as ws:
            file = await upload_file(ws, b"hello", "a.txt", owner="batch")
            building = asyncio.create_task(build_vector_store(ws, "papers", [file], owner="batch"))
            await waits.wait()
            building.cancel()
            await asyncio.wait([building])
    async with open_workspace(running) as ws:
        assert await release_unused(ws, "batch") == 2
    async with open_workspace(running) as ws, asyncio.timeout(20):
        file = await upload_file(ws, b"hello", "a.txt", owner="batch")
        store = await build_vector_store(ws, "papers", [file], owner="batch")
        assert await ws.backend.store_files(store.id) == {file.id}
    assert len(running.requests("vector_stores.create")) == 2


async def test_a_file_that_others_deleted_is_uploaded_again(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service()) as ws:
        first = await upload_file(ws, b"hello", "a.txt", owner="batch")
        assert (await upload_file(ws, b"hello", "a.txt", owner="batch")).reused
        await ws.backend.delete("file", first.id)
        again = await upload_file(ws, b"hello", "a.txt", owner="batch")
        assert not again.reused
        assert await ws.backend.exists("file", again.id)


async def test_a_turn_that_completed_unheard_is_not_cancelled_and_not_paid_again(
    service: ServiceFactory, open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is gone after the turn has begun; the hook of the failed flow runs when it is back."""
    running = service()
    monkeypatch.setattr(attempts, "_BREAKS", 0)
    async with open_workspace(running) as ws:
        turn = await _turn(ws)
        start = ws.backend.start_turn

        async def cut_off(request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
            async for update in start(request, mark):
                yield update
                raise TransportError("The network is gone.", outcome_unknown=True)

        ws.backend.start_turn = cut_off  # type: ignore[method-assign]
        with pytest.raises(TransportError):
            await run_turn(ws, turn)
        (operation,) = await ws.journal.operations.unsettled(ws.scope)
        ref = TurnRef(operation.remote["conversation"], operation.remote["turn_id"])
    with running.http() as http:
        path = f"/threads/{ref.conversation}/runs/{ref.turn_id}"
        await eventually(lambda: http.get(path).json()["status"] == "completed")
    async with open_workspace(running) as ws:
        assert await cancel_owner(ws, "batch") == 0
        await release_unused(ws, "batch")
        assert await ws.backend.exists("conversation", ref.conversation), "its answer would be lost"
    async with open_workspace(running) as ws:
        result = await run_turn(ws, await _turn(ws))
    assert (result.turn_id, result.attempts) == (ref.turn_id, 1)
    assert len(running.generations()) == 1


async def _turn(ws: Workspace) -> TurnSpec:
    agent = await ensure_agent(ws, SPEC, owner="batch")
    return TurnSpec(step="ask", agent=agent, prompt="Hello?", owner="batch/doc")


async def test_a_later_attempt_whose_conversation_is_gone_begins_anew(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """Killed between the intent of a second attempt and its request; meanwhile the sweep came by."""
    running = service()
    async with open_workspace(running) as ws:
        turn = await _turn(ws)
        key = (await run_turn(ws, turn)).key
        await ws.journal.operations.release(ws.scope, key)
        assert (
            await ws.journal.operations.claim(ws.scope, key, "turn", {"owner": "batch/doc"})
        ).claim is Claim.FRESH
        await ws.journal.operations.attach(ws.scope, key, {"conversation": "thread_gone", "turn_id": "run_1"})
        await ws.journal.operations.next_attempt(ws.scope, key, keep=["conversation"])
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn)
    assert result.text
    assert result.conversation != "thread_gone"


async def test_a_look_up_that_is_answered_not_found_sends_nothing(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """A gateway that knows no such path says nothing of a turn whose conversation is not known."""
    running = service()
    async with open_workspace(running) as ws:
        turn = await _turn(ws)
        await ws.journal.operations.claim(ws.scope, turn_key(turn), "turn", {"owner": "batch/doc"})
    async with open_workspace(running) as ws:

        async def no_such_path(*_args: object, **_more: object) -> None:
            raise NotFoundError("There is no such path.", status=404)

        ws.backend.find_turn = no_such_path  # type: ignore[method-assign,assignment]
        with pytest.raises(NotFoundError):
            await run_turn(ws, turn)
        (operation,) = await ws.journal.operations.unsettled(ws.scope)
    assert operation.attempt == 1
    assert running.requests("runs.create_thread_and_run") == []


async def test_a_look_up_is_patient_however_old_the_intent_is(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """A request that waited long for a busy service, and whose effect shows half a second later."""
    running: RunningService = service()
    sent: list[float] = []
    loop = asyncio.get_running_loop()

    async def create(mark: Mark) -> str:
        sent.append(loop.time())
        raise TransportError("The answer was lost.", outcome_unknown=True)

    async def find(mark: Mark, since: float) -> str | None:
        return "made" if loop.time() > sent[0] + 0.5 else None

    async with open_workspace(running) as ws:
        claimed = await ws.journal.operations.claim(ws.scope, "k", "upload", {})
        old = claimed.operation.__class__(
            **{**vars(claimed.operation), "intended_at": claimed.operation.intended_at - 60}
        )
        assert await create_or_find(ws, old, is_orphan=False, create=create, find=find) == "made"
    assert len(sent) == 1
