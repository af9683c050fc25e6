"""A batch that several worker processes share, and a fleet of them that is killed and started again."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from agent_tasks import testing
from agent_tasks.backends.base import TurnUpdate
from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.backends.responses import ResponsesBackend
from agent_tasks.batch.run import run_batch
from agent_tasks.cli.errors import InterruptedBySignal
from agent_tasks.cli.interrupts import run_interruptible
from agent_tasks.operations import Workspace
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.settings import ServiceKind
from tests.support.service import RunningService

PIPELINE = """\
name: papers
model: test-model
agents:
  extractor: {instructions: Extract., prompt: "{{ document.text }}"}
  reviewer: {instructions: Review., prompt: "{{ document.text }}"}
  analyst: {instructions: Analyse.}
output:
  name: paper
  fields: {number: string, total: number}
questions:
  - {id: sum, text: "What is the sum?"}
limits: {concurrency: 4, chunk_size: 50}
"""

TURNS_A_DOCUMENT = 2
QUESTIONS = 1
AGENTS = 3
LEASE_SECONDS = 3.0
PAUSE = 0.05


def rules(delay: float) -> dict[str, Any]:
    """The scripted model's rules; each answer of a document's turns takes `delay` seconds."""
    return {
        "rules": [
            {
                "when": {"schema": "paper", "message": r"Paper (?P<number>\S+), total (?P<total>[\d.]+)"},
                "reply": {"json": {"number": "{{ groups.number }}", "total": "{{ groups.total | float }}"}},
                "delay": delay,
            },
            {
                "when": {"schema": "review"},
                "reply": {"json": {"approved": True, "problems": []}},
                "delay": delay,
            },
        ],
        "default": {"reply": {"text": "The sum is 42."}},
    }


def lay_out(folder: Path, documents: int) -> None:
    """The folder of documents and the pipeline file."""
    (folder / "documents").mkdir(parents=True)
    for number in range(documents):
        text = f"Paper P-{number:03}, total {number}.5"
        (folder / "documents" / f"{number:03}.txt").write_text(text)
    (folder / "pipeline.yaml").write_text(PIPELINE)


async def work(
    endpoint: str, journal_url: str, folder: str, out: str, service: str = "classic"
) -> dict[str, Any]:
    """Take part in the batch to its end, as `agent-tasks run` does; returns the summary."""
    here = Path(folder)
    async with Workspace.open(
        endpoint, None, journal_url, scope="test", lease_seconds=LEASE_SECONDS, service=ServiceKind(service)
    ) as ws:
        summary = await run_batch(ws, load_pipeline(here / "pipeline.yaml"), here / "documents", here / out)
    return summary.model_dump(mode="json")


@dataclass
class _Worker:
    process: BaseProcess
    answer: Connection
    at_work: Event
    """Set with its first turn."""


@dataclass
class Fleet:
    """Worker processes on one batch. Each has a machine of its own, as far as lock files go."""

    service: RunningService
    journal_url: str
    folder: Path
    size: int
    kind: str = "classic"
    """Which service the endpoint is: a `ServiceKind`."""
    kills: int = 0
    summaries: dict[int, dict[str, Any]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _workers: dict[int, _Worker] = field(default_factory=dict)

    def start(self) -> None:
        """Start all workers that have not finished and do not run."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(testing._PRELOADED)
        for number in range(self.size):
            if number in self._workers or number in self.summaries:
                continue
            machine = self.folder / f"machine{number}"
            machine.mkdir(exist_ok=True)
            ours, theirs = context.Pipe(duplex=False)
            at_work = context.Event()
            args = (self.service.endpoint, self.journal_url, str(self.folder), f"out{number}", self.kind)
            process = context.Process(target=_serve, args=(theirs, at_work, str(machine), args), daemon=True)
            process.start()
            theirs.close()
            self._workers[number] = _Worker(process, ours, at_work)

    def look(self) -> bool:
        """Take in what has ended; whether all have finished."""
        for number, worker in list(self._workers.items()):
            if worker.process.is_alive() and not worker.answer.poll():
                continue
            try:
                summary, failure = worker.answer.recv()
            except EOFError:
                summary, failure = None, f"worker {number} ended with {worker.process.exitcode}"
            self._forget(number)
            if summary is not None:
                self.summaries[number] = summary
            else:
                self.failures.append(failure)
        return len(self.summaries) == self.size

    def kill(self, chance: random.Random) -> bool:
        """SIGKILL to one of the workers; False: none runs."""
        if not self._workers:
            return False
        number = chance.choice(sorted(self._workers))
        pid = self._workers[number].process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._workers[number].process.join(10)
        self._forget(number)
        self.kills += 1
        return True

    def move(self, chance: random.Random) -> bool:
        """SIGTERM to a worker that has turns; it ends in good order, and is started again. False: none."""
        at_work = sorted(number for number, worker in self._workers.items() if worker.at_work.is_set())
        if not at_work:
            return False
        number = chance.choice(at_work)
        process = self._workers[number].process
        process.terminate()
        process.join(30)
        if process.exitcode == 0:
            return False  # it had just finished
        assert process.exitcode == 128 + signal.SIGTERM, process.exitcode
        self._forget(number)
        self.kills += 1
        return True

    def run(self, limit: float, disturb: Callable[[], None] | None = None) -> None:
        """Keep all workers running until all have finished; `disturb` is called again and again meanwhile."""
        deadline = time.monotonic() + limit
        try:
            while not self.look():
                assert not self.failures, self.failures
                assert time.monotonic() < deadline, f"{len(self.summaries)} of {self.size} workers finished"
                self.start()
                if disturb is not None:
                    disturb()
                time.sleep(PAUSE)
        finally:
            for number in list(self._workers):
                self._workers[number].process.kill()
                self._forget(number)

    def _forget(self, number: int) -> None:
        worker = self._workers.pop(number)
        worker.process.join(10)
        worker.answer.close()


def _serve(answer: Connection, at_work: Event, machine: str, args: tuple[str, ...]) -> None:
    tempfile.tempdir = machine
    _tell_of_turns(at_work)
    try:
        answer.send((run_interruptible(lambda: work(*args)), None))
    except InterruptedBySignal as interrupt:
        sys.exit(interrupt.exit_code)
    except BaseException:
        answer.send((None, traceback.format_exc()))
    answer.close()


def _tell_of_turns(at_work: Event) -> None:
    """Set the event when the service has told of this process's first turn."""
    start_turns = AgentsBackend.start_turn, ResponsesBackend.start_turn

    def telling(start_turn: Any) -> Any:
        async def told(*args: Any) -> AsyncIterator[TurnUpdate]:
            async for update in start_turn(*args):
                at_work.set()
                yield update

        return told

    AgentsBackend.start_turn, ResponsesBackend.start_turn = map(telling, start_turns)  # type: ignore[method-assign]
