"""Journals of tests that are made without migrations are what the migrations make."""

from __future__ import annotations

import sqlalchemy as sa

from agent_tasks.journal import opening
from tests.support.migrated import MigratedOnce


def _content(upgrade: MigratedOnce) -> list[str]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
        raw = connection.connection.driver_connection
        assert raw is not None
        return list(raw.iterdump())


def test_the_second_journal_is_that_of_the_migrations() -> None:
    calls: list[str] = []
    original = opening._upgrade

    def counted(connection: sa.Connection) -> None:
        calls.append("migrated")
        original(connection)

    upgrade = MigratedOnce(counted)
    assert _content(upgrade) == _content(upgrade)
    assert calls == ["migrated"]


def test_a_journal_with_tables_is_migrated() -> None:
    calls: list[str] = []
    upgrade = MigratedOnce(lambda connection: calls.append("migrated"))
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE operations (key TEXT)")
        upgrade(connection)
        upgrade(connection)
    assert calls == ["migrated", "migrated"]
