"""Opening the journal's database: engine, pragmas, migrations, and the translation of its failures.

A journal that can't be read stops everything with a typed error. It is never taken for an empty one: that
would repeat paid work.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agent_tasks.errors import JournalError, JournalUnreadableError, JournalVersionError
from agent_tasks.journal.address import journal_address
from agent_tasks.journal.schema import SCHEMA_REVISION
from agent_tasks.logs import get_logger
from agent_tasks.redaction import redacted

logger = get_logger("agent_tasks.journal")

BUSY_TIMEOUT = 30.0
"""Seconds that a SQLite writer waits for another process's write before it gives up."""

RECONNECT_SECONDS = 30.0
"""How long a journal that was open before waits for a PostgreSQL server that restarts."""

OPEN_SECONDS = 10.0
"""How long a journal that is being opened waits for a PostgreSQL server that does not answer yet."""

_RECONNECT_PAUSE = 0.5  # seconds between attempts to reach it
_POOL_SIZE = 10  # connections of one worker to PostgreSQL
_WRITERS = 8  # of which at most this many write at the same time; the others are for reading

_SESSION_LIMITS = {
    # A worker that stands still in the middle of a transaction loses its session (and does the transaction
    # again when it wakes) well before those who wait for its rows give up.
    "idle_in_transaction_session_timeout": "15s",
    "lock_timeout": "45s",
    "application_name": "agent-tasks",
}
_COMMAND_TIMEOUT = 60.0  # seconds that a statement may take, waiting for locks included
_MIGRATION_LOCK = 0x6167656E7473  # any number that no other program takes; "agents" in ASCII

_MIGRATING = threading.Lock()
_MIGRATIONS = Path(__file__).with_name("migrations")


_P = ParamSpec("_P")
_R = TypeVar("_R")


class ConnectionLostError(JournalUnreadableError):
    """The server went away in the middle of a transaction; whether it was committed is not known."""


def retried(transaction: Callable[_P, Awaitable[_R]]) -> Callable[_P, Awaitable[_R]]:
    """Carry a transaction out again if the server restarts in its middle; for those that may be done twice.

    After `RECONNECT_SECONDS` the error is the caller's. A claim that was committed unheard of is an orphan
    the second time, so its effect is looked up before anything is sent.
    """

    @functools.wraps(transaction)
    async def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RECONNECT_SECONDS
        while True:
            try:
                return await transaction(*args, **kwargs)
            except ConnectionLostError:
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(_RECONNECT_PAUSE)

    return wrapper


class Database:
    """An async SQLAlchemy engine with one writer at a time and translated errors.

    Args:
        url: an SQLAlchemy address: `sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://...`.
    """

    def __init__(self, url: str) -> None:
        self.url = journal_address(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _create_engine(self.url, is_sqlite=self.is_sqlite)
        self._writers = asyncio.Semaphore(1 if self.is_sqlite else _WRITERS)
        self._was_open = False
        self._file: tuple[int, int] | None = None

    @property
    def path(self) -> Path | None:
        """The database file, or None for a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    @property
    def address(self) -> str:
        """The address without its password, wherever in it that stands: fit for messages."""
        return redacted(self.url.render_as_string(hide_password=True))

    async def open(self, *, was_there: bool = False) -> None:
        """Create or migrate the tables.

        Args:
            was_there: whether the journal has been used before, so that an empty one is a loss.

        Raises:
            JournalVersionError: the journal was written by a newer version.
            JournalUnreadableError: the file or server can't be used, or the journal is gone.
        """
        if self.path is not None:
            await asyncio.to_thread(self._prepare_file, self.path)
        await self._create_or_migrate(was_there)
        await self._remember_file()

    @retried
    async def _create_or_migrate(self, was_there: bool) -> None:
        async with self.write() as connection:
            if not self.is_sqlite:  # there, the transaction itself keeps other writers out
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            self._was_open = True
            found = await connection.run_sync(_revision)
            if found != SCHEMA_REVISION:
                await self._migrate(connection, found, was_there)

    async def _migrate(self, connection: AsyncConnection, found: str | None, was_there: bool) -> None:
        known = {file.name.split("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py")}
        if found is not None and found not in known:
            raise JournalVersionError(
                f"The journal {self.address} has schema {found}, this version knows up to "
                f"{SCHEMA_REVISION}. "
                "Install the newer prefect-azure-agents that wrote it."
            )
        if found is None and await connection.run_sync(_has_foreign_tables):
            raise JournalUnreadableError(
                f"{self.address} is not a journal: it holds other tables and no schema revision. "
                "Name an empty database in AGENT_TASKS_JOURNAL_URL."
            )
        if found is None and was_there:
            raise JournalUnreadableError(
                f"The journal {self.address} is missing or empty, but it has been used: "
                f"{self.path}.workers is still there. Restore it. To begin anew, which does every step "
                "again, and pays for it, remove that folder too."
            )
        async with _one_at_a_time():
            await connection.run_sync(_upgrade)

    async def _remember_file(self) -> None:
        """Note which file is open, so that one put in its place is noticed."""
        self._file = await asyncio.to_thread(_identity, self.path)

    def _check_file(self) -> None:
        """SQLite would go on writing to a file that was removed, and nobody would find it again."""
        if self._file is not None and _identity(self.path) != self._file:
            raise JournalUnreadableError(
                f"The file of the journal {self.address} was removed or replaced while it was in use. "
                "Restore it, with its -wal file, and start again; nothing was sent meanwhile."
            )

    def _prepare_file(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalUnreadableError(
                f"The folder of the journal {path} can't be made ({error}). Set AGENT_TASKS_JOURNAL_URL or "
                "AGENT_TASKS_STATE_DIR to a writable place."
            ) from error

    @asynccontextmanager
    async def write(self, *, patient: bool = True) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write; committed at the end, rolled back on an exception.

        `patient` waits for a server that restarts.
        """
        async with self._writers:
            with _translated(self.address):
                connection = await self._connect(patient=patient)
                try:
                    await connection.execution_options(journal_writes=True)
                    async with connection.begin():
                        self._check_file()  # no other thread is waited for: the lock is held
                        yield connection
                finally:
                    await connection.close()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads."""
        with _translated(self.address):
            connection = await self._connect()
            try:
                async with connection.begin():
                    yield connection
            finally:
                await connection.close()

    async def _connect(self, *, patient: bool = True) -> AsyncConnection:
        """A connection; a PostgreSQL server that restarts is waited for, and one that may be starting."""
        loop = asyncio.get_running_loop()
        began, warned = loop.time(), False
        while True:
            try:
                return await self._engine.connect()
            except Exception as error:
                if not isinstance(error, (SQLAlchemyError, OSError, *_driver_errors())):
                    raise
                if self.is_sqlite or not patient:
                    raise
                patience = RECONNECT_SECONDS if self._was_open else OPEN_SECONDS
                # Before it was open once, a wrong password or a missing database will not pass.
                if not (self._was_open or _is_silent(error)) or loop.time() - began >= patience:
                    raise
                if not warned:
                    logger.warning("The journal %s does not answer; it is waited for.", self.address)
                warned = True
                await asyncio.sleep(_RECONNECT_PAUSE)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


class _translated:  # noqa: N801 - reads as a statement: `with _translated(...)`
    """Turn a database driver's errors into journal errors that say what to do."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, (SQLAlchemyError, OSError, *_driver_errors())):
            return
        if isinstance(error, IntegrityError):
            raise JournalError(
                f"The journal {self._address} refused a row that contradicts another: {error.orig}. "
                "Nothing was committed; try again, and report it if it happens again."
            ) from error
        text = _reason(error)
        if "lock timeout" in text:
            remedy = "A worker holds the row for too long: end that worker, or wait for its session to end."
        elif "locked" in text:
            remedy = "Another process holds it: end that process, or use PostgreSQL for several workers."
        elif "not a database" in text or "malformed" in text:
            remedy = (
                "The file is damaged or not a journal: restore a copy. Deleting it makes every step run, "
                "and be paid for, again."
            )
        else:
            remedy = "Check AGENT_TASKS_JOURNAL_URL, the disk and the server; nothing was sent meanwhile."
        is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
        raise (ConnectionLostError if is_lost else JournalUnreadableError)(
            f"The journal {self._address} can't be used: {text}. {remedy}"
        ) from error


def _reason(error: BaseException | None) -> str:
    """What a driver says of its error; those that say nothing are named."""
    found = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if str(found).strip():
        return str(found)
    if isinstance(found, TimeoutError):
        return "the server did not answer in time (TimeoutError)"
    return type(found).__name__


@asynccontextmanager
async def _one_at_a_time() -> AsyncIterator[None]:
    """Alembic keeps what it is doing in module globals, which tasks and threads of this process share."""
    while not _MIGRATING.acquire(blocking=False):  # noqa: ASYNC110 - other threads have other loops
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        _MIGRATING.release()


def _identity(path: Path | None) -> tuple[int, int] | None:
    """Device and number of a file; None if there is none."""
    if path is None or not path.exists():
        return None
    found = path.stat()
    return found.st_dev, found.st_ino


def _driver_errors() -> tuple[type[Exception], ...]:
    """What asyncpg raises by itself while it connects; SQLAlchemy wraps only what comes later."""
    asyncpg = sys.modules.get("asyncpg")
    return (asyncpg.PostgresError, asyncpg.InterfaceError) if asyncpg is not None else ()


def _is_silent(error: Exception) -> bool:
    """Whether no server took the connection, or one that is starting or stopping; not an unknown host."""
    asyncpg = sys.modules.get("asyncpg")
    starting = (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) if asyncpg else ()
    found = error.orig if isinstance(error, DBAPIError) else error
    causes = [one for one in (found, found.__cause__ if found else None) if one is not None]
    return not any(isinstance(one, socket.gaierror) for one in causes) and any(
        isinstance(one, (OSError, *starting)) for one in causes
    )


def _create_engine(url: URL, *, is_sqlite: bool) -> AsyncEngine:
    if not is_sqlite:
        return create_async_engine(
            url,
            hide_parameters=True,  # values of documents and prompts stay out of errors and logs
            pool_pre_ping=True,
            pool_size=_POOL_SIZE,
            connect_args={
                "timeout": BUSY_TIMEOUT,
                "command_timeout": _COMMAND_TIMEOUT,
                "server_settings": _SESSION_LIMITS,
            },
        )
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT})

    @sa.event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy, not the driver, opens transactions
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            # FULL: an intent must be on the disk before its request leaves, also when the machine loses power
            _execute_patiently(cursor, f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("journal_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _execute_patiently(cursor: Any, statement: str) -> None:
    """Two who open a new journal at once both switch it to WAL, and SQLite does not wait for that lock."""
    for pause in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        try:
            cursor.execute(statement)
        except Exception as error:  # the driver's own class depends on how it is wrapped
            if "locked" not in str(error):
                raise
            time.sleep(pause)
        else:
            return
    cursor.execute(statement)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _has_foreign_tables(connection: sa.Connection) -> bool:
    return bool(sa.inspect(connection).get_table_names())


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
