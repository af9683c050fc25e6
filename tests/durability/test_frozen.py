"""A worker that stands still past its lease, while another one takes over, sends nothing when it wakes.

It is frozen at every crash point of the pipeline (in the short form at a part of them), and wakes when its
successor has ended; at some points it wakes while the successor is in the middle.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.crashpoints import CRASH_POINTS
from agent_tasks.operations import Workspace, release_owner
from agent_tasks.testing import ChildFailed, kill_at, run_coroutine
from tests.durability.counts import counted
from tests.durability.crash_pipeline import (
    CALLS,
    ONCE,
    REPEATABLE,
    executions,
    pipeline,
    work,
)
from tests.durability.crash_services import crash_services, findings, side_by_side
from tests.durability.effects import CREATIONS
from tests.durability.frozen_worker import LIMIT, stand_still, until_there
from tests.support.mcp_server import McpLedger
from tests.support.service import ThreadService

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
LEASE, LONG_LEASE = 1.0, 120.0  # seconds: of the worker that is frozen, and of its successor
AT_ONCE = 4
"""Services; one story at a time on each, so that its requests are known."""
CHANGING = (*CREATIONS, "runs.cancel")
CUT_OFF = ("tool.begun", "tool.done", "tool.committed")  # a parallel call may be in the middle here

POINTS = [
    name
    for name, point in CRASH_POINTS.items()
    if point.only is None
    and not name.startswith(("batch.", "step.", "cleanup.", "send.w", "review.", "decision."))
]
"""Those of operations; the client's wait is in test_gate.py. Whoever wakes in the middle of a deletion
deletes once more, which changes nothing."""

MEETINGS = (
    ("turn.intended", "turn.attached"),
    ("turn.attached", "tool.begun"),
    ("tools.needed", "tool.begun"),
    ("tools.needed", "tools.ready"),
    ("tools.ready", "tools.submitted"),
    ("attempt.ended", "attempt.intended"),
    ("store.attached", "store.ingested"),
    ("approvals.needed", "approvals.ready"),
)
"""Where a worker is frozen, and where its successor is when it wakes."""


@dataclass
class Story:
    """A frozen worker and its successor."""

    point: str
    meeting: str | None = None
    """Where the successor stands still until the first worker has ended; None: it ends before that."""
    name: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    """The successor's."""
    told: str = ""
    """How the frozen worker ended: its error, or nothing."""
    was_locked: bool = False
    """Whether it was frozen in the middle of a transaction (a parallel call's, the heartbeat's) on SQLite, so
    that nobody could take over."""
    runs: dict[str, int] = field(default_factory=dict)
    sent_late: list[str] = field(default_factory=list)
    """What the frozen worker asked for after it woke; known if it was alone then."""


def stories() -> list[Story]:
    """All of them, or a few in the short form."""
    found = [Story(point) for point in POINTS] + [Story(*meeting) for meeting in MEETINGS]
    chosen = found if ALL else found[4::9]
    for number, story in enumerate(chosen):
        story.name = f"case{number:02}x"
    return chosen


def carry_out(story: Story, running: ThreadService, folder: Path) -> Story:
    """Freeze a worker, let another one take over, wake the first, and remove what they made."""
    folder.mkdir()
    here = str(folder)
    after = CRASH_POINTS[story.point].after
    if after is not None:
        kill_at(after, pipeline, running.endpoint, here, story.name)

    def first() -> str:
        point = f"{story.point}:1:freeze:1"
        args = (running.endpoint, here, story.name, LEASE, "frozen", "thaw")
        try:
            run_coroutine(stand_still, *args, crash_point=point, limit=LIMIT)
        except ChildFailed as failed:
            return str(failed)
        return ""

    def successor() -> dict[str, Any]:
        point = f"{story.meeting}:1:freeze:1" if story.meeting else None
        args = (running.endpoint, here, story.name, LONG_LEASE, "met", "part")
        return dict(run_coroutine(stand_still, *args, crash_point=point, limit=LIMIT).result)

    with ThreadPoolExecutor(2) as pool:
        frozen = pool.submit(first)
        until_there(folder / "frozen")
        time.sleep(LEASE + 0.2)
        following = pool.submit(successor)
        if story.meeting:
            until_there(folder / "met")
            (folder / "thaw").touch()
            story.told = frozen.result(LIMIT)
            (folder / "part").touch()
            story.outcome = following.result(LIMIT)
        else:
            try:
                story.outcome = following.result(LIMIT)
            except ChildFailed as failed:
                story.was_locked = "database is locked" in str(failed)
                if not story.was_locked:
                    raise
            before = len(_changes(running))
            (folder / "thaw").touch()
            story.told = frozen.result(LIMIT)
            if story.was_locked:
                story.outcome = successor()
            else:
                story.sent_late = _changes(running)[before:]
    story.runs = {name: executions(folder, name) for name in CALLS}
    asyncio.run(_release(running.endpoint, here, story.name))
    return story


def _changes(running: ThreadService) -> list[str]:
    return [row["operation"] for row in running.requests() if row["operation"] in CHANGING]


async def _release(endpoint: str, folder: str, case: str) -> None:
    async with Workspace.open(endpoint, None, f"sqlite+aiosqlite:///{folder}/journal.db") as ws:
        await release_owner(ws, case)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ThreadService]]:
    folder = tmp_path_factory.mktemp("services")
    with crash_services(folder, ["calm", *(story.name for story in stories())], AT_ONCE) as started:
        yield started


@pytest.mark.timeout(600)
def test_a_frozen_worker_changes_nothing_when_it_wakes(
    services: list[ThreadService], ledger: McpLedger, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    (tmp_path / "calm").mkdir()
    endpoint, here = services[0].endpoint, str(tmp_path / "calm")
    calm = run_coroutine(work, endpoint, here, "calm", LONG_LEASE).result
    asyncio.run(_release(endpoint, here, "calm"))
    done = side_by_side(
        services, lambda story, running: carry_out(story, running, tmp_path / story.name), stories()
    )
    # Two workers may look at one store at the same time, each not too often.
    duplicates, wrong = findings(services, pytestconfig, tmp_path, tolerated="polling_too_fast")

    counted(pytestconfig).add(pauses=len(done))

    assert [problem for story in done for problem in _problems(story, calm)] == []
    assert sum(story.was_locked for story in done) <= len(done) / 4
    assert duplicates == []
    assert wrong == {}
    assert set(ledger.written.values()) == {1}
    assert len(ledger.written) == len(done) + 1


def _problems(story: Story, calm: dict[str, Any]) -> Iterator[str]:
    where = f"{story.point} ({story.meeting or 'woke at the end'})"
    is_over = story.point.endswith(".committed") and not story.point.startswith("tool.")
    is_over = is_over or story.was_locked
    if ("LeaseLostError" in story.told) == is_over or (is_over and story.told):
        yield f"{where}: the frozen worker ended with {story.told or 'no error'}"
    if story.sent_late:
        yield f"{where}: it sent {story.sent_late} after it woke"
    if story.point in CUT_OFF:
        is_same = set(story.outcome["extract"]["calls"]) == set(calm["extract"]["calls"])
    else:
        is_same = story.outcome == calm
    if not is_same:
        yield f"{where}: the outcome is {story.outcome}, undisturbed {calm}"
    if story.runs[ONCE] > 1 or not 1 <= story.runs[REPEATABLE] <= 2:
        yield f"{where}: the functions ran {story.runs}"
