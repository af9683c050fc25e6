"""Bringing a database to the newest schema; one that is not a journal, or not of this version, is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from agent_tasks.errors import JournalUnreadableError, JournalVersionError
from agent_tasks.journal.bodies import OTHER_JOURNAL, PACKAGE, this_version
from agent_tasks.journal.records import UNSETTLED
from agent_tasks.journal.schema import SCHEMA_REVISION, leases, metadata, operations

_MIGRATING = threading.Lock()
"""Alembic keeps what it is doing in module globals, which the threads of this process share."""

_MIGRATIONS = Path(__file__).with_name("migrations")

_revisions = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Where Alembic keeps the schema's revision."""


def revision(connection: sa.Connection) -> str | None:
    """The schema's revision; None of a database that is no journal yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def create_or_migrate(
    connection: sa.Connection,
    address: str,
    path: Path | None,
    *,
    was_there: bool,
    is_alive: Callable[[str, float], bool],
) -> None:
    """Create the tables, or bring those of an older version to the newest schema.

    Args:
        connection: in a transaction that keeps other workers out.
        address: the database, fit for messages.
        path: its file, if it is one.
        was_there: whether the journal has been used before, so that an empty one is a loss.
        is_alive: whether a worker is that has a lease until then.

    Raises:
        JournalVersionError: the journal was written by a newer version, or a worker of the older one that
            wrote it still works with it.
        JournalUnreadableError: it holds other tables, or is gone.
    """
    found = revision(connection)
    if found == SCHEMA_REVISION:
        return
    known = {file.name.split("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py")}
    if found is not None and found not in known:
        newer = _last_version(connection)
        raise JournalVersionError(
            f"The journal {address} has schema {found}: a newer {PACKAGE} wrote it{newer and f', {newer}'}. "
            f"This is {this_version()}, which knows schemas up to {SCHEMA_REVISION}. Upgrade {PACKAGE}"
            f"{newer and f' to {newer}'}, or {OTHER_JOURNAL}. Nothing was read or sent."
        )
    if found is None and sa.inspect(connection).get_table_names():
        raise JournalUnreadableError(
            f"{address} is not a journal: it holds other tables and no schema revision. "
            "Name an empty database in AGENT_TASKS_JOURNAL_URL."
        )
    if found is None and was_there:
        raise JournalUnreadableError(
            f"The journal {address} is missing or empty, but it has been used: {path}.workers is still "
            "there. Restore it. To begin anew, which does every step again, and pays for it, remove that "
            "folder too."
        )
    if found is None:
        _create(connection)
        return
    _require_alone(connection, address, found, is_alive)
    with _MIGRATING:
        _upgrade(connection)


def _require_alone(
    connection: sa.Connection, address: str, found: str, is_alive: Callable[[str, float], bool]
) -> None:
    """Make sure that no worker of an older version is at work, which would write what is read no more."""
    held = sa.select(operations.c.worker, operations.c.lease_until).where(operations.c.state.in_(UNSETTLED))
    if sa.inspect(connection).has_table(leases.name):
        held = held.union(sa.select(leases.c.worker, leases.c.lease_until))  # type: ignore[assignment]
    alive = sorted({row.worker for row in connection.execute(held) if is_alive(row.worker, row.lease_until)})
    if alive:
        raise JournalVersionError(
            f"The journal {address} has schema {found}, and a worker of the version that wrote it still "
            f"works with it: {', '.join(alive)}. {this_version()} brings the journal to schema "
            f"{SCHEMA_REVISION}, which that worker can't read. End it, or wait until it has ended (one that "
            "was killed on another machine counts as ended when its lease is over), and start again. "
            "Nothing was changed or sent."
        )


def _last_version(connection: sa.Connection) -> str:
    """The version of this package that wrote into a newer journal last; empty if it does not say."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("operations"):
        return ""
    if not {"version", "updated_at"} <= {column["name"] for column in inspector.get_columns("operations")}:
        return ""
    found = connection.execute(
        sa.select(operations.c.version).order_by(operations.c.updated_at.desc()).limit(1)
    )
    return found.scalar_one_or_none() or ""


def _create(connection: sa.Connection) -> None:
    """Make the tables of a new journal as all migrations would, for which Alembic needs not be imported."""
    metadata.create_all(connection, checkfirst=False)
    _revisions.create(connection)
    connection.execute(_revisions.insert().values(version_num=SCHEMA_REVISION))


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
