"""`agent-tasks resources`: the ledger in a table, and the sweep."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_tasks.cli import resources
from agent_tasks.cli.app import app
from agent_tasks.operations import AgentSpec, Workspace, ensure_agent, upload_file
from agent_tasks.prefect.blocks import open_workspace
from agent_tasks.settings import Settings
from tests.conftest import ServiceFactory
from tests.support.service import HELLO, RunningService, write_rules


async def _fill(running: RunningService, folder: Path) -> tuple[str, str]:
    journal = f"sqlite+aiosqlite:///{folder}/.agent-tasks/journal.db"
    async with Workspace.open(running.endpoint, None, journal) as ws:
        spec = AgentSpec(name="[red]a", model="test-model", instructions="Answer.")
        agent = await ensure_agent(ws, spec, owner="papers:1")
        file = await upload_file(ws, b"x", "a.txt", owner="papers:1", ttl=timedelta(seconds=-1))
    return agent.id, file.id


async def test_resources_are_listed_and_the_expired_one_is_swept(
    service: ServiceFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = service()
    agent, file = await _fill(running, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    monkeypatch.delenv("AGENT_TASKS_STATE_DIR", raising=False)
    capsys.readouterr()

    assert await resources._list(None) == 0
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}
    assert "[red]a" in lines[agent]
    assert "papers:1" in lines[agent]
    assert "23 h 59 min" in lines[agent]
    assert lines[file].rstrip().endswith("over")
    assert await resources._list("papers:2") == 0
    assert "nothing in the ledger" in capsys.readouterr().err

    assert await resources._sweep(yes=False) == 0
    looked = capsys.readouterr()
    assert file in looked.out
    assert agent not in looked.out
    assert "1 to delete" in looked.err
    assert await resources._sweep(yes=True) == 0
    assert "1 deleted." in capsys.readouterr().err
    with running.http() as http:
        assert http.get("/files").json()["data"] == []


@pytest.mark.timeout(180)
async def test_the_local_service_has_resources_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AGENT_TASKS_LOCAL_MODEL", write_rules(tmp_path, HELLO))
    async with open_workspace(Settings()) as ws:
        spec = AgentSpec(name="kept", model="test-model", instructions="Answer.")
        await ensure_agent(ws, spec, owner="papers:1")
        file = await upload_file(ws, b"x", "a.txt", owner="papers:1", ttl=timedelta(seconds=-1))
    capsys.readouterr()
    assert await resources._list(None) == 0
    assert file.id in capsys.readouterr().out
    assert await resources._sweep(yes=True) == 0
    assert "1 deleted." in capsys.readouterr().err
    assert await resources._list(None) == 0
    listed = capsys.readouterr().out
    assert "kept" in listed
    assert file.id not in listed
    async with open_workspace(Settings()) as ws:
        assert not await ws.backend.exists("file", file.id)


@pytest.mark.parametrize("command", ["list", "sweep"])
def test_the_commands_explain_themselves(command: str) -> None:
    shown = CliRunner().invoke(app, ["resources", command, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert "Exit codes" in shown.output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (65, "1 min"), (3 * 3600 + 720, "3 h 12 min"), (50 * 3600, "2 d 2 h"), (-1, "0 s")],
)
def test_time_spans_are_short(seconds: float, text: str) -> None:
    assert resources.span(seconds) == text


def test_on_a_terminal_columns_that_say_nothing_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("1", "", "x"), ("2", "", "")]
    resources.print_table(("ID", "HELD BY", "WHY"), rows)
    assert "HELD BY" in capsys.readouterr().out  # programs count on it
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    resources.print_table(("ID", "HELD BY", "WHY"), rows)
    shown = capsys.readouterr().out
    assert "WHY" in shown
    assert "HELD BY" not in shown
