"""A server with conversations and without lists: what a turn gave is read from the items that it left."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, cast

import pytest

from agent_tasks.backends.base import (
    AgentSpec,
    ApprovalDecision,
    Mark,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnStatus,
    TurnUpdate,
)
from agent_tasks.backends.responses import ResponsesBackend
from agent_tasks.pauses import JumpingClock, clock_of
from agent_tasks.testing import ServiceLog
from agent_tasks.tools import McpTool
from tests.backends.contract import BOOK, BOOKED
from tests.backends.inline_servers import Lesser
from tests.backends.test_contract import RULES
from tests.conftest import ServiceFactory
from tests.support.mcp_server import McpLedger, mcp_ledger
from tests.support.service import RunningService


@pytest.fixture(scope="module")
def ledger() -> Iterator[McpLedger]:
    with mcp_ledger() as running:
        yield running


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    return service(rules=RULES)


@pytest.fixture(params=[True, False], ids=["lists", "no lists"])
def lists(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def workers(
    running: RunningService, lists: bool
) -> AsyncIterator[tuple[ResponsesBackend, ResponsesBackend]]:
    """Two processes, as far as they know: the second one goes on where the first was killed."""
    url = f"{running.endpoint}/openai/v1"
    async with (
        ResponsesBackend.of_server(url, None, transport=Lesser(lists=lists)) as first,
        ResponsesBackend.of_server(url, None, transport=Lesser(lists=lists)) as second,
    ):
        yield first, second


def asked(prompt: str, *tools: Any) -> TurnRequest:
    spec = AgentSpec(name="clerk", model="scripted", instructions="Work.", tools=list(tools))
    return TurnRequest("inline:clerk", prompt, spec=spec)


async def last_of(updates: AsyncIterator[TurnUpdate]) -> TurnUpdate:
    *_, last = [update async for update in updates]
    return last


async def unread(updates: AsyncIterator[TurnUpdate]) -> None:
    """Stop where a process is killed that has heard of a response and read nothing more."""
    async with aclosing(cast("Any", updates)) as stream:
        async for update in stream:
            if isinstance(update, TurnStarted):
                return


def from_the_journal(ref: TurnRef, request: TurnRequest) -> TurnRef:
    """What another process knows of a turn."""
    return TurnRef(ref.conversation, ref.turn_id, ref.mark, request)


Workers = tuple[ResponsesBackend, ResponsesBackend]


@pytest.mark.parametrize("approve", [True, False])
async def test_decisions_that_were_sent_unread_are_followed_to_their_answer(
    workers: Workers, ledger: McpLedger, approve: bool
) -> None:
    first, second = workers
    request = asked("Write", *McpTool("ledger", ledger.url).definitions)
    needs = await last_of(first.start_turn(request, Mark(secrets.token_hex(16))))
    assert isinstance(needs, TurnNeedsApproval)
    decisions = [ApprovalDecision(needs.calls[0].call_id, approve)]
    written = sum(ledger.written.values())
    await unread(first.answer_approvals(needs.ref, decisions))
    ref = from_the_journal(needs.ref, request)
    for updates in (second.answer_approvals(ref, decisions), second.follow_turn(ref)):
        ended = await last_of(updates)
        assert isinstance(ended, TurnEnded)
        assert ("line" if approve else "did not approve") in ended.text
    assert sum(ledger.written.values()) == written + approve


async def test_outputs_of_each_round_that_were_sent_unread_are_followed(
    running: RunningService, workers: Workers, lists: bool
) -> None:
    first, second = workers
    request = asked("Twice", BOOK)
    needs = await last_of(first.start_turn(request, Mark(secrets.token_hex(16))))
    for output in ("Oak booked", "Elm booked"):
        assert isinstance(needs, TurnNeedsTools)
        outputs = [(needs.calls[0].call_id, output)]
        await unread(first.answer_tools(needs.ref, outputs))
        first, second = second, first
        needs = await last_of(first.answer_tools(from_the_journal(needs.ref, request), outputs))
    assert isinstance(needs, TurnEnded)
    assert needs.text == BOOKED + "Oak booked and Elm booked"
    if not lists:  # with lists a response is read as often as it is seen running
        requests = ServiceLog(running.endpoint).requests()
        reads = [row for row in requests if row["method"] == "GET" and "/responses/" in row["path"]]
        assert len(reads) == 2, "each of the two looks once"


@pytest.mark.parametrize("prompt", ["Write", "Twice", "Book"])
async def test_what_was_given_up_while_it_waited_is_cancelled_for_whoever_follows(
    workers: Workers, ledger: McpLedger, prompt: str
) -> None:
    first, second = workers
    request = asked(prompt, BOOK, *McpTool("ledger", ledger.url).definitions)
    needs = await last_of(first.start_turn(request, Mark(secrets.token_hex(16))))
    if prompt == "Twice":
        assert isinstance(needs, TurnNeedsTools)
        needs = await last_of(first.answer_tools(needs.ref, [(needs.calls[0].call_id, "Oak booked")]))
    assert isinstance(needs, TurnNeedsTools | TurnNeedsApproval)
    ref = from_the_journal(needs.ref, request)
    with clock_of(JumpingClock()):
        assert await second.cancel_turn(ref)
        ended = await last_of(second.follow_turn(ref))
        assert isinstance(ended, TurnEnded)
        assert ended.status is TurnStatus.CANCELLED
        assert await first.cancel_turn(ref), "again"
        assert await first.active_turn(needs.ref.conversation) is None
