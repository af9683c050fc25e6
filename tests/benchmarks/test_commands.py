"""What a person waits for, and what the Prefect server beside it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_tasks.local.embedded_server import EmbeddedServer
from agent_tasks.local.servers import prefect_server
from agent_tasks.local.supervisor import read_record
from agent_tasks.settings import Settings
from tests.benchmarks.batches import REPOSITORY, BatchFolder, rules
from tests.benchmarks.figures import Figures, Goal
from tests.support.memory import after_a_pause, in_use
from tests.support.processor import descendants, seconds, share
from tests.support.service import write_rules

DOCUMENTS = 1_000
QUIET_SECONDS, SETTLING = 15.0, 5.0


def test_the_second_run_of_the_example(tmp_path: Path, figures: Figures) -> None:
    """`make run`: the second time nothing has changed, and the small model, which is slow here, is not asked.

    So the scripted one, which knows nothing, plays it the first time too. The servers stay in between.
    """
    model = write_rules(tmp_path, {"default": {"reply": {"text": "I do not know."}}})
    words = [
        "run",
        "examples/documents",
        "--pipeline",
        "examples/pipeline.yaml",
        "--out",
        str(tmp_path / "out"),
        "--truth",
        "examples/truth.jsonl",
    ]
    variables = {"AGENT_TASKS_LOCAL_MODEL": model, "AGENT_TASKS_KEEP_SERVERS": "120"}
    first = _command(tmp_path, words, **variables)
    second = _command(tmp_path, words, **variables)
    _command(tmp_path, ["stop"])
    figures.add("the second `make run`, s", second, Goal(6.0), against=first, what="the first")


@pytest.mark.timeout(600)
def test_processor_of_the_prefect_server(tmp_path: Path, figures: Figures) -> None:
    """While it has nothing to do, and with a batch of fast turns."""
    settings = Settings(state_dir=tmp_path / "state")
    server = prefect_server(settings)
    assert isinstance(server, EmbeddedServer)
    folder = BatchFolder(tmp_path / "batch")
    folder.write(DOCUMENTS)
    with server:
        record = read_record(server.record_path)
        assert record is not None
        time.sleep(10)  # its first minute's work
        idle = share(record.pid, QUIET_SECONDS)
        figures.add("idle Prefect server, share of a core", idle, Goal(0.02))
        with in_use(record.pid):
            at_hand = share(record.pid, QUIET_SECONDS)
        figures.add("  its memory kept in use", at_hand, Goal(0.02), against=idle, what="by itself")
        first_use, again = after_a_pause(1.0), after_a_pause(0.0)
        figures.add("  a page of memory after a second, us", first_use, against=again, what="at once")
        before = _taken(record.pid)
        model = write_rules(tmp_path, rules(0.0))
        path = folder.path
        words = [
            "run",
            str(path / "documents"),
            "--pipeline",
            str(path / "pipeline.yaml"),
            "--out",
            str(path / "out"),
        ]
        first = _command(tmp_path, words, AGENT_TASKS_LOCAL_MODEL=model)
        time.sleep(SETTLING)  # until its queue is empty
        taken = (_taken(record.pid) - before) / DOCUMENTS * 1000
        beyond = taken - idle * (first + SETTLING) / DOCUMENTS * 1000
        figures.add(
            "Prefect server beyond idle, processor ms a document",
            beyond,
            Goal(2.0),
            against=taken,
            what="all of it",
        )
        again = _command(tmp_path, words, AGENT_TASKS_LOCAL_MODEL=model)
        figures.add(
            f"{DOCUMENTS} unchanged documents by `agent-tasks run`, s", again, against=first, what="new ones"
        )


def _taken(pid: int) -> float:
    return sum(seconds(one) for one in [pid, *descendants(pid)])


def _command(folder: Path, words: list[str], **variables: str) -> float:
    """Seconds that a command takes, its servers' start and end included."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {**inherited, "AGENT_TASKS_STATE_DIR": str(folder / "state"), **variables}
    program = str(Path(sys.executable).with_name("agent-tasks"))
    begun = time.perf_counter()
    done = subprocess.run(
        [program, *words], cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=500,
    )  # fmt: skip
    taken = time.perf_counter() - begun
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return taken
