"""The states of an attempt, over a backend in memory: what is committed, and what may come next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.base import Mark, TurnRef, TurnRequest, TurnUpdate
from agent_tasks.errors import (
    NotFoundError,
    RunExpiredError,
    RunServerError,
    RunThrottledError,
    TransportError,
)
from agent_tasks.journal import Journal
from agent_tasks.operations import (
    AgentSpec,
    Held,
    TurnSpec,
    Workspace,
    build_vector_store,
    ensure_agent,
    run_turn,
    turn_key,
    upload_file,
)
from agent_tasks.operations.attempt_states import AttemptState
from agent_tasks.operations.attempts import Attempts
from agent_tasks.tools import FileSearchTool, ToolSet, function_tool
from tests.support.fake_backend import Asks, Fails, FakeBackend, Says, Script, Step, Waits

THROTTLED = Fails("rate_limit_exceeded", "Rate limit is exceeded. Try again in 0 seconds.")
FAILED = Fails("server_error", "Sorry, something went wrong.")


def always(step: Step) -> Script:
    return lambda prompt, outputs, nth: step


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db") as opened:
        yield opened


async def turn_of(ws: Workspace, tools: ToolSet | None = None, **more: Any) -> TurnSpec:
    spec = AgentSpec(name="clerk", model="m", instructions="Work.", tools=tools.definitions if tools else [])
    agent = await ensure_agent(ws, spec, owner="batch")
    return TurnSpec(step="ask", agent=agent, prompt="Hello", owner="doc", **more)


async def held(ws: Workspace, turn: TurnSpec) -> Held:
    claimed = await ws.journal.operations.claim(ws.scope, turn_key(turn), "turn", {"owner": "doc"})
    return Held(claimed.operation, claimed.claim)


def attempts_at(ws: Workspace, turn: TurnSpec, operation: Held, tools: ToolSet | None = None) -> Attempts:
    return Attempts(ws, turn, operation, tools=tools, on_text=None)


async def test_a_whole_step_needs_nothing_but_the_seam(journal: Journal) -> None:
    """Upload, store, agent and a turn with a call, on a service that has no threads and no runs."""

    @function_tool
    def book(name: str) -> str:
        """Book something."""
        return f"{name} booked"

    def script(prompt: str, outputs: Sequence[str], nth: int) -> Step:
        return Says(outputs[0]) if outputs else Asks("book", '{"name": "Oak"}')

    ws, tools = Workspace(FakeBackend(script), journal), ToolSet([book])
    file = await upload_file(ws, b"Oak.", "a.txt", owner="doc")
    store = await build_vector_store(ws, "papers", [file], owner="doc")
    searching = [*tools.definitions, *FileSearchTool().definitions]
    spec = AgentSpec(name="clerk", model="m", instructions="Work.", tools=searching, stores=[store])
    agent = await ensure_agent(ws, spec, owner="doc")
    turn = TurnSpec(step="ask", agent=agent, prompt="Hello", owner="doc")
    result = await run_turn(ws, turn, tools=tools)
    assert (result.text, result.attempts) == ("Oak booked", 1)
    assert (await run_turn(ws, turn, tools=tools)).reused


async def test_an_attempt_goes_through_its_states(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[AttemptState] = []
    become = Attempts._become

    def noted(self: Attempts, state: AttemptState) -> None:
        become(self, state)
        states.append(state)

    monkeypatch.setattr(Attempts, "_become", noted)

    @function_tool
    def book() -> str:
        """Book."""
        return "booked"

    def script(prompt: str, outputs: Sequence[str], nth: int) -> Step:
        if nth == 1:
            return THROTTLED
        return Says("Done.") if outputs else Asks("book", "{}")

    ws, tools = Workspace(FakeBackend(script), journal), ToolSet([book])
    await run_turn(ws, await turn_of(ws, tools), tools=tools)
    assert [state.value for state in states] == [
        "sent", "attached", "ended",
        "intended", "sent", "attached", "needs outputs", "attached", "answered",
    ]  # fmt: skip


async def test_where_an_attempt_begins_is_what_the_journal_says(journal: Journal) -> None:
    ws = Workspace(FakeBackend(always(Says("Hello."))), journal)
    turn = await turn_of(ws)
    fresh = await held(ws, turn)
    assert attempts_at(ws, turn, fresh).state is AttemptState.INTENDED
    await journal.operations.let_go(ws.scope, fresh.operation.key)
    orphan = await held(ws, turn)
    assert attempts_at(ws, turn, orphan).state is AttemptState.SENT
    where = {"conversation": "c", "turn_id": "t"}
    await journal.operations.attach(ws.scope, fresh.operation.key, where)
    await journal.operations.let_go(ws.scope, fresh.operation.key)
    known = attempts_at(ws, turn, await held(ws, turn))
    assert (known.state, known.ref) == (AttemptState.ATTACHED, TurnRef("c", "t"))


@pytest.mark.parametrize("was", AttemptState)
async def test_what_is_over_stays_over(journal: Journal, was: AttemptState) -> None:
    ws = Workspace(FakeBackend(always(Says("Hello."))), journal)
    turn = await turn_of(ws)
    attempts = attempts_at(ws, turn, await held(ws, turn))
    attempts.state = was
    if was in (AttemptState.REFUSED, AttemptState.GIVEN_UP):
        for state in AttemptState:
            with pytest.raises(AssertionError, match=f"{was} can't become {state}"):
                attempts._become(state)
    assert attempts.is_over == (was in (AttemptState.ENDED, AttemptState.REFUSED, AttemptState.GIVEN_UP))


@pytest.mark.parametrize(
    ("step", "error", "tries"),
    [(THROTTLED, RunThrottledError, 11), (FAILED, RunServerError, 3)],
    ids=["throttled", "failed"],
)
async def test_attempts_are_bounded_by_the_kind_of_failure(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, step: Step, error: type[Exception], tries: int
) -> None:
    waited: list[float] = []

    async def at_once(self: Attempts, pause: float, _error: Exception) -> None:
        waited.append(pause)

    monkeypatch.setattr(Attempts, "_wait_within_deadline", at_once)
    sent: list[Mark] = []
    backend = FakeBackend(always(step))
    start = backend.start_turn

    def counted(request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
        sent.append(mark)
        return start(request, mark)

    backend.start_turn = counted  # type: ignore[method-assign]
    ws = Workspace(backend, journal)
    turn = await turn_of(ws)
    with pytest.raises(error):
        await run_turn(ws, turn)
    assert [mark.attempt for mark in sent] == list(range(1, tries + 1))
    if step is FAILED:
        assert waited == [2.0, 4.0]
    assert (await held(ws, turn)).operation.attempt == tries + 1, "the failure is committed"


async def test_a_turn_beyond_its_deadline_is_cancelled_and_committed(journal: Journal) -> None:
    ws = Workspace(FakeBackend(always(Waits())), journal)
    turn = await turn_of(ws, deadline=0.2)
    with pytest.raises(RunExpiredError, match="and cancelled"):
        await run_turn(ws, turn)
    assert await ws.journal.operations.unsettled(ws.scope) == []


async def test_a_turn_that_cannot_be_cancelled_stays_open(journal: Journal) -> None:
    backend = FakeBackend(always(Waits()))

    async def unreachable(ref: TurnRef) -> bool:
        raise TransportError("gone")

    backend.cancel_turn = unreachable  # type: ignore[method-assign]
    ws = Workspace(backend, journal)
    turn = await turn_of(ws, deadline=0.2)
    with pytest.raises(RunExpiredError, match="may have completed"):
        await run_turn(ws, turn)
    (open_one,) = await ws.journal.operations.unsettled(ws.scope)
    assert open_one.remote["turn_id"]


async def test_an_answer_whose_stream_stays_open_beyond_the_deadline_is_taken(journal: Journal) -> None:
    class HeldOpen(FakeBackend):
        async def start_turn(self, request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
            try:
                async for update in super().start_turn(request, mark):
                    yield update
            finally:
                await asyncio.sleep(0.6)

    ws = Workspace(HeldOpen(always(Says("Hello."))), journal)
    assert (await run_turn(ws, await turn_of(ws, deadline=0.5))).text == "Hello."


async def test_a_turn_that_is_gone_from_a_callers_conversation_is_refused(journal: Journal) -> None:
    backend = FakeBackend(always(Says("Hello.")))
    ws = Workspace(backend, journal)
    first = await run_turn(ws, await turn_of(ws))
    turn = await turn_of(ws, conversation=first.conversation, after=first.key)
    await backend.delete("conversation", first.conversation)
    attempts = attempts_at(ws, turn, await held(ws, turn))
    with pytest.raises(NotFoundError) as gone:
        async with attempts.limit:
            await attempts.to_an_answer()
    assert attempts.state is AttemptState.REFUSED
    await attempts.commit_failure(gone.value)
    assert await ws.journal.operations.unsettled(ws.scope) == []


async def test_a_lost_answer_is_found_by_its_mark(journal: Journal) -> None:
    backend = FakeBackend(always(Says("Hello.")))
    start, sent = backend.start_turn, 0

    async def lost(request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
        nonlocal sent
        sent += 1
        async for _ in start(request, mark):
            raise TransportError("The answer was lost.", outcome_unknown=True)
        yield  # type: ignore[misc]

    backend.start_turn = lost  # type: ignore[method-assign]
    ws = Workspace(backend, journal)
    result = await run_turn(ws, await turn_of(ws))
    assert (result.text, result.attempts, sent) == ("Hello.", 1, 1)
