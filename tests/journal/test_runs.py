"""Runs of batches: one worker leads, the others follow, and whoever is left brings the run to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal import AnswerRecord, DocumentRecord, Journal, LeaseKind, NewLease, Run
from tests.journal.conftest import Clock

SCOPE = "s"
OWNER = "papers:0123456789ab"
LEAD = NewLease("lead", LeaseKind.NAME, OWNER)
DOCUMENT = NewLease("document", LeaseKind.DOCUMENT, OWNER, "a.txt")
MEMBER = NewLease("member", LeaseKind.MEMBER, OWNER)
ELSEWHERE = NewLease("elsewhere", LeaseKind.DOCUMENT, "letters:0123456789ab", "a.txt")
BODY = {"done": 2}

_Result = TypeVar("_Result")


async def test_the_first_worker_leads_and_the_second_joins_its_run(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        first = await one.runs.join(SCOPE, LEAD, resume_within=120)
        clock.now += 5
        second = await two.runs.join(SCOPE, LEAD, resume_within=120)
        assert (first.hold.is_mine, second.hold.is_mine) == (True, False)
        assert second.hold.lease.worker == one.worker
        assert first.run == second.run
        assert (first.run.number, first.run.started_at, first.run.ended_at) == (1, clock.now - 5, None)
        assert await two.runs.lead(SCOPE, LEAD, second.run) is None


async def test_the_end_of_a_run_is_kept_and_frees_all_leases_of_its_batch(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        joined = await one.runs.join(SCOPE, LEAD, resume_within=120)
        await two.leases.take(SCOPE, [DOCUMENT, MEMBER, ELSEWHERE])
        clock.now += 7
        await one.runs.end(SCOPE, LEAD, joined.run, BODY)
        assert [lease.key for lease in await two.leases.of(SCOPE)] == ["elsewhere"]
        (ended,) = await two.runs.ended(SCOPE)
        assert (ended.owner, ended.ended_at, ended.body) == (OWNER, clock.now, BODY)
        assert await two.runs.lead(SCOPE, LEAD, joined.run) is None, "it is over"
        assert await two.leases.get(SCOPE, "lead") is None
        again = await two.runs.join(SCOPE, LEAD, resume_within=120)
        assert (again.run.number, again.run.started_at, again.run.body) == (2, clock.now, None)
        assert await two.runs.ended(SCOPE) == [], "what it came to is not known while it is done again"


async def test_the_run_of_a_silent_leader_is_resumed_and_later_it_is_over(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as gone, Journal(address, clock=clock) as journal:
        begun = (await gone.runs.join(SCOPE, LEAD, resume_within=120)).run
        clock.now += gone.lease_seconds + 100
        resumed = await journal.runs.join(SCOPE, LEAD, resume_within=120)
        assert (resumed.hold.is_mine, resumed.run) == (True, begun)
        with pytest.raises(LeaseLostError, match="leads papers"):
            await gone.runs.end(SCOPE, LEAD, begun, BODY)
        clock.now += gone.lease_seconds + 121
        anew = await gone.runs.join(SCOPE, LEAD, resume_within=120)
        assert (anew.hold.is_mine, anew.run.number, anew.run.started_at) == (True, 2, clock.now)


async def test_a_follower_leads_the_run_that_its_leader_gave_up(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        await one.runs.join(SCOPE, LEAD, resume_within=120)
        joined = await two.runs.join(SCOPE, LEAD, resume_within=120)
        await one.leases.give_up(SCOPE, ["lead"])
        clock.now += 3
        led = await two.runs.lead(SCOPE, LEAD, joined.run)
        assert led == joined.run
        assert two.leases.held.is_sure(SCOPE, "lead")
        await two.runs.end(SCOPE, LEAD, joined.run, BODY)
        found = await one.runs.get(SCOPE, OWNER)
        assert found is not None
        assert (found.number, found.started_at, found.worker) == (1, joined.run.started_at, two.worker)


async def test_whoever_only_holds_the_name_has_no_run_and_keeps_the_last_one(
    address: str, clock: Clock
) -> None:
    """Cleaning up after a run holds the batch's name too."""
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        joined = await one.runs.join(SCOPE, LEAD, resume_within=120)
        await one.runs.end(SCOPE, LEAD, joined.run, BODY)
        assert (await one.leases.hold(SCOPE, LEAD)).is_mine
        clock.now += 1
        waiting = await two.runs.join(SCOPE, LEAD, resume_within=120)
        assert (waiting.hold.is_mine, waiting.run.number) == (False, 2)
        assert [run.body for run in await two.runs.ended(SCOPE)] == [BODY]
        await one.leases.give_up(SCOPE, ["lead"])
        led = await two.runs.lead(SCOPE, LEAD, waiting.run)
        assert led is not None
        assert (led.number, led.worker) == (2, two.worker)


async def test_of_many_who_join_at_once_one_leads_one_run(address: str) -> None:
    journals = [Journal(address) for _ in range(4)]
    for journal in journals:
        await journal.__aenter__()
    joined = await asyncio.gather(
        *(journal.runs.join(SCOPE, LEAD, resume_within=120) for journal in journals)
    )
    assert [one.hold.is_mine for one in joined].count(True) == 1
    assert {(one.run.number, one.run.started_at) for one in joined} == {(1, joined[0].run.started_at)}
    for journal in journals:
        await journal.__aexit__(None, None, None)


async def test_an_end_that_was_committed_unheard_of_is_the_end(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a connection that was lost with the answer: the transaction is done a second time."""
    joined = await journal.runs.join(SCOPE, LEAD, resume_within=120)
    write = journal._database.write

    async def twice(work: Callable[[sa.Connection], _Result], **given: Any) -> _Result:
        await write(work, **given)
        return await write(work, **given)

    monkeypatch.setattr(journal._database, "write", twice)
    await journal.runs.end(SCOPE, LEAD, joined.run, BODY)
    again = await journal.runs.join(SCOPE, LEAD, resume_within=120)
    assert again.run.number == 2
    lost = Run(OWNER, 2, journal.worker, 0.0)
    await journal.leases.give_up(SCOPE, ["lead"])
    with pytest.raises(LeaseLostError):
        await journal.runs.end(SCOPE, LEAD, lost, {"other": 1})


async def test_an_answer_is_its_leaders_and_is_replaced(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as silent, Journal(address, clock=clock) as other:
        ours, theirs = (AnswerRecord("sum", "c", "f", "answered", {"text": text}) for text in ("1", "2"))
        assert (await silent.leases.hold(SCOPE, LEAD)).is_mine
        await silent.answers.put(SCOPE, "b", ours, held="lead")
        clock.now += silent.lease_seconds + 1
        assert (await other.leases.hold(SCOPE, LEAD)).is_mine
        await other.answers.put(SCOPE, "b", theirs, held="lead")
        with pytest.raises(LeaseLostError):
            await silent.answers.put(SCOPE, "b", ours, held="lead")
        await other.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "done"))
        assert await silent.answers.of(SCOPE, "b") == [theirs]
        assert await silent.answers.get(SCOPE, "b", "sum") == theirs
        assert await silent.answers.get(SCOPE, "b", "mean") is None
        assert [record.name async for record in silent.documents.of(SCOPE, "b")] == ["a.txt"]


async def test_a_flow_run_says_anew_for_whom_it_works(journal: Journal) -> None:
    assert await journal.flow_runs.owner("run") is None
    for owner in ("papers:1", "papers:2"):
        await journal.flow_runs.note("run", owner)
    assert await journal.flow_runs.owner("run") == "papers:2"
