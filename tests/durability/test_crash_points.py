"""A pipeline killed at every crash point and resumed has each effect once, and leaves nothing behind.

The short form kills at a third of the points, `make durability` (AGENT_TASKS_ALL_CRASH_POINTS=1) at all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.crashpoints import CRASH_POINTS
from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.durability.counts import counted
from tests.durability.crash_pipeline import (
    CALLS,
    ONCE,
    REPEATABLE,
    REPLY,
    SERVICE,
    executions,
    pipeline,
    rules,
)
from tests.durability.effects import SERVICES, duplicate_effects, is_of_turns, repeated_calls
from tests.support.mcp_server import McpLedger
from tests.support.service import ThreadService, start_in_thread, write_rules

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
AT_ONCE = 4  # cases under way together: most of their time they wait for each other's requests
CUT_OFF = ("tool.begun", "tool.done", "tool.committed")  # a parallel call may be in the middle here
UNKNOWN = "ToolOutcomeUnknownError"


@dataclass
class Case:
    """One story: where the pipeline is killed, one time after the other."""

    kills: list[str]
    name: str = ""
    outcome: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)


ALL_POINTS = {
    name: point
    for name, point in CRASH_POINTS.items()
    if not name.startswith(("batch.", "step.", "decision.", "review.", "spares.")) and name != "send.waiting"
}
POINTS = {name: point for name, point in ALL_POINTS.items() if point.only != "inline"}
"""Those of operations; a batch's are in test_workers.py, a step's in test_steps.py, those of people in
test_killed_decisions.py and test_killed_reviews.py, the client's wait is in test_gate.py, conversations ahead
are in test_spare_conversations.py."""


KINDS = tuple(SERVICES) if ALL else ("classic", "responses")

_OF_CONVERSATIONS = ("conversation.created", "conversation.attached")

_ASKED_AGAIN = {"turn.started", "turn.attached", "tools.submitted"}
"""Where a round is asked for again by whom nothing is kept: docs/durability.md, "By service"."""


_ALLOWED = {"unlisted": {"left_over", "duplicate_effects"}, "stateless": {"outputs_twice"}}
"""Findings of the verdict by service, of which the test says how many there may be: outputs are part of the
history that each round is sent with; a conversation that was not heard of is made again, and stays."""

_MAKES_CONVERSATION = "conversations.create"


def points_of(kind: str) -> set[str]:
    """The points that a pipeline gets to with this service."""
    if kind == "classic":
        return {name for name, point in POINTS.items() if point.only is None}
    if kind == "stateless":  # nothing is kept there, so nothing is found
        found = {name for name, point in ALL_POINTS.items() if point.only in (None, "inline")}
        found = {name for name in found if not name.startswith(("agent.", "approvals."))}
        return found.union(_OF_CONVERSATIONS) - {"turn.found"}
    return {name for name in POINTS if kind == "responses" or not name.startswith("agent.")}


def cases(service: str) -> list[Case]:
    """Every point; a point in a function call for both of the parallel calls."""
    found = [
        Case([*([point.after] if point.after else []), f"{name}:{nth}"])
        for name, point in ALL_POINTS.items()
        if name in points_of(service)
        for nth in ((1, 2) if name.startswith("tool.") else (1,))
    ]
    chosen = found if ALL else [case for case in found[1::3] if service == "classic" or _is_of_turns(case)]
    return [Case(case.kills, f"{service}{number:02}x") for number, case in enumerate(chosen)]


def _is_of_turns(case: Case) -> bool:
    return not case.kills[-1].startswith(("agent.", "upload.", "store.", "cleanup."))


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory, kind: str) -> Iterator[ThreadService]:
    folder = tmp_path_factory.mktemp("service")
    names = [f"{kind}calm", *(case.name for case in cases(kind))]
    running = start_in_thread(
        folder / "data", write_rules(folder, {"rules": rules(*names), "default": REPLY})
    )
    yield running
    running.stop()


def carry_out(case: Case, endpoint: str, folder: Path) -> Case:
    folder.mkdir()
    for point in case.kills:
        kill_at(point, pipeline, endpoint, str(folder), case.name)
    case.outcome = run_coroutine(pipeline, endpoint, str(folder), case.name).result
    case.runs = {name: executions(folder, name) for name in CALLS}
    return case


@pytest.mark.timeout(1200 if ALL else 300)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_killed_anywhere_has_each_effect_once(
    service: ThreadService,
    ledger: McpLedger,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv(SERVICE, kind)
    log = ServiceLog(service.endpoint)
    before = len(log.requests())
    written = set(ledger.written)
    calm = carry_out(Case([], f"{kind}calm"), service.endpoint, tmp_path / "calm")
    assert calm.runs == {REPEATABLE: 1, ONCE: 1}
    assert calm.outcome["review"]["attempts"] == 2

    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(
            pool.map(lambda case: carry_out(case, service.endpoint, tmp_path / case.name), cases(kind))
        )

    problems = [problem for case in done for problem in _problems(case, calm)]
    requests = log.requests()[before:]
    duplicates = duplicate_effects(requests) + repeated_calls(tmp_path)
    verdict = log.verdict(min_poll=0.03)  # a new process looks at once at what the killed one had just read
    left = [one["kind"] for one in verdict["left_over"]["details"]]
    unheard = 0
    if kind == "unlisted":  # docs/durability.md, "By service"
        unheard = sum(case.kills[-1].startswith("conversation.created") for case in done)
        left = sorted(set(left) - {"response", "conversation"}) + ["conversation"] * (
            left.count("conversation") - unheard
        )
        again = [effect for effect in duplicates if effect[0] == _MAKES_CONVERSATION]
        assert len(again) == verdict["duplicate_effects"]["count"] == unheard
        duplicates = [effect for effect in duplicates if effect not in again]
    leaks = len(left) + verdict["active_runs"]["count"]
    created = Counter(
        row["operation"] for row in requests if (row["status"] or 500) < 300 and is_of_turns(row)
    )
    expected = {operation: each * (len(done) + 1) for operation, each in SERVICES[kind].items()}
    if unheard:
        expected[_MAKES_CONVERSATION] += unheard
    points = {kill.partition(":")[0] for case in done for kill in case.kills}
    kills = sum(len(case.kills) for case in done)
    counted(pytestconfig).add(points=points, kills=kills, duplicates=len(duplicates), leaks=leaks)

    assert problems == []
    if kind == "stateless":
        twice = sum(case.kills[-1].partition(":")[0] in _ASKED_AGAIN for case in done)
        assert twice > 0
        expected["responses.create"] += twice
    assert set(ledger.written.values()) <= {1}, ledger.written
    assert len(ledger.written.keys() - written) == (0 if kind == "stateless" else len(done) + 1)
    assert duplicates == []
    wrong = {name for name, found in verdict.items() if isinstance(found, dict) and found["count"]}
    assert wrong <= _ALLOWED.get(kind, set()), verdict
    assert leaks == 0, left
    assert {operation: created[operation] for operation in expected} == expected
    if ALL:
        assert points == points_of(kind)


def _problems(case: Case, calm: Case) -> Iterator[str]:
    """What differs from the undisturbed run and must not."""
    where = " then ".join(case.kills)
    calls = case.outcome["extract"]["calls"]
    expected = {**calm.outcome, "extract": {**calm.outcome["extract"]}}
    if calls.get(ONCE) == UNKNOWN and where.startswith(CUT_OFF):
        # Told honestly, and the answer is made of what was told.
        expected["extract"]["calls"] = {**calm.outcome["extract"]["calls"], ONCE: UNKNOWN}
        expected["extract"]["text"] = case.outcome["extract"]["text"]
        if UNKNOWN not in case.outcome["extract"]["text"]:
            yield f"{where}: the agent was not told that the outcome is unknown"
    elif case.runs[ONCE] != 1:
        yield f"{where}: {ONCE} ran {case.runs[ONCE]} times although its outcome is known"
    if case.outcome != expected:
        yield f"{where}: the outcome is {case.outcome}, undisturbed {calm.outcome}"
    if case.runs[ONCE] > 1:
        yield f"{where}: {ONCE} ran {case.runs[ONCE]} times"
    if not 1 <= case.runs[REPEATABLE] <= 2:
        yield f"{where}: {REPEATABLE} ran {case.runs[REPEATABLE]} times"
