"""What one operation makes ahead, another one takes in the commit of its intent: one at most, or none."""

from __future__ import annotations

import asyncio

from agent_tasks.journal import Claim, Journal, NewResource, OperationState, Resource, Spare, Taking
from tests.journal.conftest import Clock

SCOPE = "s"
SPARE = Spare("conversation", "conv_1", "maker")
MADE = NewResource("conversation", "conv_1", "papers", "made ahead", 100.0)


def taking(owner: str = "papers/a.txt") -> Taking:
    return Taking(SPARE, owner, "ask", 50.0, {"conversation": "conv_1"})


async def make(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "maker", "conversations", {})
    await journal.operations.finish(SCOPE, "maker", {"conversations": ["conv_1"]}, [MADE])


async def ledger(journal: Journal) -> list[Resource]:
    return await journal.resources.live(SCOPE)


async def test_a_new_operation_takes_it_with_its_intent(journal: Journal, clock: Clock) -> None:
    await make(journal)
    clock.now += 10
    claimed = await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    assert claimed.claim is Claim.FRESH
    assert (claimed.operation.state, claimed.operation.remote) == (
        OperationState.INTENDED,
        {"conversation": "conv_1"},
    )
    kept = await journal.operations.get(SCOPE, "turn")
    assert kept is not None
    assert kept.remote == {"conversation": "conv_1"}
    (known,) = await ledger(journal)
    assert (known.owner, known.name, known.operation_key) == ("papers/a.txt", "ask", "turn")
    assert (known.created_at, known.expires_at) == (clock.now - 10, clock.now + 50)


async def test_what_is_taken_is_taken_once(journal: Journal) -> None:
    await make(journal)
    await journal.operations.claim(SCOPE, "first", "turn", {}, taking=taking("papers/a.txt"))
    second = await journal.operations.claim(SCOPE, "second", "turn", {}, taking=taking("papers/b.txt"))
    assert (second.claim, second.operation.remote) == (Claim.FRESH, {})
    kept = await journal.operations.get(SCOPE, "second")
    assert kept is not None
    assert kept.remote == {}
    assert [one.owner for one in await ledger(journal)] == ["papers/a.txt"]


async def test_of_many_that_want_it_at_once_one_has_it(journal: Journal) -> None:
    await make(journal)
    claims = await asyncio.gather(
        *(
            journal.operations.claim(SCOPE, f"turn-{number}", "turn", {}, taking=taking(f"papers/{number}"))
            for number in range(10)
        )
    )
    assert [claimed.claim for claimed in claims] == [Claim.FRESH] * 10
    assert sorted(claimed.operation.remote != {} for claimed in claims) == [False] * 9 + [True]
    assert len(await ledger(journal)) == 1


async def test_what_is_deleted_is_not_taken(journal: Journal) -> None:
    await make(journal)
    await journal.resources.mark_deleted(SCOPE, "conversation", "conv_1")
    claimed = await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    assert (claimed.claim, claimed.operation.remote) == (Claim.FRESH, {})
    assert await ledger(journal) == []


async def test_what_is_unknown_is_not_taken(journal: Journal) -> None:
    claimed = await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    assert (claimed.claim, claimed.operation.remote) == (Claim.FRESH, {})
    elsewhere = await journal.operations.claim("other", "turn", "turn", {}, taking=taking())
    assert elsewhere.operation.remote == {}


async def test_an_operation_that_is_there_takes_nothing(journal: Journal) -> None:
    await make(journal)
    await journal.operations.claim(SCOPE, "turn", "turn", {})
    again = await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    assert (again.claim, again.operation.remote) == (Claim.ORPHAN, {})
    await journal.operations.finish(SCOPE, "turn", {"text": "42"})
    done = await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    assert (done.claim, done.operation.result) == (Claim.DONE, {"text": "42"})
    await journal.operations.claim(SCOPE, "failed", "turn", {})
    await journal.operations.fail(SCOPE, "failed", ValueError("no"))
    anew = await journal.operations.claim(SCOPE, "failed", "turn", {}, taking=taking())
    assert (anew.claim, anew.operation.attempt, anew.operation.remote) == (Claim.FRESH, 2, {})
    (known,) = await ledger(journal)
    assert (known.owner, known.operation_key) == ("papers", "maker")


async def test_a_maker_whose_work_was_taken_is_not_released_by_its_end(journal: Journal) -> None:
    """The turn stays done, and the maker is not made to make again what was used."""
    await make(journal)
    await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    await journal.operations.finish(SCOPE, "turn", {"text": "42"})
    await journal.resources.mark_deleted(SCOPE, "conversation", "conv_1")
    states = [await journal.operations.get(SCOPE, key) for key in ("maker", "turn")]
    assert [one.state for one in states if one is not None] == [OperationState.DONE] * 2


async def test_a_claim_whose_answer_was_lost_has_it_still(journal: Journal) -> None:
    """Made again, it finds its own intent: the ledger knows whose the conversation is."""
    await make(journal)
    await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    again = await journal.operations.claim(SCOPE, "turn", "turn", {}, taking=taking())
    assert (again.claim, again.operation.remote) == (Claim.ORPHAN, {"conversation": "conv_1"})
    (known,) = await ledger(journal)
    assert (known.owner, known.operation_key) == ("papers/a.txt", "turn")
