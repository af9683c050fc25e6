"""Connections to a PostgreSQL server: opened as they are needed and kept, at most so many at a time.

A pool of SQLAlchemy's takes half as long to give a connection out as a statement takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.util import greenlet_spawn

from agent_tasks.journal.database import BUSY_TIMEOUT
from agent_tasks.journal.plain import Single, driven

__all__ = ["Connections"]

T = TypeVar("T")


class Kept(NamedTuple):
    """A connection, as SQLAlchemy has it and the driver's own."""

    connection: sa.Connection
    driver: Any


class Connections:
    """The connections of one worker, whose statements commit by themselves unless they are in a transaction.

    Args:
        engine: what opens them, without a pool.
        limit: how many there are at a time.
    """

    def __init__(self, engine: sa.Engine, limit: int) -> None:
        self._engine = engine
        self._idle: list[Kept] = []
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

    def idle(self) -> Kept | None:
        """Take one that is not used, if there is one; none that the server has closed meanwhile."""
        while self._idle:
            kept = self._idle.pop()
            if not kept.driver.is_closed():
                return kept
            _throw_away(kept)
        return None

    def take(self) -> Kept:
        """Take one, in SQLAlchemy's blocking half."""
        kept = self.idle()
        if kept is None:
            connection = self._engine.connect()
            kept = Kept(connection, connection.connection.driver_connection)
        return kept

    def use(self, kept: Kept, work: Callable[[sa.Connection], T], *, alone: bool) -> T:
        """Do work on a connection that was taken, and keep the connection, if it can be used again.

        Args:
            kept: the connection.
            work: what to do.
            alone: it is one statement, which commits by itself.
        """
        try:
            result = work(kept.connection) if alone else _in_transaction(kept, work)
        except BaseException as error:
            self._give_back_after(error, kept)
            raise
        self._keep(kept)
        return result

    async def use_alone(self, kept: Kept, work: Single[T]) -> T:
        """The same with work that the driver does by itself, outside of that half."""
        try:
            result = await work.by(kept.driver, self._engine.dialect)
        except BaseException as error:
            await greenlet_spawn(self._give_back_after, error, kept)  # closing takes that half
            raise
        self._idle.append(kept)
        return result

    def _give_back_after(self, error: BaseException, kept: Kept) -> None:
        """What was left in the middle of a statement is nobody else's connection."""
        is_left = not isinstance(error, Exception)
        if is_left or kept.driver.is_closed() or kept.driver.is_in_transaction():
            _throw_away(kept)
        else:
            self._keep(kept)

    def _keep(self, kept: Kept) -> None:
        if kept.connection.in_transaction():  # as SQLAlchemy has it; the driver's own is over
            kept.connection.rollback()
        self._idle.append(kept)

    async def close(self) -> None:
        """Close those that are not used."""
        idle, self._idle = self._idle, []
        for kept in idle:
            await greenlet_spawn(kept.connection.close)


def _throw_away(kept: Kept) -> None:
    kept.connection.invalidate()
    kept.connection.close()


def _in_transaction(kept: Kept, work: Callable[[sa.Connection], T]) -> T:
    """Do work in a transaction of the driver's own; what SQLAlchemy does on the connection is part of it."""
    driver = kept.driver
    driven(driver, "BEGIN", driver.execute("BEGIN"))
    try:
        result = work(kept.connection)
    except Exception:
        if not driver.is_closed():
            driven(driver, "ROLLBACK", driver.execute("ROLLBACK"))
        raise
    driven(driver, "COMMIT", driver.execute("COMMIT"))
    return result
