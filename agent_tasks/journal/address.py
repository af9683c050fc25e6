"""The journal's address: checked as a whole before anything is opened."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from agent_tasks.errors import ConfigurationError
from agent_tasks.known_names import did_you_mean

__all__ = ["journal_address"]

SETTING = "AGENT_TASKS_JOURNAL_URL"

_SHAPES = "sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER@HOST/DATABASE"
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_POSTGRESQL_OPTIONS = (
    *("host", "port", "user", "password", "passfile", "ssl", "direct_tls", "target_session_attrs"),
    *("krbsrvname", "gsslib", "service", "servicefile", "prepared_statement_cache_size"),
)
"""What may stand behind the `?`: asyncpg knows nothing of libpq's other names."""


def journal_address(url: str) -> URL:
    """The parsed address of a journal, with the driver that this library uses.

    Raises:
        ConfigurationError: it cannot be used; the message names the setting and leaves the address out, which
            may hold a password.
    """
    try:
        parsed = make_url(url)
        port = parsed.port
    except ArgumentError:
        raise _refused(f"is not a database address. Use {_SHAPES}.") from None
    except ValueError:  # SQLAlchemy's own conversion of the port
        raise _refused("has a port that is not a number.") from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise _refused(
            f"names {parsed.get_backend_name()!r}, where the journal can't live: use SQLite or PostgreSQL."
        )
    if parsed.drivername not in (parsed.get_backend_name(), driver):
        raise _refused(f"names the driver {parsed.get_driver_name()!r}: use {driver}.")
    parsed = parsed.set(drivername=driver)
    if driver == _DRIVERS["sqlite"]:
        _check_sqlite(parsed)
    else:
        _check_postgresql(parsed, port)
    return parsed


def _check_sqlite(url: URL) -> None:
    if url.host or url.port or url.username:
        raise _refused("has one slash too few: a file is sqlite+aiosqlite:///PATH, with PATH from the root.")
    if url.query:
        raise _refused("has options after `?`; a SQLite journal takes none.")
    path = url.database or ""
    if path in ("", ":memory:") or path.startswith("file:"):
        raise _refused("names no file: a journal in memory is forgotten, and everything paid for again.")
    if not path.startswith("/"):
        raise _refused(
            "is a relative path: from another working directory it would be another journal. Give the whole "
            "path, sqlite+aiosqlite:////PATH with four slashes."
        )


def _check_postgresql(url: URL, port: int | None) -> None:
    given = (port, *([url.query["port"]] if "port" in url.query else []))
    if any(not 0 < int(one) < 65536 for one in _ports(given)):
        raise _refused("has a port that is no number from 1 to 65535.")
    if not url.database:
        raise _refused(f"names no database. Use {_SHAPES}.")
    if not (url.host or url.query.get("host")):
        raise _refused(f"names no host. Use {_SHAPES}.")
    for name, value in url.query.items():
        if name == "sslmode":
            raise _refused("has `sslmode`, which asyncpg calls `ssl`: write ?ssl=require.")
        if name not in _POSTGRESQL_OPTIONS:
            raise _refused(f"has an unknown option '{name}'. {did_you_mean(name, _POSTGRESQL_OPTIONS)}")
        if name == "ssl" and value not in _SSL_MODES:
            raise _refused(f"has an `ssl` that is none of: {', '.join(_SSL_MODES)}.")
        if name == "prepared_statement_cache_size" and not str(value).isdigit():
            raise _refused("has a `prepared_statement_cache_size` that is no number.")


def _ports(given: tuple[object, ...]) -> list[str]:
    """Each as digits; what is no number becomes 0, which no port is."""
    texts = [text for one in given if one is not None for text in _texts(one)]
    return [text if text.isdigit() else "0" for text in texts]


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    return [part for one in values for part in str(one).split(",")]


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"{SETTING} {why}", setting=SETTING)
