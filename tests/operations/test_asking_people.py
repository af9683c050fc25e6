"""Asking a person: what the step gets, what the person sees, and what a second decider is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agent_tasks.backends.base import Backend
from agent_tasks.errors import (
    AlreadyDecidedError,
    ConfigurationError,
    DecisionExpiredError,
    LeaseLostError,
    UnknownQuestionError,
    WaitingForPersonError,
)
from agent_tasks.journal import DecisionState, Journal, NewResource
from agent_tasks.operations import (
    Decision,
    Workspace,
    ask_person,
    decide,
    exclusive,
    find_question,
    list_questions,
    owners_that_wait,
    withdraw_questions,
)
from agent_tasks.operations.cleanup import name_lease
from agent_tasks.operations.decisions import MAX_SHOWN
from agent_tasks.operations.ownership import release_ended
from tests.journal.conftest import Clock, address, backend, clock, journal
from tests.support.fake_backend import FakeBackend

__all__ = ["address", "backend", "clock", "journal"]

ASKED: dict[str, Any] = {
    "owner": "batch/a.txt",
    "step": "release",
    "question": "Send it?",
    "shown": "Dear Sir",
}


@pytest.fixture
def ws(journal: Journal) -> Workspace:
    service: Backend = FakeBackend(lambda *_: pytest.fail("no agent is asked"))
    return Workspace(service, journal, scope="test")


async def waiting(ws: Workspace, **more: Any) -> WaitingForPersonError:
    with pytest.raises(WaitingForPersonError) as raised:
        await ask_person(ws, **{**ASKED, **more})
    return raised.value


def key_of(error: WaitingForPersonError) -> str:
    assert error.key is not None
    return error.key


async def test_the_step_waits_until_a_person_decides_and_gets_it_every_time(
    ws: Workspace, clock: Clock
) -> None:
    error = await waiting(ws, time_limit=timedelta(days=2))
    assert (error.question, error.step, error.retryable) == ("Send it?", "release", False)
    assert error.expires_at == clock.now + 2 * 86_400
    assert f"agent-tasks approvals show {key_of(error)[:8]}" in str(error)
    assert key_of(await waiting(ws, time_limit=timedelta(days=2))) == error.key

    clock.now += 60
    await decide(ws, key_of(error)[:6], approved=False, by="Ann\x1b[31m", note="Not today.\nNever.")

    expected = Decision(
        key=key_of(error), approved=False, by="Ann [31m", note="Not today.\nNever.", decided_at=clock.now,
        seen=(await find_question(ws, key_of(error))).shown_hash,
    )  # fmt: skip
    assert await ask_person(ws, **ASKED) == expected
    clock.now += 10
    assert await ask_person(ws, **ASKED) == expected
    [taken] = await list_questions(ws, states=())
    assert taken.taken_at == clock.now - 10


@pytest.mark.parametrize(
    "other", [{"shown": "Dear Madam"}, {"question": "Send?"}, {"owner": "b"}, {"step": "s"}, {"run": "2"}]
)
async def test_a_decision_counts_for_what_was_seen_and_nothing_else(
    ws: Workspace, other: dict[str, str]
) -> None:
    first = await waiting(ws)
    await decide(ws, key_of(first), approved=True, by="Ann")
    assert (await waiting(ws, **other)).key != first.key
    assert (await ask_person(ws, **ASKED)).approved


async def test_what_is_shown_is_bounded_and_without_secrets_but_all_of_it_counts(ws: Workspace) -> None:
    long = "https://host/?sig=TOPSECRET " + "x" * 2 * MAX_SHOWN
    first = await waiting(ws, shown=long + "1")
    second = await waiting(ws, shown=long + "2")
    assert first.key != second.key
    seen = (await find_question(ws, key_of(first))).shown
    assert "TOPSECRET" not in seen
    assert len(seen) < MAX_SHOWN + 100
    assert "more characters)" in seen


async def test_values_are_shown_as_json_and_odd_characters_are_kept_out(ws: Workspace) -> None:
    error = await waiting(
        ws, shown={"total": 12.5, "name": "Zoë\0\ud800"}, question="All\0 right?\n\nReally?"
    )
    found = await find_question(ws, key_of(error))
    assert '"total": 12.5' in found.shown
    assert "Zoë" in found.shown
    assert "\0" not in found.shown
    assert "\n" not in found.question


async def test_the_second_decider_is_told_who_was_first(ws: Workspace) -> None:
    key = key_of(await waiting(ws))
    await decide(ws, key, approved=True, by="Ann")
    with pytest.raises(AlreadyDecidedError, match=r"approved by Ann at .* not committed"):
        await decide(ws, key, approved=False, by="Bob")
    with pytest.raises(AlreadyDecidedError, match="approved by Ann"):
        await decide(ws, key, approved=False, by="Ann")
    assert (await ask_person(ws, **ASKED)).approved


async def test_the_same_decision_again_is_the_one_that_was_made(ws: Workspace, clock: Clock) -> None:
    key = key_of(await waiting(ws))
    first = await decide(ws, key, approved=True, by="Ann", note="Fine.")
    clock.now += 60
    assert await decide(ws, key, approved=True, by="Ann", note="Fine.") == first


async def test_nobody_decides_on_what_they_have_not_seen(ws: Workspace) -> None:
    key = key_of(await waiting(ws))
    with pytest.raises(AlreadyDecidedError, match="Look at it again"):
        await decide(ws, key, approved=True, by="Ann", seen="another")
    await waiting(ws)


@pytest.mark.parametrize(("policy", "approved"), [("approve", True), ("reject", False)])
async def test_a_time_limit_decides_by_its_policy(
    ws: Workspace, clock: Clock, policy: str, approved: bool
) -> None:
    limit: dict[str, Any] = {"time_limit": timedelta(hours=1), "at_limit": policy}
    key = key_of(await waiting(ws, **limit))
    clock.now += 4000
    with pytest.raises(AlreadyDecidedError, match="by its time limit"):
        await decide(ws, key, approved=not approved, by="Ann")
    decision = await ask_person(ws, **ASKED, **limit)
    assert (decision.approved, decision.by, decision.decided_at) == (approved, None, clock.now - 400)


async def test_a_time_limit_that_fails_says_what_to_do_and_a_longer_one_asks_on(
    ws: Workspace, clock: Clock
) -> None:
    key = key_of(await waiting(ws, time_limit=timedelta(hours=1)))
    clock.now += 4000
    with pytest.raises(DecisionExpiredError, match="Give it more time") as raised:
        await ask_person(ws, **ASKED, time_limit=timedelta(hours=1))
    assert (raised.value.key, raised.value.retryable) == (key, False)
    with pytest.raises(AlreadyDecidedError, match="nobody did, and it failed then"):
        await decide(ws, key, approved=True, by="Ann")
    assert key_of(await waiting(ws, time_limit=timedelta(hours=2))) == key
    await decide(ws, key, approved=True, by="Ann")
    assert (await ask_person(ws, **ASKED)).approved


async def test_a_withdrawn_question_is_not_decided(ws: Workspace) -> None:
    key = key_of(await waiting(ws))
    assert await withdraw_questions(ws, "batch/a.txt") == 1
    assert await list_questions(ws) == []
    with pytest.raises(AlreadyDecidedError, match="not asked any more"):
        await decide(ws, key, approved=True, by="Ann")
    assert key_of(await waiting(ws)) == key
    assert (await list_questions(ws))[0].state is DecisionState.WAITING


async def test_ids_may_be_shortened_as_long_as_they_name_one(ws: Workspace) -> None:
    keys = [key_of(await waiting(ws, shown=str(number))) for number in range(20)]
    start = next(key[0] for key in keys if sum(other[0] == key[0] for other in keys) > 1)
    with pytest.raises(UnknownQuestionError, match=f"questions begin with '{start}'"):
        await find_question(ws, start)
    for odd in ("", "zz", "%", "_"):
        with pytest.raises(UnknownQuestionError, match="No question"):
            await find_question(ws, odd)
    assert (await find_question(ws, keys[3].upper())).key == keys[3]


async def test_owners_wait_until_the_step_has_resumed(ws: Workspace) -> None:
    key = key_of(await waiting(ws))
    assert await owners_that_wait(ws, "batch") == {"batch/a.txt"}
    await decide(ws, key, approved=True, by="Ann")
    assert await owners_that_wait(ws, "batch") == {"batch/a.txt"}
    await ask_person(ws, **ASKED)
    assert await owners_that_wait(ws, "batch") == set()


async def test_a_worker_that_lost_what_it_works_for_asks_nobody(ws: Workspace) -> None:
    async def overtaken() -> None:
        async with exclusive(ws, "batch"):
            await ws.journal.leases.give_up(ws.scope, [name_lease("batch").key])
            await ask_person(ws, **ASKED)

    with pytest.raises(LeaseLostError):
        await overtaken()
    assert await list_questions(ws, states=()) == []


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"question": "  "}, "asks a person nothing"),
        ({"time_limit": timedelta()}, "time limit of step release"),
        ({"at_limit": "perhaps"}, "approve, reject, fail"),
    ],
)
async def test_questions_that_make_no_sense_are_refused(
    ws: Workspace, more: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        await ask_person(ws, **{**ASKED, **more})


async def test_nobody_in_particular_decides_nothing(ws: Workspace) -> None:
    key = key_of(await waiting(ws))
    with pytest.raises(ConfigurationError, match="who decides"):
        await decide(ws, key, approved=True, by=" \n")


async def test_what_an_owner_waits_with_stays_when_the_rest_is_released(ws: Workspace) -> None:
    await waiting(ws)
    made = [
        NewResource("conversation", "thread_waits", "batch/a.txt/part", "", 60.0),
        NewResource("conversation", "thread_other", "batch/b.txt", "", 60.0),
        NewResource("agent", "asst_1", "batch", "clerk", 60.0),
    ]
    await ws.journal.operations.claim(ws.scope, "turn", "turn", {})
    await ws.journal.operations.finish(ws.scope, "turn", {}, made)
    await release_ended(ws, "batch")
    assert [one.remote_id for one in await ws.journal.resources.live(ws.scope)] == ["thread_waits"]
    await withdraw_questions(ws, "batch", parts=True)
    await release_ended(ws, "batch")
    assert await ws.journal.resources.live(ws.scope) == []


async def test_a_keeper_is_whose_conversations_live_on(ws: Workspace) -> None:
    key = key_of(await waiting(ws, keeper="flow:1/task"))
    assert key_of(await waiting(ws, keeper="flow:1/other")) == key
    assert await owners_that_wait(ws, "flow:1") == {"flow:1/task"}
