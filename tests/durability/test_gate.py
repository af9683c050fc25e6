"""A worker that stands still in the client's wait, or whose journal does, sends nothing when that is over.

The service refuses a request (429), the client waits to send it again, and meanwhile the worker is stopped,
or its connections to PostgreSQL are, for longer than its lease. Another one takes over and ends. Then the
first one wakes, its journal cut off still or healed. Each operation that changes something is refused once.
The short form takes a part of the stories, `make durability` all.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agent_tasks.operations import Workspace, release_owner
from agent_tasks.testing import ChildFailed, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.counts import counted
from tests.durability.crash_pipeline import CALLS, JOURNAL_URL, ONCE, REPEATABLE, executions
from tests.durability.crash_services import crash_services, findings, side_by_side
from tests.durability.effects import CREATIONS, duplicate_effects, repeated_calls
from tests.durability.frozen_worker import LIMIT
from tests.durability.gate_worker import batch, first, second
from tests.durability.partition import Network, partition
from tests.support.mcp_server import McpLedger
from tests.support.postgresql import PostgresServer
from tests.support.service import RunningService, ThreadService

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
LEASE, LONG_LEASE = 1.0, 120.0  # seconds: of the worker that stands still, and of its successor
AT_ONCE = 4
"""Services; one story at a time on each, so that its requests are known."""

SENT = (
    ("files.upload", 1),
    ("files.upload", 2),
    ("vector_stores.create", 1),
    ("file_batches.create", 1),
    ("agents.create", 1),
    ("runs.create_thread_and_run", 1),
    ("runs.submit_tool_outputs", 1),  # of functions
    ("runs.create", 1),
    ("runs.create", 2),  # of the next attempt
    ("runs.submit_tool_outputs", 2),  # of approvals
)
"""What the pipeline sends, and when it is refused: the first time, the second."""

DELETED = ("threads.delete", "agents.delete", "vector_stores.delete", "files.delete")
CHANGING = (*CREATIONS, "runs.cancel", *DELETED)
PAUSES = ("freeze", "cut", "healed")
"""In the client's wait: the worker stands still; its journal does; it does until the other one has ended."""

POINTS = (
    "upload.intended", "store.attached", "agent.intended", "turn.intended", "tools.needed", "tool.begun",
    "tools.ready", "attempt.intended", "approvals.ready", "cleanup.listed",
)  # fmt: skip
"""Where the journal is cut off from a worker that goes on."""

CUT_OFF = ("tools.needed", "tool.begun")
"""Where a call may be in the middle when the other one takes over: its outcome is unknown then."""


@dataclass
class Story:
    """One worker that stands still, or whose journal does, and its successor."""

    pause: str
    operation: str = ""
    nth: int = 1
    point: str = "send.waiting"
    job: str = "operations"
    gate: bool = True
    name: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    """The successor's."""
    told: str = ""
    """How the first worker ended: its error, or nothing."""
    runs: dict[str, int] = field(default_factory=dict)
    sent_late: list[str] = field(default_factory=list)
    """What the first one sent after the other had ended, or while it was at it."""

    def __str__(self) -> str:
        return f"{self.operation or self.point} {self.nth} ({self.pause}, {self.job})"


def stories() -> list[Story]:
    """All of them, or a few in the short form."""
    found = [Story(pause, operation, nth) for operation, nth in SENT for pause in PAUSES]
    found += [Story(pause, operation, job="released") for operation in DELETED for pause in PAUSES]
    found += [Story(pause, "runs.cancel", job="given_up") for pause in PAUSES]
    found += [
        Story("point", point=point, job="released" if point.startswith("cleanup.") else "operations")
        for point in POINTS
    ]
    chosen = found if ALL else found[3::9]
    for number, story in enumerate(chosen):
        story.name = f"case{number:02}x"
    return chosen


def without_a_gate() -> list[Story]:
    """Stories that end badly where the gate is taken out."""
    chosen = [Story("freeze", operation, nth) for operation, nth in SENT[:6]]
    chosen += [Story("healed", operation, nth) for operation, nth in SENT[4:6]]
    chosen += [
        Story("freeze", "agents.delete", job="released"),
        Story("freeze", "runs.cancel", job="given_up"),
    ]
    for number, story in enumerate(chosen):
        story.name, story.gate = f"open{number:02}x", False
    return chosen if ALL else chosen[3:6]


@dataclass
class Stage:
    """Where a story is told."""

    postgresql: PostgresServer
    urls: dict[str, str]
    """A journal for each story."""
    folder: Path

    def tell(self, story: Story, running: ThreadService) -> Story:
        """The first worker, the pause, the second worker, and the first one again."""
        folder = self.folder / story.name
        folder.mkdir()
        _set_fault(running, story)
        with partition(self.postgresql) as network, ThreadPoolExecutor(2) as pool:
            try:
                self._tell(story, running, folder, network, pool)
            finally:
                network.heal()
                for name in ("thaw", "cut", "part"):  # nobody is left waiting
                    (folder / name).touch()
        httpx.delete(f"{running.origin}/_emulator/faults").raise_for_status()
        story.runs = {name: executions(folder, name) for name in CALLS}
        asyncio.run(_release(running.endpoint, self.urls[story.name], story.name))
        return story

    def _tell(
        self, story: Story, running: ThreadService, folder: Path, network: Network, pool: ThreadPoolExecutor
    ) -> None:
        url = self.urls[story.name]
        args = (running.endpoint, str(folder), story.name)
        frozen = pool.submit(
            _ended, first, *args, LEASE, story.job, story.pause, story.gate,
            crash_point=f"{story.point}:1:freeze:1" if story.pause in ("freeze", "point") else None,
            url=network.address(url),
        )  # fmt: skip
        _until_there(folder / "frozen", frozen)
        if story.pause != "freeze":
            network.cut()
            (folder / "cut").touch()
        time.sleep(LEASE + 0.2)
        following = pool.submit(
            run_coroutine, second, *args, LONG_LEASE, story.job,
            environment={JOURNAL_URL: url}, limit=LIMIT,
        )  # fmt: skip
        is_in_the_middle = story.job == "given_up"
        if is_in_the_middle:
            _until_there(folder / "met", following)
        else:
            story.outcome = dict(following.result(LIMIT).result)
        before = len(_changes(running))
        if story.pause in ("healed", "point"):
            network.heal()
        (folder / "thaw").touch()
        if story.pause == "cut":
            _until_there(folder / "refused", frozen)
            network.heal()
        story.told = frozen.result(LIMIT)
        story.sent_late = _changes(running)[before:]
        if is_in_the_middle:
            (folder / "part").touch()
            try:
                story.outcome = dict(following.result(LIMIT).result)
            except ChildFailed as failed:
                story.outcome = {"failed": str(failed)}


def _ended(function: Any, *args: Any, crash_point: str | None, url: str) -> str:
    """How a worker ends: its error, or nothing."""
    try:
        run_coroutine(
            function, *args, crash_point=crash_point, environment={JOURNAL_URL: url}, limit=2 * LIMIT
        )
    except ChildFailed as failed:
        return str(failed)
    return ""


def _until_there(path: Path, worker: Future[Any]) -> None:
    """Wait for a worker's file; it must not have ended without it."""
    deadline = time.monotonic() + LIMIT
    while not path.exists():
        assert not worker.done(), f"{path.name} did not come: {worker.result()}"
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)


def _set_fault(running: RunningService, story: Story) -> None:
    if story.operation:
        when = {"operation": story.operation, "nth": story.nth}
        rule = {"when": when, "then": {"status": 429, "retry_after": 0.05}, "count": 1}
        faults = f"{running.origin}/_emulator/faults"
        httpx.put(faults, content=yaml.safe_dump({"rules": [rule]})).raise_for_status()


def _changes(running: RunningService) -> list[str]:
    return [row["operation"] for row in running.requests() if row["operation"] in CHANGING]


async def _release(endpoint: str, url: str, case: str) -> None:
    async with Workspace.open(endpoint, None, url) as ws:
        await release_owner(ws, case)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ThreadService]]:
    folder = tmp_path_factory.mktemp("gated")
    cases = ["calm", *(story.name for story in [*stories(), *without_a_gate()])]
    with crash_services(folder, cases, AT_ONCE) as started:
        yield started


async def _stage(postgresql: PostgresServer, folder: Path, told: list[Story]) -> Stage:
    urls = {name: await postgresql.new_database() for name in ["calm", *(story.name for story in told)]}
    return Stage(postgresql, urls, folder)


def _calm(stage: Stage, running: ThreadService) -> dict[str, Any]:
    folder = stage.folder / "calm"
    folder.mkdir()
    args = (running.endpoint, str(folder), "calm", LONG_LEASE, "operations")
    calm = run_coroutine(second, *args, environment={JOURNAL_URL: stage.urls["calm"]}, limit=LIMIT).result
    asyncio.run(_release(running.endpoint, stage.urls["calm"], "calm"))
    return dict(calm)


@pytest.mark.timeout(900)
def test_a_worker_that_waits_past_its_lease_sends_nothing_more(
    services: list[ThreadService],
    postgresql: PostgresServer,
    ledger: McpLedger,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    stage = asyncio.run(_stage(postgresql, tmp_path, stories()))
    calm = _calm(stage, services[0])
    done = side_by_side(services, stage.tell, stories())
    # Two workers may look at one store at the same time, each not too often.
    duplicates, wrong = findings(services, pytestconfig, tmp_path, tolerated="polling_too_fast")
    late = [f"{story}: {sent}" for story in done for sent in story.sent_late]
    counted(pytestconfig).add(pauses=len(done), duplicates=len(late))

    assert late == []
    assert duplicates == []
    assert [problem for story in done for problem in _problems(story, calm)] == []
    assert wrong == {}
    assert set(ledger.written.values()) == {1}


def _problems(story: Story, calm: dict[str, Any]) -> Iterator[str]:
    expected = {"cut": "JournalUnreadableError", "point": "Error"}.get(story.pause, "LeaseLostError")
    if story.job == "given_up":
        # To give the turn up was to be the end of it; what is told is that it may have completed.
        expected = "may have completed"
    if expected not in story.told:
        yield f"{story}: the first worker ended with {story.told or 'no error'}"
    if story.job == "given_up":
        if story.outcome.get("text") != "Oak: Oak found.":
            yield f"{story}: the successor's turn came to {story.outcome}"
        return
    if story.point in CUT_OFF:
        is_same = set(story.outcome["extract"]["calls"]) == set(calm["extract"]["calls"])
    else:
        is_same = story.outcome == calm
    if not is_same:
        yield f"{story}: the outcome is {story.outcome}, undisturbed {calm}"
    if story.runs[ONCE] > 1 or not 1 <= story.runs[REPEATABLE] <= 2:
        yield f"{story}: the functions ran {story.runs}"


PIPELINE = """\
name: papers
model: test-model
agents:
  extractor:
    instructions: Extract.
    prompt: "{{ document.text }}"
    repair_prompt: "Mend: {% for e in errors %}{{ e }} {% endfor %}"
    tools: [{function: "ledger_tools:book"}]
output: {name: paper, fields: {number: string, total: number}}
limits: {repair_turns: 1}
resources: {on_success: keep}
"""
TOOLS = '''
from pathlib import Path

def book(number: str) -> str:
    """Book a paper, which must not be done twice.

    Args:
        number: The paper's number.
    """
    with Path(__file__).with_name("book.txt").open("a") as lines:
        lines.write(f"book({number})\\n")
    return "booked"
'''
BATCH_RULES = {
    "rules": [
        {
            "when": {"schema": "paper", "message": r"Paper (?P<number>\S+), total", "tool_results": False},
            "reply": {"tool_calls": [{"name": "book", "arguments": {"number": "{{ groups.number }}"}}]},
        },
        {
            "when": {"schema": "paper", "message": "Mend:"},
            "reply": {"json": {"number": "P-1", "total": 1.5}},
        },
        {"when": {"schema": "paper"}, "reply": {"json": {"number": "P-1", "total": "a lot"}}},
    ]
}


@pytest.mark.parametrize(
    ("pause", "gate"), [("freeze", True), ("healed", True), ("freeze", False)][:: 1 if ALL else 2]
)
@pytest.mark.timeout(200)
def test_a_repair_is_not_told_anew_when_another_worker_has_deleted_its_conversation(
    service: ServiceFactory,
    postgresql: PostgresServer,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    pause: str,
    gate: bool,
) -> None:
    """The repair is refused (429) and waits; meanwhile another worker ends document and batch."""
    _lay_out(tmp_path)
    running = service(rules=BATCH_RULES)
    _set_fault(running, Story(pause, "runs.create"))
    url = asyncio.run(postgresql.new_database())
    with partition(postgresql) as network, ThreadPoolExecutor(1) as pool:
        try:
            args = (running.endpoint, str(tmp_path), network.address(url), "one", LEASE, pause, gate)
            point = "send.waiting:1:freeze:1" if pause == "freeze" else None
            late = pool.submit(_ended, batch, *args, crash_point=point, url=url)
            _until_there(tmp_path / "frozen", late)
            if pause == "healed":
                network.cut()
            time.sleep(LEASE + 0.2)
            other = (running.endpoint, str(tmp_path), url, "two", LONG_LEASE, None, True)
            assert run_coroutine(batch, *other, limit=LIMIT).result["done"] == 1
            before = len(_changes(running))
        finally:
            network.heal()
            (tmp_path / "thaw").touch()
        told = late.result(LIMIT)
    sent_late, repeated = _changes(running)[before:], repeated_calls(tmp_path)
    if not gate:
        assert repeated == ["book(P-1)"]
        return
    counted(pytestconfig).add(pauses=1, duplicates=len(sent_late) + len(repeated))
    assert (sent_late, repeated) == ([], [])
    assert told == "" or "LeaseLostError" in told  # it led, and may find out that another one has ended all


def _lay_out(folder: Path) -> None:
    (folder / "documents").mkdir()
    (folder / "documents" / "a.txt").write_text("Paper P-1, total 1.5")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "ledger_tools.py").write_text(TOOLS)


@pytest.mark.timeout(600)
def test_without_the_gate_the_same_stories_count_duplicates(
    services: list[ThreadService], postgresql: PostgresServer, ledger: McpLedger, tmp_path: Path
) -> None:
    """What is found where the gate is taken out: or else the stories above would prove nothing."""
    told = without_a_gate()
    stage = asyncio.run(_stage(postgresql, tmp_path, told))
    done = side_by_side(services, stage.tell, told)
    late = sum(len(story.sent_late) for story in done)
    effects = [effect for running in services for effect in duplicate_effects(running.requests())]
    print(f"without the gate: {len(done)} stories, {late} late requests, {len(effects)} duplicate effects")

    assert [str(story) for story in done if not story.sent_late] == []
    assert effects != []
