"""A new journal is made without its migrations, and is what they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from agent_tasks.journal import opening
from tests.journal.conftest import new_journal


async def test_a_new_journal_is_that_of_the_migrations(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    in_memory = backend == "sqlite"
    address = "sqlite+aiosqlite://" if in_memory else await new_journal(backend, tmp_path, request)
    assert await _made_by(opening._create, address) == await _made_by(opening._upgrade, address)


async def _made_by(make: Callable[[sa.Connection], None], address: str) -> dict[str, Any]:
    """All that there is in an empty database when the tables are made; they are taken back again."""
    engine = create_async_engine(address)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_described, make)
    finally:
        await engine.dispose()


def _described(connection: sa.Connection, make: Callable[[sa.Connection], None]) -> dict[str, Any]:
    make(connection)
    look = sa.inspect(connection)
    described = {
        name: (
            [{**column, "type": str(column["type"])} for column in look.get_columns(name)],
            look.get_pk_constraint(name),
            sorted(look.get_indexes(name), key=str),
            look.get_unique_constraints(name),
            look.get_foreign_keys(name),
            look.get_check_constraints(name),
            connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all(),
        )
        for name in look.get_table_names()
    }
    if connection.dialect.name == "sqlite":
        made = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        described["sql"] = sorted((name, " ".join(sql.split())) for name, sql in made)
    connection.rollback()
    return described
