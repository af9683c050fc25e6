"""The wheel as a person installs it: an empty environment outside the repository, by the README's lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from agent_tasks.local.parts import WEIGHTS

ROOT = Path(__file__).parents[2]

DOCUMENT = "Invoice no. NP-2026\nDate: 2026-03-03\nTotal due: 1240.50\n"
PIPELINE = """
name: invoices
agents:
  extractor:
    prompt: "{{ document.text }}"
    max_completion_tokens: 60
output:
  strict: false
  fields:
    number: {type: string, max_length: 12}
limits: {concurrency: 2}
"""


class Installation:
    """A virtual environment with pip and nothing else, and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "venv" / "bin" / "python"
        self.work = folder / "work"
        self.work.mkdir()
        venv.create(folder / "venv", with_pip=True)
        ours = ("PYTHON", "VIRTUAL_ENV", "AGENT_TASKS_", "PREFECT_", "PROJECT_", "MODEL_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment |= {"HOME": str(folder), "PATH": f"{self.python.parent}:{os.defpath}"}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, in the folder."""
        program = str(self.python.parent / arguments[0])
        return subprocess.run(
            [program, *arguments[1:]],
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment with the wheel of this tree and its extra `local`, as pinned."""
    folder = tmp_path_factory.mktemp("installed")
    uv = [sys.executable, "-m", "uv"]
    _done([*uv, "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist"), str(ROOT)])
    (wheel,) = (folder / "dist").glob("*.whl")
    made = Installation(folder)
    (folder / "pins.txt").write_text(_pins())
    wanted = ["-c", str(folder / "pins.txt"), f"prefect-azure-agents[local] @ {wheel.as_uri()}"]
    _done([*uv, "pip", "install", "--quiet", "--python", str(made.python), *wanted])
    (made.work / "documents").mkdir()
    (made.work / "documents" / "invoice.txt").write_text(DOCUMENT)
    (made.work / "pipeline.yaml").write_text(PIPELINE)
    return made


def _pins() -> str:
    """The versions that are pinned, without their hashes: our own wheel has none."""
    pinned = ROOT / "requirements" / "run.txt"
    lines = pinned.read_text().splitlines()
    return "\n".join(line.rstrip("\\ ") for line in lines if "==" in line and not line.startswith((" ", "#")))


def _done(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_runs_the_main_job_outside_the_repository(installed: Installation) -> None:
    where = installed.command(
        "python",
        "-c",
        "import agent_tasks, agents_emulator; print(agent_tasks.__file__, agents_emulator.__file__)",
    )
    assert where.stdout.count("site-packages") == 2, where.stderr
    run = ("agent-tasks", "run", "documents", "--pipeline", "pipeline.yaml", "--out", "out", "--quiet")

    # Without the weights: said at once, with the command, before anything is started.
    refused = installed.command(*run)
    assert refused.returncode == 2, refused.stderr
    assert "Install them: agent-tasks weights" in refused.stderr
    assert not (installed.work / ".agent-tasks").exists()
    looked = installed.command("agent-tasks", "doctor", "--offline", "--json", "--pipeline", "pipeline.yaml")
    found = {one["check"]: one for one in json.loads(looked.stdout)}
    assert looked.returncode == 1
    assert found["local model"]["status"] == "failed"
    assert found["pipeline file"]["status"] == "ok"

    fetched = installed.command("agent-tasks", "weights")
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout.strip().endswith(".gguf")
    again = installed.command("agent-tasks", "weights")
    assert (again.returncode, again.stdout) == (0, fetched.stdout)

    checked = installed.command("agent-tasks", "check", "pipeline.yaml")
    assert (checked.returncode, "fields: number" in checked.stdout) == (0, True), checked.stderr
    done = installed.command(*run)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = [
        json.loads(line) for line in (installed.work / "out" / "results.jsonl").read_text().splitlines()
    ]
    assert row["document"] == "invoice.txt"
    assert row["status"] in ("done", "needs_review"), row
    assert row["turns"] >= 1


def test_the_command_and_the_makefile_mean_the_same_weights() -> None:
    assert f"WEIGHTS := {WEIGHTS}" in (ROOT / "Makefile").read_text()
