"""What share or number of documents makes a run a failed one."""

from __future__ import annotations

import pickle

import pytest

from agent_tasks.batch.outcome_rules import TooManyNotDoneError, met, outcome_rules
from agent_tasks.batch.records import BatchSummary
from agent_tasks.errors import ConfigurationError

SUMMARY = BatchSummary(pipeline="p", documents="d", total=40, done=30, waiting=2, needs_review=6, failed=2)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("failed > 5%", None),
        ("failed >= 5%", "failed >= 5%: 2 of 40 documents (5.0%)"),
        ("failed > 1", "failed > 1: 2 of 40 documents"),
        ("failed>2", None),
        ("needs_review > 10%", "needs review > 10%: 6 of 40 documents (15.0%)"),
        ("waiting >= 3, not_done > 9", "not done > 9: 10 of 40 documents"),
        ("waiting > 0, failed > 0", "waiting > 0: 2 of 40 documents; failed > 0: 2 of 40 documents"),
        ("", None),
        (None, None),
    ],
)
def test_rules_are_met_or_not(rules: str | None, said: str | None) -> None:
    assert met(outcome_rules(rules, "fail_on"), SUMMARY) == said


def test_a_share_of_nothing_is_none() -> None:
    assert met(outcome_rules("failed >= 1%", "fail_on"), BatchSummary(pipeline="p", documents="d")) is None


@pytest.mark.parametrize(
    "text", ["done > 1", "failed < 3", "failed > -1", "failed > 101%", "failed", "failed > 1.%"]
)
def test_what_is_no_rule_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        outcome_rules(text, "warn_on")
    assert raised.value.setting == "warn_on"


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(TooManyNotDoneError("10 of 40", summary=SUMMARY)))  # noqa: S301 - its own
    assert error.summary == SUMMARY
