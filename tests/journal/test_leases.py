"""Leases of many things at once, and of one: nobody gets what a living worker holds."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from pathlib import Path

import pytest
from sqlalchemy.sql.compiler import SQLCompiler

from agent_tasks.errors import JournalUnreadableError
from agent_tasks.journal import Journal, LeaseKind, NewLease, ToolCallState
from agent_tasks.journal.workers import shared_folder
from tests.journal.conftest import Clock
from tests.support.postgresql import PostgresServer
from tests.support.waiting import eventually

SCOPE = "s"


def wanted(*keys: str) -> list[NewLease]:
    return [NewLease(key, LeaseKind.DOCUMENT, "batch", f"{key}.txt") for key in keys]


async def test_what_a_living_worker_holds_is_passed_over(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        assert await one.leases.take(SCOPE, wanted("a", "b")) == {"a", "b"}
        assert await two.leases.take(SCOPE, wanted("a", "b", "c")) == {"c"}
        assert await one.leases.take(SCOPE, wanted("a")) == {"a"}
        assert await one.leases.take(SCOPE, []) == set()
        assert await one.leases.take("other", wanted("c")) == {"c"}
        await one.leases.give_up(SCOPE, ["a", "c"])  # c is not this worker's to give up
        assert await two.leases.take(SCOPE, wanted("a", "b", "c")) == {"a", "c"}


async def test_a_silent_workers_claims_go_to_another_and_a_renewed_one_stays(
    address: str, clock: Clock
) -> None:
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        await one.leases.take(SCOPE, wanted("a", "b"))
        clock.now += one.lease_seconds - 1
        assert await one.renew_leases() == 2
        clock.now += 2
        assert await two.leases.take(SCOPE, wanted("a")) == set()
        clock.now += one.lease_seconds
        assert await two.leases.take(SCOPE, wanted("a")) == {"a"}
        await one.leases.give_up(SCOPE, ["a"])  # too late: it is the other's
        assert await one.leases.take(SCOPE, wanted("a", "b")) == {"b"}


async def test_a_worker_that_leaves_leaves_its_claims_free(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as gone:
        await gone.leases.take(SCOPE, wanted("a"))
    async with Journal(address, clock=clock) as journal:
        assert await journal.leases.take(SCOPE, wanted("a")) == {"a"}


async def test_one_lease_says_who_has_it_and_who_had_it(address: str, clock: Clock) -> None:
    (lease,) = wanted("a")
    async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
        mine = await one.leases.hold(SCOPE, lease)
        assert (mine.is_mine, mine.lease.worker, mine.before) == (True, one.worker, None)
        refused = await two.leases.hold(SCOPE, lease)
        assert (refused.is_mine, refused.lease.worker) == (False, one.worker)
        assert two.leases.is_held(refused.lease)
        clock.now += one.lease_seconds + 1
        assert not two.leases.is_held(refused.lease)
        taken = await two.leases.hold(SCOPE, lease)
        assert (taken.is_mine, taken.before) == (True, mine.lease)
        assert await one.leases.get(SCOPE, "a") == taken.lease
        assert (taken.lease.owner, taken.lease.document) == ("batch", "a.txt")
        await two.leases.give_up(SCOPE, ["a"])
        assert await one.leases.get(SCOPE, "a") is None


async def test_one_of_many_who_want_to_hold_the_same_has_it(address: str) -> None:
    (lease,) = wanted("a")
    async with Journal(address) as one, Journal(address) as two, Journal(address) as three:
        for _ in range(10):
            journals = (one, two, three)
            holds = await asyncio.gather(*(journal.leases.hold(SCOPE, lease) for journal in journals))
            assert [hold.is_mine for hold in holds].count(True) == 1
            assert len({hold.lease.worker for hold in holds}) == 1
            for journal in journals:
                await journal.leases.give_up(SCOPE, ["a"])


async def test_many_who_want_the_same_get_each_thing_once(address: str) -> None:
    keys = [f"k{number:03}" for number in range(60)]
    chance = random.Random(1)
    journals = [Journal(address) for _ in range(4)]
    for journal in journals:
        await journal.__aenter__()

    async def grab(journal: Journal) -> list[str]:
        got: list[str] = []
        for _ in range(12):
            got += await journal.leases.take(SCOPE, wanted(*chance.sample(keys, 20)))
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
        await gone.leases.take(SCOPE, wanted("a"))
        lock = shared_folder() / f"{gone.worker}.lock"
        assert lock.exists()
        async with Journal(postgresql_address) as journal:
            assert await journal.leases.take(SCOPE, wanted("a")) == set()
            lock.unlink()  # as seen from another machine
            assert await journal.leases.take(SCOPE, wanted("a")) == set()
            lock.touch()  # as after SIGKILL
            assert await journal.leases.take(SCOPE, wanted("a")) == {"a"}


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
        assert await journal.leases.take(SCOPE, wanted("a")) == {"a"}
    assert "known by their leases alone" in caplog.text


async def test_transactions_go_on_through_crashes_of_the_server(
    postgresql: PostgresServer, postgresql_address: str
) -> None:
    """Each of several tasks carries operations out one after the other; none notices, none is done twice."""
    async with Journal(postgresql_address) as journal:
        is_over = False
        counts = [0] * 6

        async def work(name: int) -> None:
            while not is_over:
                key = f"{name}-{counts[name]}"
                await journal.operations.claim(SCOPE, key, "turn", {})
                assert await journal.calls.begin(SCOPE, key, key, "c", "tool", "hash") is None
                await journal.calls.finish(SCOPE, key, "c", "output")
                await journal.operations.finish(SCOPE, key, {"count": counts[name]})
                counts[name] += 1

        async def everybody_goes_on() -> None:
            before = list(counts)
            await eventually(lambda: all(now > then for now, then in zip(counts, before, strict=True)))

        tasks = [asyncio.create_task(work(number)) for number in range(6)]
        for _ in range(3):
            await everybody_goes_on()
            postgresql.stop(immediate=True)
            postgresql.start()
        await everybody_goes_on()
        is_over = True
        await asyncio.gather(*tasks)
        for number, count in enumerate(counts):
            for done in range(count):
                found = await journal.operations.get(SCOPE, f"{number}-{done}")
                assert found is not None
                assert (found.result, found.attempt) == ({"count": done}, 1)
                (call,) = await journal.calls.of(SCOPE, f"{number}-{done}")
                assert call.state is ToolCallState.DONE


async def test_a_server_that_stays_away_in_the_middle_is_an_error(
    postgresql: PostgresServer, postgresql_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.journal.database.RECONNECT_SECONDS", 0.5)
    async with Journal(postgresql_address) as journal:
        await journal.leases.take(SCOPE, wanted("a"))
        postgresql.stop(immediate=True)
        try:
            with pytest.raises(JournalUnreadableError):
                await journal.leases.take(SCOPE, wanted("b"))
        finally:
            postgresql.start()


async def test_takes_of_any_number_are_one_statement_that_is_compiled_once(
    address: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[SQLCompiler] = []
    compile_insert = SQLCompiler.visit_insert

    def noted(compiler: SQLCompiler, *args: object, **options: object) -> str:
        compiled.append(compiler)
        return compile_insert(compiler, *args, **options)  # type: ignore[arg-type]

    async with Journal(address, clock=clock) as journal:
        await journal.leases.take(SCOPE, wanted("a"))
        monkeypatch.setattr(SQLCompiler, "visit_insert", noted)
        for count in (2, 50, 1200):
            keys = {f"{count}-{number}" for number in range(count)}
            assert await journal.leases.take(SCOPE, wanted("a", *keys)) == {"a", *keys}
    # With more than one row the statement has another form, which is known from the second time on.
    assert len(compiled) == 1
