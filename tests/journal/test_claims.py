"""Claims of many things at once: nobody gets what a living worker holds."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from pathlib import Path

import pytest

from agent_tasks.errors import JournalUnreadableError
from agent_tasks.journal import Journal, ToolCallState
from agent_tasks.journal.workers import shared_folder
from tests.journal.conftest import Clock
from tests.support.postgresql import PostgresServer

SCOPE = "s"


def wanted(*keys: str) -> dict[str, dict[str, str]]:
    return {key: {"document": key} for key in keys}


async def test_what_a_living_worker_holds_is_passed_over(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        assert await one.claims.take(SCOPE, "document", wanted("a", "b")) == {"a", "b"}
        assert await two.claims.take(SCOPE, "document", wanted("a", "b", "c")) == {"c"}
        assert await one.claims.take(SCOPE, "document", wanted("a")) == {"a"}
        assert await one.claims.take(SCOPE, "document", {}) == set()
        assert await one.claims.take("other", "document", wanted("c")) == {"c"}
        await one.claims.give_up(SCOPE, ["a", "c"])  # c is not this worker's to give up
        assert await two.claims.take(SCOPE, "document", wanted("a", "b", "c")) == {"a", "c"}


async def test_a_silent_workers_claims_go_to_another_and_a_renewed_one_stays(
    address: str, clock: Clock
) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        await one.claims.take(SCOPE, "document", wanted("a", "b"))
        clock.now += one.lease_seconds - 1
        assert await one.renew_leases() == 2
        clock.now += 2
        assert await two.claims.take(SCOPE, "document", wanted("a")) == set()
        clock.now += one.lease_seconds
        assert await two.claims.take(SCOPE, "document", wanted("a")) == {"a"}
        await one.claims.give_up(SCOPE, ["a"])  # too late: it is the other's
        assert await one.claims.take(SCOPE, "document", wanted("a", "b")) == {"b"}


async def test_a_worker_that_leaves_leaves_its_claims_free(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as gone:
        await gone.claims.take(SCOPE, "document", wanted("a"))
    async with Journal(address, clock=clock) as journal:
        assert await journal.claims.take(SCOPE, "document", wanted("a")) == {"a"}


async def test_claims_are_cleared_by_the_beginning_of_their_keys(journal: Journal) -> None:
    await journal.claims.take(SCOPE, "document", wanted("xa1", "xa2", "xb1"))
    await journal.claim(SCOPE, "xa3", "turn", {})
    await journal.claims.clear(SCOPE, "document", "xa")
    assert {operation.key for operation in await journal.unsettled(SCOPE)} == {"xa3", "xb1"}


async def test_many_who_want_the_same_get_each_thing_once(address: str) -> None:
    keys = [f"k{number:03}" for number in range(60)]
    chance = random.Random(1)
    journals = [Journal(address) for _ in range(4)]
    for journal in journals:
        await journal.__aenter__()

    async def grab(journal: Journal) -> list[str]:
        got: list[str] = []
        for _ in range(12):
            got += await journal.claims.take(SCOPE, "document", wanted(*chance.sample(keys, 20)))
        return got

    grabbed = await asyncio.gather(*(grab(journal) for journal in journals))
    held = [set(got) for got in grabbed]
    assert sum(len(got) for got in held) == len(set().union(*held))
    for journal in journals:
        await journal.__aexit__(None, None, None)


async def test_a_dead_worker_of_this_machine_is_known_at_once(
    postgresql_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock file lies in the machine's temporary folder, with nobody who holds the lock."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with Journal(postgresql_address) as gone:
        await gone.claims.take(SCOPE, "document", wanted("a"))
        lock = shared_folder() / f"{gone.worker}.lock"
        assert lock.exists()
        async with Journal(postgresql_address) as journal:
            assert await journal.claims.take(SCOPE, "document", wanted("a")) == set()
            lock.unlink()  # as seen from another machine
            assert await journal.claims.take(SCOPE, "document", wanted("a")) == set()
            lock.touch()  # as after SIGKILL
            assert await journal.claims.take(SCOPE, "document", wanted("a")) == {"a"}


async def test_lock_files_of_the_long_dead_are_cleared_and_a_strangers_folder_is_not_used(
    postgresql_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = shared_folder()
    folder.mkdir()
    old, new = folder / "old.lock", folder / "new.lock"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    async with Journal(postgresql_address):
        assert (old.exists(), new.exists()) == (False, True)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    shared_folder().mkdir()
    async with Journal(postgresql_address) as journal:
        assert await journal.claims.take(SCOPE, "document", wanted("a")) == {"a"}
    assert "known by their leases alone" in caplog.text


async def test_transactions_go_on_through_crashes_of_the_server(
    postgresql: PostgresServer, postgresql_address: str
) -> None:
    """Each of several tasks carries operations out one after the other; none notices, none is done twice."""
    async with Journal(postgresql_address) as journal:
        is_over = False

        async def work(name: str) -> int:
            count = 0
            while not is_over:
                key = f"{name}-{count}"
                await journal.claim(SCOPE, key, "turn", {})
                assert await journal.calls.begin(SCOPE, key, key, "c", "tool", "hash") is None
                await journal.calls.finish(SCOPE, key, "c", "output")
                await journal.finish(SCOPE, key, {"count": count})
                count += 1
            return count

        tasks = [asyncio.create_task(work(str(number))) for number in range(6)]
        for _ in range(3):
            await asyncio.sleep(0.4)
            postgresql.stop(immediate=True)
            postgresql.start()
        await asyncio.sleep(0.3)
        is_over = True
        counts = await asyncio.gather(*tasks)
        assert all(counts)
        for number, count in enumerate(counts):
            for done in range(count):
                found = await journal.operation(SCOPE, f"{number}-{done}")
                assert found is not None
                assert (found.result, found.attempt) == ({"count": done}, 1)
                (call,) = await journal.calls.of(SCOPE, f"{number}-{done}")
                assert call.state is ToolCallState.DONE


async def test_a_server_that_stays_away_in_the_middle_is_an_error(
    postgresql: PostgresServer, postgresql_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.journal.database.RECONNECT_SECONDS", 0.5)
    async with Journal(postgresql_address) as journal:
        await journal.claims.take(SCOPE, "document", wanted("a"))
        postgresql.stop(immediate=True)
        try:
            with pytest.raises(JournalUnreadableError):
                await journal.claims.take(SCOPE, "document", wanted("b"))
        finally:
            postgresql.start()
