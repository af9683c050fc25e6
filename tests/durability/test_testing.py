"""`agent_tasks.testing` and the crash points themselves."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest

from agent_tasks import crashpoints
from agent_tasks.backends.base import Mark
from agent_tasks.backends.marks import marked_name
from agent_tasks.crashpoints import CRASH_POINTS, VARIABLE, crash_point
from agent_tasks.errors import ConfigurationError
from agent_tasks.testing import (
    ChildFailed,
    CrashPointNotReached,
    kill_at,
    kill_script_at,
    run_coroutine,
    run_script,
)
from agents_emulator.verdict import _MARKED_NAME

PAGE = Path(__file__).resolve().parents[2] / "docs" / "durability.md"
SCRIPT = "from agent_tasks.crashpoints import crash_point\ncrash_point('turn.ended')\nprint('went on')"


async def passes(point: str, times: int) -> str:
    for _ in range(times):
        crash_point(point)
    return "through"


async def fails() -> None:
    raise ValueError("no such paper")


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> object:
    def set_(value: str) -> None:
        monkeypatch.setenv(VARIABLE, value)
        crashpoints._armed.cache_clear()

    yield set_
    monkeypatch.undo()
    crashpoints._armed.cache_clear()


def test_a_child_dies_the_nth_time_it_gets_to_the_point() -> None:
    assert kill_at("tool.done:3", passes, "tool.done", 3).was_killed
    assert run_coroutine(passes, "tool.done", 2, crash_point="tool.done:3").result == "through"
    assert run_coroutine(passes, "tool.done", 3).result == "through"


async def loaded_before(module: str) -> bool:
    """Whether a child has a module that nothing here imports: `preload` of tests/conftest.py names it."""
    return module in sys.modules


def test_children_begin_with_what_was_preloaded() -> None:
    assert run_coroutine(loaded_before, "tests.support.children").result


async def told(name: str) -> str | None:
    return os.environ.get(name)


def test_children_have_the_environment_of_their_parent_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("AGENT_TASKS_TEST_TOLD", value)
        assert run_coroutine(told, "AGENT_TASKS_TEST_TOLD").result == value
    monkeypatch.delenv("AGENT_TASKS_TEST_TOLD")
    assert run_coroutine(told, "AGENT_TASKS_TEST_TOLD").result is None
    given = {"AGENT_TASKS_TEST_TOLD": "three"}
    assert run_coroutine(told, "AGENT_TASKS_TEST_TOLD", environment=given).result == "three"


def test_a_point_that_is_not_reached_fails_the_test() -> None:
    with pytest.raises(CrashPointNotReached, match=r"tool\.done:3"):
        kill_at("tool.done:3", passes, "tool.done", 2)


def test_a_coroutine_that_fails_shows_its_traceback() -> None:
    with pytest.raises(ChildFailed, match="no such paper"):
        run_coroutine(fails)
    with pytest.raises(ChildFailed, match=r"ConfigurationError.*turn\.nowhere"):
        run_coroutine(passes, "tool.done", 1, crash_point="turn.nowhere")


def test_a_script_is_killed_and_run_again() -> None:
    command = [sys.executable, "-c", SCRIPT]
    assert kill_script_at("turn.ended", command).was_killed
    assert run_script(command).output.strip() == "went on"
    with pytest.raises(ChildFailed, match="exit code 3"):
        run_script([sys.executable, "-c", "raise SystemExit(3)"])


def test_a_frozen_process_stands_still(arm) -> None:  # type: ignore[no-untyped-def]
    arm("turn.ended:2:freeze:0.1")
    began = time.monotonic()
    crash_point("turn.ended")
    assert time.monotonic() - began < 0.09
    crash_point("turn.ended")
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize(
    "value", ["turn.ende", "turn.ended:0", "turn.ended:freeze", "turn.ended:freeze:x", "turn.ended:stop"]
)
def test_an_unusable_value_is_refused_wherever_it_is_met(arm, value: str) -> None:  # type: ignore[no-untyped-def]
    arm(value)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        crash_point("agent.intended")


def test_a_point_without_a_registration_is_refused() -> None:
    with pytest.raises(LookupError, match="not registered"):
        crash_point("turn.nowhere")


def test_the_page_lists_every_point_as_it_is_registered() -> None:
    rows = re.findall(
        r"^\| `([a-z_]+\.[a-z_]+)` \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert rows == [(point.name, point.description) for point in CRASH_POINTS.values()]


def test_the_verdict_knows_the_mark_in_the_name_of_an_upload() -> None:
    name = marked_name("report.final.txt", Mark("0123456789abcdef" * 2, 3))
    found = _MARKED_NAME.search(name)
    assert found is not None
    assert found[1] == "0123456789ab-3"
