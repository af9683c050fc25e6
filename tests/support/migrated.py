"""New journals of tests: migrations make the tables of a process's first one, and the others get the same.

To make them by five migrations takes forty milliseconds of the processor, and there are a thousand journals.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

__all__ = ["MigratedOnce"]


class MigratedOnce:
    """In place of `agent_tasks.journal.opening._upgrade`.

    Args:
        upgrade: the function itself; used for the first new file, for journals that have tables, and for
            PostgreSQL.
    """

    def __init__(self, upgrade: Callable[[sa.Connection], None]) -> None:
        self.upgrade = upgrade
        self._statements: list[str] = []

    def __call__(self, connection: sa.Connection) -> None:
        """Bring the database to the newest schema."""
        if connection.dialect.name != "sqlite" or sa.inspect(connection).get_table_names():
            self.upgrade(connection)
            return
        if not self._statements:
            self.upgrade(connection)
            self._statements = _made(connection)
            return
        for statement in self._statements:
            connection.exec_driver_sql(statement)


def _made(connection: sa.Connection) -> list[str]:
    """What makes the tables that are there, with the revision, the only row."""
    ours = "sql IS NOT NULL AND name NOT LIKE 'sqlite%'"  # not what SQLite makes itself
    found = f"SELECT type, name, sql FROM sqlite_master WHERE {ours} ORDER BY rowid"  # noqa: S608
    objects = connection.exec_driver_sql(found).all()
    rows = {
        name: connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()  # noqa: S608 - names of tables
        for kind, name, _ in objects
        if kind == "table"
    }
    ((revision,),) = rows.pop("alembic_version")
    assert not any(rows.values()), "a migration has made rows, which would be missing"
    return [
        *(statement for _, _, statement in objects),
        f"INSERT INTO alembic_version VALUES ('{revision}')",  # noqa: S608 - of our own migrations
    ]
