"""Every setting with wrong values: the command says which one it is and what to do, before anything runs."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from agent_tasks.local.server import Server
from agent_tasks.local.servers import local_service
from agent_tasks.settings import Settings, _variable
from tests.batch.support import PIPELINE, TOOLS

SECRET = "t0p-secret"

WRONG: dict[str, list[str]] = {
    "PROJECT_ENDPOINT": [
        *("", " ", "my-project", "ftp://host/p", "https://", "https://host:port/p", "https://host:99999/p"),
        *("https://host/p?api-version=v1", "https://host/p#part", "https://[::1/p", "https://ho st/p"),
        *("https://host", "http://example.com/api/projects/p", "https://user:t0p-secret@host/api/projects/p"),
        "http://127.0.0.1:1/api/projects/p",
    ],
    "MODEL_DEPLOYMENT_NAME": ["", "  "],
    "PREFECT_API_URL": [
        *("", "localhost:4200/api", "http://", "http://host:port/api", "http://127.0.0.1:0/api"),
        *(
            "http://127.0.0.1:1/api",
            "http://no-such-host.invalid/api",
            "http://me:t0p-secret@127.0.0.1:1/api",
        ),
    ],
    "AGENT_TASKS_STATE_DIR": ["", "state", "./state", "~nobody-of-this-name/x", "{file}", "{file}/below"],
    "AGENT_TASKS_JOURNAL_URL": [
        *("", "journal.db", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"),
        *(
            "sqlite+aiosqlite:///relative.db",
            "sqlite+aiosqlite://x/y.db",
            "sqlite+aiosqlite:////x.db?mode=memory",
        ),
        *("sqlite+pysqlite:////tmp/x.db", "mysql://host/db", "postgresql+psycopg2://host/db"),
        *("postgresql+asyncpg://host:port/db", "postgresql+asyncpg://host:99999/db"),
        *("postgresql+asyncpg://host:0/db", "postgresql+asyncpg://host/", "postgresql+asyncpg:///db"),
        "postgresql+asyncpg://me:t0p-secret@host/db?sslmode=require",
        *("postgresql+asyncpg://host/db?ssl=yes", "postgresql+asyncpg://host/db?pasword=t0p-secret"),
        *(
            "postgresql+asyncpg://host/db?port=many",
            "postgresql+asyncpg://me:t0p-secret@127.0.0.1:{closed}/db",
        ),
        *("sqlite+aiosqlite:////proc/no/journal.db", "sqlite+aiosqlite:///{folder}"),
    ],
    "AGENT_TASKS_LEASE_SECONDS": ["", "soon", "0", "-1", "nan", "inf", "1e9"],
    "AGENT_TASKS_CREDENTIAL": ["", "passport", "token", "Default "],
    "AGENT_TASKS_TOKEN": ["", SECRET, f"{SECRET}\n"],
    "AGENT_TASKS_LOCAL_MODEL": [
        *("", "gpt", "scripted:", "scripted:missing.yaml", "scripted:{file}", "openai:", "openai:no-address"),
        "openai:ftp://host/v1",
    ],
    "AGENT_TASKS_LOCAL_TOOLS_FILE": ["", "missing.yaml", "{folder}", "{file}"],
    "AGENT_TASKS_DESK_URL": ["", "desk.example", "https://me:t0p-secret@desk.example"],
    "AGENT_TASKS_TRANSCRIPT_DAYS": ["", "-1", "a lot", "inf"],
    "AGENT_TASKS_PRICES": ["", "missing.toml", "{folder}", "{file}"],
    "AGENT_TASKS_SHOW_CONTENT": ["", "perhaps", "2"],
    "AGENT_TASKS_START_TIMEOUT": ["", "soon", "0", "-5", "nan", "inf", "99999"],
    "AGENT_TASKS_SERVICE": ["", "clasic", "inline"],
    "OPENAI_BASE_URL": ["host/v1", "ftp://host/v1", "http://host.example/v1", "http://127.0.0.1:{closed}/v1"],
    "OPENAI_API_KEY": [f"{SECRET}\n"],
    "AGENT_TASKS_KEEP_SERVERS": ["", "soon", "-1", "nan", "inf", "99999"],
}
CASES = [(name, value) for name, values in WRONG.items() for value in values]

runner = CliRunner()


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A working directory with a pipeline and documents, and nothing of ours in the environment."""
    environment = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["agent-tasks"])
    for name in os.environ:
        if name.startswith(("AGENT_TASKS_", "PREFECT_", "PROJECT_", "MODEL_", "OPENAI_")):
            monkeypatch.delenv(name)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("Paper P-1 of 2026-03-01, total 10.5")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "paper_tools.py").write_text(TOOLS)
    (tmp_path / "file").write_text("a: [1, t0p-secret")
    yield tmp_path
    os.environ.clear()
    os.environ.update(environment)  # the commands set Prefect's


def test_the_table_has_every_setting() -> None:
    assert set(WRONG) == {_variable(field) for field in Settings.model_fields}


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "value"), CASES, ids=[f"{name}={value or 'empty'}" for name, value in CASES]
)
def test_a_wrong_setting_is_named_with_its_remedy(
    name: str, value: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:  # bound and not listening: nothing else answers there
        taken.bind(("127.0.0.1", 0))
        filled = value.format(
            file=folder / "file", folder=folder / "documents", closed=taken.getsockname()[1]
        )
        monkeypatch.setenv(name, filled)
        if name.startswith("OPENAI_"):  # not read for the classic service
            monkeypatch.setenv("AGENT_TASKS_SERVICE", "responses")
            monkeypatch.setenv("OPENAI_BASE_URL", filled if name == "OPENAI_BASE_URL" else "https://host/v1")
        if name != "PREFECT_API_URL":  # the others are noticed without a Prefect server
            monkeypatch.setattr("agent_tasks.cli.run.prefect_server", lambda settings: NoServer())
        monkeypatch.setattr("agent_tasks.cli.run.local_service", checked_only)
        monkeypatch.setattr("agent_tasks.cli.run.use_prefect_environment", lambda settings: None)
        monkeypatch.setattr("agent_tasks.journal.postgresql.OPEN_SECONDS", 0.0)
        told = runner.invoke(
            app, ["run", "documents", "--pipeline", "pipeline.yaml", "--out", str(folder / "out"), "--quiet"]
        )
    said = told.stderr
    assert told.exit_code in (1, 2), (said, told.exception)
    assert name in said
    assert "Unexpected" not in said
    assert "Traceback" not in said
    assert SECRET not in said
    assert not (folder / "out").exists()


def checked_only(settings: Settings) -> Server[str]:
    """The local service: what is wrong with it is found before it is started."""
    local_service(settings)
    return NoServer()


class NoServer(Server[str]):
    """Stands for a local server: no run with a wrong setting waits for it."""

    def wait(self) -> str:
        pytest.fail("the run began in spite of a wrong setting")

    def hand_over(self) -> None:
        """There is nothing to hand over."""

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize("command", [["run", "documents", "-p", "pipeline.yaml", "-o", "out"], ["doctor"]])
@pytest.mark.parametrize("name", ["AGENT_TASKS_TOKN", "PROJECT_ENDPIONT"])
def test_a_misspelt_variable_ends_the_command(
    command: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)
    told = runner.invoke(app, command)
    assert told.exit_code == 2
    assert f"Error: {name} in the environment is no setting. Did you mean" in told.stderr
    assert SECRET not in told.output


NOWHERE = "http://127.0.0.1:1/api/projects/p"
COMMANDS = {
    "resources": ["resources", "list"],
    "sweep": ["resources", "sweep"],
    "calls": ["calls", "list"],
    "fork": ["fork", "papers", "--from", "extract", "--out", "forked"],
}
LATE = [  # what `Settings` cannot see
    ("AGENT_TASKS_JOURNAL_URL", "sqlite+aiosqlite:////proc/no/journal.db"),
    ("AGENT_TASKS_JOURNAL_URL", "postgresql+asyncpg://me:t0p-secret@127.0.0.1:1/db"),
    ("AGENT_TASKS_JOURNAL_URL", "postgresql+asyncpg://me@no-such-host.invalid/db"),
    ("AGENT_TASKS_LOCAL_MODEL", "scripted:{file}"),
    ("AGENT_TASKS_LOCAL_TOOLS_FILE", "{file}"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("name", "value"), LATE)
def test_every_command_names_what_it_finds_late(
    command: str, name: str, value: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value.format(file=folder / "file"))
    if name == "AGENT_TASKS_JOURNAL_URL":
        monkeypatch.setenv("PROJECT_ENDPOINT", NOWHERE)
    monkeypatch.setattr("agent_tasks.journal.postgresql.OPEN_SECONDS", 0.0)
    monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)
    told = runner.invoke(app, COMMANDS[command])
    assert told.exit_code in (1, 2)
    assert name in told.stderr
    assert "Unexpected" not in told.stderr
    assert SECRET not in told.output


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "http://no-such-host.invalid/api"])
def test_automations_need_a_prefect_server_that_answers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)
    told = runner.invoke(app, ["automations", "apply"])
    assert (told.exit_code, "PREFECT_API_URL: the Prefect server at" in told.stderr) == (2, True)


def test_what_answers_and_is_no_prefect_server_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Keeps still."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{server.server_port}/api")
        monkeypatch.setattr("agent_tasks.cli.run.local_service", checked_only)
        monkeypatch.setattr("agent_tasks.cli.run.use_prefect_environment", lambda settings: None)
        told = runner.invoke(app, ["run", "documents", "-p", "pipeline.yaml", "-o", "out", "-q"])
        server.shutdown()
    assert told.exit_code == 2
    assert "is not the API of a Prefect server" in told.stderr
