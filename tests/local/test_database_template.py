"""A migrated database is kept once and copied for each new state folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent_tasks.local import prefect_program
from agent_tasks.local.database_template import DatabaseTemplate


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _migrated(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num)")
        database.execute("INSERT INTO alembic_version VALUES ('head')")
    return path


def _revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_without_a_template_nothing_is_made(tmp_path: Path) -> None:
    assert not DatabaseTemplate("1").copy_to(tmp_path / "new.db")
    assert list(tmp_path.iterdir()) == []


def test_what_was_kept_is_copied_and_is_its_owners_alone(tmp_path: Path, cache: Path) -> None:
    DatabaseTemplate("1").keep(_migrated(tmp_path / "first.db"))
    assert DatabaseTemplate("1").copy_to(tmp_path / "second.db")
    assert _revision(tmp_path / "second.db") == "head"
    (kept,) = (cache / "agent-tasks").iterdir()
    assert {kept.stat().st_mode & 0o777, (tmp_path / "second.db").stat().st_mode & 0o777} == {0o600}
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_still_in_the_write_ahead_log_is_kept_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "first.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE alembic_version (version_num)")
        database.execute("INSERT INTO alembic_version VALUES ('head')")
        database.commit()
        DatabaseTemplate("1").keep(tmp_path / "first.db")
    assert DatabaseTemplate("1").copy_to(tmp_path / "second.db")
    assert _revision(tmp_path / "second.db") == "head"


def test_another_version_has_another_template(tmp_path: Path) -> None:
    DatabaseTemplate("1").keep(_migrated(tmp_path / "first.db"))
    assert not DatabaseTemplate("2").copy_to(tmp_path / "second.db")


@pytest.mark.parametrize("damage", ["cut off", "no database", "no tables", "empty"])
def test_a_damaged_template_is_none(tmp_path: Path, damage: str) -> None:
    template = DatabaseTemplate("1")
    template.keep(_migrated(tmp_path / "first.db"))
    whole = template.path.read_bytes()
    template.path.unlink()
    if damage == "no tables":
        sqlite3.connect(template.path).close()
    else:
        template.path.write_bytes({"cut off": whole[:5000], "no database": b"x" * 9000, "empty": b""}[damage])
    assert not template.copy_to(tmp_path / "second.db")
    assert not (tmp_path / "second.db").exists()


def test_where_nothing_can_be_kept_the_database_is_made_all_the_same(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def migrate() -> None:
        _migrated(tmp_path / "prefect.db")

    monkeypatch.setattr(prefect_program, "_migrate", migrate)
    cache.write_text("a file where the folder should be")
    prefect_program._make(tmp_path / "prefect.db")
    assert _revision(tmp_path / "prefect.db") == "head"
    assert "cannot be used" in capsys.readouterr().err


def test_a_user_without_a_home_has_no_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number without a name, as in containers: the server makes the tables itself."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    prefect_program._make(tmp_path / "prefect.db")
    assert not (tmp_path / "prefect.db").exists()
    assert "no home folder" in capsys.readouterr().err
