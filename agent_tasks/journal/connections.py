"""Connections to a PostgreSQL server: opened as they are needed and kept, at most so many at a time.

A pool of SQLAlchemy's takes half as long to give a connection out as a statement takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.util import greenlet_spawn

from agent_tasks.journal.database import BUSY_TIMEOUT
from agent_tasks.journal.plain import driven

__all__ = ["Connections"]

T = TypeVar("T")


class Connections:
    """The connections of one worker, whose statements commit by themselves unless they are in a transaction.

    Args:
        engine: what opens them, without a pool.
        limit: how many there are at a time.
    """

    def __init__(self, engine: sa.Engine, limit: int) -> None:
        self._engine = engine
        self._idle: list[sa.Connection] = []
        self._places = asyncio.Semaphore(limit)

    async def acquire(self) -> None:
        """Wait until one may be taken. Raises TimeoutError after `BUSY_TIMEOUT`."""
        if not self._places.locked():
            await self._places.acquire()
            return
        async with asyncio.timeout(BUSY_TIMEOUT):
            await self._places.acquire()

    def release(self) -> None:
        """Let somebody else take one."""
        self._places.release()

    def take(self) -> sa.Connection:
        """Take a connection, in SQLAlchemy's blocking half; none that the server has closed meanwhile."""
        while self._idle:
            connection = self._idle.pop()
            if not _driver(connection).is_closed():
                return connection
            _throw_away(connection)
        return self._engine.connect()

    def use(self, connection: sa.Connection, work: Callable[[sa.Connection], T], *, alone: bool) -> T:
        """Do work on a connection that was taken, and keep the connection, if it can be used again.

        Args:
            connection: the connection.
            work: what to do.
            alone: it is one statement, which commits by itself.
        """
        driver = _driver(connection)
        try:
            result = work(connection) if alone else _in_transaction(connection, driver, work)
        except BaseException as error:
            # What was left in the middle of a statement is nobody else's connection.
            is_left = not isinstance(error, Exception)
            if is_left or driver.is_closed() or driver.is_in_transaction():
                _throw_away(connection)
            else:
                self._keep(connection)
            raise
        self._keep(connection)
        return result

    def _keep(self, connection: sa.Connection) -> None:
        if connection.in_transaction():  # as SQLAlchemy has it; the driver's own is over
            connection.rollback()
        self._idle.append(connection)

    async def close(self) -> None:
        """Close those that are not used."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await greenlet_spawn(connection.close)


def _driver(connection: sa.Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.driver_connection


def _throw_away(connection: sa.Connection) -> None:
    connection.invalidate()
    connection.close()


def _in_transaction(connection: sa.Connection, driver: Any, work: Callable[[sa.Connection], T]) -> T:
    """Do work in a transaction of the driver's own; what SQLAlchemy does on the connection is part of it."""
    driven(driver, "BEGIN", driver.execute("BEGIN"))
    try:
        result = work(connection)
    except Exception:
        if not driver.is_closed():
            driven(driver, "ROLLBACK", driver.execute("ROLLBACK"))
        raise
    driven(driver, "COMMIT", driver.execute("COMMIT"))
    return result
