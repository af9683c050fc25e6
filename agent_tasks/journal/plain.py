"""Statements that are carried out by the thousand, given to the database's driver as they are.

SQLAlchemy says once how a statement reads and how its values are written. Carrying it out each time takes it
several times as long as it takes the driver.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.util import await_only

from agent_tasks.journal.bodies import Row
from agent_tasks.journal.failures import is_of_the_database

__all__ = ["Outcome", "Plain", "PostgresqlPlain", "Single", "SqlitePlain", "driven"]

T = TypeVar("T")

_Processor = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement came to."""

    rowcount: int
    rows: Sequence[Row] = ()


class Plain(ABC):
    """A statement in a database's words; it has no lists of values that are put into its text (`in_`).

    Args:
        statement: what it is.
        names: the columns that an insert is given.
        dialect: the engine's.
    """

    _number_type: int | None = None
    """The number that the driver has for the type of a column of floats, if values depend on it."""

    def __init__(self, statement: Any, names: Sequence[str], dialect: sa.Dialect) -> None:
        keys = list(names) if isinstance(statement, sa.Insert) else None
        # A copy, since a change that returns nothing would remember that, with all that is made from it.
        own = statement.execution_options()
        compiled = own.compile(dialect=dialect, column_keys=keys)
        self.text = str(compiled)
        self._values = [
            (
                name,
                None if bind.required else bind.effective_value,
                bind.required,
                bind.type.dialect_impl(dialect).bind_processor(dialect),
            )
            for name in compiled.positiontup or ()
            for bind in (compiled.binds[name],)
        ]
        self._columns: list[tuple[str, _Processor]] = [
            (column.name, column.type.dialect_impl(dialect).result_processor(dialect, self._number_type))
            for column in getattr(own, "exported_columns", ())
        ]

    @abstractmethod
    def execute(self, connection: sa.Connection, given: Mapping[str, Any]) -> Outcome:
        """Carry it out in a connection's transaction, with values for all that it leaves open.

        Raises:
            SQLAlchemyError: what SQLAlchemy raises.
        """

    def _written(self, given: Mapping[str, Any]) -> list[Any]:
        try:
            return [
                value if process is None else process(value)
                for value, process in (
                    (given[name] if required else fixed, process)
                    for name, fixed, required, process in self._values
                )
            ]
        except (TypeError, ValueError, KeyError) as error:
            raise sa.exc.StatementError(
                f"a value can't be written: {error}", self.text, None, error
            ) from error

    def _read(self, row: Sequence[Any]) -> dict[str, Any]:
        return {
            name: value if process is None else process(value)
            for (name, process), value in zip(self._columns, row, strict=True)
        }


class SqlitePlain(Plain):
    """For SQLite's driver."""

    def execute(self, connection: sa.Connection, given: Mapping[str, Any]) -> Outcome:
        """See `Plain`."""
        values = self._written(given)
        try:
            driver: Any = connection.connection.driver_connection
            cursor = driver.execute(self.text, values)
            found = cursor.fetchall() if self._columns else ()
        except sqlite3.IntegrityError as error:
            raise sa.exc.IntegrityError(self.text, None, error) from error
        except sqlite3.Error as error:
            raise sa.exc.OperationalError(self.text, None, error) from error
        return Outcome(cursor.rowcount, [self._read(row) for row in found])


class PostgresqlPlain(Plain):
    """For PostgreSQL's driver, which prepares it once on each connection."""

    _number_type = 701  # `double precision`

    def execute(self, connection: sa.Connection, given: Mapping[str, Any]) -> Outcome:
        """See `Plain`."""
        driver: Any = connection.connection.driver_connection
        return driven(driver, self.text, self._sent(driver, self._written(given)))

    async def execute_by(self, driver: Any, given: Mapping[str, Any]) -> Outcome:
        """Do the same on a connection of the driver's alone; outside a transaction it commits by itself."""
        values = self._written(given)
        try:
            return await self._sent(driver, values)
        except Exception as error:
            raise _of_sqlalchemy(driver, self.text, error) from error

    async def _sent(self, driver: Any, values: list[Any]) -> Outcome:
        if self._columns:
            found = await driver.fetch(self.text, *values)
            return Outcome(len(found), [self._read(row) for row in found])
        told = await driver.execute(self.text, *values)  # such as `UPDATE 1`
        return Outcome(int(told.rpartition(" ")[2]))


@dataclass(frozen=True, slots=True)
class Single(Generic[T]):
    """Work that is one statement on a server: its driver needs no switch to SQLAlchemy's blocking half."""

    plain: Callable[[sa.Dialect], PostgresqlPlain]
    """The statement in a dialect's words."""
    given: Mapping[str, Any]
    """Values for all that it leaves open."""
    read: Callable[[Sequence[Row]], T]
    """What its rows mean."""

    def __call__(self, connection: sa.Connection) -> T:
        """Do it in a connection's transaction, as a part of other work."""
        return self.read(self.plain(connection.dialect).execute(connection, self.given).rows)

    async def by(self, driver: Any, dialect: sa.Dialect) -> T:
        """Do it on a connection of the driver's, where it commits by itself. Raises as `Plain.execute`."""
        return self.read((await self.plain(dialect).execute_by(driver, self.given)).rows)


def driven(driver: Any, text: str, doing: Awaitable[T]) -> T:
    """Wait, in SQLAlchemy's blocking half, for what PostgreSQL's driver does on a connection.

    Args:
        driver: the driver's connection.
        text: the statement, for errors.
        doing: what it does.

    Raises:
        DBAPIError: what SQLAlchemy raises; whether the connection is lost stands in it.
    """
    try:
        return await_only(doing)
    except Exception as error:
        raise _of_sqlalchemy(driver, text, error) from error


def _of_sqlalchemy(driver: Any, text: str, error: Exception) -> Exception:
    """The driver's error as SQLAlchemy has it; one that is not the database's is raised as it is."""
    if not is_of_the_database(error):
        raise error
    is_integrity = str(getattr(error, "sqlstate", None)).startswith("23")
    kind = sa.exc.IntegrityError if is_integrity else sa.exc.OperationalError
    return kind(text, None, error, True, connection_invalidated=driver.is_closed())
