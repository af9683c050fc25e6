"""A turn that ends without an answer goes on in a new attempt, and no call is made twice for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.base import ToolCallRequest
from agent_tasks.cli import calls as cli_calls
from agent_tasks.errors import ConfigurationError, RunExpiredError, ToolOutcomeUnknownError
from agent_tasks.journal import ToolCallState
from agent_tasks.operations import (
    AgentSpec,
    RemoteAgent,
    TurnSpec,
    Workspace,
    answer_call,
    ensure_agent,
    list_interrupted_calls,
    repeat_call,
    run_turn,
)
from agent_tasks.operations.arguments import shown_arguments
from agent_tasks.operations.dispatch import dispatch_tools
from agent_tasks.operations.keys import content_hash
from agent_tasks.operations.turns import turn_key
from agent_tasks.tools import ToolContext, ToolSet, WhenUnknown, function_tool
from agents_emulator.service import ServiceConfig
from tests.conftest import ServiceFactory
from tests.operations.conftest import OpenWorkspace
from tests.support.service import RunningService, ThreadService
from tests.support.waiting import eventually

BOOK = {"name": "book", "arguments": {"name": "Oak"}}
BOOKING = {
    "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": [BOOK]}}],
    "default": {"reply": {"text": "It says: {{ tool_results | join(' and ') }}"}},
}


async def clerk(ws: Workspace) -> RemoteAgent:
    spec = AgentSpec(name="clerk", model="scripted", instructions="You are a clerk.")
    return await ensure_agent(ws, spec, owner="batch")


def turn(agent: RemoteAgent, prompt: str = "Hello?", **more: Any) -> TurnSpec:
    return TurnSpec(**{"step": "ask", "agent": agent, "prompt": prompt, "owner": "doc", **more})


class Booking:
    """A function with an effect that must not happen twice; the turn in `expires` expires while it works."""

    def __init__(self, *, takes: float = 0.0, expires: ThreadService | None = None, **settings: Any) -> None:
        self.keys: list[str] = []

        @function_tool(**settings)
        async def book(name: str, context: ToolContext) -> str:
            """Book something."""
            self.keys.append(context.idempotency_key)
            await asyncio.sleep(takes)
            if expires is not None:
                await expires.expire_turns()
            return f"{name} booked"

        self.tools = ToolSet([book])


# --- expiry ----------------------------------------------------------------------------------------------


async def test_an_expired_turn_goes_on_with_the_results_that_were_saved(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(expires=running)
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
    assert result.text == "It says: Oak booked"
    assert len(booking.keys) == 1
    assert result.attempts == 2
    assert [(call.name, call.output) for call in result.tool_calls] == [("book", "Oak booked")]
    prompts = [
        row["body"].get("additional_messages") or row["body"].get("thread", {}).get("messages")
        for row in running.requests()
        if row["operation"] in ("runs.create", "runs.create_thread_and_run")
    ]
    assert [bool(posted) for posted in prompts] == [True, False], "the prompt is in the conversation once"


async def test_a_result_that_was_saved_serves_one_call(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    twice = {"rules": [
        {"when": {"tool_results": False, "call": 1}, "reply": {"tool_calls": [BOOK]}},
        {"when": {"tool_results": False}, "reply": {"tool_calls": [BOOK, BOOK]}},
    ], "default": BOOKING["default"]}  # fmt: skip
    running = service(rules=twice)
    booking = Booking(expires=running)
    async with open_workspace(running) as ws:
        # The second attempt asks for two: one was saved, the other is new.
        result = await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
    assert result.attempts >= 2
    assert len(booking.keys) == 2


async def test_a_call_that_was_cut_off_before_the_expiry_is_not_made_again(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(takes=30)
    async with open_workspace(running) as ws:
        task = asyncio.create_task(run_turn(ws, turn(await clerk(ws)), tools=booking.tools))
        await eventually(lambda: booking.keys)
        await forget(task, ws)
    await running.expire_turns()
    assert [run["status"] for run in running.runs()] == ["expired"]
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
    assert "ToolOutcomeUnknownError" in result.text
    assert len(booking.keys) == 1


async def test_an_idempotent_call_that_was_cut_off_is_repeated_under_its_first_key(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(takes=30, idempotent=True)
    async with open_workspace(running) as ws:
        task = asyncio.create_task(run_turn(ws, turn(await clerk(ws)), tools=booking.tools))
        await eventually(lambda: booking.keys)
        await forget(task, ws)
    await running.expire_turns()
    assert [run["status"] for run in running.runs()] == ["expired"]
    quick = Booking(idempotent=True)
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)), tools=quick.tools)
    assert result.text == "It says: Oak booked"
    assert quick.keys == booking.keys


async def test_a_turn_that_always_expires_is_given_up(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    rules = {"default": {"reply": {"text": "Too late."}, "delay": 5}}
    running = service(rules=rules, config=ServiceConfig(run_ttl=1))
    async with open_workspace(running) as ws:
        with pytest.raises(RunExpiredError):
            await run_turn(ws, turn(await clerk(ws)))
    started = [row for row in running.requests() if row["operation"].startswith("runs.create")]
    assert len(started) == 3


async def forget(task: asyncio.Task[Any], ws: Workspace) -> None:
    """End a task as a crash would: without cancelling the turn on the service."""

    async def nothing(*_: object) -> None:
        return None

    ws.backend.cancel_turn = nothing  # type: ignore[method-assign]
    ws.fail = nothing  # type: ignore[method-assign, assignment]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- usage -----------------------------------------------------------------------------------------------


async def test_the_usage_of_attempts_before_a_crash_is_kept(
    service: ServiceFactory, open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent_tasks.operations import attempts

    async def ask(prompt: str, *, crashes: bool) -> int:
        class CrashError(BaseException):
            pass

        def crash(name: str) -> None:
            if name == "attempt.intended":
                raise CrashError

        running = service(rules=BOOKING)
        booking = Booking(expires=running)
        async with open_workspace(running) as ws:
            spec = turn(await clerk(ws), prompt)
            if crashes:
                with monkeypatch.context() as patch:
                    patch.setattr(attempts, "crash_point", crash)
                    with pytest.raises(CrashError):
                        await run_turn(ws, spec, tools=booking.tools)
            result = await run_turn(ws, spec, tools=booking.tools)
        assert result.attempts == 2
        return result.usage.total_tokens

    assert await ask("Hello one?", crashes=True) == await ask("Hello two?", crashes=False) > 0


# --- a turn in the way -----------------------------------------------------------------------------------

SLOW = {
    "rules": [{"when": {"message": "slow"}, "reply": {"text": "At last."}, "delay": 30}],
    "default": {"reply": {"text": "Here I am."}},
}


async def test_a_turn_that_nobody_waits_for_is_cancelled_before_another_starts(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=SLOW)
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        first = await run_turn(ws, turn(agent))
        body = {
            "assistant_id": agent.id,
            "additional_messages": [{"role": "user", "content": "slow"}],
        }
        with running.http() as http:
            stray = http.post(f"/threads/{first.conversation}/runs", json=body).json()
            second = await run_turn(
                ws, turn(agent, "And now?", conversation=first.conversation, after=first.key)
            )
            ended = http.get(f"/threads/{first.conversation}/runs/{stray['id']}").json()
    assert second.text == "Here I am."
    assert ended["status"] == "cancelled"


async def test_a_turn_of_a_living_worker_is_waited_for(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    rules = {**SLOW, "rules": [{**SLOW["rules"][0], "delay": 1.0}]}  # type: ignore[dict-item]
    running = service(rules=rules)
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        first = await run_turn(ws, turn(agent))
        place = {"conversation": first.conversation, "after": first.key}
        slow = asyncio.create_task(run_turn(ws, turn(agent, "slow", **place)))
        await eventually(lambda: len(running.requests("runs.create")) >= 1)
        await asyncio.sleep(0.2)
        quick = await run_turn(ws, turn(agent, "And now?", **place))
        assert slow.done() or (await slow)
    assert quick.text == "Here I am."
    assert (await slow).text == "At last."
    assert running.requests("runs.cancel") == []


# --- calls that a person decides on ----------------------------------------------------------------------


async def stopped(running: RunningService, open_workspace: OpenWorkspace, booking: Booking) -> str:
    """A call that was cut off, and whose tool stops then; returns its id."""
    async with open_workspace(running) as ws:
        task = asyncio.create_task(run_turn(ws, turn(await clerk(ws)), tools=booking.tools))
        await eventually(lambda: booking.keys)
        await forget(task, ws)
    async with open_workspace(running) as ws:
        for _ in range(2):
            with pytest.raises(ToolOutcomeUnknownError, match="agent-tasks calls answer"):
                await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
    async with open_workspace(running) as ws:
        [call] = await list_interrupted_calls(ws)
        assert (call.name, call.state) == ("book", ToolCallState.STARTED)
        assert call.arguments_hash == content_hash('{"name": "Oak"}')
        return call.call_id


async def test_a_person_answers_a_call_that_was_cut_off(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(takes=30, when_unknown="stop")
    call_id = await stopped(running, open_workspace, booking)
    async with open_workspace(running) as ws:
        await answer_call(ws, call_id, "booked, number 4711")
        result = await run_turn(ws, turn(await clerk(ws)), tools=booking.tools)
        assert await list_interrupted_calls(ws) == []
    assert result.text == "It says: booked, number 4711"
    assert len(booking.keys) == 1


async def test_a_person_has_a_call_repeated(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service(rules=BOOKING)
    call_id = await stopped(running, open_workspace, Booking(takes=30, when_unknown=WhenUnknown.STOP))
    again = Booking(when_unknown="stop")
    async with open_workspace(running) as ws:
        await repeat_call(ws, call_id)
        result = await run_turn(ws, turn(await clerk(ws)), tools=again.tools)
    assert result.text == "It says: Oak booked"
    assert len(again.keys) == 1


@pytest.mark.parametrize("by", [answer_call, repeat_call])
async def test_a_person_decides_on_the_call_of_all_attempts(
    service: ServiceFactory, open_workspace: OpenWorkspace, by: Any
) -> None:
    """The turn expired after the call was cut off, and the next one asked for the same."""
    asked = ToolCallRequest(call_id="call_2", name="book", arguments='{"name": "Oak"}')
    stopping = Booking(when_unknown="stop")
    async with open_workspace(service(rules=BOOKING)) as ws:
        await ws.journal.operations.claim(ws.scope, "k", "turn", {})
        hashed = content_hash(asked.arguments)
        await ws.journal.calls.begin(ws.scope, "k", "run_1", "call_1", "book", hashed)
        with pytest.raises(ToolOutcomeUnknownError):
            await dispatch_tools(ws, "k", "run_2", [asked], stopping.tools)
        await ws.journal.operations.fail(ws.scope, "k", ValueError("cut off"))
        await by(ws, "call_2", *(["booked"] if by is answer_call else []))
        assert await list_interrupted_calls(ws) == []
        await ws.journal.operations.claim(ws.scope, "k", "turn", {})
        (outcome,) = await dispatch_tools(ws, "k", "run_2", [asked], stopping.tools)
    assert outcome.output == ("booked" if by is answer_call else "Oak booked")
    assert len(stopping.keys) == (0 if by is answer_call else 1)


THREE = [{"name": "pay", "arguments": {"to": name, "cents": cents}} for name, cents in
         (("Ada", 100), ("Bea", 200), ("Cleo", 300))]  # fmt: skip
PAYING = {
    "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": THREE}}],
    "default": {"reply": {"text": "{{ tool_results | join(' and ') }}"}},
}


async def test_three_cut_off_calls_of_one_function_are_told_apart_by_their_arguments(
    service: ServiceFactory,
    open_workspace: OpenWorkspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Answered in another order than they were made, as `agent-tasks calls` shows and takes them."""
    running = service(rules=PAYING)
    begun: list[str] = []

    @function_tool(when_unknown="stop")
    async def pay(to: str, cents: int) -> str:
        """Pay."""
        begun.append(to)
        await asyncio.sleep(30)
        return "never"

    tools = ToolSet([pay])
    async with open_workspace(running) as ws:
        task = asyncio.create_task(run_turn(ws, turn(await clerk(ws)), tools=tools))
        await eventually(lambda: len(begun) >= 3)
        await forget(task, ws)
    async with open_workspace(running) as ws:
        with pytest.raises(ToolOutcomeUnknownError, match="3 calls wait") as stopped:
            await run_turn(ws, turn(await clerk(ws)), tools=tools)
    assert all(f'"to": "{name}"' in str(stopped.value) for name in begun)

    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", f"sqlite+aiosqlite:///{tmp_path}/journal.db")
    monkeypatch.setattr("agent_tasks.operations.Workspace.open", _open_as_test(Workspace.open))
    capsys.readouterr()
    assert await cli_calls._list() == 0
    lines = capsys.readouterr().out.splitlines()
    ids = {name: line.split()[0] for name in begun for line in lines if f'"to": "{name}"' in line}
    assert len(set(ids.values())) == 3
    for name in ("Cleo", "Ada", "Bea"):
        await cli_calls._answer(ids[name], f"{name} has it")
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)), tools=tools)
        assert await list_interrupted_calls(ws) == []
    assert result.text == "Ada has it and Bea has it and Cleo has it"
    assert begun == ["Ada", "Bea", "Cleo"]


def _open_as_test(opened: Any) -> Any:
    """The commands' workspace, in the scope of these tests."""
    return lambda *args, **named: opened(*args, **{**named, "scope": "test"})


def test_arguments_are_shown_short_on_one_line_and_without_secrets() -> None:
    assert shown_arguments('{"a":\n\t"x\x1b[31m\u202ey"}') == '{"a": "x [31m y"}'
    assert shown_arguments('{"headers": {"Authorization": "Bearer key"}, "n": 1}') == (
        '{"headers": {"Authorization": "REDACTED"}, "n": 1}'
    )
    first, second = (shown_arguments(f'{{"text": "{"x" * 5000}", "n": {n}}}') for n in (1, 2))
    assert len(first) < 510
    assert first != second


async def test_calls_at_work_are_not_for_a_person(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=BOOKING)
    booking = Booking(takes=1)
    async with open_workspace(running) as ws:
        spec = turn(await clerk(ws))
        task = asyncio.create_task(run_turn(ws, spec, tools=booking.tools))
        await eventually(lambda: booking.keys)
        assert len(await ws.journal.calls.unfinished(ws.scope)) == 1
        assert await list_interrupted_calls(ws) == []
        await task
        assert len(await ws.journal.calls.of(ws.scope, turn_key(spec))) == 1


# --- tries of a tool -------------------------------------------------------------------------------------


async def test_an_idempotent_tool_is_tried_again() -> None:
    tries = []

    @function_tool(idempotent=True, retries=2)
    def fetch() -> str:
        """Fetch it."""
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return "here"

    context = ToolContext("call_1", "run_1", "key")
    assert await fetch.call("{}", context) == "here"
    tries.clear()
    impatient = fetch.configured(retries=1)
    with pytest.raises(ConnectionError):
        await impatient.call("{}", context)
    assert len(tries) == 2


def test_a_tool_that_is_not_idempotent_is_not_tried_again() -> None:
    with pytest.raises(ConfigurationError, match="idempotent"):

        @function_tool(retries=1)
        def book() -> str:
            """Book it."""
            return ""


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'tell_agent' or 'stop'"):

        @function_tool(when_unknown="hope")
        def book() -> str:
            """Book it."""
            return ""


async def test_a_call_that_an_attempt_left_open_is_answered_with_its_own_output(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """The same function was asked for twice; the next attempt takes over the second call, by its id."""
    statuses = iter(("first", "second", "third"))

    @function_tool
    def status(name: str) -> str:
        """Tell the status."""
        return next(statuses)

    async with open_workspace(service()) as ws:
        await ws.journal.operations.claim(ws.scope, "key", "turn", {})
        for call in ("call_1", "call_2"):
            asked = ToolCallRequest(call, "status", '{"name": "x"}')
            await dispatch_tools(ws, "key", "resp_1", [asked], ToolSet([status]))
        asked = ToolCallRequest("call_2", "status", '{"name": "x"}')
        (outcome,) = await dispatch_tools(ws, "key", "resp_2", [asked], ToolSet([status]))
        assert outcome.output == "second"
