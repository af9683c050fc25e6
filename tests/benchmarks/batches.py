"""Batches for benchmarks: small documents, a pipeline, a service, and child processes that measure."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.service import write_rules

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
_PIPELINE = """\
name: bench
model: test-model
agents:
  extractor:
    instructions: Extract.
    prompt: "{{{{ document.text }}}}"
{reviewer}
output: {{name: paper, fields: {{number: string}}}}
limits: {{concurrency: {at_once}, chunk_size: 50, turn_deadline: 600}}
"""
_REVIEWER = """\
  reviewer:
    instructions: Review.
    prompt: "{{ document.text }}"
"""


def rules(seconds: float) -> dict[str, Any]:
    """What the scripted model says, after so many seconds: the number that the document has, and approval."""
    return {
        "rules": [
            {
                "when": {"schema": "review"},
                "reply": {"json": {"approved": True, "problems": []}},
                "delay": seconds,
            },
            {
                "when": {"message": r"Paper (?P<number>\S+)"},
                "reply": {"json": {"number": "{{ groups.number }}"}},
                "delay": seconds,
            },
        ]
    }


@contextmanager
def plain_service(folder: Path, seconds: float = 0.0) -> Iterator[str]:
    """The local service as people run it, in a process of its own; gives its address."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [
        "agents_emulator", "--port", "0", "--data-dir", str(folder / "data"),
        "--model", write_rules(folder, rules(seconds)), "--ready-file", str(folder / "ready.json"),
    ]  # fmt: skip
    with _served(folder, words) as endpoint:
        yield endpoint


@contextmanager
def stand_in(folder: Path, seconds: float) -> Iterator[str]:
    """What stands for a service on another machine, which takes no processor time of this one."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["tests.benchmarks.stand_in", str(seconds), str(folder / "ready.json")]
    with _served(folder, words) as endpoint:
        yield endpoint


def counted(endpoint: str) -> dict[str, Any]:
    """What the stand-in was asked for."""
    return dict(httpx.get(f"{endpoint}/counts", trust_env=False).raise_for_status().json())


@contextmanager
def _served(folder: Path, words: list[str]) -> Iterator[str]:
    ready = folder / "ready.json"
    command = [sys.executable, "-m", *words]
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready.exists():
            said = (folder / "service.log").read_text()
            assert process.poll() is None, f"it did not start: {said[-2000:]}"
            assert time.monotonic() < deadline, "it did not start in time"
            time.sleep(0.02)
        yield json.loads(ready.read_text())["endpoint"]
    finally:
        process.terminate()
        process.wait(30)


def used_by_children() -> float:
    """Processor seconds of the processes that have ended, with their starts."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass
class BatchFolder:
    """A folder with documents, a pipeline of `turns` (1 or 2) for each, and a place for results."""

    path: Path
    turns: int = 1
    at_once: int = 50

    def __post_init__(self) -> None:
        (self.path / "documents").mkdir(parents=True, exist_ok=True)
        reviewer = _REVIEWER if self.turns == 2 else ""
        (self.path / "pipeline.yaml").write_text(_PIPELINE.format(reviewer=reviewer, at_once=self.at_once))

    def write(self, count: int, *, first: int = 0) -> None:
        """Write documents, each different from the others."""
        for number in range(first, first + count):
            (self.path / "documents" / f"{number:05}.txt").write_text(f"Paper P-{number}, as agreed.\n")

    def start(self, endpoint: str, journal: str, out: str = "out") -> subprocess.Popen[str]:
        """Begin to bring all documents to their states, in a child process with a folder of results."""
        command = [
            sys.executable, "-m", "tests.benchmarks.batch_worker", endpoint, journal, str(self.path), out,
        ]  # fmt: skip
        return subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, endpoint: str, journal: str) -> dict[str, float]:
        """Bring all documents to their states, in a child process; returns what that took."""
        [measured] = self.run_shared(endpoint, journal, workers=1)
        return measured

    def run_shared(self, endpoint: str, journal: str, *, workers: int) -> list[dict[str, float]]:
        """The same in several processes at once, which share the journal; what each of them took."""
        started = [self.start(endpoint, journal, f"out-{number}") for number in range(workers)]
        measured: list[dict[str, float]] = []
        for worker in started:
            with worker:
                out, complaints = worker.communicate(timeout=900)
            assert worker.returncode == 0, complaints[-3000:]
            measured.append(json.loads(out.splitlines()[-1]))
        return measured
