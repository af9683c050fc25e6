"""Journals on both kinds of database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent_tasks.journal import Journal
from tests.support.postgresql import PostgresServer

BACKENDS = ("sqlite", "postgresql")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sqlite_address(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/state/journal.db"


async def new_journal(backend: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The address of a journal that is not there yet."""
    if backend == "sqlite":
        return f"sqlite+aiosqlite:///{folder}/journal.db"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return await server.new_database()


@pytest.fixture
async def address(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return await new_journal(backend, tmp_path / "state", request)


@pytest.fixture
async def journal(address: str, clock: Clock) -> AsyncIterator[Journal]:
    async with Journal(address, clock=clock) as opened:
        yield opened
