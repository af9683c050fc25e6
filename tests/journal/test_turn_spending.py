"""What turns have cost, summed in the journal."""

from __future__ import annotations

from typing import Any

from agent_tasks.journal import Journal
from agent_tasks.journal.turn_spending import SpentTokens
from tests.journal.conftest import Clock

SCOPE = "test"
COUNTS = {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 5}
RESERVED = {"prompt_tokens": 100, "cached_tokens": 0, "completion_tokens": 50}


async def _turn(journal: Journal, key: str, owner: str, **more: Any) -> None:
    fingerprint = {"owner": owner, "model": "small", **more}
    await journal.operations.claim(SCOPE, key, "turn", fingerprint)


async def test_what_is_done_counts_and_what_is_open_counts_as_reserved(
    journal: Journal, clock: Clock
) -> None:
    began = clock.now
    spending = journal.turn_spending
    await _turn(journal, "done", "papers:1/a.txt")
    await journal.operations.finish(SCOPE, "done", {"text": "x", "usage": COUNTS})
    await _turn(journal, "open", "papers:1/b.txt", reserved=RESERVED)
    await journal.operations.attach(SCOPE, "open", {"usage": COUNTS})
    await _turn(journal, "big", "papers:1", reserved=RESERVED, model="big")
    await _turn(journal, "other", "papers:10/a.txt", reserved=RESERVED)
    await journal.operations.claim(SCOPE, "agent", "agent", {"owner": "papers:1"})

    async def told(**changes: Any) -> set[SpentTokens]:
        given = {"since": 0.0, "own_since": clock.now + 1, **changes}
        return set(await spending.of(SCOPE, "papers:1", **given))

    big = SpentTokens("big", 100, 0, 50)
    assert await told() == {SpentTokens("small", 120, 8, 60), big}
    assert await told(own_since=began) == {SpentTokens("small", 110, 4, 55), big}
    assert await told(under_way=("open", "big")) == {SpentTokens("small", 10, 4, 5)}
    await journal.operations.fail(SCOPE, "open", ValueError("no"))
    assert await told(under_way=("big",)) == {SpentTokens("small", 20, 8, 10)}
    assert await told(since=clock.now + 1) == set()
