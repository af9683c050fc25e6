"""Conversations that a batch has ahead of its turns: none is lost, none is used twice, whoever dies when.

The short form kills at a part of the points, `make durability` (AGENT_TASKS_ALL_CRASH_POINTS=1) at all.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from agent_tasks.crashpoints import CRASH_POINTS
from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.batch_worker import QUESTIONS, TURNS_A_DOCUMENT, lay_out, rules, work
from tests.durability.counts import counted
from tests.durability.effects import duplicate_effects
from tests.support.postgresql import PostgresServer
from tests.support.service import RunningService

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
DOCUMENTS = 24
TURNS = TURNS_A_DOCUMENT * DOCUMENTS + QUESTIONS
LATER = 11
"""A turn that begins in a conversation made ahead: those in the first slots make theirs."""

OF_TURNS = (
    "turn.intended",
    "response.unread",
    "turn.started",
    "turn.attached",
    "turn.ended",
    "turn.committed",
)
OF_SPARES = {name: point for name, point in CRASH_POINTS.items() if name.startswith("spares.")}
POINTS: list[list[str]] = [
    *([point.after, name] if point.after else [name] for name, point in OF_SPARES.items()),
    ["spares.intended:2"],
    ["spares.made:3"],
    ["spares.made:4", "spares.made:2"],
    ["spares.committed:2"],
    *([f"{name}:{LATER}"] for name in OF_TURNS),
    [f"turn.intended:{LATER}", "turn.intended:5"],
    [f"turn.started:{LATER}", "turn.found"],
    [f"response.unread:{LATER}", "spares.made", "turn.started:5"],
    [f"cleanup.deleted:{LATER}"],
]  # fmt: skip
JOURNALS = ("sqlite", "postgresql")
LOST: dict[str, dict[str, Any]] = {
    "its answer lost": {"lose_answer": True},
    "408 while the work goes on": {"gateway_timeout": 0.2},
    "429": {"status": 429, "retry_after": 0.1},
    "500": {"status": 500},
    "500 after the effect": {"status": 500, "after_effect": True},
}


@pytest.fixture
def new_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], Awaitable[str]]:
    async def make(kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite+aiosqlite:///{tmp_path}/{name}.db"
        server: PostgresServer = request.getfixturevalue("postgresql")
        return await server.new_database()

    return make


def made(running: RunningService, *, empty: bool) -> list[dict[str, Any]]:
    """The requests for conversations: empty ones, or those with a prompt."""
    rows = running.requests("conversations.create")
    return [row for row in rows if ("items" not in row["body"]) == empty]


def check(running: RunningService, config: pytest.Config, *, turns: int, **counts: Any) -> None:
    """Each turn was paid for once, no request had its effect twice, and nothing is left."""
    verdict = ServiceLog(running.endpoint).verdict(min_poll=0.03)
    doubled = duplicate_effects(running.requests())
    left = verdict["left_over"]["count"] + verdict["active_runs"]["count"]
    counted(config).add(duplicates=len(doubled), leaks=left, **counts)
    begun = [row for row in running.requests("responses.create") if (row["status"] or 0) < 300]
    used = Counter(row["body"]["conversation"] for row in begun)
    assert doubled == []
    assert [one for one, times in used.items() if times > 1] == []
    assert verdict["ok"], {name: found for name, found in verdict.items() if found}
    assert len(running.generations()) == turns


@pytest.mark.timeout(600 if ALL else 120)
@pytest.mark.parametrize("kind", JOURNALS)
async def test_a_batch_killed_anywhere_uses_each_conversation_once(
    service: ServiceFactory,
    new_journal: Callable[[str, str], Awaitable[str]],
    tmp_path: Path,
    pytestconfig: pytest.Config,
    kind: str,
) -> None:
    chosen = POINTS if ALL else POINTS[JOURNALS.index(kind) :: 6]
    running = service(rules=rules(0.05), process=True)
    at_once = asyncio.Semaphore(3)

    async def story(number: int, points: list[str]) -> list[str]:
        folder = tmp_path / f"{kind}{number}"
        lay_out(folder, DOCUMENTS)
        args = (work, running.endpoint, await new_journal(kind, folder.name), str(folder), "out", "responses")
        async with at_once:
            for point in points:
                await asyncio.to_thread(kill_at, point, *args)
            ended = await asyncio.to_thread(run_coroutine, *args)
        assert ended.result["done"] == DOCUMENTS, points
        return points

    stories = await asyncio.gather(*(story(number, points) for number, points in enumerate(chosen)))
    points = {point.partition(":")[0] for told in stories for point in told}
    check(running, pytestconfig, turns=TURNS * len(chosen), points=points, kills=sum(map(len, stories)))
    begun = {row["body"]["conversation"] for row in running.requests("responses.create")}
    deleted = {row["path"].rpartition("/")[2] for row in running.requests("conversations.delete")}
    assert begun <= deleted
    ahead = len(made(running, empty=True))
    assert len(begun) - len(made(running, empty=False)) > ahead / 2 > len(chosen)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", LOST if ALL else ["its answer lost", "500 after the effect"])
async def test_one_whose_making_was_not_heard_of_is_used_all_the_same(
    service: ServiceFactory, tmp_path: Path, pytestconfig: pytest.Config, how: str
) -> None:
    """Each third request for a conversation goes wrong; what it made is found in the list."""
    running = service(rules=rules(0.02), process=True)
    wrong = [
        {"when": {"operation": "conversations.create", "nth": nth}, "then": LOST[how]}
        for nth in range(6, 30, 3)
    ]
    plan = yaml.safe_dump({"rules": wrong})
    (
        await asyncio.to_thread(httpx.put, f"{running.origin}/_emulator/faults", content=plan)
    ).raise_for_status()
    lay_out(tmp_path, DOCUMENTS)
    summary = await work(
        running.endpoint, f"sqlite+aiosqlite:///{tmp_path}/journal.db", str(tmp_path), "out", "responses"
    )
    assert summary["done"] == DOCUMENTS
    assert any(row["fault"] for row in made(running, empty=True))
    check(running, pytestconfig, turns=TURNS)


FREEZES = (
    "spares.made:2",
    "spares.intended",
    "spares.committed",
    f"turn.intended:{LATER}",
    "spares.committed:2",
)


@pytest.mark.skipif(not ALL, reason="takes a minute: workers stand still; make durability")
@pytest.mark.timeout(200)
async def test_a_worker_that_stands_still_meanwhile_uses_none_that_another_one_has(
    service: ServiceFactory, postgresql: PostgresServer, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Past its lease; the other one ends the batch, and deletes what it finds of its conversations."""
    running = service(rules=rules(0.05), process=True)

    async def story(number: int, point: str) -> None:
        folder = tmp_path / f"frozen{number}"
        lay_out(folder, DOCUMENTS)
        args = (work, running.endpoint, await postgresql.new_database(), str(folder))
        nth = "" if ":" in point else ":1"
        frozen = asyncio.to_thread(
            run_coroutine, *args, "out1", "responses", crash_point=f"{point}{nth}:freeze:9"
        )
        ends = await asyncio.gather(frozen, asyncio.to_thread(run_coroutine, *args, "out2", "responses"))
        assert [end.result["done"] for end in ends] == [DOCUMENTS] * 2, point

    for number, point in enumerate(FREEZES):
        await story(number, point)
    points = {point.partition(":")[0] for point in FREEZES}
    check(running, pytestconfig, turns=TURNS * len(FREEZES), points=points, pauses=len(FREEZES))
