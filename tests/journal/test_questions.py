"""Questions to people in the journal: asked once, decided once, with time limits that pass by themselves."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agent_tasks.errors import JournalVersionError
from agent_tasks.journal import AtLimit, DecisionState, Journal, NewResource, Question
from agent_tasks.journal.schema import decisions
from tests.journal.conftest import Clock

SCOPE = "test"
QUESTION = Question("a" * 40, "batch/a.txt", "release", "Send it?", "Dear Sir", "hash")
DAY = 86_400.0


async def ask(journal: Journal, question: Question = QUESTION) -> DecisionState:
    return (await journal.decisions.ask(SCOPE, question, keep=DAY)).state


async def decide(journal: Journal, by: str, state: DecisionState = DecisionState.APPROVED) -> bool:
    return (await journal.decisions.decide(SCOPE, QUESTION.key, state, by=by))[1]


async def test_a_question_is_asked_once_and_keeps_when(journal: Journal, clock: Clock) -> None:
    first = await journal.decisions.ask(SCOPE, QUESTION, keep=DAY)
    clock.now += 100
    assert await journal.decisions.ask(SCOPE, QUESTION, keep=DAY) == first
    assert first.asked_at == clock.now - 100
    assert await journal.decisions.waiting(SCOPE, [QUESTION.key, "b" * 40]) == {QUESTION.key}


async def test_of_many_deciders_at_once_one_wins(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as journal, Journal(address, clock=clock) as other:
        await ask(journal)
        outcomes = await asyncio.gather(
            *(decide((journal, other)[number % 2], f"person {number}", state)
              for number, state in enumerate([DecisionState.APPROVED, DecisionState.REJECTED] * 10))
        )  # fmt: skip
        assert sum(outcomes) == 1
        winner = outcomes.index(True)
        [found] = await other.decisions.of(SCOPE)
        assert (found.decided_by, found.decided_at) == (f"person {winner}", clock.now)


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (AtLimit.APPROVE, DecisionState.APPROVED),
        (AtLimit.REJECT, DecisionState.REJECTED),
        (AtLimit.FAIL, DecisionState.EXPIRED),
    ],
)
async def test_a_time_limit_that_passed_while_nothing_ran_takes_effect(
    address: str, clock: Clock, policy: AtLimit, state: DecisionState
) -> None:
    limited = replace(QUESTION, time_limit=60.0, at_limit=policy)
    async with Journal(address, clock=clock) as journal:
        assert await ask(journal, limited) is DecisionState.WAITING
    clock.now += 3 * DAY
    async with Journal(address, clock=clock) as journal:
        assert await journal.decisions.waiting(SCOPE, [QUESTION.key]) == set()
        found, counts = await journal.decisions.decide(SCOPE, QUESTION.key, DecisionState.APPROVED, by="Ann")
        assert found is not None
        assert (counts, found.state, found.decided_by) == (False, state, None)
        assert found.decided_at == found.asked_at + 60
        assert await ask(journal, limited) is state


async def test_whoever_lists_questions_sees_what_limits_have_decided(journal: Journal, clock: Clock) -> None:
    await ask(journal, replace(QUESTION, time_limit=60.0, at_limit=AtLimit.REJECT))
    clock.now += 60
    assert await journal.decisions.of(SCOPE, states=[DecisionState.WAITING]) == []
    [found] = await journal.decisions.of(SCOPE, key_start="aaa")
    assert found.state is DecisionState.REJECTED


async def test_another_time_limit_counts_while_nobody_has_decided(journal: Journal, clock: Clock) -> None:
    await ask(journal, replace(QUESTION, time_limit=60.0))
    clock.now += 61
    assert await ask(journal, replace(QUESTION, time_limit=60.0)) is DecisionState.EXPIRED
    await journal.decisions.take(SCOPE, QUESTION.key)
    longer = await journal.decisions.ask(SCOPE, replace(QUESTION, time_limit=120.0), keep=DAY)
    assert (longer.state, longer.expires_at) == (DecisionState.WAITING, longer.asked_at + 120)
    assert (longer.decided_at, longer.taken_at) == (None, None)
    assert await decide(journal, "Ann")
    assert await ask(journal, replace(QUESTION, time_limit=1.0)) is DecisionState.APPROVED


async def test_a_shorter_limit_that_is_over_already_takes_effect_at_once(
    journal: Journal, clock: Clock
) -> None:
    await ask(journal)
    clock.now += 100
    shorter = replace(QUESTION, time_limit=60.0, at_limit=AtLimit.REJECT)
    assert await ask(journal, shorter) is DecisionState.REJECTED


async def test_a_withdrawn_question_is_not_decided_and_can_be_asked_again(
    journal: Journal, clock: Clock
) -> None:
    await ask(journal)
    assert await journal.decisions.withdraw(SCOPE, "batch", keep=[], parts=True) == 1
    assert not await decide(journal, "Ann")
    clock.now += 5
    again = await journal.decisions.ask(SCOPE, QUESTION, keep=DAY)
    assert (again.state, again.asked_at) == (DecisionState.WAITING, clock.now)
    assert await journal.decisions.withdraw(SCOPE, "batch/a.txt", keep=[QUESTION.key]) == 0
    assert await journal.decisions.withdraw(SCOPE, "batch/a.tx", parts=True) == 0


async def test_what_was_decided_is_not_withdrawn(journal: Journal) -> None:
    await ask(journal)
    await decide(journal, "Ann")
    assert await journal.decisions.withdraw(SCOPE, QUESTION.owner) == 0
    assert await ask(journal) is DecisionState.APPROVED


async def test_conversations_live_on_while_their_owner_waits(journal: Journal, clock: Clock) -> None:
    made = [
        NewResource("conversation", f"thread_{number}", owner, "", 60.0)
        for number, owner in enumerate(["batch/a.txt", "batch/a.txt/clause", "batch/b.txt"])
    ]
    await journal.operations.claim(SCOPE, "turn", "turn", {})
    await journal.operations.finish(SCOPE, "turn", {}, made)
    await ask(journal)
    lives = {one.remote_id: one.expires_at - clock.now for one in await journal.resources.live(SCOPE)}
    assert lives == {"thread_0": DAY, "thread_1": DAY, "thread_2": 60.0}


async def test_owners_are_open_until_the_decision_is_taken(journal: Journal) -> None:
    await ask(journal)
    assert await journal.decisions.open_owners(SCOPE, "batch") == {"batch/a.txt"}
    await decide(journal, "Ann", DecisionState.REJECTED)
    assert await journal.decisions.open_owners(SCOPE, "batch/a.txt") == {"batch/a.txt"}
    await journal.decisions.take(SCOPE, QUESTION.key)
    assert await journal.decisions.open_owners(SCOPE, "batch") == set()


async def test_a_row_of_a_newer_format_is_refused(journal: Journal) -> None:
    await ask(journal)
    await journal._database.write(
        lambda connection: connection.execute(decisions.update().values(format=99, version="9.9"))
    )
    with pytest.raises(JournalVersionError, match=r"the decision aaaa.* 9\.9"):
        await journal.decisions.of(SCOPE)
