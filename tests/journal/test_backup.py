"""A journal that was restored from its backup, made as docs/operating.md says, knows all that was done."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from agent_tasks.operations import AgentSpec, TurnResult, TurnSpec, Workspace, ensure_agent, run_turn
from tests.conftest import ServiceFactory
from tests.support.postgresql import PostgresServer
from tests.support.service import RunningService

STARTS = "runs.create_thread_and_run"


async def _ask(ws: Workspace) -> TurnResult:
    spec = AgentSpec(name="clerk", model="m", instructions="Work.")
    turn = TurnSpec(step="ask", agent=await ensure_agent(ws, spec, owner="o"), prompt="?", owner="o")
    return await run_turn(ws, turn)


async def _restored(running: RunningService, address: str, said: TurnResult) -> None:
    async with Workspace.open(running.endpoint, None, address, scope="s") as ws:
        again = await _ask(ws)
    assert (again.reused, again.text) == (True, said.text)
    assert len(running.requests(STARTS)) == len(running.requests("agents.create")) == 1


async def test_a_sqlite_journal_is_copied_while_it_is_in_use(service: ServiceFactory, tmp_path: Path) -> None:
    running = service()
    async with Workspace.open(
        running.endpoint, None, f"sqlite+aiosqlite:///{tmp_path}/journal.db", scope="s"
    ) as ws:
        said = await _ask(ws)
        with (
            closing(sqlite3.connect(tmp_path / "journal.db")) as journal,
            closing(sqlite3.connect(tmp_path / "copy.db")) as copy,
        ):
            journal.backup(copy)  # as `sqlite3 journal.db ".backup copy.db"` does
    await _restored(running, f"sqlite+aiosqlite:///{tmp_path}/copy.db", said)


async def test_a_postgresql_journal_is_dumped_and_restored(
    service: ServiceFactory, postgresql: PostgresServer, tmp_path: Path
) -> None:
    running = service()
    address, other = await postgresql.new_database(), await postgresql.new_database()
    async with Workspace.open(running.endpoint, None, address, scope="s") as ws:
        said = await _ask(ws)
        dump = _program(postgresql, "pg_dump", "--format=custom", "--dbname", _name(address))
    _program(postgresql, "pg_restore", "--no-owner", "--dbname", _name(other), given=dump)
    await _restored(running, other, said)


def _name(address: str) -> str:
    return sa.make_url(address).database or ""


def _program(server: PostgresServer, name: str, *arguments: str, given: bytes = b"") -> bytes:
    command: list[str | Path] = [
        server.programs / name,
        "--host",
        server.folder,
        "--username",
        "tests",
        *arguments,
    ]
    return subprocess.run(
        command, input=given, capture_output=True, check=True, timeout=60, cwd=server.folder
    ).stdout
