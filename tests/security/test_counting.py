"""`make security` counts what it tries."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8")
ATTACKS = """
import pytest

@pytest.mark.attack
def test_held(): pass

@pytest.mark.attack(long=True)
def test_long(): pass

@pytest.mark.attack
def test_open(): assert False

@pytest.mark.attack
def test_not_tried(): pytest.skip("no tool")

@pytest.mark.attack
@pytest.mark.parametrize("number", range(3))
def test_variants(number): pass

def test_no_attack(): pass
"""


def test_what_is_open_or_not_tried_is_not_held(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_ALL_ATTACKS", "1")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nmarkers = attack")
    pytester.makepyfile(ATTACKS)
    outcome = pytester.runpytest_subprocess()
    assert outcome.ret == pytest.ExitCode.TESTS_FAILED
    assert outcome.outlines[-1] == "attacks: 7, held: 5"


def test_the_short_form_leaves_long_attacks_and_further_variants_out(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENT_TASKS_ALL_ATTACKS", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nmarkers = attack")
    pytester.makepyfile(ATTACKS)
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(passed=4, skipped=1, failed=1, deselected=2)
