"""The command's manners: quick help, one clear message for a mistake, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from agent_tasks.cli import errors
from agent_tasks.cli.app import app
from agent_tasks.errors import EmbeddedServiceError, PipelineError

COMMANDS = [
    *(
        "init",
        "run",
        "check",
        "graph",
        "fork",
        "evaluate",
        "dashboard",
        "prefect",
        "prefect-env",
        "emulator",
        "functions",
        "doctor",
    ),
    *("queues", "approvals", "calls", "resources", "automations", "weights", "version"),
]

runner = CliRunner()


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory, and nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["agent-tasks"])
    for name in os.environ:
        if name.startswith(("AGENT_TASKS_", "PREFECT_")) or name == "PROJECT_ENDPOINT":
            monkeypatch.delenv(name)


def test_help_names_every_command() -> None:
    shown = runner.invoke(app, ["--help"])
    assert shown.exit_code == 0
    for command in COMMANDS:
        assert command in shown.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = runner.invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output
    assert "Exit codes" in shown.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from agent_tasks.cli.app import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "print([m for m in ('prefect', 'httpx', 'sqlalchemy', 'asyncio.base_events') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_terminal_of_another_alphabet_is_shown_escapes(tmp_path: Path) -> None:
    (tmp_path / "papier \u00e9t\u00e9 \U0001f98a.yaml").write_text("name: x\n")
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "ascii",
        "AGENT_TASKS_STATE_DIR": str(tmp_path / "state"),
    }
    code = "import sys; from agent_tasks.cli.app import main; sys.argv[1:] = sys.argv[2:]; main()"
    command = [sys.executable, "-c", code, "-", "check", next(tmp_path.glob("*.yaml")).name]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert r"papier \xe9t\xe9 \U0001f98a.yaml:1:" in done.stderr
    assert "Unexpected" not in done.stderr


def test_what_is_said_to_nobody_ends_nothing() -> None:
    code = "from agent_tasks.cli.errors import say; input(); say('Done.'); print('went on')"
    command = subprocess.Popen(
        [sys.executable, "-c", code], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert command.stderr is not None
    command.stderr.close()
    command.stderr = None
    assert command.communicate("\n", timeout=60)[0] == "went on\n"
    assert command.returncode == 0


def test_version_names_what_a_bug_report_needs() -> None:
    shown = runner.invoke(app, ["version"])
    for word in ("prefect-azure-agents", "prefect ", "python "):
        assert word in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "--pipeline", "p.yaml", "--out", "out"], "There is no folder missing"),
        (["p.yaml", "--pipeline", "p.yaml", "--out", "out"], "p.yaml is a file. Give the folder"),
        (["documents", "--pipeline", "q.yaml", "--out", "out"], "There is no pipeline file q.yaml"),
        (["documents", "--pipeline", "documents", "--out", "out"], "is a folder. Give the pipeline file"),
        (["documents", "--pipeline", "p.yaml", "--out", "p.yaml"], "p.yaml is a file. Give a folder"),
        (["documents", "--pipeline", "p.yaml", "--out", "documents"], "among the documents"),
    ],
)
def test_mistaken_paths_are_explained_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "p.yaml").touch()
    shown = runner.invoke(app, ["run", *arguments])
    assert shown.exit_code == 2
    assert shown.stderr.startswith(f"Error: {message}") or message in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1
    assert not (tmp_path / ".agent-tasks").exists()


def test_mistaken_setting_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROJECT_ENDPOINT", "my-project")
    shown = runner.invoke(app, ["run", ".", "--pipeline", "p", "--out", "o"])
    assert shown.exit_code == 2
    assert shown.stderr.startswith("Error: PROJECT_ENDPOINT is not a web address")


def test_unknown_choice_is_a_usage_error() -> None:
    shown = runner.invoke(app, ["run", ".", "--pipeline", "p", "--out", "o", "--fail-on", "rain"])
    assert shown.exit_code == 2
    assert "needs_review" in shown.output


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (PipelineError("no agents", path="p.yaml", line=3), 2, "no agents"),
        (EmbeddedServiceError("did not start"), 1, "did not start"),
        (ZeroDivisionError("division by zero"), 1, "--debug"),
        (KeyboardInterrupt(), 130, ""),
        (errors.InterruptedBySignal(15), 143, ""),
    ],
)
def test_error_becomes_a_message_and_an_exit_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    @errors.reported
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == code
    shown = capsys.readouterr().err
    assert text in shown
    assert "Traceback" not in shown


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["agent-tasks", "--debug", "run"])

    @errors.reported
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(typer.Exit):
        command()
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "in command" in shown


def test_emulator_hands_token_and_model_over_out_of_sight(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handed: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        os, "execve", lambda program, command, environment: handed.append((command, environment))
    )
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(0o600)
    options = ["--port", "0", "--model", "scripted:r.yaml", "--token-file", str(tmp_path / "token")]
    runner.invoke(app, ["emulator", *options])
    ((command, environment),) = handed
    assert "s3cret" not in " ".join(command)
    assert environment["AGENTS_EMULATOR_TOKEN"] == "s3cret"
    assert environment["AGENTS_EMULATOR_MODEL"] == "scripted:r.yaml"


def test_emulator_hands_on_the_options_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda program, command, environment: handed.append(command))
    shown = runner.invoke(app, ["emulator", "--port", "1", "--search-folder", "papers", "--loose"])
    assert shown.exit_code == 0, shown.output
    assert handed[0][-3:] == ["--search-folder", "papers", "--loose"]
    assert handed[0][handed[0].index("--port") + 1] == "1"


def test_dashboard_of_the_persons_own_server_is_only_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    shown = runner.invoke(app, ["dashboard"])
    assert (shown.exit_code, shown.stdout) == (0, "http://127.0.0.1:4200\n")
    assert opened == ["http://127.0.0.1:4200"]
    assert runner.invoke(app, ["dashboard", "--no-browser"]).exit_code == 0
    assert len(opened) == 1
