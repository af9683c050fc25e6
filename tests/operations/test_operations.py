"""Each operation has its effect once on a real service, however often it is called or answers are lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent_tasks.client._async import _runtime
from agent_tasks.errors import (
    BadRequestError,
    EmptyAnswerError,
    LeaseLostError,
    NotFoundError,
    RunExpiredError,
    RunFailedError,
    RunThrottledError,
    ServiceError,
    TransportError,
)
from agent_tasks.journal import LeaseKind, NewLease
from agent_tasks.operations import (
    AgentSpec,
    RemoteAgent,
    TurnSpec,
    Workspace,
    attempts,
    build_vector_store,
    delete_conversation,
    ensure_agent,
    exclusive,
    release_owner,
    release_owners,
    run_turn,
    upload_file,
)
from agent_tasks.operations.pacing import Pace
from agent_tasks.tools import ToolContext, ToolSet, function_tool
from tests.conftest import ServiceFactory
from tests.operations.conftest import LossyTransport, OpenWorkspace, begun
from tests.support.waiting import eventually

SPEC = AgentSpec(name="clerk", model="scripted", instructions="You are a clerk.")
LOOKUP = {"default": {"reply": {"text": "It is {{ results[0] }}."}}, "rules": [
    {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "lookup", "arguments": {"name":
    "Oak"}}]}},
]}  # fmt: skip


async def clerk(ws: Workspace, **changes: Any) -> RemoteAgent:
    return await ensure_agent(ws, SPEC.model_copy(update=changes), owner="batch")


def turn(agent: RemoteAgent, prompt: str = "Hello?", **more: Any) -> TurnSpec:
    return TurnSpec(**{"step": "ask", "agent": agent, "prompt": prompt, "owner": "doc", **more})


async def test_an_agent_is_made_once_for_an_owner(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        made = await asyncio.gather(*(clerk(ws) for _ in range(5)))
    async with open_workspace(running) as ws:
        later = await clerk(ws)
        other = await clerk(ws, instructions="You are another clerk.")
    assert {agent.id for agent in made} == {later.id} != {other.id}
    assert [agent.reused for agent in made].count(False) == 1
    assert later.reused
    assert len(running.requests("agents.create")) == 2


async def test_an_agent_that_somebody_deleted_is_made_again(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        first = await clerk(ws)
        await ws.backend.delete("agent", first.id)
        second = await clerk(ws)
        assert (second.id != first.id, second.reused) == (True, False)
        assert await release_owner(ws, "batch") == 1


@pytest.mark.parametrize("path", ["/assistants", "/files", "/vector_stores"])
async def test_a_lost_answer_to_a_creation_is_looked_up_and_not_repeated(
    service: ServiceFactory, open_workspace: OpenWorkspace, transport: LossyTransport, path: str
) -> None:
    running = service()
    transport.lose = [("POST", path)]
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        file = await upload_file(ws, b"Oak costs 40 EUR.", "prices.txt", owner="batch")
        store = await build_vector_store(ws, "prices", [file], owner="batch")
        assert not transport.lose
        assert await ws.backend.exists("agent", agent.id)
        assert store.failed == {}
        for operation in ("agents.create", "files.upload", "vector_stores.create"):
            assert len(running.requests(operation)) == 1, operation
        assert await release_owner(ws, "batch") == 3
        for kind, remote_id in (("agent", agent.id), ("store", store.id), ("file", file.id)):
            assert not await ws.backend.exists(kind, remote_id)  # type: ignore[arg-type]


async def test_a_store_names_the_files_that_it_could_not_take_in(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service()) as ws:
        good = await upload_file(ws, b"Oak costs 40 EUR.", "prices.txt", owner="batch")
        bad = await upload_file(ws, b"%PDF-1.7 and then nothing of use", "scan.pdf", owner="batch")
        store = await build_vector_store(ws, "mixed", [good, bad], owner="batch")
        assert list(store.failed) == [bad.id]
        again = await build_vector_store(ws, "mixed", [bad, good], owner="batch")
        assert (again.id, again.reused, again.failed) == (store.id, True, store.failed)


async def test_a_turn_is_one_request_and_paid_once(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "Good day."}, "chunk": 3}})
    pieces: list[str] = []
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        before = len(running.requests())
        first = await run_turn(ws, turn(agent), on_text=pieces.append)
        assert len(running.requests()) == before + 1
        again = await run_turn(ws, turn(agent))
        assert len(running.requests()) == before + 1
    assert (first.text, first.reused, first.attempts) == ("Good day.", False, 1)
    assert "".join(pieces) == "Good day."
    assert len(pieces) > 1
    assert first.usage.total_tokens > 0
    assert again == first.model_copy(update={"reused": True})
    assert len(running.generations()) == 1


async def test_a_conversation_goes_on_and_is_deleted(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "You said: {{ message }}"}}})
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        first = await run_turn(ws, turn(agent, "one"))
        second = await run_turn(
            ws, turn(agent, "two", conversation=first.conversation, after=first.key, step="repair")
        )
        assert (second.conversation, second.text) == (first.conversation, "You said: two")
        await delete_conversation(ws, first.conversation)
        assert not await ws.backend.exists("conversation", first.conversation)
        assert (await run_turn(ws, turn(agent, "one"))).reused
        kinds = [resource.kind for resource in await ws.journal.resources.live("test")]
        assert kinds == ["agent"]


@pytest.mark.parametrize("cut", [0, 1, 700, 2500, 4000])
async def test_a_stream_that_breaks_anywhere_loses_nothing(
    service: ServiceFactory, open_workspace: OpenWorkspace, transport: LossyTransport, cut: int
) -> None:
    running = service(rules={"default": {"reply": {"text": "A rather long answer, in pieces."}, "chunk": 2}})
    transport.cut = [("POST", "/threads/runs", cut)]
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)))
    assert not transport.cut
    assert (result.text, result.attempts) == ("A rather long answer, in pieces.", 1)
    assert len(running.requests("runs.create_thread_and_run")) == 1
    assert len(running.generations()) == 1


async def test_a_lost_start_in_a_known_conversation_is_found_there(
    service: ServiceFactory, open_workspace: OpenWorkspace, transport: LossyTransport
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        first = await run_turn(ws, turn(agent, "one"))
        transport.lose = [("POST", "/runs")]
        await run_turn(ws, turn(agent, "two", conversation=first.conversation, after=first.key))
    assert not transport.lose
    assert len(running.requests("runs.create")) == 1
    assert len(running.generations()) == 2


async def test_a_throttled_turn_waits_and_goes_on_without_a_second_prompt(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    error = {"code": "rate_limit_exceeded", "message": "", "retry_after": 1}
    running = service(rules={
        "rules": [{"when": {"call": [1, 2]}, "reply": {"error": error}}],
        "default": {"reply": {"text": "Now."}},
    })  # fmt: skip
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(await clerk(ws)))
    assert (result.text, result.attempts) == ("Now.", 3)
    retried = running.requests("runs.create")
    assert len(retried) == 2
    assert all("additional_messages" not in row["body"] for row in retried)
    assert len(running.requests("runs.create_thread_and_run")) == 1


async def test_throttling_beyond_the_deadline_is_an_error_that_may_be_retried_later(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    error = {"code": "rate_limit_exceeded", "message": "", "retry_after": 86400}
    running = service(rules={
        "rules": [{"when": {"call": 1}, "reply": {"error": error}}],
        "default": {"reply": {"text": "Next day."}},
    })  # fmt: skip
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        with pytest.raises(RunThrottledError) as caught:
            await run_turn(ws, turn(agent))
        assert (caught.value.retryable, caught.value.retry_after) == (True, 86400)
        assert (await run_turn(ws, turn(agent))).text == "Next day."


async def test_a_turn_that_fails_for_good_is_an_error_with_its_id(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(
        rules={"default": {"reply": {"error": {"code": "invalid_engine_error", "message": "No."}}}}
    )
    async with open_workspace(running) as ws:
        with pytest.raises(RunFailedError, match="invalid_engine_error") as caught:
            await run_turn(ws, turn(await clerk(ws)))
    assert caught.value.run_id is not None
    assert caught.value.run_id.startswith("run_")
    assert not caught.value.retryable


async def test_an_empty_answer_is_not_a_success(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    async with open_workspace(service(rules={"default": {"reply": {"text": ""}}})) as ws:
        with pytest.raises(EmptyAnswerError):
            await run_turn(ws, turn(await clerk(ws)))


async def test_a_turn_past_its_deadline_is_cancelled_on_the_service(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "Too late."}, "delay": 30}})
    async with open_workspace(running) as ws:
        with pytest.raises(RunExpiredError, match="deadline"):
            await run_turn(ws, turn(await clerk(ws), deadline=0.5))
    assert len(running.requests("runs.cancel")) == 1


async def test_an_answer_that_came_in_time_is_not_given_up_while_others_go_on_first(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    pace = Pace(at_once=1)
    await pace.free.acquire()
    running = service(rules={"default": {"reply": {"text": "In time."}}})
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        with pace.kept():
            asking = asyncio.create_task(run_turn(ws, turn(agent, deadline=2.0)))
            await eventually(lambda: [run["status"] for run in running.runs()] == ["completed"])
            await asyncio.sleep(2.5)  # more than the deadline
            assert not asking.done()
            pace.free.release()
            assert (await asking).text == "In time."
    assert running.requests("runs.cancel") == []


async def test_a_cancelled_caller_leaves_no_active_run(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "Too late."}, "delay": 30}})
    async with open_workspace(running) as ws:
        task = await begun(ws, turn(await clerk(ws)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(running.requests("runs.cancel")) == 1


async def test_a_caller_that_is_cancelled_before_the_turn_is_known_leaves_no_active_run(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """At some moment between the intent and the first event, or while that is committed."""
    running = service(rules={"default": {"reply": {"text": "Too late."}, "delay": 60}})
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        for number in range(14):
            spec = turn(agent, prompt=f"Question {number}?")
            task = asyncio.create_task(run_turn(ws, spec))
            await asyncio.sleep(0.004 * number)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await release_owner(ws, "doc")
    with running.http() as http:
        told = http.get(f"{running.origin}/_emulator/verdict").json()
    assert told["active_runs"]["count"] == 0
    assert told["left_over"]["count"] == 1, "the agent, and no conversation"


async def test_a_refused_turn_is_an_error_and_may_be_tried_again(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        gone = agent.model_copy(update={"id": "asst_000000000000000000000000"})
        for _ in range(2):
            with pytest.raises((NotFoundError, BadRequestError)):
                await run_turn(ws, turn(gone))
        assert (await run_turn(ws, turn(agent))).text


async def test_an_unreachable_service_leaves_the_turn_to_be_taken_up_later(
    service: ServiceFactory, open_workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_BREAKS", 2)
    monkeypatch.setattr(_runtime, "async_sleep", lambda _: asyncio.sleep(0.01))  # between tries of a request
    running = service(process=True, rules={"default": {"reply": {"text": "Hello."}, "delay": 3}})
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        task = await begun(ws, turn(agent))
        running.kill()
        with pytest.raises(TransportError):
            await asyncio.wait_for(task, 60)
        running.restart()
        result = await run_turn(ws, turn(agent))
    assert result.text == "Hello."
    assert len(running.requests("runs.create_thread_and_run")) == 1


# --- function tools --------------------------------------------------------------------------------------


async def test_functions_are_called_once_and_their_outputs_reach_the_agent(
    service: ServiceFactory, open_workspace: OpenWorkspace, transport: LossyTransport
) -> None:
    calls: list[tuple[str, str]] = []

    @function_tool()
    def lookup(name: str, context: ToolContext) -> str:
        """Look a material up.

        Args:
            name: The material.
        """
        calls.append((name, context.idempotency_key))
        return "40 EUR"

    tools = ToolSet([lookup])
    running = service(rules=LOOKUP)
    transport.cut = [("POST", "/submit_tool_outputs", 10)]
    async with open_workspace(running) as ws:
        agent = await clerk(ws, tools=tools.definitions)
        result = await run_turn(ws, turn(agent), tools=tools)
    assert result.text == "It is 40 EUR."
    assert [(call.name, call.output, call.error_type) for call in result.tool_calls] == [
        ("lookup", "40 EUR", None)
    ]
    assert result.tool_calls[0].arguments == '{"name": "Oak"}'
    assert len(calls) == 1
    assert calls[0][1] == f"{result.key}:{result.tool_calls[0].call_id}"
    assert len(running.requests("runs.submit_tool_outputs")) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"name": "Oak"}, "ValueError"), ({"wood": 3}, "ToolArgumentsError")],
    ids=["raises", "bad arguments"],
)
async def test_what_goes_wrong_in_a_function_is_told_to_the_agent(
    service: ServiceFactory, open_workspace: OpenWorkspace, arguments: dict[str, Any], error: str
) -> None:
    @function_tool()
    def lookup(name: str) -> str:
        """Look a material up."""
        raise ValueError(f"no {name} in stock")

    rules = {"default": {"reply": {"text": "{{ tool_results[0] }}"}}, "rules": [
        {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "lookup", "arguments":
        arguments}]}},
    ]}  # fmt: skip
    tools = ToolSet([lookup])
    async with open_workspace(service(rules=rules)) as ws:
        agent = await clerk(ws, tools=tools.definitions)
        result = await run_turn(ws, turn(agent), tools=tools)
    assert [call.error_type for call in result.tool_calls] == [error]
    assert error in result.text


async def test_an_unknown_function_is_answered(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    @function_tool()
    def lookup(name: str) -> str:
        """Look a material up."""
        return name

    async with open_workspace(service(rules=LOOKUP)) as ws:
        agent = await clerk(ws, tools=ToolSet([lookup]).definitions)
        result = await run_turn(ws, turn(agent), tools=ToolSet([]))
    assert "UnknownToolError" in result.text


@pytest.mark.parametrize(("idempotent", "runs"), [(True, 2), (False, 1)])
async def test_a_function_cut_off_in_the_middle_follows_its_declaration(
    service: ServiceFactory, open_workspace: OpenWorkspace, idempotent: bool, runs: int
) -> None:
    began = 0

    @function_tool(idempotent=idempotent)
    async def lookup(name: str) -> str:
        """Look a material up."""
        nonlocal began
        began += 1
        if began == 1:
            await asyncio.sleep(60)
        return "40 EUR"

    tools = ToolSet([lookup])
    running = service(rules=LOOKUP)
    async with open_workspace(running) as ws:
        agent = await clerk(ws, tools=tools.definitions)
        # As a killed process leaves it: the call is in the journal as begun, the run waits for its output.
        ws.backend.cancel_turn = _do_nothing  # type: ignore[method-assign]
        task = asyncio.create_task(run_turn(ws, turn(agent), tools=tools))
        await eventually(lambda: began)
        ws.fail = _do_nothing  # type: ignore[method-assign]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with open_workspace(running) as ws:
        result = await run_turn(ws, turn(agent), tools=tools)
    assert began == runs
    assert ("40 EUR" in result.text) is idempotent
    assert ("ToolOutcomeUnknownError" in result.text) is not idempotent
    assert len(running.requests("runs.create_thread_and_run")) == 1


async def _do_nothing(*args: object) -> None:
    """What a killed process does about it."""


async def test_parts_go_with_their_owner_also_when_the_service_refuses_one(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        made = {}
        for owner in ("job/doc-1", "job/doc-2", "job2/doc-1"):
            made[owner] = (await run_turn(ws, turn(agent, f"Hello {owner}?", owner=owner))).conversation
        delete = ws.backend.delete

        async def refusing(kind: Any, remote_id: str) -> None:
            if remote_id == made["job/doc-1"]:
                raise ServiceError("Not now.", status=409)
            await delete(kind, remote_id)

        ws.backend.delete = refusing  # type: ignore[method-assign]
        with pytest.raises(ServiceError, match="Not now"):
            await release_owner(ws, "job")
        left = {one.owner for one in await ws.journal.resources.live(ws.scope, kind="conversation")}
        assert left == {"job/doc-1", "job2/doc-1"}
        ws.backend.delete = delete  # type: ignore[method-assign]
        assert await release_owner(ws, "job") == 1
    with running.http() as http:
        assert [one["id"] for one in http.get("/threads").json()["data"]] == [made["job2/doc-1"]]


async def test_a_name_is_held_by_one_worker_at_a_time(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    from agent_tasks.errors import JournalError

    running = service()
    async with open_workspace(running) as one, open_workspace(running) as two:
        async with exclusive(one, "batch"):
            with pytest.raises(JournalError, match="alive"):
                async with exclusive(two, "batch"):
                    pass
        async with exclusive(two, "batch"):
            pass
        async with exclusive(one, "batch"):
            pass


async def test_what_belongs_to_several_owners_is_deleted_together_and_committed_together(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """What the service refuses, and what is another worker's now, stays; the others are gone."""
    running = service(rules={"default": {"reply": {"text": "Good day."}}})
    async with open_workspace(running) as ws:
        agent = await clerk(ws)
        made = {
            owner: (await run_turn(ws, turn(agent, owner=owner))).conversation
            for owner in ("job/1", "job/2", "job/3", "job/4", "job/4/part")
        }
        leases = [NewLease(key, LeaseKind.DOCUMENT, key) for key in ("k1", "k4")]
        assert await ws.journal.leases.take(ws.scope, leases) == {"k1", "k4"}
        delete = ws.backend.delete

        async def refusing(kind: Any, remote_id: str) -> None:
            if remote_id == made["job/3"]:
                raise ServiceError("Not now.", status=500)
            await delete(kind, remote_id)

        ws.backend.delete = refusing  # type: ignore[method-assign]
        with pytest.raises(LeaseLostError):
            await release_owners(ws, {"job/1": "k1", "job/2": "of another", "job/3": None, "job/4": "k4"})
        left = {one.owner for one in await ws.journal.resources.live(ws.scope, kind="conversation")}
        assert left == {"job/2", "job/3", "job/4/part"}
        there = {owner for owner, one in made.items() if await ws.backend.exists("conversation", one)}
        assert there == left
