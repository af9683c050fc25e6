"""`agent-tasks fork` from its arguments to what it prints."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console
from typer.testing import CliRunner

from agent_tasks.batch.run import run_batch
from agent_tasks.cli import fork
from agent_tasks.cli.app import app
from agent_tasks.errors import ConfigurationError
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.prefect.blocks import open_workspace
from agent_tasks.settings import Settings
from tests.batch.conftest import bench
from tests.batch.support import Bench

__all__ = ["bench"]


async def test_a_run_is_forked_with_the_settings_of_the_environment(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5")
    batch.pipeline_file.write_text(batch.pipeline)
    monkeypatch.setenv("PROJECT_ENDPOINT", batch.service.endpoint)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    async with open_workspace(Settings()) as ws:
        await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)
    turns = batch.turns()

    changes = ["agents.reviewer.instructions=Be strict."]
    found = await fork._fork(str(batch.out), "review", batch.folder / "fork", None, changes, quiet=True)

    assert batch.turns() - turns == 2
    with pytest.raises(ConfigurationError, match="no step 'report'; the steps are extract, review"):
        await fork._fork(str(batch.out), "report", batch.folder / "other", None, [], quiet=True)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(fork.render(found))
    shown = console.export_text()
    assert "0 of 1 documents differ" in shown
    assert str(batch.folder / "fork" / "fork.md") in shown


def test_arguments_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(fork, "fork_run", lambda *args, **named: given.extend([args, named]) or 0)
    command = ["fork", "out", "--from", "questions", "--out", "o", "--set", "a=1", "--set", "b=2", "-q"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    args, named = given
    assert [str(arg) for arg in args] == ["out", "questions", "o"]  # type: ignore[attr-defined]
    assert named == {"pipeline": None, "changes": ["a=1", "b=2"], "quiet": True}
