"""Statements that are carried out by the thousand, given to SQLite's driver as they are.

SQLAlchemy says once how a statement reads and how its values are written. Carrying it out each time takes it
several times as long as it takes SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_tasks.journal.bodies import Row

__all__ = ["Outcome", "Plain"]

_Processor = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statement came to."""

    rowcount: int
    rows: Sequence[Row] = ()


class Plain:
    """A statement in SQLite's words; it has no lists of values (`in_`).

    Args:
        statement: what it is.
        names: the columns that an insert is given.
        dialect: the engine's.
    """

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
            (column.name, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for column in getattr(own, "exported_columns", ())
        ]

    def execute(self, connection: sa.Connection, given: Mapping[str, Any]) -> Outcome:
        """Carry it out in a connection's transaction, with values for all that it leaves open.

        Raises:
            SQLAlchemyError: what SQLAlchemy raises.
        """
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
