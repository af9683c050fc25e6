"""The wheel as a person installs it: an empty environment outside the repository, by the README's lines.

Beside it stands the person's own folder `flows/`, as every user of Prefect has one.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent_tasks.local.parts import WEIGHTS
from tests.support.prefect_server import serving_prefect

ROOT = Path(__file__).parents[2]
ENTRYPOINT = "agent_tasks.prefect.document_batch.document_batch"

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

# Answers at once, where it is not the model that matters.
RULES = """
rules:
  - when: {schema: extraction}
    reply: {json: {number: NP-2026}}
"""

# A user's own flow: of the same name as ours, over ours.
OWN_FLOW = """
from prefect import flow
from agent_tasks.prefect.document_batch import document_batch as batch


@flow
async def document_batch(out: str):
    return await batch("documents", "pipeline.yaml", out)
"""


class Installation:
    """A virtual environment with pip and nothing else, and a folder to work in."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.python = environment / "bin" / "python"
        self.work = folder / "work"
        self.work.mkdir()
        venv.create(environment, with_pip=True)
        ours = ("PYTHON", "VIRTUAL_ENV", "AGENT_TASKS_", "PREFECT_", "PROJECT_", "MODEL_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment |= {"HOME": str(folder), "PATH": f"{self.python.parent}:{os.defpath}"}
        self.environment["AGENT_TASKS_KEEP_SERVERS"] = "0"

    def command(
        self, *arguments: str, where: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, in the folder or another one."""
        program = str(self.python.parent / arguments[0])
        return subprocess.run(
            [program, *arguments[1:]],
            cwd=where or self.work,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=400,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An environment with the wheel of this tree and its extra `local`, as pinned."""
    folder = tmp_path_factory.mktemp("installed")
    # Where this one is, uv links the files from its cache for both: their bytecode fits too.
    with TemporaryDirectory(prefix="wheel-", dir=sys.prefix) as environment:
        yield _installed(folder, Path(environment))


def _installed(folder: Path, environment: Path) -> Installation:
    uv = [sys.executable, "-m", "uv"]
    _done([*uv, "build", "--quiet", "--wheel", "--out-dir", str(folder / "dist"), str(ROOT)])
    (wheel,) = (folder / "dist").glob("*.whl")
    made = Installation(folder, environment)
    (folder / "pins.txt").write_text(_pins())
    wanted = ["-c", str(folder / "pins.txt"), f"prefect-azure-agents[local] @ {wheel.as_uri()}"]
    _done([*uv, "pip", "install", "--quiet", "--python", str(made.python), *wanted])
    _share_bytecode(Path(sysconfig.get_path("purelib")), environment)
    _furnish(made.work)
    return made


def _share_bytecode(ours: Path, environment: Path) -> None:
    """Give an environment what is compiled in ours; Python takes what fits a file's size and time."""
    (theirs,) = environment.glob("lib/python*/site-packages")
    for cache in ours.rglob("__pycache__"):
        beside = theirs / cache.relative_to(ours).parent
        if beside.is_dir() and not (beside / cache.name).exists():
            shutil.copytree(cache, beside / cache.name, copy_function=os.link)


def _furnish(folder: Path) -> None:
    """A document and a pipeline file."""
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "invoice.txt").write_text(DOCUMENT)
    (folder / "pipeline.yaml").write_text(PIPELINE)


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


@dataclass
class Project:
    """A user's folder with documents and flows of their own, where the wheel is installed."""

    installed: Installation
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The folder is on the path, and the model is a fake one."""
        return {
            "PYTHONPATH": str(self.folder),
            "AGENT_TASKS_LOCAL_MODEL": f"scripted:{self.folder / 'rules.yaml'}",
        }

    def run(self, *arguments: str, **variables: str) -> str:
        """Run a program in the folder; returns what it printed."""
        done = self.installed.command(*arguments, where=self.folder, **self.variables | variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def started(self, *arguments: str) -> Iterator[None]:
        """Keep a program running in the folder: the server of the state folder, or a worker."""
        program = str(self.installed.python.parent / arguments[0])
        with (self.folder / "log.txt").open("ab") as log:
            kept = subprocess.Popen(
                [program, *arguments[1:]],
                cwd=self.folder,
                env=self.installed.environment | self.variables,
                stdout=log,
                stderr=log,
            )
        try:
            yield
        finally:
            kept.send_signal(signal.SIGINT)
            kept.wait(60)

    def await_results(self, out: str, *, seconds: float) -> None:
        """Wait for the results of a run."""
        until = time.monotonic() + seconds
        while not (self.folder / out / "results.jsonl").exists():
            assert time.monotonic() < until, (self.folder / "log.txt").read_text()
            time.sleep(0.5)

    def row(self, out: str) -> dict[str, object]:
        """What became of the document."""
        (line,) = (self.folder / out / "results.jsonl").read_text().splitlines()
        made: dict[str, object] = json.loads(line)
        return made


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server that the person runs already: one for all of their projects."""
    with serving_prefect(tmp_path_factory.mktemp("prefect") / "home") as origin:
        yield f"{origin}/api"


@pytest.fixture(params=["a package", "a folder"])
def project(installed: Installation, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """With `flows/__init__.py`, and without."""
    made = Project(installed, tmp_path / "project")
    _furnish(made.folder)
    (made.folder / "rules.yaml").write_text(RULES)
    (made.folder / "flows").mkdir()
    (made.folder / "flows" / "document_batch.py").write_text(OWN_FLOW)
    if request.param == "a package":
        (made.folder / "flows" / "__init__.py").touch()
    return made


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_lives_beside_a_users_own_flows(project: Project, own_server: str) -> None:
    """Where `flows` is the user's, our command works, and so does the user's flow over ours."""
    found = project.run("python", "-c", "import flows.document_batch as own; print(own.__file__)")
    assert found.strip() == str(project.folder / "flows" / "document_batch.py")
    run = ("agent-tasks", "run", "documents", "--pipeline", "pipeline.yaml", "--out", "out", "--quiet")
    project.run(*run, PREFECT_API_URL=own_server)
    assert project.row("out")["status"] == "done"


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("WHEEL_DEPLOYMENTS"), reason="takes a minute; make pinned")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("project", ["a folder"], indirect=True)
def test_flows_are_deployed_from_the_installed_package(project: Project) -> None:
    """The commands of docs/deploying.md, with our flow and with the user's own over it."""
    prefect = ("agent-tasks", "prefect", "--no-prompt")
    files = ("--param", "documents=documents", "--param", "pipeline=pipeline.yaml")
    with project.started("agent-tasks", "dashboard", "--no-browser"):
        project.run(*prefect, "work-pool", "create", "documents", "--type", "process")
        with project.started(*prefect, "worker", "start", "--pool", "documents"):
            for name, entrypoint, given in (
                ("ours", ENTRYPOINT, files),
                ("own", "flows/document_batch.py:document_batch", ()),
            ):
                project.run(*prefect, "deploy", entrypoint, "--name", name, "--pool", "documents")
                run = ("deployment", "run", f"document-batch/{name}", *given, "--param", f"out={name}")
                project.run(*prefect, *run)
                project.await_results(name, seconds=120)
    assert [project.row(name)["status"] for name in ("ours", "own")] == ["done", "done"]


@pytest.mark.slow
def test_prefect_loads_the_flows_by_their_module_paths(installed: Installation) -> None:
    """As `flow.from_source` and a `prefect.yaml` name them."""
    script = f"""
from prefect import flow
for entrypoint in ("{ENTRYPOINT}", "agent_tasks.prefect.sweep.sweep"):
    print(flow.from_source(source=".", entrypoint=entrypoint).name)
"""
    named = installed.command("python", "-c", script)
    assert named.stdout.split() == ["document-batch", "sweep"], named.stderr


def test_the_command_and_the_makefile_mean_the_same_weights() -> None:
    assert f"WEIGHTS := {WEIGHTS}" in (ROOT / "Makefile").read_text()
