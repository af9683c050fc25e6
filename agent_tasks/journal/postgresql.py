"""The journal on a PostgreSQL server, which several workers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.util import greenlet_spawn

from agent_tasks.journal import database as settings
from agent_tasks.journal.connections import Connections
from agent_tasks.journal.database import BUSY_TIMEOUT, Database
from agent_tasks.journal.failures import (
    ConnectionLostError,
    ContendedError,
    is_of_the_database,
    is_silent,
    translated,
)
from agent_tasks.journal.opening import create_or_migrate
from agent_tasks.journal.plain import Single
from agent_tasks.journal.statements import PostgresqlStatements
from agent_tasks.logs import get_logger

T = TypeVar("T")

logger = get_logger("agent_tasks.journal")

OPEN_SECONDS = 10.0
"""How long a journal that is being opened waits for a PostgreSQL server that does not answer yet."""

_RECONNECT_PAUSE = 0.5  # seconds between attempts to reach it
_CONTENDED_TIMES = 5  # each costs the server's `deadlock_timeout`, a second, in which the other one ends
_CONNECTIONS = 10  # of one worker
_WRITERS = 8  # of which at most this many write at the same time; the others are for reading

_SESSION_LIMITS = {
    # A worker that stands still in the middle of a transaction loses its session (and does the transaction
    # again when it wakes) well before those who wait for its rows give up.
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": "45s",
    "application_name": "agent-tasks",
}
_MANY_BYTES = 100_000  # of documents: about 150 of them
_PREPARED = "prepared_statement_cache_size"
_COMMAND_TIMEOUT = 60.0  # seconds that a statement may take, waiting for locks included
_MIGRATION_LOCK = 0x6167656E7473  # any number that no other program takes; "agents" in ASCII


class PostgresqlDatabase(Database):
    """A database on a server."""

    is_shared = True

    def __init__(self, url: URL) -> None:
        super().__init__(url.set(drivername="postgresql+asyncpg"))
        self.statements = PostgresqlStatements(self.address)
        # Not `create_async_engine`, which makes this one and needs SQLAlchemy's mapper of objects imported.
        self._engine = sa.create_engine(
            self.url,
            poolclass=sa.pool.NullPool,  # `Connections` keeps them
            # What is one statement commits by itself: no round trips to begin and to commit.
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,  # values of documents and prompts stay out of errors and logs
            connect_args={
                "timeout": BUSY_TIMEOUT,
                "command_timeout": _COMMAND_TIMEOUT,
                "server_settings": _SESSION_LIMITS,
                **_prepared(self.url),
            },
        )
        self._connections = Connections(self._engine, _CONNECTIONS)
        self._writers = asyncio.Semaphore(_WRITERS)
        self._was_open = False

    async def open(self, *, was_there: bool, is_alive: Callable[[str, float], bool]) -> None:
        """See `Database.open`."""
        await self.write(lambda connection: self._open(connection, was_there, is_alive))

    def _open(
        self, connection: sa.Connection, was_there: bool, is_alive: Callable[[str, float], bool]
    ) -> None:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        self._was_open = True
        create_or_migrate(connection, self.address, None, was_there=was_there, is_alive=is_alive)
        _require_statistics(connection)

    async def write(
        self, work: Callable[[sa.Connection], T], *, alone: bool = False, patient: bool = True
    ) -> T:
        """See `Database.write`.

        A claim that was committed unheard of is an orphan the second time, so its effect is looked up before
        anything is sent. What a deadlock undid is done again, whoever was in the other's way: a transaction
        that prolongs many leases takes their rows in the order in which the server finds them.
        """
        loop = asyncio.get_running_loop()
        deadline, undone = loop.time() + (settings.RECONNECT_SECONDS if patient else 0), 0
        while True:
            try:
                async with self._writers:
                    return await self._do(work, alone=alone, patient=patient)
            except ContendedError:
                undone += 1
                if undone >= _CONTENDED_TIMES:
                    raise
            except ConnectionLostError:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(_RECONNECT_PAUSE)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database.read`. What is read in several statements may be of different moments."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + settings.RECONNECT_SECONDS
        while True:
            try:
                return await self._do(work, alone=True, patient=True)
            except ConnectionLostError:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(_RECONNECT_PAUSE)

    async def _do(self, work: Callable[[sa.Connection], T], *, alone: bool, patient: bool) -> T:
        with translated(self.address):
            await self._connections.acquire()
            try:
                if isinstance(work, Single) and alone and (kept := self._connections.idle()) is not None:
                    return await self._connections.use_alone(kept, work)
                return await self._done(work, alone=alone, patient=patient)
            finally:
                self._connections.release()

    async def _done(self, work: Callable[[sa.Connection], T], *, alone: bool, patient: bool) -> T:
        """Do work on a connection; a server that restarts is waited for, and one that may be starting.

        All of it is one switch to SQLAlchemy's blocking half.
        """
        loop = asyncio.get_running_loop()
        began, warned, is_connected = loop.time(), False, False

        def carried_out() -> T:
            nonlocal is_connected
            kept = self._connections.take()
            is_connected = True
            return self._connections.use(kept, work, alone=alone)

        while True:
            try:
                return await greenlet_spawn(carried_out)
            except Exception as error:
                if is_connected or not is_of_the_database(error) or not patient:
                    raise
                patience = settings.RECONNECT_SECONDS if self._was_open else OPEN_SECONDS
                # Before it was open once, a wrong password or a missing database will not pass.
                if not (self._was_open or is_silent(error)) or loop.time() - began >= patience:
                    raise
                if not warned:
                    logger.warning("The journal %s does not answer; it is waited for.", self.address)
                warned = True
                await asyncio.sleep(_RECONNECT_PAUSE)

    async def close(self) -> None:
        """See `Database.close`."""
        await self._connections.close()
        self._engine.dispose()


def _require_statistics(connection: sa.Connection) -> None:
    """Have the server look at the documents, if there are some and it never has.

    It does so by itself, within a minute of their coming. Until then it takes a batch for one document, and
    compares each of them with each name that is asked for.
    """
    size = sa.func.pg_relation_size(sa.column("oid"))
    is_unknown = sa.text("oid = to_regclass('documents') AND reltuples < 0")
    query = sa.select(sa.true()).select_from(sa.table("pg_class")).where(is_unknown, size > _MANY_BYTES)
    if connection.execute(query).scalar():
        connection.execute(sa.text("ANALYZE (SKIP_LOCKED) documents"))


def _prepared(url: URL) -> dict[str, int]:
    """How many statements the driver keeps prepared, if the address says it."""
    return {"statement_cache_size": int(str(url.query[_PREPARED]))} if _PREPARED in url.query else {}
