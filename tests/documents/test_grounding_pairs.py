"""Pairs of texts and values in the world's scripts: what is there is found, what is not is not."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from agent_tasks.documents.grounding import GroundingStatus, SourceText
from tests.documents.conftest import GROUNDING, Tell

FILES = (
    "grounding_pairs.yaml",
    "grounding_pairs_held_out.yaml",
    "grounding_pairs_third.yaml",
    "grounding_pairs_fourth.yaml",
    "grounding_pairs_fifth.yaml",
    "grounding_pairs_sixth.yaml",
    "grounding_pairs_seventh.yaml",
    "grounding_pairs_eighth.yaml",
    "grounding_pairs_ninth.yaml",
)
MAX_FALSE_ACCEPTS = 0.01
"""Of what is absent."""
MAX_FALSE_REJECTS = 0.03
"""Of what is there."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C, where it is there: the other one takes seconds, in each process that collects the tests."""

KNOWN_FALSE_ACCEPTS = {
    # Without a dictionary nobody can tell where a word of Han or Thai ends (京都 in 東京都).
    ("Japanese", "exact", "京都"),
    ("Thai", "exact", "สมชาย ใจ"),
}


class Pair(NamedTuple):
    """A value, and whether the text has it."""

    language: str
    kind: str
    value: Any
    is_there: bool


def entries() -> list[dict[str, Any]]:
    """The texts of all files with their values."""
    texts = [Path(__file__).with_name(name).read_text("utf-8") for name in FILES]
    return [entry for text in texts for entry in yaml.load(text, LOADER)]  # noqa: S506 - a SafeLoader


def pairs(entry: dict[str, Any]) -> Iterator[Pair]:
    """The pairs of one text."""
    for key in ("found", "absent"):
        for kind, value in entry[key]:
            yield Pair(entry["language"], kind, value, key == "found")


def wrong(entry: dict[str, Any]) -> list[Pair]:
    """Pairs that are not told apart."""
    source = SourceText(unicodedata.normalize("NFC", entry["text"]))
    return [
        pair
        for pair in pairs(entry)
        if (source.look_up("x", pair.kind, pair.value).status is GroundingStatus.FOUND)  # type: ignore[arg-type]
        is not pair.is_there
    ]


def test_the_pairs_are_many_and_near_misses_are_among_them() -> None:
    every = [pair for entry in entries() for pair in pairs(entry)]
    absent = [pair for pair in every if not pair.is_there]
    assert len(every) >= 300
    assert 0.4 <= len(absent) / len(every) <= 0.5
    assert len({entry["language"] for entry in entries()}) >= 25
    assert len({entry["script"] for entry in entries()}) >= 20


def test_values_are_told_apart_from_near_misses(tell: Tell) -> None:
    every = [pair for entry in entries() for pair in pairs(entry)]
    mistakes = [pair for entry in entries() for pair in wrong(entry)]
    accepted = [pair for pair in mistakes if not pair.is_there]
    rejected = [pair for pair in mistakes if pair.is_there]
    tell(
        f"grounding: {len(every)} pairs, false accepts {len(accepted)}, false rejects {len(rejected)}",
        order=GROUNDING,
    )
    assert {(pair.language, pair.kind, pair.value) for pair in accepted} == KNOWN_FALSE_ACCEPTS
    assert rejected == []
    assert len(accepted) <= MAX_FALSE_ACCEPTS * sum(not pair.is_there for pair in every)
    assert len(rejected) <= MAX_FALSE_REJECTS * sum(pair.is_there for pair in every)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["language"])
def test_what_is_found_is_quoted_from_its_place(entry: dict[str, Any]) -> None:
    text = unicodedata.normalize("NFC", entry["text"])
    source = SourceText(text)
    for pair in pairs(entry):
        found = source.look_up("x", pair.kind, pair.value)  # type: ignore[arg-type]
        if found.status is GroundingStatus.FOUND:
            assert found.offset is not None
            assert found.end is not None
            assert found.quote == text[found.offset : found.end]
            assert found.quote.strip() == found.quote != ""
            assert found.how is not None
            assert 1 <= found.occurrences <= 100
