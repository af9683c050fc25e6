"""Statements that the drivers are given as they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine

from agent_tasks.journal.plain import PostgresqlPlain, SqlitePlain
from agent_tasks.journal.schema import metadata, operations


@pytest.fixture
def connection() -> sa.Connection:
    """An empty journal's tables."""
    engine = sa.create_engine("sqlite://")
    connection = engine.connect()
    metadata.create_all(connection)
    return connection


ROW = {
    "scope": "s", "key": "k", "kind": "turn", "fingerprint": {"who": "Ä"}, "state": "intended", "attempt": 1,
    "worker": "w", "lease_until": 1, "remote": {}, "result": None, "error": None, "intended_at": 1.5,
    "updated_at": 2, "format": 1, "version": None,
}  # fmt: skip
INSERT = operations.insert()


def test_rows_are_those_of_sqlalchemy(connection: sa.Connection) -> None:
    written = SqlitePlain(INSERT, tuple(ROW), connection.dialect).execute(connection, ROW)
    assert written.rowcount == 1
    query = operations.select().where(operations.c.key == sa.bindparam("its_key"))
    theirs = connection.execute(query, {"its_key": "k"}).mappings().all()
    assert SqlitePlain(query, (), connection.dialect).execute(connection, {"its_key": "k"}).rows == theirs
    assert theirs == [ROW]


async def test_rows_of_a_server_are_those_of_sqlalchemy(postgresql_address: str) -> None:
    query = operations.select().where(operations.c.key == sa.bindparam("its_key"))

    def work(connection: sa.Connection) -> None:
        metadata.create_all(connection)
        assert PostgresqlPlain(INSERT, tuple(ROW), connection.dialect).execute(connection, ROW).rowcount == 1
        theirs = connection.execute(query, {"its_key": "k"}).mappings().all()
        assert (
            PostgresqlPlain(query, (), connection.dialect).execute(connection, {"its_key": "k"}).rows
            == theirs
        )
        assert theirs == [ROW]
        with pytest.raises(sa.exc.IntegrityError, match="operations_pkey"):
            PostgresqlPlain(INSERT, tuple(ROW), connection.dialect).execute(connection, ROW)
        with pytest.raises(sa.exc.StatementError, match="can't be written"):
            PostgresqlPlain(INSERT, tuple(ROW), connection.dialect).execute(connection, {"scope": "s"})
        connection.execute(sa.text("DROP TABLE operations"))
        with pytest.raises(sa.exc.OperationalError, match="does not exist"):
            PostgresqlPlain(query, (), connection.dialect).execute(connection, {"its_key": "k"})

    engine = create_async_engine(postgresql_address, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.run_sync(work)
    await engine.dispose()


def test_what_a_change_gives_back(connection: sa.Connection) -> None:
    connection.execute(INSERT, ROW)
    change = operations.update().values(remote=sa.bindparam("new", type_=sa.JSON)).returning(*operations.c)
    changed = SqlitePlain(change, (), connection.dialect).execute(connection, {"new": {"id": 1}})
    assert changed.rows == [{**ROW, "remote": {"id": 1}}]


def test_errors_are_those_of_sqlalchemy(connection: sa.Connection) -> None:
    insert = SqlitePlain(INSERT, tuple(ROW), connection.dialect)
    insert.execute(connection, ROW)
    with pytest.raises(sa.exc.IntegrityError, match="UNIQUE"):
        insert.execute(connection, ROW)
    with pytest.raises(sa.exc.StatementError, match="can't be written"):
        insert.execute(connection, {**ROW, "remote": object()})
    connection.execute(sa.text("DROP TABLE operations"))
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        insert.execute(connection, ROW)


def test_a_statement_is_left_as_it_was() -> None:
    change = operations.update().values(state=sa.bindparam("new"))
    SqlitePlain(change, (), sa.create_engine("sqlite://").dialect)
    gives = sa.select(*change.returning(operations.c.key).cte("changed").c)
    assert "RETURNING" in str(gives.compile(dialect=postgresql.dialect()))
