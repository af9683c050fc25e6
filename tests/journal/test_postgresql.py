"""The journal where several workers share it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from agent_tasks.errors import JournalError, JournalUnreadableError, LeaseLostError
from agent_tasks.journal import (
    Claim,
    DocumentRecord,
    Journal,
    LeaseKind,
    NewLease,
    NewResource,
    OperationState,
    ToolCallState,
)
from agent_tasks.journal import postgresql as database_module
from agent_tasks.journal.postgresql import PostgresqlDatabase
from agent_tasks.journal.records import Operation
from agent_tasks.journal.schema import operations
from agent_tasks.journal.statements import PostgresqlStatements
from tests.journal.conftest import Clock
from tests.support.postgresql import PostgresServer

SCOPE = "s"


async def test_one_of_many_first_claims_is_fresh(address: str) -> None:
    async with Journal(address) as one, Journal(address) as two:
        for number in range(20):
            claims = await asyncio.gather(
                *(journal.operations.claim(SCOPE, f"k{number}", "turn", {}) for journal in (one, two) * 2)
            )
            kinds = [claimed.claim for claimed in claims]
            assert kinds.count(Claim.FRESH) == 1
            winner = claims[kinds.index(Claim.FRESH)].operation.worker
            assert {claimed.operation.worker for claimed in claims} == {winner}
            assert kinds.count(Claim.BUSY) == 2


async def test_one_of_many_take_overs_succeeds(address: str, clock: Clock) -> None:
    async with Journal(address, clock=clock) as gone:
        await gone.operations.claim(SCOPE, "k", "turn", {})
        clock.now += gone.lease_seconds + 1
        async with Journal(address, clock=clock) as one, Journal(address, clock=clock) as two:
            claims = await asyncio.gather(*(j.operations.claim(SCOPE, "k", "turn", {}) for j in (one, two)))
    assert sorted(claimed.claim.value for claimed in claims) == ["busy", "orphan"]


async def test_what_a_deadlock_undid_is_done_again(postgresql_address: str) -> None:
    """Two transactions change the same rows in opposite order, and the server ends one of them."""
    met, times = asyncio.Barrier(2), {"a": 0, "b": 0}

    def change(key: str) -> sa.Update:
        return operations.update().where(operations.c.key == key).values(attempt=operations.c.attempt + 1)

    def both(first: str, second: str) -> Callable[[sa.Connection], None]:
        def carried_out(connection: sa.Connection) -> None:
            times[first] += 1
            connection.execute(change(first))
            if times[first] == 1:
                await_only(met.wait())
            connection.execute(change(second))

        return carried_out

    async with Journal(postgresql_address) as journal:
        claimed = [await journal.operations.claim(SCOPE, key, "turn", {}) for key in ("a", "b")]
        await asyncio.gather(*(journal._database.write(both(*keys)) for keys in ("ab", "ba")))
        found = [await journal.operations.get(SCOPE, key) for key in ("a", "b")]
    assert sum(times.values()) == 3
    assert [one.attempt for one in found if one] == [one.operation.attempt + 2 for one in claimed]


async def test_a_tool_call_that_is_begun_twice_is_new_once(address: str) -> None:
    async with Journal(address) as journal:
        await journal.operations.claim(SCOPE, "op", "turn", {})
        for number in range(20):
            call = ("op", "run_1", f"call_{number}", "lookup", "hash")
            begun = await asyncio.gather(*(journal.calls.begin(SCOPE, *call) for _ in range(2)))
            assert [record is None for record in begun].count(True) == 1


async def test_the_calls_of_a_turn_that_was_taken_over_are_its_new_workers(
    address: str, clock: Clock
) -> None:
    call = ("op", "run_1", "call_1", "pay", "hash")
    async with Journal(address, clock=clock) as silent, Journal(address, clock=clock) as other:
        await silent.operations.claim(SCOPE, "op", "turn", {})
        clock.now += silent.lease_seconds + 1
        assert (await other.operations.claim(SCOPE, "op", "turn", {})).claim is Claim.ORPHAN
        assert await other.calls.begin(SCOPE, *call) is None
        with pytest.raises(LeaseLostError):
            await silent.calls.begin(SCOPE, *call)
        with pytest.raises(LeaseLostError):
            await silent.calls.finish(SCOPE, "run_1", "call_1", "?", state=ToolCallState.UNKNOWN)
        await other.calls.finish(SCOPE, "run_1", "call_1", "paid")
        (record,) = await silent.calls.of(SCOPE, "op")
        assert (record.state, record.output) == (ToolCallState.DONE, "paid")


async def test_a_document_is_its_holders(address: str, clock: Clock) -> None:
    ours, theirs = (DocumentRecord("a.txt", "h", "f", status) for status in ("failed", "done"))
    lease = NewLease("k", LeaseKind.DOCUMENT, "b", "a.txt")
    async with Journal(address, clock=clock) as silent, Journal(address, clock=clock) as other:
        await silent.leases.take(SCOPE, [lease])
        clock.now += silent.lease_seconds + 1
        assert await other.leases.take(SCOPE, [lease]) == {"k"}
        await other.documents.put(SCOPE, "b", theirs, held="k")
        await other.leases.give_up(SCOPE, {"k"})
        with pytest.raises(LeaseLostError):
            await silent.documents.put(SCOPE, "b", ours, held="k")
        assert await silent.documents.get(SCOPE, "b", "a.txt") == theirs


async def test_what_is_known_to_be_gone_releases_nothing_again(address: str) -> None:
    async with Journal(address) as journal:
        for remote_id in ("asst_1", "asst_2"):
            await journal.operations.claim(SCOPE, "k", "agent", {})
            made = NewResource("agent", remote_id, "owner", "n", 60)
            await journal.operations.finish(SCOPE, "k", {"id": remote_id}, [made])
            await journal.resources.mark_deleted(SCOPE, "agent", "asst_1")
        found = await journal.operations.get(SCOPE, "k")
        assert found is not None
        assert (found.state, found.result) == (OperationState.DONE, {"id": "asst_2"})


async def test_the_same_document_and_resource_are_put_at_the_same_time(address: str) -> None:
    async with Journal(address) as one, Journal(address) as two:
        made = NewResource("agent", "asst_1", "o", "n" * 600, 60)
        for journal, key in ((one, "a"), (two, "b")):
            await journal.operations.claim(SCOPE, key, "agent", {})
            record = DocumentRecord("ä.txt", "h", "f", "done", {"text": "NUL \0 and ☃"})
            await asyncio.gather(*(j.documents.put(SCOPE, "b", record) for j in (one, two)))
        await asyncio.gather(
            one.operations.finish(SCOPE, "a", {}, [made]), two.operations.finish(SCOPE, "b", {}, [made])
        )
        assert len(await one.resources.live(SCOPE)) == 1
        assert await one.documents.get(SCOPE, "b", "ä.txt") == record


async def test_an_output_may_hold_any_character(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "op", "turn", {})
    await journal.calls.begin(SCOPE, "op", "run_1", "c", "tool" * 100, "hash")
    await journal.calls.finish(SCOPE, "run_1", "c", "a\0b")
    (call,) = await journal.calls.of(SCOPE, "op")
    assert call.output == "a\N{REPLACEMENT CHARACTER}b"


async def test_documents_have_one_order_on_every_database(journal: Journal) -> None:
    names = ["b", "B", "a b", "a-b", "Ä", "ab", "_", "1"]
    for name in names:
        await journal.documents.put(SCOPE, "b", DocumentRecord(name, "h", "f", "done"))
    listed = [record.name async for record in journal.documents.of(SCOPE, "b", page_size=3)]
    assert listed == sorted(names)


async def test_workers_that_start_together_migrate_once(address: str) -> None:
    journals = [Journal(address) for _ in range(5)]
    await asyncio.gather(*(journal.__aenter__() for journal in journals))
    claims = await asyncio.gather(*(journal.operations.claim(SCOPE, "k", "turn", {}) for journal in journals))
    await asyncio.gather(*(journal.__aexit__(None, None, None) for journal in journals))
    assert [claimed.claim for claimed in claims].count(Claim.FRESH) == 1


async def test_a_worker_that_stands_still_in_a_transaction_loses_its_session_before_others_give_up(
    postgresql_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dict(database_module._SESSION_LIMITS)
    assert _seconds(limits["idle_in_transaction_session_timeout"]) < _seconds(limits["lock_timeout"])
    assert _seconds(limits["lock_timeout"]) < database_module._COMMAND_TIMEOUT
    for name in ("idle_in_transaction_session_timeout", "lock_timeout"):  # in the same order, but faster
        monkeypatch.setitem(database_module._SESSION_LIMITS, name, f"{_seconds(limits[name]) / 15:g}s")
    async with Journal(postgresql_address) as silent, Journal(postgresql_address) as other:
        await silent.operations.claim(SCOPE, "k", "turn", {})
        stood_still = asyncio.Event()

        class Statements(PostgresqlStatements):
            def locked_operation(self, connection: sa.Connection, scope: str, key: str) -> Operation:
                found = super().locked_operation(connection, scope, key)
                if not stood_still.is_set():
                    stood_still.set()
                    await_only(asyncio.sleep(2.5))
                return found

        monkeypatch.setattr(silent.operations, "_statements", Statements(postgresql_address))
        frozen = asyncio.create_task(silent.operations.next_attempt(SCOPE, "k", note={"usage": 1}))
        await stood_still.wait()
        assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.BUSY
        assert not frozen.done()
        assert (await frozen).remote == {"usage": 1}  # it did its transaction again


async def test_whoever_gives_up_says_why(postgresql_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Journal(postgresql_address) as silent:
        await silent.operations.claim(SCOPE, "k", "turn", {})
        engine = create_async_engine(postgresql_address)
        async with engine.begin() as connection:
            await connection.execute(operations.update().values(lease_until=0.0))
            monkeypatch.setitem(database_module._SESSION_LIMITS, "lock_timeout", "300ms")
            async with Journal(postgresql_address) as other:
                with pytest.raises(JournalUnreadableError, match=r"lock timeout.*holds the row"):
                    await other.operations.claim(SCOPE, "k", "turn", {})
            monkeypatch.setitem(database_module._SESSION_LIMITS, "lock_timeout", "45s")
            monkeypatch.setattr(database_module, "_COMMAND_TIMEOUT", 0.3)
            async with Journal(postgresql_address) as other:
                with pytest.raises(JournalUnreadableError, match=r"used: the server did not answer in time"):
                    await other.operations.claim(SCOPE, "k", "turn", {})
        await engine.dispose()


def _seconds(limit: str) -> float:
    return float(limit.removesuffix("s"))


async def test_a_state_change_is_one_statement(postgresql_address: str) -> None:
    """Each one more is a round trip to the server, in every turn."""
    async with Journal(postgresql_address) as journal:
        assert isinstance(journal._database, PostgresqlDatabase)
        sent: list[str] = []

        [(_, driver)] = journal._database._connections._idle
        assert isinstance(driver, asyncpg.Connection)
        driver.add_query_logger(lambda record: sent.append(record.query))

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            sent.append(statement)

        sa.event.listen(journal._database._engine, "before_cursor_execute", note)
        made = NewResource("conversation", "thread_1", "o", "n", 60)
        lease = NewLease("lease", LeaseKind.DOCUMENT, "b", "a.txt")
        for change in (
            journal.operations.claim(SCOPE, "k", "turn", {}),
            journal.operations.attach(SCOPE, "k", {"turn_id": "run_1"}, [made]),
            journal.operations.finish(SCOPE, "k", {"text": "42"}),
            journal.operations.claim(SCOPE, "k", "turn", {}),
            journal.leases.take(SCOPE, [lease]),
            journal.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "done")),
            journal.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "failed")),
            journal.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "done"), held="lease"),
            journal.leases.give_up(SCOPE, ["lease"]),
            journal.flow_runs.note("run", "o"),
        ):
            sent.clear()
            await change
            await asyncio.sleep(0)  # what was sent is told soon
            changes = [one for one in sent if one not in ("BEGIN", "COMMIT")]
            assert len(changes) == 1, sent


async def test_a_restarted_server_is_waited_for(postgresql: PostgresServer, postgresql_address: str) -> None:
    async with Journal(postgresql_address) as journal:
        await journal.operations.claim(SCOPE, "before", "turn", {})
        postgresql.stop()
        claim = asyncio.create_task(journal.operations.claim(SCOPE, "after", "turn", {}))
        await asyncio.sleep(0.1)
        assert not claim.done()
        postgresql.start()
        assert (await claim).claim is Claim.FRESH
        assert (await journal.operations.claim(SCOPE, "before", "turn", {})).claim is Claim.ORPHAN


async def test_a_server_that_stays_away_is_an_error_and_not_an_empty_journal(
    postgresql: PostgresServer, postgresql_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.journal.database.RECONNECT_SECONDS", 0.2)
    async with Journal(postgresql_address) as journal:
        postgresql.stop()
        try:
            with pytest.raises(JournalUnreadableError, match="can't be used"):
                await journal.operations.claim(SCOPE, "k", "turn", {})
        finally:
            postgresql.start()


async def test_a_server_that_is_still_starting_is_waited_for(
    postgresql: PostgresServer, postgresql_address: str
) -> None:
    postgresql.stop()
    opening = asyncio.create_task(_claim(postgresql_address))
    await asyncio.sleep(0.7)
    waited = not opening.done()
    postgresql.start()
    assert await opening is Claim.FRESH
    assert waited


async def test_a_server_that_never_starts_is_an_error(
    postgresql: PostgresServer, postgresql_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "OPEN_SECONDS", 0.2)
    postgresql.stop()
    try:
        with pytest.raises(JournalUnreadableError, match="AGENT_TASKS_JOURNAL_URL"):
            await _claim(postgresql_address)
    finally:
        postgresql.start()


@pytest.mark.parametrize(
    ("login", "told"), [("stranger@", "stranger"), ("tests@no-such-host.invalid", "not known|resolution")]
)
async def test_a_wrong_user_or_host_is_an_error_at_once(
    postgresql_address: str, monkeypatch: pytest.MonkeyPatch, login: str, told: str
) -> None:
    monkeypatch.setattr(database_module, "OPEN_SECONDS", 60.0)
    address = postgresql_address.replace("tests@", login)
    if "invalid" in login:
        address = address.split("?")[0]
    started = time.monotonic()
    with pytest.raises(JournalUnreadableError, match=told):
        await _claim(address)
    assert time.monotonic() - started < 30


async def _claim(address: str) -> Claim:
    async with Journal(address) as journal:
        return (await journal.operations.claim(SCOPE, "k", "turn", {})).claim


async def test_a_database_that_does_not_exist_is_an_error_at_once(postgresql: PostgresServer) -> None:
    started = time.monotonic()
    with pytest.raises(JournalUnreadableError, match="does not exist"):
        async with Journal(postgresql.address("nowhere")):
            pass
    assert time.monotonic() - started < 5


async def test_other_peoples_tables_are_refused(postgresql_address: str) -> None:
    engine = create_async_engine(postgresql_address)
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE customers (name TEXT)"))
    await engine.dispose()
    with pytest.raises(JournalUnreadableError, match="not a journal"):
        async with Journal(postgresql_address):
            pass


async def test_an_address_may_say_how_many_statements_stay_prepared(postgresql_address: str) -> None:
    """None of them on a connection that a pooler shares out anew."""
    async with Journal(f"{postgresql_address}&prepared_statement_cache_size=0") as journal:
        assert (await journal.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.FRESH
        assert isinstance(journal._database, PostgresqlDatabase)
        query = sa.text(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%INSERT INTO operations%'"
        )
        assert await journal._database.read(lambda at: at.execute(query).scalar_one()) == 0


async def test_work_that_is_given_up_leaves_nothing_behind(postgresql_address: str) -> None:
    """A connection in the middle of a transaction is not given to anybody else."""
    begun = asyncio.Event()

    def change(connection: sa.Connection) -> None:
        connection.execute(operations.update().values(attempt=7))
        begun.set()
        await_only(asyncio.sleep(60))

    async with Journal(postgresql_address) as journal:
        await journal.operations.claim(SCOPE, "k", "turn", {})
        given_up = asyncio.create_task(journal._database.write(change))
        await begun.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await journal.operations.attach(SCOPE, "k", {"turn_id": "run_1"})
        attached = await journal.operations.get(SCOPE, "k")
    assert attached is not None
    assert (attached.attempt, attached.remote) == (1, {"turn_id": "run_1"})


async def test_a_statement_that_is_given_up_is_not_carried_out_later(postgresql_address: str) -> None:
    """Its connection is not given to anybody else either."""
    async with Journal(postgresql_address) as journal:
        await journal.operations.claim(SCOPE, "k", "turn", {})
        connections = journal._database._connections  # type: ignore[attr-defined]
        [kept] = connections._idle
        engine = create_async_engine(postgresql_address)
        async with engine.begin() as other:
            await other.execute(operations.update().values(attempt=7))
            waiting = asyncio.create_task(journal.operations.attach(SCOPE, "k", {"turn_id": "run_1"}))
            await asyncio.sleep(0.3)  # until the server has it, which nothing here tells
            assert not connections._idle
            assert not waiting.done()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await engine.dispose()
        assert kept not in connections._idle
        assert kept.driver.is_closed()
        found = await journal.operations.get(SCOPE, "k")
        assert found is not None
        assert (found.attempt, found.remote) == (7, {})
        await journal.operations.attach(SCOPE, "k", {"turn_id": "run_2"})


async def test_a_statement_that_the_server_refuses_leaves_its_connection(postgresql_address: str) -> None:
    async with Journal(postgresql_address) as journal:
        connections = journal._database._connections  # type: ignore[attr-defined]
        [kept] = connections._idle
        with pytest.raises(JournalError, match="null value in column"):
            await journal.operations.claim(SCOPE, "k", None, {})  # type: ignore[arg-type]
        assert connections._idle == [kept]
        assert (await journal.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.FRESH


async def test_a_server_that_knows_nothing_of_the_documents_is_made_to_look(postgresql_address: str) -> None:
    """It would compare each document of a batch with each name that is asked for."""
    names = [f"{number:03}.txt" for number in range(200)]

    async def is_known() -> bool:
        async with Journal(postgresql_address) as journal:
            query = sa.text("SELECT reltuples >= 0 FROM pg_class WHERE oid = to_regclass('documents')")
            return bool(await journal._database.read(lambda at: at.execute(query).scalar_one()))

    async with Journal(postgresql_address) as journal:
        off = sa.text("ALTER TABLE documents SET (autovacuum_enabled = false)")
        await journal._database.write(lambda at: at.execute(off))
        for name in names[:-1]:
            await journal.documents.put(
                SCOPE, "b", DocumentRecord(name, "h", "f", "done", {"text": "x" * 500})
            )
    assert await is_known()


@pytest.mark.parametrize("alone", [False, True])
async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    postgresql_address: str, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    async with Journal(postgresql_address) as journal:
        database = journal._database
        await journal.operations.claim(SCOPE, "k", "turn", {})
        other = create_async_engine(postgresql_address, isolation_level="AUTOCOMMIT")
        async with other.connect() as connection:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            query = sa.text(f"{end} WHERE application_name = 'agent-tasks'")
            assert (await connection.execute(query)).scalars().all() == [True]
        await other.dispose()
        await asyncio.sleep(0.1)  # until the end of the connection is told
        if alone:  # a statement of its own; done again only where it was lost
            monkeypatch.setattr(database_module, "_RECONNECT_PAUSE", 60.0)
            await asyncio.wait_for(journal.operations.attach(SCOPE, "k", {"turn_id": "run_1"}), 30)
            return
        times = 0

        def work(connection: sa.Connection) -> None:
            nonlocal times
            times += 1
            connection.execute(sa.text("SELECT 1"))

        await database.write(work)
        assert times == 1


async def test_work_waits_for_one_of_few_connections(postgresql_address: str) -> None:
    async with Journal(postgresql_address) as journal:
        query = sa.text("SELECT pg_backend_pid() FROM pg_sleep(0.05)")
        pids = await asyncio.gather(
            *(journal._database.read(lambda at: at.execute(query).scalar_one()) for _ in range(30))
        )
    assert len(set(pids)) == database_module._CONNECTIONS
