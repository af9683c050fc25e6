"""An unreadable journal never means safe to repeat: each kind stops with an error, and nothing is sent."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent_tasks.errors import JournalError, JournalUnreadableError, JournalVersionError
from agent_tasks.operations import AgentSpec, Workspace, ensure_agent
from agent_tasks.testing import ChildFailed, run_coroutine
from tests.conftest import ServiceFactory
from tests.support.postgresql import PostgresServer

SPEC = AgentSpec(name="clerk", model="scripted", instructions="You are a clerk.")


async def use(endpoint: str, address: str) -> str:
    """What a run does first: make an agent, and remember it."""
    async with Workspace.open(endpoint, None, address) as ws:
        return (await ensure_agent(ws, SPEC, owner="batch")).id


def _missing(path: Path) -> None:
    path.unlink()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def _cut_in_a_page(path: Path) -> None:
    os.truncate(path, 1000)


def _overwritten(path: Path) -> None:
    path.write_bytes(b"Minutes of the meeting\n" * 2000)


def _middle_overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def _replaced_by_a_foreign_one(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE customers (name TEXT)")


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _from_a_newer_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")


DAMAGES: list[tuple[Callable[[Path], None], type[JournalError], str]] = [
    (_missing, JournalUnreadableError, "missing or empty"),
    (_emptied, JournalUnreadableError, "missing or empty"),
    (_truncated, JournalUnreadableError, "restore a copy"),
    (_cut_in_a_page, JournalUnreadableError, "restore a copy"),
    (_overwritten, JournalUnreadableError, "restore a copy"),
    (_middle_overwritten, JournalUnreadableError, "restore a copy"),
    (_replaced_by_a_foreign_one, JournalUnreadableError, "not a journal"),
    (_a_folder, JournalUnreadableError, "AGENT_TASKS_JOURNAL_URL"),
    (
        _from_a_newer_version,
        JournalVersionError,
        r"schema 9999.*Upgrade prefect-azure-agents.*AGENT_TASKS_JOURNAL_URL",
    ),
]


@pytest.mark.parametrize(
    ("damage", "kind", "remedy"), DAMAGES, ids=[damage.__name__.strip("_") for damage, _, _ in DAMAGES]
)
async def test_a_damaged_journal_stops_before_anything_is_sent(
    service: ServiceFactory,
    tmp_path: Path,
    damage: Callable[[Path], None],
    kind: type[Exception],
    remedy: str,
) -> None:
    running = service()
    path = tmp_path / "journal.db"
    await use(running.endpoint, f"sqlite+aiosqlite:///{path}")
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    before = running.requests()
    damage(path)
    with pytest.raises(kind, match=remedy):
        await use(running.endpoint, f"sqlite+aiosqlite:///{path}")
    assert running.requests() == before


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_journal_that_may_not_be_written_stops_before_anything_is_sent(
    service: ServiceFactory, what: str
) -> None:
    """As a user who may read it; in a child, which root's rights are taken from."""
    running = service()
    with tempfile.TemporaryDirectory(prefix="journal-") as folder:  # pytest's own is the user's alone
        path = Path(folder) / "journal.db"
        address = f"sqlite+aiosqlite:///{path}"
        asyncio.run(use(running.endpoint, address))
        Path(folder).chmod(0o555 if what == "folder" else 0o777)
        path.chmod(0o444 if what == "file" else 0o666)
        before = running.requests()
        told = r"JournalUnreadableError: .*(readonly|Permission).*(Check|Put)"
        with pytest.raises(ChildFailed, match=told):
            run_coroutine(use_as_nobody, running.endpoint, address)
        assert running.requests() == before
        Path(folder).chmod(0o755)


async def use_as_nobody(endpoint: str, address: str) -> str:
    """`use` without the rights of root."""
    with tempfile.TemporaryDirectory() as folder:
        async with Workspace.open(endpoint, None, f"sqlite+aiosqlite:///{folder}/journal.db") as ws:
            await ws.journal.operations.unsettled(ws.scope)  # all that is imported late is there now
    if os.geteuid() == 0:
        os.seteuid(65534)
    return await use(endpoint, address)


async def test_a_journal_removed_while_in_use_stops_before_anything_is_sent(
    service: ServiceFactory, tmp_path: Path
) -> None:
    running = service()
    path = tmp_path / "journal.db"
    address = f"sqlite+aiosqlite:///{path}"
    async with Workspace.open(running.endpoint, None, address) as ws:
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(JournalUnreadableError, match=f"{re.escape(address)} was removed or replaced"):
            await ensure_agent(ws, SPEC, owner="batch")
        assert running.requests("agents.create") == []
        shutil.copy(tmp_path / "elsewhere.db", path)  # not the same file: its -wal is another's
        with pytest.raises(JournalUnreadableError, match="removed or replaced"):
            await ensure_agent(ws, SPEC, owner="batch")
    assert running.requests("agents.create") == []


async def test_a_journal_that_another_program_holds_stops_before_anything_is_sent(
    service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.journal.database.BUSY_TIMEOUT", 0.1)
    running = service()
    path = tmp_path / "journal.db"
    async with Workspace.open(running.endpoint, None, f"sqlite+aiosqlite:///{path}") as ws:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(JournalUnreadableError, match="Another process holds it"):
                await ensure_agent(ws, SPEC, owner="batch")
            assert running.requests("agents.create") == []
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        await ensure_agent(ws, SPEC, owner="batch")
    assert len(running.requests("agents.create")) == 1


async def test_a_full_disk_stops_before_anything_is_sent(service: ServiceFactory, tmp_path: Path) -> None:
    running = service()
    path = tmp_path / "journal.db"
    async with Workspace.open(running.endpoint, None, f"sqlite+aiosqlite:///{path}") as ws:

        def no_more_room(connection: sa.Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        await ws.journal._database.write(no_more_room)

        async def fill() -> None:
            for number in range(100):
                await ensure_agent(ws, SPEC, owner=f"batch {number} {'x' * 250}")

        with pytest.raises(JournalUnreadableError, match="full"):
            await fill()
    made = len(running.requests("agents.create"))
    async with Workspace.open(running.endpoint, None, f"sqlite+aiosqlite:///{path}") as ws:
        for number in range(made):
            await ensure_agent(ws, SPEC, owner=f"batch {number} {'x' * 250}")
    assert len(running.requests("agents.create")) == made, "what was sent was in the journal"


async def test_a_database_that_is_not_there_stops_before_anything_is_sent(
    service: ServiceFactory, postgresql: PostgresServer
) -> None:
    running = service()
    with pytest.raises(JournalUnreadableError, match="does not exist"):
        await use(running.endpoint, postgresql.address("no_such_database"))
    with pytest.raises(JournalUnreadableError, match=r"role .* does not exist"):
        await use(running.endpoint, postgresql.address("postgres").replace("tests@", "nobody_here@"))
    assert running.requests() == []


async def test_a_foreign_database_on_a_server_stops_before_anything_is_sent(
    service: ServiceFactory, postgresql: PostgresServer
) -> None:
    import asyncpg

    running = service()
    address = await postgresql.new_database()
    name = address.partition("?")[0].rpartition("/")[2]
    connection = await asyncpg.connect(host=str(postgresql.folder), user="tests", database=name)
    await connection.execute("CREATE TABLE customers (name TEXT)")
    await connection.close()
    with pytest.raises(JournalUnreadableError, match="not a journal"):
        await use(running.endpoint, address)
    assert running.requests() == []
