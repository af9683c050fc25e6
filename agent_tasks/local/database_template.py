"""A migrated database of Prefect's server, kept to be copied for the next new state folder.

Making the tables takes as much processor time as all else of a first start: Prefect applies each migration it
has ever had, one by one. What they make is the same for one version of Prefect, so it is kept in the person's
cache folder, `$XDG_CACHE_HOME/agent-tasks/prefect-VERSION.db`. It holds tables and nothing of any run: it is
copied from the database before the server has begun. It may be removed at any time.

Nothing here imports Prefect.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["DatabaseTemplate"]


class DatabaseTemplate:
    """The template for one version of Prefect.

    Args:
        version: Prefect's version; each has its own tables.

    Raises:
        FileNotFoundError: the user has no home, and so no cache folder.
    """

    def __init__(self, version: str) -> None:
        self.path = _cache_folder() / f"prefect-{version}.db"

    def copy_to(self, database: Path) -> bool:
        """Make a new database from the template.

        Args:
            database: the file to make; its folder exists.

        Returns:
            Whether there is a template, and it is a whole one.
        """
        if not _is_whole(self.path):
            return False
        with _appearing_at(database) as temporary:
            shutil.copyfile(self.path, temporary)
        return True

    def keep(self, database: Path) -> None:
        """Make the template from a database that has been migrated, and that nobody has used yet.

        Args:
            database: the file of the database; it stays as it is.

        Raises:
            OSError: the cache folder cannot be written to.
            sqlite3.Error: the database cannot be read, or the template not be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            _appearing_at(self.path) as temporary,
            closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(temporary)) as target,
        ):
            source.backup(target)  # what is still in its write-ahead log too


def _cache_folder() -> Path:
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:  # a number without a name, as in containers
        raise FileNotFoundError("the user has no home folder, and XDG_CACHE_HOME is not set") from error
    return home / "agent-tasks"


def _is_whole(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (found,) = database.execute("PRAGMA quick_check").fetchone()
            migrated = database.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    except sqlite3.Error:
        return False
    return bool(found == "ok" and migrated)


@contextmanager
def _appearing_at(path: Path) -> Iterator[Path]:
    """A file, its owner's alone, written beside the path; it takes the path's place when it is whole."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
