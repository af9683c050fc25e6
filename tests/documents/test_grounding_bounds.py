"""Looking up stays quick, whatever the text holds."""

from __future__ import annotations

import time

import pytest

from agent_tasks.documents.grounding import Ground, GroundingStatus, SourceText
from agent_tasks.documents.grounding.words import MAX_NEAR_MISSES

SIZE = 50_000
SECONDS = 8.0
"""Of the processor, for all values; a text of this size that is not hostile takes about a tenth of one."""

TEXTS = ("1", "a", "a b", "11111111", "DE89370400440532013000", "+442079460958", "三三", "カ", "ו", "이")
LONG_TEXTS = ("a" * 2000, "a " * 1000 + "b", "a." * 500, "1 " * 500)
VALUES: list[tuple[Ground, object]] = [
    *[("exact", value) for value in (*TEXTS, *LONG_TEXTS)],
    *[("number", value) for value in (5, -1, "1 1 1", "1." * 500)],
    *[("date", "2026-03-05"), ("currency", "EUR"), ("unit", "kg"), ("enum", "a_b")],
]  # fmt: skip
UNITS = (
    *("1", " ", "\n", "\u0301", "a\u0301", "1.", "1,", "1'", "123 ", "a", "a ", "1 ", "三", "万", "3万"),
    *("3만 ", "1/2", "1/", "-", "(", "1-", "+4", "ก", "march ", "5 march 2026 ", "5 of of ", "v", "1 v "),
    *("\u00ad", "\u00ad \n", "a-\n", "½", "1e", "ﬁ", "ו", "이", "カ", "ｶﾞ", "12.50 ", "1.\n", "1,\n   "),
    *(
        "1 \n",
        "1 cr ",
        "$1",
        "tháng ",
        "h1.1.",
        "DE89 ",
        "年",
        "2026年",
        "9 ",
        "9/",
        "'",
        "O'",
        "(1) ",
        "%1 ",
    ),
    *("@", "a@", "ｍ", "\u200b", "\ud800"),
    *("1 204:50 ", "123 234 ", "△1 ", "> ", "> a\n", "5-", "5/5/", "5. to ", "march - ", "5 march to "),
    *("٢ جمادى ", "ב' אדר ", "1,2,", "0.1 ", "1(", "1 (a) ", "5 ธ.ค. ", "1-1/2 ", "10-5/12/2026-"),
)


@pytest.mark.parametrize("unit", UNITS, ids=repr)
def test_hostile_texts_take_no_longer_than_their_length(unit: str) -> None:
    source = SourceText(unit * (SIZE // len(unit)))
    started = time.process_time()
    for kind, value in VALUES:
        source.look_up("x", kind, value)
    assert time.process_time() - started < SECONDS


def test_the_search_for_a_value_that_is_nearly_everywhere_ends() -> None:
    text = "INV-1A " * (MAX_NEAR_MISSES + 10)
    assert SourceText(text).look_up("x", "exact", "INV-1").status is GroundingStatus.NOT_FOUND
    assert SourceText(f"{text[:700]} INV-1").look_up("x", "exact", "INV-1").status is GroundingStatus.FOUND


def test_runs_are_passed_over_at_once() -> None:
    text = f"{'1' * 500_000} {'a' * 500_000} 1 a"
    assert SourceText(text).look_up("x", "exact", "1").offset == len(text) - 3
    assert SourceText(text).look_up("x", "exact", "a").offset == len(text) - 1
