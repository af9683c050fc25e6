"""What operations rely on, of every backend: one suite, run against each (`test_contract`).

The agents of a subject do what their prompt says, whatever serves them: "Hello" is answered, "Book" calls the
function `book`, "Write" a tool of the MCP server `ledger` that waits for approval, "Slow" never ends by
itself, "Flaky" fails the first time, "Long" is answered at length.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest

from agent_tasks.backends.base import (
    AgentSpec,
    ApprovalDecision,
    Backend,
    ConversationCreated,
    Mark,
    ResourceKind,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnStatus,
    TurnText,
    TurnUpdate,
)
from agent_tasks.errors import ConversationBusyError, NotFoundError, ServiceError
from agent_tasks.operations import RemoteStore

HELLO, BOOKED, LONG = "Good day to you.", "It says: ", "word " * 200

BOOK: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "book",
        "description": "Book something.",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
    },
}


@dataclass
class Subject:
    """A backend, with what its agents can do."""

    backend: Backend
    ledger: dict[str, Any]
    """Definition of the MCP server `ledger`, whose calls all wait for approval."""
    written: Callable[[], int]
    """How often the ledger was written to."""
    nobody: str = "asst_none"
    """The id of an agent that is not there."""
    nowhere: str = "thread_none"
    """The id of a conversation that is not there."""


class BackendContract:
    """The suite. A subclass has a fixture `subject`."""

    @pytest.fixture
    def backend(self, subject: Subject) -> Backend:
        return subject.backend

    # --- what is created -------------------------------------------------------------------------------

    def test_the_identity_is_an_address_without_secrets(self, backend: Backend) -> None:
        assert "://" in backend.identity
        assert backend.identity == backend.identity

    def test_it_says_what_it_guarantees(self, backend: Backend) -> None:
        can = backend.capabilities
        assert "Functions are called once" in can.guarantee
        assert can.turns_once == ("twice" not in can.guarantee)

    async def test_what_is_created_is_there_until_it_is_deleted(self, backend: Backend) -> None:
        for kind, remote_id in (await _one_of_each(backend)).items():
            assert await backend.exists(kind, remote_id), kind
            await backend.delete(kind, remote_id)
            assert not await backend.exists(kind, remote_id), kind

    async def test_deleting_what_is_gone_counts_as_deleted(self, backend: Backend) -> None:
        for kind, remote_id in (await _one_of_each(backend)).items():
            await backend.delete(kind, remote_id)
            await backend.delete(kind, remote_id)

    async def test_an_agent_has_its_stores(self, backend: Backend) -> None:
        file_id = await backend.upload_file(b"Oak.", "a.txt", "assistants", _mark())
        store_id = await backend.create_store("papers", [file_id], _mark())
        store = RemoteStore(id=store_id, key="k", name="papers", file_ids=[file_id])
        agent = await backend.create_agent(_spec({"type": "file_search"}, stores=[store]), _mark())
        assert (await _ended(backend.start_turn(TurnRequest(agent, "Hello"), _mark()))).text == HELLO

    async def test_a_store_takes_files_in_and_says_which_it_refused(self, backend: Backend) -> None:
        files = [await backend.upload_file(text, "a.txt", "assistants", _mark()) for text in (b"Oak.", b"")]
        more = await backend.upload_file(b"Elm.", "b.txt", "assistants", _mark())
        store = await backend.create_store("papers", files, _mark())
        await backend.add_files(store, [more])
        assert await backend.store_files(store) == {*files, more}
        async with asyncio.timeout(20):
            while (status := await backend.store_status(store)).pending:
                await asyncio.sleep(0.05)
        assert list(status.failed) == [files[1]]
        assert status.failed[files[1]]

    # --- marks -----------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["agent", "file", "store"])
    async def test_what_is_created_is_found_by_its_mark(
        self, backend: Backend, kind: Literal["agent", "file", "store"]
    ) -> None:
        mark, now = _mark(), time.time()
        made = await _make(backend, kind, mark)
        await _make(backend, kind, _mark())
        assert await backend.find(kind, mark, since=now - 60) == made
        assert await backend.find(kind, Mark(mark.key, 2), since=now - 60) is None, "of another attempt"
        assert await backend.find(kind, _mark(), since=now - 60) is None
        assert await backend.find(kind, mark, since=now + 60) is None, "too old"
        await backend.delete(kind, made)
        assert await backend.find(kind, mark, since=now - 60) is None

    @pytest.mark.parametrize("kind", ["agent", "file", "store", "conversation"])
    async def test_what_carries_a_mark_is_listed(self, backend: Backend, kind: ResourceKind) -> None:
        marks = [_mark() for _ in range(3)]
        made = {await _make(backend, kind, mark): mark for mark in marks}
        found = [resource async for resource in backend.marked(kind, limit=100)]
        assert {resource.remote_id for resource in found} == set(made)
        assert all(resource.kind == kind for resource in found)
        for resource in found:
            assert made[resource.remote_id].key.startswith(resource.key_start)
            assert len(resource.key_start) >= 12
        ages = [resource.created_at for resource in found]
        assert ages == sorted(ages, reverse=True)
        assert abs(ages[0] - time.time()) < 60
        assert len([resource async for resource in backend.marked(kind, limit=2)]) == 2

    async def test_the_name_of_a_file_carries_its_mark_and_keeps_its_suffix(self, backend: Backend) -> None:
        mark = _mark()
        await backend.upload_file(b"Oak.", "invoice 1.txt", "assistants", mark)
        (found,) = [resource async for resource in backend.marked("file", limit=10)]
        assert found.name.startswith("invoice 1.")
        assert found.name.endswith(".txt")
        assert mark.text in found.name

    # --- a turn ----------------------------------------------------------------------------------------

    async def test_a_turn_is_started_written_and_ended(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        updates = await _all(backend.start_turn(TurnRequest(agent, "Hello"), _mark()))
        if isinstance(updates[0], ConversationCreated):
            assert updates.pop(0) == ConversationCreated(updates[-1].ref.conversation)
        first, *texts, last = updates
        assert isinstance(first, TurnStarted)
        assert isinstance(last, TurnEnded)
        assert (last.ref, last.status, last.text) == (first.ref, TurnStatus.COMPLETED, HELLO)
        pieces = [update.text for update in texts if isinstance(update, TurnText)]
        assert "".join(pieces).replace(" ", "") == HELLO.replace(" ", "")
        assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0
        assert last.error_code is None

    async def test_nobody_need_listen_to_a_turn(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        updates = await _all(backend.start_turn(TurnRequest(agent, "Hello", is_heard=False), _mark()))
        assert not [update for update in updates if isinstance(update, TurnText)]
        last = updates[-1]
        assert isinstance(last, TurnEnded)
        assert last.text == HELLO

    async def test_a_turn_that_is_left_at_its_end_leaves_nothing_to_the_garbage_collector(
        self, backend: Backend
    ) -> None:
        """It would wake the loop for each generator, and end the stream in a task of nobody's."""
        agent = await backend.create_agent(_spec(), _mark())
        left: list[AsyncGenerator[Any, Any]] = []
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=left.append)
        try:
            turn = backend.start_turn(TurnRequest(agent, "Hello", is_heard=False), _mark())
            async with aclosing(cast("Any", turn)) as updates:
                async for update in updates:
                    if isinstance(update, TurnEnded):
                        break
        finally:
            sys.set_asyncgen_hooks(*before)
        assert left == []

    async def test_a_turn_goes_on_in_its_conversation(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        first = await _ended(backend.start_turn(TurnRequest(agent, "Hello"), _mark()))
        request = TurnRequest(agent, "Hello again", conversation=first.ref.conversation)
        second = await _ended(backend.start_turn(request, _mark()))
        assert second.ref.conversation == first.ref.conversation
        assert second.ref.turn_id != first.ref.turn_id

    async def test_a_failed_turn_says_why_and_can_be_tried_anew_without_its_prompt(
        self, backend: Backend
    ) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        mark = _mark()
        failed = await _ended(backend.start_turn(TurnRequest(agent, "Flaky"), mark))
        assert (failed.status, failed.error_code) == (TurnStatus.FAILED, "server_error")
        assert failed.error_message
        request = TurnRequest(agent, "Flaky", conversation=failed.ref.conversation, prompt_posted=True)
        again = await _ended(backend.start_turn(request, Mark(mark.key, 2)))
        assert (again.status, again.text) == (TurnStatus.COMPLETED, "Better now.")

    async def test_an_answer_beyond_its_bound_is_cut_off(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        request = TurnRequest(agent, "Long", max_completion_tokens=16)
        cut = await _ended(backend.start_turn(request, _mark()))
        assert (cut.status, cut.error_message) == (TurnStatus.INCOMPLETE, "max_completion_tokens")

    async def test_an_ended_turn_is_followed_to_the_same_end(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        ended = await _ended(backend.start_turn(TurnRequest(agent, "Hello"), _mark()))
        assert await _ended(backend.follow_turn(ended.ref)) == ended

    async def test_a_turn_goes_on_when_nobody_reads(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        ref = await _started(backend, TurnRequest(agent, "Hello"), _mark())
        assert (await _ended(backend.follow_turn(ref))).text == HELLO

    async def test_nothing_is_started_with_what_is_not_there(self, subject: Subject) -> None:
        backend = subject.backend
        with pytest.raises(ServiceError):
            await _all(backend.start_turn(TurnRequest(subject.nobody, "Hello"), _mark()))
        agent = await backend.create_agent(_spec(), _mark())
        with pytest.raises(NotFoundError):
            await _all(backend.start_turn(TurnRequest(agent, "Hello", conversation=subject.nowhere), _mark()))

    async def test_a_turn_that_is_gone_is_not_found(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        mark = _mark()
        ref = (await _ended(backend.start_turn(TurnRequest(agent, "Hello"), mark))).ref
        await backend.delete("conversation", ref.conversation)
        with pytest.raises(NotFoundError):
            await _all(backend.follow_turn(ref))
        with pytest.raises(NotFoundError):
            await _all(backend.answer_tools(ref, [("call_1", "done")]))
        with pytest.raises(NotFoundError):
            await _all(backend.answer_approvals(ref, []))
        with pytest.raises(NotFoundError):
            await backend.active_turn(ref.conversation)
        with pytest.raises(NotFoundError):
            await backend.find_turn(mark, conversation=ref.conversation, since=0)
        assert await backend.find_turn(mark, conversation=None, since=time.time() - 60) is None

    # --- calls -----------------------------------------------------------------------------------------

    async def test_a_turn_waits_for_the_outputs_of_its_calls(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(BOOK), _mark())
        *_, needs = await _all(backend.start_turn(TurnRequest(agent, "Book"), _mark()))
        assert isinstance(needs, TurnNeedsTools)
        (call,) = needs.calls
        assert (call.name, call.arguments) == ("book", '{"name": "Oak"}')
        (again,) = await _all(backend.follow_turn(needs.ref))
        assert again == needs, "it is asked for as long as it is not answered"
        ended = await _ended(backend.answer_tools(needs.ref, [(call.call_id, "Oak booked")]))
        assert (ended.ref, ended.text) == (needs.ref, BOOKED + "Oak booked")
        assert ended.usage.total_tokens > 0

    async def test_each_round_of_an_attempt_has_calls_of_its_own(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(BOOK), _mark())
        *_, first = await _all(backend.start_turn(TurnRequest(agent, "Twice"), _mark()))
        assert isinstance(first, TurnNeedsTools)
        *_, second = await _all(backend.answer_tools(first.ref, [(first.calls[0].call_id, "Oak booked")]))
        assert isinstance(second, TurnNeedsTools)
        assert second.ref == first.ref, "an attempt has one id for all its rounds"
        assert second.calls[0].arguments == first.calls[0].arguments
        assert second.calls[0].call_id != first.calls[0].call_id, "what is asked for again is made again"
        (again,) = await _all(backend.follow_turn(first.ref))
        assert again == second, "the newest round is found by the id of the first"
        active = await backend.active_turn(first.ref.conversation)
        assert active is not None
        assert active.ref == first.ref
        ended = await _ended(backend.answer_tools(second.ref, [(second.calls[0].call_id, "Elm booked")]))
        assert (ended.ref, ended.text) == (first.ref, BOOKED + "Oak booked and Elm booked")
        assert await _ended(backend.follow_turn(first.ref)) == ended, "with the cost of all rounds"

    async def test_a_turn_is_cancelled_in_its_newest_round(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(BOOK), _mark())
        *_, first = await _all(backend.start_turn(TurnRequest(agent, "Twice"), _mark()))
        assert isinstance(first, TurnNeedsTools)
        await _all(backend.answer_tools(first.ref, [(first.calls[0].call_id, "Oak booked")]))
        assert await backend.cancel_turn(first.ref)
        assert (await _ended(backend.follow_turn(first.ref))).status is TurnStatus.CANCELLED
        assert await backend.active_turn(first.ref.conversation) is None

    async def test_outputs_that_arrived_before_are_not_an_error(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(BOOK), _mark())
        *_, needs = await _all(backend.start_turn(TurnRequest(agent, "Book"), _mark()))
        assert isinstance(needs, TurnNeedsTools)
        outputs = [(needs.calls[0].call_id, "Oak booked")]
        ended = await _ended(backend.answer_tools(needs.ref, outputs))
        assert await _ended(backend.answer_tools(needs.ref, outputs)) == ended

    async def test_outputs_of_other_calls_are_refused(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(BOOK), _mark())
        *_, needs = await _all(backend.start_turn(TurnRequest(agent, "Book"), _mark()))
        assert isinstance(needs, TurnNeedsTools)
        with pytest.raises(ServiceError):
            await _all(backend.answer_tools(needs.ref, [("call_none", "Oak booked")]))
        (again,) = await _all(backend.follow_turn(needs.ref))
        assert again == needs

    @pytest.mark.parametrize("approve", [True, False])
    async def test_a_call_of_a_server_is_made_if_it_is_approved(
        self, subject: Subject, approve: bool
    ) -> None:
        backend = subject.backend
        agent = await backend.create_agent(_spec(subject.ledger), _mark())
        *_, needs = await _all(backend.start_turn(TurnRequest(agent, "Write"), _mark()))
        assert isinstance(needs, TurnNeedsApproval)
        (call,) = needs.calls
        assert (call.server, call.name, call.arguments) == ("ledger", "write", '{"line": "Oak"}')
        assert subject.written() == 0
        decisions = [ApprovalDecision(call.call_id, approve)]
        ended = await _ended(backend.answer_approvals(needs.ref, decisions))
        assert ("line 1" if approve else "did not approve") in ended.text
        assert await _ended(backend.answer_approvals(needs.ref, decisions)) == ended
        assert subject.written() == approve

    # --- a turn at work --------------------------------------------------------------------------------

    async def test_one_turn_is_active_in_a_conversation(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        mark = _mark()
        ref = await _started(backend, TurnRequest(agent, "Slow"), mark)
        active = await backend.active_turn(ref.conversation)
        assert active is not None
        assert (active.ref, active.mark) == (ref, mark)
        with pytest.raises(ConversationBusyError):
            await _all(
                backend.start_turn(TurnRequest(agent, "Hello", conversation=ref.conversation), _mark())
            )
        assert await backend.cancel_turn(ref)
        assert (await _ended(backend.follow_turn(ref))).status is TurnStatus.CANCELLED
        assert await backend.active_turn(ref.conversation) is None
        request = TurnRequest(agent, "Hello", conversation=ref.conversation)
        assert (await _ended(backend.start_turn(request, _mark()))).text == HELLO

    async def test_a_turn_that_waits_for_outputs_is_active_and_can_be_cancelled(
        self, backend: Backend
    ) -> None:
        agent = await backend.create_agent(_spec(BOOK), _mark())
        *_, needs = await _all(backend.start_turn(TurnRequest(agent, "Book"), _mark()))
        assert isinstance(needs, TurnNeedsTools)
        active = await backend.active_turn(needs.ref.conversation)
        assert active is not None
        assert active.ref == needs.ref
        assert await backend.cancel_turn(needs.ref)
        assert (await _ended(backend.follow_turn(needs.ref))).status is TurnStatus.CANCELLED

    async def test_cancelling_leaves_what_has_ended_and_tells_what_has_completed(
        self, backend: Backend
    ) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        done = await _ended(backend.start_turn(TurnRequest(agent, "Hello"), _mark()))
        assert not await backend.cancel_turn(done.ref)
        assert await _ended(backend.follow_turn(done.ref)) == done
        failed = await _ended(backend.start_turn(TurnRequest(agent, "Flaky"), _mark()))
        assert await backend.cancel_turn(failed.ref)
        await backend.delete("conversation", done.ref.conversation)
        assert await backend.cancel_turn(done.ref), "gone: nothing of it is left to be paid for"

    # --- a turn whose answer was lost ------------------------------------------------------------------

    async def test_a_turn_is_found_by_its_mark(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        mark, since = _mark(), time.time() - 60
        ref = (await _ended(backend.start_turn(TurnRequest(agent, "Hello"), mark))).ref
        await _ended(backend.start_turn(TurnRequest(agent, "Hello"), _mark()))
        for conversation in (None, ref.conversation):
            found = await backend.find_turn(mark, conversation=conversation, since=since)
            assert found is not None
            assert (found.conversation, found.turn_id) == (ref.conversation, ref.turn_id)
            assert found.prompt_posted
            for other in (_mark(), Mark(mark.key, 2)):
                assert await backend.find_turn(other, conversation=conversation, since=since) is None

    async def test_a_turn_begins_in_a_conversation_that_was_made_ahead(self, backend: Backend) -> None:
        maker = backend.empty_conversations
        if maker is None:
            return  # a turn makes its own in one request, or nothing is kept
        mark, now = _mark(), time.time()
        made = [await maker.create(Mark(mark.key, number)) for number in (1, 2)]
        await maker.create(_mark())
        assert set(await maker.find(mark.key, since=now - 60)) == set(made)
        assert await maker.find(mark.key, since=now + 60) == [], "too old"
        turn, agent = _mark(), await backend.create_agent(_spec(), _mark())
        unsent = await backend.find_turn(turn, conversation=made[0], is_own=True, since=now - 60)
        assert unsent is None, "or it is listed late"
        request = TurnRequest(agent, "Hello", conversation=made[0])
        ended = await _ended(backend.start_turn(request, turn))
        assert (ended.text, ended.ref.conversation) == (HELLO, made[0])
        found = await backend.find_turn(turn, conversation=made[0], is_own=True, since=now - 60)
        assert found is not None
        assert found.turn_id == ended.ref.turn_id
        await backend.delete("conversation", made[1])
        assert await maker.find(mark.key, since=now - 60) == [made[0]]

    async def test_each_attempt_in_a_conversation_is_found_by_its_own_mark(self, backend: Backend) -> None:
        agent = await backend.create_agent(_spec(), _mark())
        mark, since = _mark(), time.time() - 60
        first = (await _ended(backend.start_turn(TurnRequest(agent, "Flaky"), mark))).ref
        request = TurnRequest(agent, "Flaky", conversation=first.conversation, prompt_posted=True)
        second = (await _ended(backend.start_turn(request, Mark(mark.key, 2)))).ref
        for attempt, ref in ((1, first), (2, second)):
            found = await backend.find_turn(
                Mark(mark.key, attempt), conversation=ref.conversation, since=since
            )
            assert found is not None
            assert found.turn_id == ref.turn_id


def _mark() -> Mark:
    return Mark(secrets.token_hex(16))


def _spec(*tools: dict[str, Any], **more: Any) -> AgentSpec:
    return AgentSpec(name="clerk", model="scripted", instructions="Work.", tools=list(tools), **more)


async def _make(backend: Backend, kind: ResourceKind, mark: Mark) -> str:
    match kind:
        case "agent":
            return await backend.create_agent(_spec(), mark)
        case "file":
            return await backend.upload_file(b"Oak.", "a.txt", "assistants", mark)
        case "store":
            return await backend.create_store("papers", [], mark)
        case "conversation":
            agent = await backend.create_agent(_spec(), _mark())
            return (await _ended(backend.start_turn(TurnRequest(agent, "Hello"), mark))).ref.conversation


async def _one_of_each(backend: Backend) -> dict[ResourceKind, str]:
    kinds: tuple[ResourceKind, ...] = ("agent", "file", "store", "conversation")
    return {kind: await _make(backend, kind, _mark()) for kind in kinds}


async def _all(updates: AsyncIterator[TurnUpdate]) -> list[TurnUpdate]:
    return [update async for update in updates]


async def _ended(updates: AsyncIterator[TurnUpdate]) -> TurnEnded:
    *_, last = await _all(updates)
    assert isinstance(last, TurnEnded)
    return last


async def _started(backend: Backend, request: TurnRequest, mark: Mark) -> TurnRef:
    """Start a turn, and stop reading as soon as it is known."""
    async with aclosing(cast("Any", backend.start_turn(request, mark))) as updates:
        async for update in updates:
            if isinstance(update, ConversationCreated):
                continue
            assert isinstance(update, TurnStarted)
            return update.ref
    raise AssertionError("no turn was started")
