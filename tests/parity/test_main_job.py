"""The main job of `make run` on both services: by the same command, and with the real small model.

`make parity` runs it: the command with the scripted model over all documents, and with the small one, which
takes half a minute and more for each document, over some of each kind (`AGENT_TASKS_PARITY_ALL=1`: over all);
the small one is also asked in this process, about one of them, where its turns may take long.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.batch.run import run_batch
from agent_tasks.operations import Workspace
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.settings import ServiceKind
from agents_emulator.models.weights import weights_path
from tests.conftest import ServiceFactory
from tests.parity.pipelines import main_rules
from tests.parity.place import without_ids
from tests.support.caches import shared_cache
from tests.support.service import write_rules

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not os.environ.get("AGENT_TASKS_TEST_PROGRAMS"), reason="make parity"),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
PIPELINE = EXAMPLES / "pipeline.yaml"
ONE = "credit-note-hexley-cn-94.txt"
SOME = (
    *(ONE, "contract-workshop-lease.md", "invoice-lumbrique-fv-318.html", "notes-from-the-yard.txt"),
    *("reminder-marrowgate-118.eml", "scan-0420.pdf"),
)
"""Documents of each kind: some that are done, one that is empty, one that is a picture."""
KINDS = (ServiceKind.CLASSIC, ServiceKind.RESPONSES)
needs_weights = pytest.mark.skipif(weights_path() is None, reason="the weights are not installed: make setup")


def job(service: str, folder: Path, model: str, documents: Path = EXAMPLES / "documents") -> list[Any]:
    """Run the command of `make run`; returns its rows."""
    own = ("PREFECT_", "PROJECT_", "OPENAI_", "AGENT_TASKS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | {
        "AGENT_TASKS_SERVICE": service,
        "AGENT_TASKS_STATE_DIR": str(folder / "state"),
        "AGENT_TASKS_LOCAL_MODEL": model,
        "AGENT_TASKS_START_TIMEOUT": "600",
        "AGENT_TASKS_KEEP_SERVERS": "0",
        **shared_cache(),
    }
    program = [sys.executable, "-c", "from agent_tasks.cli import main; main()"]
    options = [
        "run",
        str(documents),
        "--pipeline",
        str(EXAMPLES / "pipeline.yaml"),
        "--out",
        "out",
    ]
    done = subprocess.run(
        [*program, *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return rows_of(folder)


def some_of(folder: Path) -> Path:
    """Return a folder with some of the documents."""
    (chosen := folder / "documents").mkdir()
    for name in SOME:
        shutil.copy(EXAMPLES / "documents" / name, chosen)
    return chosen


def answers_in(folder: Path) -> str:
    """The questions of a run with their answers, as its report has them, without marks."""
    report = (folder / "out" / "report.md").read_text(encoding="utf-8")
    told: str = without_ids(report.partition("## Questions")[2].partition("\n## ")[0])
    return told


def rows_of(folder: Path) -> list[Any]:
    lines = (folder / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [without_ids(json.loads(line)) for line in lines]


def test_the_command_has_the_same_results_on_the_successor(tmp_path: Path) -> None:
    rows = {}
    for kind in KINDS:
        (folder := tmp_path / kind).mkdir()
        rows[kind] = job(kind, folder, write_rules(folder, main_rules()))
    statuses = [row["status"] for row in rows[ServiceKind.CLASSIC]]
    assert statuses.count("done") >= 12
    assert rows[ServiceKind.RESPONSES] == rows[ServiceKind.CLASSIC]


@needs_weights
@pytest.mark.timeout(5400)  # minutes on a machine that has nothing else to do
def test_the_command_has_the_same_results_with_the_small_model(tmp_path: Path) -> None:
    rows, answers = {}, {}
    documents = EXAMPLES / "documents" if os.environ.get("AGENT_TASKS_PARITY_ALL") else some_of(tmp_path)
    names = list(documents.iterdir())
    for kind in KINDS:
        (folder := tmp_path / kind).mkdir()
        rows[kind] = job(kind, folder, "smollm2", documents)
        answers[kind] = answers_in(folder)
    assert len(rows[ServiceKind.CLASSIC]) >= len(names)
    assert sum(bool(row["fields"]) for row in rows[ServiceKind.CLASSIC]) >= 0.6 * len(names)
    assert rows[ServiceKind.RESPONSES] == rows[ServiceKind.CLASSIC]
    assert answers[ServiceKind.CLASSIC].count("### ") == 3
    assert answers[ServiceKind.RESPONSES] == answers[ServiceKind.CLASSIC]


@needs_weights
async def test_the_small_model_gives_the_same_results_on_the_successor(
    service: ServiceFactory, tmp_path: Path
) -> None:
    examples, documents = tmp_path / "examples", tmp_path / "documents"
    examples.mkdir()
    documents.mkdir()
    for name in ("supplier_tools.py", "suppliers.csv"):
        shutil.copy(EXAMPLES / name, examples)
    shutil.copy(EXAMPLES / "documents" / ONE, documents)
    text = PIPELINE.read_text(encoding="utf-8").replace("concurrency: 2", "concurrency: 1")
    # A machine that is busy with other tests may take longer than a person would wait.
    slow = text.replace("turn_deadline: 300", "turn_deadline: 1000").replace(
        "concurrency: 2", "concurrency: 1"
    )
    (file := examples / "pipeline.yaml").write_text(slow, encoding="utf-8")
    rows, answers = {}, {}
    for kind in KINDS:
        (folder := tmp_path / kind).mkdir()
        running = service(model="smollm2")
        journal = f"sqlite+aiosqlite:///{folder}/journal.db"
        async with Workspace.open(running.endpoint, None, journal, scope="real", service=kind) as ws:
            plan = load_pipeline(file, default_model="smollm2")
            summary = await run_batch(ws, plan, documents, folder / "out")
        rows[kind] = rows_of(folder)
        answers[kind] = [[one.id, one.answer, one.sources] for one in summary.answers]
    assert all(row["fields"] for row in rows[ServiceKind.CLASSIC])
    assert rows[ServiceKind.RESPONSES] == rows[ServiceKind.CLASSIC]
    assert answers[ServiceKind.RESPONSES] == answers[ServiceKind.CLASSIC]
