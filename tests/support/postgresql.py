"""A PostgreSQL server for tests: a new cluster in a temporary folder, on a unix socket only.

Its programs come from Debian's package `postgresql`. The server refuses to run as root; tests that run as
root start it as the user `postgres`, or else `nobody`. The fixtures are registered in tests/conftest.py.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 30.0
_SETTINGS = ("fsync=off", "full_page_writes=off", "listen_addresses=", "max_connections=60")


def find_programs() -> Path | None:
    """The folder of the newest server's programs, or None."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    on_path = shutil.which("postgres")
    if not folders and on_path is not None:
        folders = [Path(on_path).resolve().parent]
    newest = sorted(folders, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))
    return newest[-1] if newest and (newest[-1] / "initdb").exists() else None


@dataclass
class PostgresServer:
    """A running server. `stop` and `start` restart it on the same data."""

    programs: Path
    folder: Path
    user: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None
    databases: int = 0

    def start(self) -> None:
        """Start it from the main thread, and wait until it answers."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        command = [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "INT", *command],  # it ends with the thread that starts it
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self.user,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        ready = [self.programs / "pg_isready", "-q", "-h", self.folder]
        while subprocess.run(ready, timeout=10).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it at once: connections are cut, what was committed stays; `immediate` is like a crash."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self.process.wait(START_SECONDS)
            self.process = None

    def address(self, database: str) -> str:
        """A database's address for the journal."""
        return f"postgresql+asyncpg://tests@/{database}?host={self.folder}"

    async def new_database(self) -> str:
        """Create an empty database; returns its address."""
        import asyncpg

        self.databases += 1
        name = f"test_{self.databases}"
        connection = await asyncpg.connect(host=str(self.folder), user="tests", database="postgres")
        try:
            await asyncio.wait_for(connection.execute(f"CREATE DATABASE {name}"), START_SECONDS)
        finally:
            await connection.close()
        return self.address(name)


@contextmanager
def postgres_server(programs: Path) -> Iterator[PostgresServer]:
    """A server on a new cluster; stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        entry = names.get("postgres") or names["nobody"]
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    server = PostgresServer(programs, folder, user)
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "tests", "--auth=trust", "-N", "-E", "UTF8"],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60, cwd=folder, **user,
        )  # fmt: skip
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    """A server that the tests of a process share, each with databases of its own."""
    programs = find_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server on this machine (Debian's package: postgresql)")
    with postgres_server(programs) as server:
        yield server


@pytest.fixture
async def postgresql_address(postgresql: PostgresServer) -> str:
    """The address of an empty database."""
    return await postgresql.new_database()
