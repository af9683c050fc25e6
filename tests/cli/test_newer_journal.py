"""A journal of a newer version is refused in words, by each command, before anything is started or sent."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from agent_tasks.journal import Journal
from tests.batch.support import SMALL

QUICK_COMMANDS = {
    "approvals": ["approvals", "list"],
    "calls": ["calls", "list"],
    "sweep": ["resources", "sweep", "--yes"],
}
"""Those that leave Prefect's environment to the process: they are run in this one."""

COMMANDS = {
    "run": ["run", "documents", "--pipeline", "pipeline.yaml", "--out", "out"],
    "fork": ["fork", "out", "--from", "review", "--out", "fork"],
    "doctor": ["doctor", "--offline"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents, a pipeline file and a journal of a newer version, and no service anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.delenv("AGENT_TASKS_JOURNAL_URL", raising=False)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("Paper P-1")
    (tmp_path / "pipeline.yaml").write_text(SMALL)

    async def make() -> None:
        async with Journal(f"sqlite+aiosqlite:///{tmp_path}/state/journal.db") as journal:
            await journal.operations.claim("s", "k", "turn", {})

    asyncio.run(make())
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0099'")
        database.execute("UPDATE operations SET version = '7.8.9'")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_which_version_wrote_it_and_what_to_do(folder: Path, command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    ended = subprocess.run(
        [sys.executable, "-c", "from agent_tasks.cli import main; main()", *COMMANDS[command]],
        capture_output=True, text=True, timeout=120, env=environment, cwd=folder,
    )  # fmt: skip
    _refused(folder, ended.returncode, ended.stdout + ended.stderr)
    if command != "run":  # which starts the servers while it looks
        _started_nothing(folder)


@pytest.mark.parametrize("command", QUICK_COMMANDS)
def test_each_quick_command_says_which_version_wrote_it_and_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["agent-tasks"])
    monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)
    ended = CliRunner().invoke(app, QUICK_COMMANDS[command])
    _refused(folder, ended.exit_code, ended.output)
    _started_nothing(folder)


def _refused(folder: Path, code: int, output: str) -> None:
    said = " ".join(output.split())
    assert code == 1, said
    assert "has schema 0099: a newer prefect-azure-agents wrote it, 7.8.9" in said, said
    assert "Upgrade prefect-azure-agents to 7.8.9, or take another journal" in said
    assert "Traceback" not in said
    assert not (folder / "out").exists()


def _started_nothing(folder: Path) -> None:
    there = {path.name for path in (folder / "state").iterdir()}
    assert there <= {"journal.db", "journal.db.workers", ".gitignore", "prefect"}, "something is started"
