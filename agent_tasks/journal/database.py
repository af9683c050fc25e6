"""The journal's database: work is done in transactions, on SQLite or on PostgreSQL.

    row = await database.write(work)  # `work` takes a connection of SQLAlchemy Core

A journal that can't be read stops everything with a typed error. It is never taken for an empty one: that
would repeat paid work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL

from agent_tasks.journal.bodies import Row
from agent_tasks.journal.statements import Statements
from agent_tasks.redaction import redacted

T = TypeVar("T")

BUSY_TIMEOUT = 30.0
"""Seconds that a writer waits for another process's write, or for a connection, before it gives up."""

RECONNECT_SECONDS = 30.0
"""How long a journal that was open before waits for a PostgreSQL server that restarts."""


class Database(ABC):
    """A database; `agent_tasks.journal.databases` has the one of an address.

    Work is a plain function of a connection. It may be done a second time if the first was rolled back or its
    fate is unknown, so it changes nothing but the database.
    """

    is_shared: bool
    """Whether workers on several machines may use it together."""
    statements: Statements
    """The statements in the words of this kind of database."""

    def __init__(self, url: URL) -> None:
        self.url = url

    @property
    def path(self) -> Path | None:
        """The database file, or None for a server."""
        return None

    @cached_property
    def address(self) -> str:
        """The address without its password, wherever in it that stands: fit for messages."""
        return redacted(self.url.render_as_string(hide_password=True))

    @abstractmethod
    async def open(self, *, was_there: bool, is_alive: Callable[[str, float], bool]) -> None:
        """Create or migrate the tables.

        Args:
            was_there: whether the journal has been used before, so that an empty one is a loss.
            is_alive: whether a worker is that has a lease until then.

        Raises:
            JournalVersionError: the journal was written by a newer version, or is of an older one that
                still works with it.
            JournalUnreadableError: the file or server can't be used, or the journal is gone.
        """

    @abstractmethod
    async def write(
        self, work: Callable[[sa.Connection], T], *, alone: bool = False, patient: bool = True
    ) -> T:
        """Do work that may write; it is committed when this returns, and rolled back on an exception.

        Args:
            work: what to do.
            alone: it is one statement, which commits by itself: one round trip to a server.
            patient: wait for a server that restarts, and do the work again if it was lost on the way.

        Raises:
            JournalUnreadableError: the database can't be used.
            JournalError: it refused a row.
        """

    @abstractmethod
    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work that only reads. Raises as `write` does."""

    async def rows(self, query: sa.Select[Any], record: Callable[[sa.RowMapping, str], T]) -> list[T]:
        """The rows of a query as records, which know this database's address. Raises as `write` does."""
        return await self.read(
            lambda connection: [record(row, self.address) for row in connection.execute(query).mappings()]
        )

    async def rows_of(
        self, query: sa.Executable, given: Mapping[str, Any], record: Callable[[Row, str], T]
    ) -> list[T]:
        """The same of a query that was made once, with values for all that it leaves open."""
        return await self.read(
            lambda connection: [
                record(row, self.address) for row in self.statements.carry_out(connection, query, given).rows
            ]
        )

    @abstractmethod
    async def close(self) -> None:
        """Close all connections; what was handed in before is done first."""
