"""Which kind of database an address means."""

from __future__ import annotations

from agent_tasks.journal.address import journal_address
from agent_tasks.journal.database import Database


def database_at(address: str) -> Database:
    """The database of an address; nothing is opened yet.

    Raises:
        ConfigurationError: it is not an address of such a database.
    """
    url = journal_address(address)
    # Loaded when needed: each brings a driver along.
    if url.get_backend_name() == "sqlite":
        from agent_tasks.journal.sqlite import SqliteDatabase

        return SqliteDatabase(url)
    from agent_tasks.journal.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(url)
