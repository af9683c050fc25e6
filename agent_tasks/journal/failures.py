"""From a database driver's failures to journal errors that say what to do."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from agent_tasks.errors import JournalError, JournalUnreadableError


class ConnectionLostError(JournalUnreadableError):
    """The server went away in the middle of a transaction; whether it was committed is not known."""


class ContendedError(JournalUnreadableError):
    """The server ended this transaction so that others could go on (a deadlock); all of it is undone."""


_CONTENDED = frozenset({"40P01", "40001"})  # SQLSTATE: deadlock detected, serialization failure


def driver_errors() -> tuple[type[Exception], ...]:
    """What asyncpg raises by itself while it connects; SQLAlchemy wraps only what comes later."""
    asyncpg = sys.modules.get("asyncpg")
    return (asyncpg.PostgresError, asyncpg.InterfaceError) if asyncpg is not None else ()


def is_of_the_database(error: BaseException | None) -> bool:
    """Whether an error comes from the database or the way to it."""
    return isinstance(error, (SQLAlchemyError, OSError, *driver_errors()))


def is_silent(error: Exception) -> bool:
    """Whether no server took the connection, or one that is starting or stopping; not an unknown host."""
    asyncpg = sys.modules.get("asyncpg")
    starting = (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) if asyncpg else ()
    found = error.orig if isinstance(error, DBAPIError) else error
    causes = [one for one in (found, found.__cause__ if found else None) if one is not None]
    return not any(isinstance(one, socket.gaierror) for one in causes) and any(
        isinstance(one, (OSError, *starting)) for one in causes
    )


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn the failures of the database at `address` (fit for messages) into journal errors."""
    try:
        yield
    except Exception as error:
        if not is_of_the_database(error):
            raise
        raise _journal_error(address, error) from error


def _journal_error(address: str, error: Exception) -> JournalError:
    if isinstance(error, IntegrityError):
        return JournalError(
            f"The journal {address} refused a row that contradicts another: {error.orig}. "
            "Nothing was committed; try again, and report it if it happens again."
        )
    text = _reason(error)
    if "lock timeout" in text:
        remedy = "A worker holds the row for too long: end that worker, or wait for its session to end."
    elif "locked" in text:
        remedy = "Another process holds it: end that process, or use PostgreSQL for several workers."
    elif "not a database" in text or "malformed" in text:
        remedy = (
            "The file is damaged or not a journal: restore a copy. Deleting it makes every step run, "
            "and be paid for, again."
        )
    else:
        remedy = "Check AGENT_TASKS_JOURNAL_URL, the disk and the server; nothing was sent meanwhile."
    return _kind(error)(f"The journal {address} can't be used: {text}. {remedy}")


def _kind(error: Exception) -> type[JournalUnreadableError]:
    if not isinstance(error, DBAPIError):
        return JournalUnreadableError
    if error.connection_invalidated:
        return ConnectionLostError
    is_contended = getattr(error.orig, "sqlstate", None) in _CONTENDED
    return ContendedError if is_contended else JournalUnreadableError


def _reason(error: Exception) -> str:
    """What a driver says of its error; those that say nothing are named."""
    found = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if str(found).strip():
        return str(found)
    if isinstance(found, TimeoutError):
        return "the server did not answer in time (TimeoutError)"
    return type(found).__name__
