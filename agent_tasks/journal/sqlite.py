"""The journal in a SQLite file: one thread writes, what arrives together is committed together.

A commit waits for the disk. Work that is handed in while the thread is busy is done in its next transaction,
all of it, so that a hundred turns at once wait for a few commits and not for a hundred; each returns when its
own is on the disk. Reading goes on beside it.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import URL

from agent_tasks.errors import JournalUnreadableError
from agent_tasks.journal import database as settings
from agent_tasks.journal.database import Database
from agent_tasks.journal.failures import translated
from agent_tasks.journal.opening import create_or_migrate
from agent_tasks.journal.statements import Statements

T = TypeVar("T")

_GROUP = 100  # pieces of work in one transaction at most
_READERS = 2
_PRAGMAS = (
    "journal_mode=WAL",
    # An intent must be on the disk before its request leaves, also when the machine loses power.
    "synchronous=FULL",
    "foreign_keys=ON",
)


class SqliteDatabase(Database):
    """A file of this machine."""

    is_shared = False

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self.statements = Statements(self.address)
        self._engine = _create_engine(self.url.set(drivername="sqlite+pysqlite"))
        self._writer = _Writer(self._engine, self.address, self._check_file)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="journal-reader")
        self._file: tuple[int, int] | None = None

    @cached_property
    def path(self) -> Path:
        """The database file."""
        return Path(str(self.url.database))

    async def open(self, *, was_there: bool, is_alive: Callable[[str, float], bool]) -> None:
        """See `Database.open`."""
        await asyncio.to_thread(_make_folder, self.path)
        await self.write(
            lambda connection: create_or_migrate(
                connection, self.address, self.path, was_there=was_there, is_alive=is_alive
            )
        )
        self._file = await asyncio.to_thread(_identity, self.path)

    async def write(
        self, work: Callable[[sa.Connection], T], *, alone: bool = False, patient: bool = True
    ) -> T:
        """See `Database.write`. Work that has begun is committed also if nobody waits for it any more."""
        return await self._writer.do(work)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """See `Database.read`."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with translated(self.address), self._engine.connect() as connection, connection.begin():
            return work(connection)

    async def close(self) -> None:
        """See `Database.close`."""
        await asyncio.to_thread(self._writer.stop)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()

    def _check_file(self) -> None:
        """SQLite would go on writing to a file that was removed, and nobody would find it again."""
        if self._file is not None and _identity(self.path) != self._file:
            raise JournalUnreadableError(
                f"The file of the journal {self.address} was removed or replaced while it was in use. "
                "Restore it, with its -wal file, and start again; nothing was sent meanwhile."
            )


@dataclass(eq=False)
class _Job:
    """A piece of work, and who waits for it."""

    work: Callable[[sa.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None
    is_dropped: bool = False

    def deliver(self) -> None:
        """Tell whoever waits; called in the loop."""
        if self.future.done():
            return  # it was cancelled meanwhile
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Writer:
    """The thread that writes; started with the first work, and again after a stop."""

    def __init__(self, engine: sa.Engine, address: str, check: Callable[[], None]) -> None:
        self._engine = engine
        self._address = address
        self._check = check
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    async def do(self, work: Callable[[sa.Connection], T]) -> T:
        """Have work done, and committed."""
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
                self._thread.start()
            self._jobs.put(job)
        try:
            return cast("T", await job.future)
        except asyncio.CancelledError:
            job.is_dropped = True  # unless it is being done, it is not needed
            raise

    def stop(self) -> None:
        """Let the thread do what it has, and wait for its end."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        connection: sa.Connection | None = None
        try:
            while (first := self._jobs.get()) is not None:
                jobs, is_last = self._group(first)
                try:
                    if connection is None:
                        with translated(self._address):
                            connection = self._connected()
                    self._commit(connection, jobs)
                except BaseException as error:
                    for job in jobs:
                        job.error = job.error or error
                _deliver(jobs)
                if is_last:
                    return
        finally:
            if connection is not None:
                connection.close()

    def _connected(self) -> sa.Connection:
        """A connection in a transaction of SQLAlchemy's that is one in name: the driver has those of jobs.

        SQLAlchemy takes longer to begin one and to commit it than SQLite.
        """
        connection = self._engine.connect().execution_options(journal_writes=True)
        connection.begin()
        return connection

    def _group(self, first: _Job) -> tuple[list[_Job], bool]:
        """What has arrived together, and whether it is the last of all."""
        jobs = [first]
        while len(jobs) < _GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return [one for one in jobs if not one.is_dropped], True
            jobs.append(job)
        return [one for one in jobs if not one.is_dropped], False

    def _commit(self, connection: sa.Connection, jobs: Sequence[_Job]) -> None:
        """Commit all in one transaction; if one of them fails, each in its own."""
        try:
            with translated(self._address), _Transaction(connection):
                self._check()
                for job in jobs:
                    try:
                        job.result = job.work(connection)
                    except BaseException as error:
                        job.error = error
                        raise
        except BaseException:
            failed = next((job for job in jobs if job.error is not None), None)
            if failed is None or len(jobs) == 1:
                if failed is not None:
                    failed.error = None  # the caller knows the translated one
                raise
            for job in jobs:
                job.error = job.result = None
                self._commit_alone(connection, job)

    def _commit_alone(self, connection: sa.Connection, job: _Job) -> None:
        try:
            with translated(self._address), _Transaction(connection):
                self._check()
                job.result = job.work(connection)
        except BaseException as error:
            job.error = error


class _Transaction:
    """One that writes: nobody else does meanwhile. Undone where an error leaves it, or its commit fails."""

    def __init__(self, connection: sa.Connection) -> None:
        self._driver: Any = connection.connection.driver_connection

    def __enter__(self) -> None:
        _by_driver(self._driver, "BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                _by_driver(self._driver, "COMMIT")
        finally:
            if self._driver.in_transaction:
                _by_driver(self._driver, "ROLLBACK")


def _by_driver(driver: Any, statement: str) -> None:
    """Have the driver carry out what begins or ends a transaction.

    Raises:
        OperationalError: as SQLAlchemy has it.
    """
    try:
        driver.execute(statement)
    except sqlite3.Error as error:
        raise sa.exc.OperationalError(statement, None, error) from error


def _deliver(jobs: Sequence[_Job]) -> None:
    """Wake every loop once, whatever has been done for it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_deliver_all, theirs)
        except RuntimeError:
            continue  # the loop is closed: nobody waits


def _deliver_all(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.deliver()


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalUnreadableError(
            f"The folder of the journal {path} can't be made ({error}). Set AGENT_TASKS_JOURNAL_URL or "
            "AGENT_TASKS_STATE_DIR to a writable place."
        ) from error


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and number of a file; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _create_engine(url: URL) -> sa.Engine:
    # Each thread has one connection at a time, so the pool never makes anyone wait.
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # values of documents and prompts stay out of errors and logs
        connect_args={"timeout": settings.BUSY_TIMEOUT, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy, not the driver, opens transactions
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            _execute_patiently(cursor, f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("journal_writes", False):
            _by_driver(connection.connection.driver_connection, "BEGIN")

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
