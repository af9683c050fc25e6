"""The journal keeps what was intended and done, and never lets two workers hold the same operation."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_tasks.errors import JournalUnreadableError, JournalVersionError, LeaseLostError
from agent_tasks.journal import (
    Claim,
    DocumentRecord,
    Journal,
    NewResource,
    NewReview,
    OperationState,
    ReviewKind,
    ReviewOutcome,
    ToolCallState,
    row_hash,
)
from tests.journal.conftest import Clock

SCOPE = "https://example.com/api/projects/p"


async def test_the_first_claim_is_fresh_and_a_finished_one_gives_its_result(journal: Journal) -> None:
    first = await journal.operations.claim(SCOPE, "k", "turn", {"step": "extract"})
    assert (first.claim, first.operation.attempt) == (Claim.FRESH, 1)
    await journal.operations.attach(SCOPE, "k", {"turn_id": "run_1"})
    await journal.operations.finish(SCOPE, "k", {"text": "42"})
    again = await journal.operations.claim(SCOPE, "k", "turn", {})
    assert again.claim is Claim.DONE
    assert again.operation.result == {"text": "42"}
    assert again.operation.remote == {"turn_id": "run_1"}


async def test_scopes_do_not_share_operations(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "k", "turn", {})
    assert (await journal.operations.claim("other", "k", "turn", {})).claim is Claim.FRESH


async def test_an_unsettled_claim_of_the_same_worker_is_an_orphan(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "k", "turn", {})
    assert (await journal.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.ORPHAN


async def test_a_failed_operation_is_a_fresh_attempt_without_the_old_ids(
    journal: Journal, clock: Clock
) -> None:
    await journal.operations.claim(SCOPE, "k", "turn", {})
    await journal.operations.attach(SCOPE, "k", {"turn_id": "run_1"})
    await journal.operations.fail(SCOPE, "k", ValueError("no"))
    clock.now += 5
    again = await journal.operations.claim(SCOPE, "k", "turn", {})
    assert (again.claim, again.operation.attempt, again.operation.remote) == (Claim.FRESH, 2, {})
    assert again.operation.intended_at == clock.now


async def test_a_living_worker_keeps_others_waiting_until_its_lease_ends(
    journal: Journal, address: str, clock: Clock
) -> None:
    await journal.operations.claim(SCOPE, "k", "turn", {})
    async with Journal(address, clock=clock) as other:
        assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.BUSY
        clock.now += journal.lease_seconds - 1
        await journal.renew_leases()
        clock.now += journal.lease_seconds - 1
        assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.BUSY
        clock.now += 2
        assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.ORPHAN


@pytest.mark.parametrize(
    "commit",
    [
        lambda j: j.operations.attach(SCOPE, "k", {"turn_id": "late"}),
        lambda j: j.operations.finish(SCOPE, "k", "late"),
        lambda j: j.operations.fail(SCOPE, "k", ValueError("late")),
        lambda j: j.operations.next_attempt(SCOPE, "k"),
    ],
    ids=["attach", "finish", "fail", "next_attempt"],
)
async def test_a_worker_past_its_lease_cannot_commit(
    journal: Journal, address: str, clock: Clock, commit: Callable[[Journal], object]
) -> None:
    await journal.operations.claim(SCOPE, "k", "turn", {})
    clock.now += journal.lease_seconds + 1
    async with Journal(address, clock=clock) as other:
        assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.ORPHAN
        with pytest.raises(LeaseLostError, match="taken over"):
            await commit(journal)  # type: ignore[misc]
        await other.operations.finish(SCOPE, "k", "mine")
        assert (await journal.operations.claim(SCOPE, "k", "turn", {})).operation.result == "mine"


async def test_a_killed_worker_is_succeeded_at_once(sqlite_address: str) -> None:
    script = (
        "import asyncio, sys, time\n"
        "from agent_tasks.journal import Journal\n"
        "async def main():\n"
        "    async with Journal(sys.argv[1]) as journal:\n"
        "        await journal.operations.claim(sys.argv[2], 'k', 'turn', {})\n"
        "        print('claimed', flush=True)\n"
        "        time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, sqlite_address, SCOPE], stdout=subprocess.PIPE)
    try:
        assert worker.stdout is not None
        assert await asyncio.to_thread(worker.stdout.readline) == b"claimed\n"
        async with Journal(sqlite_address) as other:
            assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.BUSY
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait(10)
            assert (await other.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.ORPHAN
    finally:
        worker.kill()
        worker.wait(10)
        worker.stdout.close()  # type: ignore[union-attr]


async def test_a_tool_call_begins_once_and_keeps_its_output(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "op", "turn", {})
    begin = ("op", "run_1", "call_1", "lookup", "hash")
    assert await journal.calls.begin(SCOPE, *begin) is None
    interrupted = await journal.calls.begin(SCOPE, *begin)
    assert interrupted is not None
    assert interrupted.state is ToolCallState.STARTED
    await journal.calls.finish(SCOPE, "run_1", "call_1", "7", error_type=None)
    done = await journal.calls.begin(SCOPE, *begin)
    assert done is not None
    assert (done.state, done.output) == (ToolCallState.DONE, "7")
    assert [call.call_id for call in await journal.calls.of(SCOPE, "op")] == ["call_1"]


async def test_deleting_a_resource_releases_what_made_it_but_keeps_turns(journal: Journal) -> None:
    for key, kind, resource in (("a", "agent", "agent"), ("t", "turn", "conversation")):
        await journal.operations.claim(SCOPE, key, kind, {})
        made = NewResource(resource, f"{key}_1", owner="batch", name="n", time_to_live=60)
        await journal.operations.finish(SCOPE, key, {"id": f"{key}_1"}, [made])
    assert [r.remote_id for r in await journal.resources.live(SCOPE, owner="batch")] == ["a_1", "t_1"]
    await journal.resources.mark_deleted(SCOPE, "agent", "a_1")
    await journal.resources.mark_deleted(SCOPE, "conversation", "t_1")
    assert await journal.resources.live(SCOPE) == []
    assert (await journal.operations.claim(SCOPE, "t", "turn", {})).claim is Claim.DONE
    remade = await journal.operations.claim(SCOPE, "a", "agent", {})
    assert (remade.claim, remade.operation.attempt) == (Claim.FRESH, 2)
    assert remade.operation.state is OperationState.INTENDED


async def test_several_resources_are_deleted_together_and_what_was_known_releases_nothing_again(
    journal: Journal,
) -> None:
    claim, finish, ledger = journal.operations.claim, journal.operations.finish, journal.resources
    for name in ("a", "b", "c"):
        await claim(SCOPE, name, "agent", {})
        made = NewResource("agent", f"{name}_1", owner=f"batch/{name}", name=name, time_to_live=60)
        await finish(SCOPE, name, {}, [made])
    await ledger.mark_deleted(SCOPE, "agent", "a_1")
    assert (await claim(SCOPE, "a", "agent", {})).claim is Claim.FRESH
    await finish(SCOPE, "a", {}, [NewResource("agent", "a_2", "batch/a", "a", 60)])
    await ledger.mark_deleted(SCOPE, "agent", "a_1", "b_1", "unknown")
    owners = ["batch/a", "batch/b", "batch"]
    assert [one.remote_id for one in await ledger.live_of(SCOPE, owners)] == ["a_2"]
    assert sorted(one.remote_id for one in await ledger.live(SCOPE)) == ["a_2", "c_1"]
    assert (await claim(SCOPE, "a", "agent", {})).claim is Claim.DONE
    assert (await claim(SCOPE, "b", "agent", {})).claim is Claim.FRESH


PARTS = ("job", "job/doc-1", "job/doc-1/q", "job/")
NO_PARTS = ("job2", "job2/doc-1", "Job/doc-1", "a/job", "job-1/x", "j_b/x", "j%/x", "")


async def test_parts_are_told_from_owners_with_similar_names(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "k", "turn", {})
    owners = [*PARTS, *NO_PARTS, "j_b", "j%", "%"]
    made = [NewResource("conversation", f"t_{owner}", owner, "n", 60) for owner in owners]
    await journal.operations.finish(SCOPE, "k", {}, made)

    async def listed(owner: str) -> set[str]:
        return {one.owner for one in await journal.resources.live(SCOPE, owner=owner, parts=True)}

    assert await listed("job") == set(PARTS)
    assert await listed("j_b") == {"j_b", "j_b/x"}
    assert await listed("j%") == {"j%", "j%/x"}
    assert await listed("%") == {"%"}
    assert [one.owner for one in await journal.resources.live(SCOPE, owner="job")] == ["job"]


async def test_calls_in_the_middle_of_which_a_turn_ended_are_not_under_way(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "op", "turn", {})
    for number, arguments in ((1, '{"n": 1}'), (2, None)):
        await journal.calls.begin(SCOPE, "op", "run_1", f"call_{number}", "pay", "hash", arguments)
    await journal.calls.finish(SCOPE, "run_1", "call_1", "paid")
    await journal.operations.fail(SCOPE, "op", ValueError("cancelled"))
    paid, interrupted = await journal.calls.of(SCOPE, "op")
    assert (paid.state, paid.output, paid.arguments) == (ToolCallState.DONE, "paid", '{"n": 1}')
    assert (interrupted.state, interrupted.output) == (ToolCallState.UNKNOWN, None)
    assert [one.call_id for one in await journal.calls.unfinished(SCOPE)] == ["call_2"]


async def test_names_are_found_for_known_files(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "u", "upload", {})
    made = NewResource("file", "assistant-1", owner="b", name="Rechnung März.pdf", time_to_live=60)
    await journal.operations.finish(SCOPE, "u", {}, [made])
    names = await journal.resources.names(SCOPE, "file", ["assistant-1", "assistant-2"])
    assert names == {"assistant-1": "Rechnung März.pdf"}


async def test_documents_are_replaced_counted_and_read_in_pages(journal: Journal, clock: Clock) -> None:
    for number in range(7):
        record = DocumentRecord(f"{number}.txt", "h", "f", "failed", {"number": number})
        await journal.documents.put(SCOPE, "b", record)
    clock.now += 1
    await journal.documents.put(SCOPE, "b", DocumentRecord("3.txt", "h2", "f", "done", {"number": 33}))
    names = [record.name async for record in journal.documents.of(SCOPE, "b", page_size=2)]
    assert names == [f"{number}.txt" for number in range(7)]
    assert await journal.documents.counts(SCOPE, "b") == {"failed": 6, "done": 1}
    earlier = await journal.documents.names(SCOPE, "b", before=clock.now)
    assert sorted(earlier) == [f"{number}.txt" for number in range(7) if number != 3]
    assert await journal.documents.names(SCOPE, "other", before=clock.now) == []
    assert await journal.documents.known(SCOPE, "b", ["3.txt", "8.txt"]) == {"3.txt"}
    await journal.documents.drop(SCOPE, "b", "3.txt")
    assert await journal.documents.get(SCOPE, "b", "3.txt") is None
    assert await journal.documents.known(SCOPE, "b", ["3.txt", "8.txt"]) == set()


async def test_a_document_without_a_row_is_known_by_what_was_decided(journal: Journal) -> None:
    await journal.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "done", {"document": "a.txt"}))
    seen = await journal.documents.get(SCOPE, "b", "a.txt")
    assert seen is not None
    wanted = NewReview("b", "a.txt", ReviewKind.REJECT, by="Ada", seen=row_hash(seen.body))
    decided = await journal.reviews.commit(SCOPE, wanted, None, hold="held")
    assert decided.outcome is ReviewOutcome.COMMITTED
    await journal.documents.drop(SCOPE, "b", "a.txt")
    assert await journal.documents.known(SCOPE, "b", ["a.txt"]) == {"a.txt"}
    assert await journal.documents.known(SCOPE, "other", ["a.txt"]) == set()


async def test_writers_in_several_processes_do_not_disturb_each_other(address: str) -> None:
    script = (
        "import asyncio, sys\n"
        "from agent_tasks.journal import Journal\n"
        "async def main():\n"
        "    async with Journal(sys.argv[1]) as journal:\n"
        "        async def one(n):\n"
        "            key = f'{sys.argv[2]}-{n}'\n"
        "            await journal.operations.claim('s', key, 'turn', {})\n"
        "            await journal.operations.finish('s', key, n)\n"
        "        await asyncio.gather(*(one(n) for n in range(40)))\n"
        "asyncio.run(main())\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, address, name]) for name in "abc"]
    codes = await asyncio.gather(*(asyncio.to_thread(worker.wait, 60) for worker in workers))
    assert codes == [0, 0, 0]
    async with Journal(address) as journal:
        done = [
            await journal.operations.claim("s", f"{name}-{n}", "turn", {})
            for name in "abc"
            for n in range(40)
        ]
    assert {claimed.claim for claimed in done} == {Claim.DONE}


async def test_a_damaged_journal_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is not a database, it is a note about one" * 100)
    with pytest.raises(JournalUnreadableError, match="restore a copy"):
        async with Journal(f"sqlite+aiosqlite:///{path}"):
            pass
    assert path.read_bytes().startswith(b"this is not")


async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "crm.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (name TEXT)")
    with pytest.raises(JournalUnreadableError, match="not a journal"):
        async with Journal(f"sqlite+aiosqlite:///{path}"):
            pass


async def test_a_journal_of_a_newer_version_is_refused(sqlite_address: str, tmp_path: Path) -> None:
    async with Journal(sqlite_address):
        pass
    with sqlite3.connect(tmp_path / "state" / "journal.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(JournalVersionError, match="9999"):
        async with Journal(sqlite_address):
            pass


async def test_a_locked_journal_is_an_error_that_says_so(
    sqlite_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.journal.database.BUSY_TIMEOUT", 0.1)
    async with Journal(sqlite_address) as journal:
        blocker = sqlite3.connect(tmp_path / "state" / "journal.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalUnreadableError, match="locked"):
            await journal.operations.claim(SCOPE, "k", "turn", {})
        blocker.execute("ROLLBACK")
        blocker.close()
        assert (await journal.operations.claim(SCOPE, "k", "turn", {})).claim is Claim.FRESH


async def test_new_journals_are_made_side_by_side(tmp_path: Path) -> None:
    def in_a_loop_of_its_own(number: int) -> None:
        async def open_some() -> None:
            addresses = [f"sqlite+aiosqlite:///{tmp_path}/{number}-{one}/journal.db" for one in range(4)]
            journals = [Journal(address) for address in addresses]
            await asyncio.gather(*(journal.__aenter__() for journal in journals))
            await asyncio.gather(*(journal.__aexit__(None, None, None) for journal in journals))

        asyncio.run(open_some())

    async with asyncio.timeout(60):
        await asyncio.gather(*(asyncio.to_thread(in_a_loop_of_its_own, number) for number in range(4)))
    assert len(list(tmp_path.glob("*/journal.db"))) == 16
