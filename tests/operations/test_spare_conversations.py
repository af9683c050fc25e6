"""Conversations ahead of turns: made together when they are wanted, taken one by one, deleted when left."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agent_tasks.backends.base import Mark
from agent_tasks.backends.responses.service import ResponsesService
from agent_tasks.errors import AgentTasksError, BadRequestError, JournalUnreadableError, ServerError
from agent_tasks.journal import Journal, NewResource, OperationState, Resource
from agent_tasks.operations import (
    AgentSpec,
    RemoteAgent,
    TurnResult,
    TurnSpec,
    Workspace,
    ensure_agent,
    release_owner,
    run_turn,
    turn_key,
)
from agent_tasks.operations.conversation_groups import make_group, recover_groups
from agent_tasks.operations.ownership import release_ended
from agent_tasks.operations.spare_conversations import SpareConversations
from agent_tasks.pauses import JumpingClock, clock_of
from agent_tasks.settings import ServiceKind
from tests.conftest import ServiceFactory
from tests.support.service import HELLO, RunningService

HOUR = timedelta(hours=1)
SPEC = AgentSpec(name="a", model="test-model", instructions="Answer.")


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    return service(rules=HELLO)


@pytest.fixture
async def ws(running: RunningService, tmp_path: Path) -> AsyncIterator[Workspace]:
    address = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with Workspace.open(
        running.endpoint, None, address, scope="test", service=ServiceKind.RESPONSES
    ) as opened:
        yield opened


@pytest.fixture
async def agent(ws: Workspace) -> RemoteAgent:
    return await ensure_agent(ws, SPEC, owner="papers")


def spares_of(ws: Workspace) -> SpareConversations:
    return SpareConversations(ws, owner="papers", ttl=HOUR)


def ask(agent: RemoteAgent, prompt: str, **more: Any) -> TurnSpec:
    return TurnSpec(step="ask", agent=agent, prompt=prompt, owner=f"papers/{prompt}", **more)


async def until_made(ws: Workspace, number: int) -> list[Resource]:
    """The conversations in the ledger that no turn has, when there are as many."""
    async with asyncio.timeout(20):
        while True:
            live = await ws.journal.resources.live(ws.scope, owner="papers", kind="conversation")
            if len(live) >= number:
                return live
            await asyncio.sleep(0.01)


def asked(running: RunningService) -> Counter[str]:
    return Counter(row["operation"] for row in running.requests() if row["method"] == "POST")


async def break_conversations(running: RunningService, then: dict[str, Any], *nths: int) -> None:
    """Have requests for conversations go wrong: these, from now."""
    rules = [{"when": {"operation": "conversations.create", "nth": nth}, "then": then} for nth in nths]
    faults = f"{running.origin}/_emulator/faults"
    (await asyncio.to_thread(httpx.put, faults, content=yaml.safe_dump({"rules": rules}))).raise_for_status()


async def test_a_turn_begins_in_one_and_asks_for_a_response_alone(
    running: RunningService, ws: Workspace, agent: RemoteAgent
) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(4)
        made = await until_made(ws, 4)
        assert {one.name for one in made} == {"made ahead"}
        before = asked(running)
        result = await run_turn(ws, ask(agent, "Hello"), spares=spares)
        assert asked(running) - before == {"responses.create": 1}
        assert result.text == HELLO["default"]["reply"]["text"]
        assert result.conversation in {one.remote_id for one in made}
        (known,) = await ws.journal.resources.live(ws.scope, owner="papers/Hello")
        assert (known.remote_id, known.name) == (result.conversation, "ask")
        assert known.operation_key == turn_key(ask(agent, "Hello"))
        # The conversation goes on as any other one.
        more = await run_turn(
            ws, ask(agent, "And?", conversation=result.conversation, after=result.key), spares=spares
        )
        assert more.conversation == result.conversation
        items = ws.backend._client  # type: ignore[attr-defined]
        page = await items.get(f"/conversations/{result.conversation}/items", {"order": "asc"})
        said = [item["content"][0]["text"] for item in page["data"]]
        assert said == ["Hello", result.text, "And?", more.text]
    assert [one.owner for one in await ws.journal.resources.live(ws.scope, kind="conversation")] == [
        "papers/Hello"
    ]
    await release_owner(ws, "papers")


async def test_what_is_left_is_deleted(running: RunningService, ws: Workspace) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(5)
        await until_made(ws, 4)
    assert await ws.journal.resources.live(ws.scope) == []
    deleted = [row for row in running.requests("conversations.delete") if row["status"] == 200]
    assert len(deleted) == len(running.requests("conversations.create")) == 4


@pytest.mark.parametrize(
    ("wanted", "made"), [(0, 0), (1, 0), (2, 2), (3, 2), (7, 4), (9, 8), (16, 16), (500, 16)]
)
async def test_as_many_are_made_as_are_wanted_and_not_one_more(
    running: RunningService, ws: Workspace, wanted: int, made: int
) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(wanted)
        await until_made(ws, made)
        await asyncio.sleep(0.05)
        assert len(running.requests("conversations.create")) == made


async def test_they_are_made_again_when_few_are_left(
    running: RunningService, ws: Workspace, agent: RemoteAgent
) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(100)
        await until_made(ws, 16)
        for number in range(7):
            await run_turn(ws, ask(agent, f"{number}"), spares=spares)
            spares.wanted(99 - number)
        await asyncio.sleep(0.05)
        assert len(running.requests("conversations.create")) == 16  # nine are left
        await run_turn(ws, ask(agent, "7"), spares=spares)
        spares.wanted(92)
        await until_made(ws, 24)
        assert len(running.requests("conversations.create")) == 32
    assert len(await ws.journal.resources.live(ws.scope, kind="conversation")) == 8
    assert asked(running)["responses.create"] == 8
    await release_owner(ws, "papers")


async def test_a_turn_of_the_journal_and_a_continued_one_take_none(
    running: RunningService, ws: Workspace, agent: RemoteAgent
) -> None:
    spares = spares_of(ws)
    first = await run_turn(ws, ask(agent, "Hello"), spares=spares)
    async with spares.kept():
        spares.wanted(2)
        await until_made(ws, 2)
        assert (await run_turn(ws, ask(agent, "Hello"), spares=spares)).reused
        await run_turn(
            ws, ask(agent, "And?", conversation=first.conversation, after=first.key), spares=spares
        )
        assert len(await until_made(ws, 2)) == 2
        results = [await run_turn(ws, ask(agent, prompt), spares=spares) for prompt in "abc"]
        assert len({result.conversation for result in results}) == 3
        assert asked(running)["conversations.create"] == 1 + 2 + 1
    await release_owner(ws, "papers")


async def test_one_that_somebody_has_deleted_is_not_begun_in(
    running: RunningService, ws: Workspace, agent: RemoteAgent
) -> None:
    """Released with their owner, as by a worker that took the batch over."""
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(2)
        await until_made(ws, 2)
        assert await release_owner(ws, "papers") == 3
        agent = await ensure_agent(ws, SPEC, owner="papers")
        results = [await run_turn(ws, ask(agent, prompt), spares=spares) for prompt in "ab"]
        assert asked(running)["conversations.create"] == 2 + 2
        assert asked(running)["responses.create"] == 2
        assert [result.attempts for result in results] == [1, 1]
    await release_owner(ws, "papers")


async def test_one_that_is_gone_from_the_service_alone_is_made_anew(
    running: RunningService, ws: Workspace, agent: RemoteAgent
) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(2)
        for one in await until_made(ws, 2):
            await ws.backend.delete("conversation", one.remote_id)
        result = await run_turn(ws, ask(agent, "Hello"), spares=spares)
        assert result.text == HELLO["default"]["reply"]["text"]
        assert len(running.generations()) == 1
    await release_owner(ws, "papers")


@pytest.mark.parametrize("then", [{"lose_answer": True}, {"status": 500, "after_effect": True}])
async def test_those_whose_answers_were_lost_are_found(
    running: RunningService, ws: Workspace, then: dict[str, Any]
) -> None:
    maker = ws.backend.empty_conversations
    assert maker is not None
    await break_conversations(running, then, 2, 4)
    made, error = await make_group(ws, maker, owner="papers", ttl=HOUR, number=4)
    assert isinstance(error, AgentTasksError)
    assert len({one.remote_id for one in made}) == 4
    assert {one.remote_id for one in await until_made(ws, 4)} == {one.remote_id for one in made}
    await release_owner(ws, "papers")


async def test_one_that_the_list_shows_late_is_not_lost_where_its_answer_was_heard(
    running: RunningService, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = ws.backend.empty_conversations
    assert maker is not None

    async def nothing(key: str, *, since: float) -> list[str]:
        return []

    monkeypatch.setattr(maker, "find", nothing)
    await break_conversations(running, {"status": 500}, 1)
    with clock_of(JumpingClock()):
        made, error = await make_group(ws, maker, owner="papers", ttl=HOUR, number=4)
    assert isinstance(error, ServerError)
    assert len(made) == 3
    await release_owner(ws, "papers")


@pytest.mark.parametrize("error", [BadRequestError("not here", status=400), KeyError("not here")])
async def test_refusals_are_told_once_and_turns_make_theirs(
    running: RunningService,
    ws: Workspace,
    agent: RemoteAgent,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    maker = ws.backend.empty_conversations
    assert maker is not None
    tried: list[Mark] = []

    async def refused(mark: Mark) -> str:
        tried.append(mark)
        raise error

    spares = spares_of(ws)
    with monkeypatch.context() as patch:
        patch.setattr(maker, "create", refused)
        async with spares.kept():
            spares.wanted(4)
            async with asyncio.timeout(10):
                while "not here" not in caplog.text:
                    await asyncio.sleep(0.01)
            patch.undo()
            spares.wanted(16)
            result = await run_turn(ws, ask(agent, "Hello"), spares=spares)
            await asyncio.sleep(0.1)
            assert len(running.requests("conversations.create")) == 1  # the turn's: there is a pause
    assert result.attempts == 1
    assert len(tried) == 4
    assert caplog.text.count("No conversations are made ahead") == 1
    assert await ws.journal.operations.unsettled(ws.scope) == []
    await release_owner(ws, "papers")


async def test_what_a_turn_has_taken_is_not_given_to_another_one_nor_deleted(
    ws: Workspace, agent: RemoteAgent
) -> None:
    """The commit of its intent is made again, since its answer was lost."""
    spares = spares_of(ws)
    turn = ask(agent, "Hello")
    async with spares.kept():
        spares.wanted(2)
        await until_made(ws, 2)
        taking = spares.taking(turn)
        assert taking is not None
        key = turn_key(turn)
        intent = {"owner": turn.owner}
        await ws.journal.operations.claim(ws.scope, key, "turn", intent, taking=taking)
        async with ws.hold(key, "turn", intent, taking=taking) as held:
            assert held.is_orphan
            spares.settle(taking, held)
        spares.wanted(0)
        others = [spares.taking(ask(agent, "And?")) for _ in range(2)]
        assert [other.spare.remote_id for other in others if other is not None] != [taking.spare.remote_id]
        assert others[1] is None
    (known,) = await ws.journal.resources.live(ws.scope, kind="conversation")
    assert (known.remote_id, known.owner) == (taking.spare.remote_id, turn.owner)
    assert await ws.backend.exists("conversation", known.remote_id)
    await release_owner(ws, "papers")


async def test_one_whose_turn_could_not_claim_is_deleted_with_the_others(
    ws: Workspace, agent: RemoteAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(2)
        await until_made(ws, 2)
        with monkeypatch.context() as patch:

            async def refused(*_: object, **__: object) -> None:
                raise JournalUnreadableError("not now")

            patch.setattr(ws.journal.operations, "claim", refused)
            with pytest.raises(JournalUnreadableError):
                await run_turn(ws, ask(agent, "Hello"), spares=spares)
    assert await ws.journal.resources.live(ws.scope, kind="conversation") == []


@pytest.mark.parametrize("ends", ["in good order", "with an error"])
async def test_nothing_is_made_any_more_when_a_batch_is_cancelled_at_its_end(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    maker = ws.backend.empty_conversations
    assert maker is not None
    begun = asyncio.Event()

    async def never(mark: Mark) -> str:
        begun.set()
        await asyncio.sleep(3600)
        return ""

    monkeypatch.setattr(maker, "create", never)
    spares = spares_of(ws)

    async def batch() -> None:
        async with spares.kept():
            spares.wanted(2)
            await begun.wait()
            if ends == "with an error":
                raise BadRequestError("no", status=400)

    running = asyncio.create_task(batch())
    await begun.wait()
    await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert "spare-conversations" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_group_that_is_under_way_at_the_end_is_made_and_deleted(
    running: RunningService, ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(4)
        await asyncio.sleep(0)  # it is about to begin
        async with asyncio.timeout(10):
            while not await ws.journal.operations.unsettled(ws.scope):
                await asyncio.sleep(0)
    assert await ws.journal.operations.unsettled(ws.scope) == []
    assert await ws.journal.resources.live(ws.scope) == []
    assert [one async for one in ws.backend.marked("conversation", limit=100)] == []
    assert len(running.requests("conversations.delete")) == len(running.requests("conversations.create"))


async def _left_open(ws: Workspace, running: RunningService) -> None:
    """A group whose worker was cancelled when the service had it, before the journal knew."""
    maker = ws.backend.empty_conversations
    assert maker is not None

    class Cancelling:
        def __init__(self) -> None:
            self.left = 4

        async def create(self, mark: Mark) -> str:
            made = await maker.create(mark)  # type: ignore[union-attr]
            self.left -= 1
            if not self.left:
                raise asyncio.CancelledError
            return made

        async def find(self, key: str, *, since: float) -> list[str]:
            raise AssertionError("nothing was lost")

    with pytest.raises(asyncio.CancelledError):
        await make_group(ws, Cancelling(), owner="papers", ttl=HOUR, number=4)
    assert len(running.requests("conversations.create")) == 4
    assert await ws.journal.resources.live(ws.scope, kind="conversation") == []


async def test_the_next_run_takes_over_what_a_dead_worker_has_made(
    running: RunningService, ws: Workspace, agent: RemoteAgent
) -> None:
    await _left_open(ws, running)
    spares = spares_of(ws)
    async with spares.kept():
        assert len(await until_made(ws, 4)) == 4
        await run_turn(ws, ask(agent, "Hello"), spares=spares)
        assert asked(running)["conversations.create"] == 4
    assert len(await ws.journal.resources.live(ws.scope, kind="conversation")) == 1
    await release_owner(ws, "papers")


async def test_so_does_the_release_of_what_a_cancelled_run_has_made(
    running: RunningService, ws: Workspace
) -> None:
    await _left_open(ws, running)
    assert await release_ended(ws, "papers") == 4
    assert len(running.requests("conversations.delete")) == 4


@pytest.mark.parametrize("is_used_up", [False, True])
async def test_the_group_of_a_living_worker_is_left_alone_and_waited_for(
    ws: Workspace, tmp_path: Path, is_used_up: bool
) -> None:
    async with Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db") as other:
        intent = {"owner": "papers", "count": 2, "ttl": 60.0, "service": "agents"}
        await other.operations.claim(ws.scope, "group", "conversations", intent)
        assert await recover_groups(ws, "papers") == []

        async def ends() -> None:
            await asyncio.sleep(0.3)
            made = NewResource("conversation", "conv_1", "papers", "made ahead", 60.0)
            await other.operations.finish(ws.scope, "group", {"conversations": ["conv_1"]}, [made])
            if is_used_up:
                await other.resources.mark_deleted(ws.scope, "conversation", "conv_1")

        ending = asyncio.create_task(ends())
        assert await recover_groups(ws, "papers", wait=10.0) == []
        await ending
    assert await ws.journal.operations.unsettled(ws.scope) == []
    found = await ws.journal.operations.get(ws.scope, "group")
    assert found is not None
    assert found.state is OperationState.DONE


@pytest.mark.parametrize("keeps", [True, False])
async def test_a_lost_response_in_one_is_found_also_where_the_service_keeps_no_metadata(
    running: RunningService,
    ws: Workspace,
    agent: RemoteAgent,
    monkeypatch: pytest.MonkeyPatch,
    keeps: bool,
) -> None:
    """The conversation does not carry the turn's mark; that it is the turn's own stands in the journal."""
    listed = ResponsesService.responses

    async def without_metadata(self: ResponsesService, conversation: str) -> list[dict[str, Any]]:
        return [{**one, "metadata": {}} for one in await listed(self, conversation)]

    if not keeps:
        monkeypatch.setattr(ResponsesService, "responses", without_metadata)
    faults = [{"when": {"operation": "responses.create", "nth": 1}, "then": {"lose_answer": True}}]
    spares = spares_of(ws)
    async with spares.kept():
        spares.wanted(2)
        await until_made(ws, 2)
        plan = yaml.safe_dump({"rules": faults})
        address = f"{running.origin}/_emulator/faults"
        (await asyncio.to_thread(httpx.put, address, content=plan)).raise_for_status()
        result = await run_turn(ws, ask(agent, "Hello"), spares=spares)
        assert result.text == HELLO["default"]["reply"]["text"]
        assert len(running.generations()) == 1
        assert asked(running)["responses.create"] == 1
    await release_owner(ws, "papers")


async def test_those_of_the_other_service_are_put_into_the_ledger(
    running: RunningService, ws: Workspace, tmp_path: Path
) -> None:
    """The setting was changed after a kill: they are no use here, and go with their owner."""
    await _left_open(ws, running)
    address = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with Workspace.open(running.endpoint, None, address, scope="test") as classic:
        assert classic.backend.empty_conversations is None
        async with Workspace.open(running.endpoint, None, address, scope="test", lease_seconds=60) as another:
            assert await recover_groups(another, "papers") == []
        assert len(await until_made(ws, 4)) == 4
        assert await release_owner(classic, "papers") == 4
    assert len(running.requests("conversations.delete")) == 4


async def test_classic_makes_none(service: ServiceFactory, tmp_path: Path) -> None:
    running = service(rules=HELLO)
    address = f"sqlite+aiosqlite:///{tmp_path}/other.db"
    async with Workspace.open(running.endpoint, None, address, scope="test") as ws:
        assert ws.backend.empty_conversations is None
        agent = await ensure_agent(ws, SPEC, owner="papers")
        spares = spares_of(ws)
        async with spares.kept():
            spares.wanted(100)
            result: TurnResult = await run_turn(ws, ask(agent, "Hello"), spares=spares)
        assert result.attempts == 1
        assert await ws.journal.operations.unsettled(ws.scope) == []
        await release_owner(ws, "papers")
