"""A batch of 300 documents with planted errors, really run: its figures, counted apart, and its threshold."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.cli.evaluate import evaluate_run
from tests.batch.conftest import bench
from tests.batch.support import Bench

__all__ = ["bench"]

DOCUMENTS = 300
RATE = 0.06
STATES = ("done", "needs_review", "failed")
FIELDS = ("number", "total", "issued")
PIPELINE = """\
name: papers
model: test-model
agents:
  extractor: {instructions: Extract., prompt: "{{ document.text }}"}
output:
  name: paper
  fields:
    number: string
    total: {type: number, minimum: 0}
    issued: {type: date, optional: true}
limits: {concurrency: 16, chunk_size: 300, repair_turns: 1}
"""
_TEXT = r"Paper (?P<number>\S+) of (?P<issued>\S+), total (?P<total>[\d.]+), net (?P<net>[\d.]+)"
_RIGHT = {
    "number": "{{ groups.number }}", "total": "{{ groups.total | float }}", "issued": "{{ groups.issued }}"
}  # fmt: skip


def _rule(said: str, reply: dict[str, Any]) -> dict[str, Any]:
    return {"when": {"schema": "paper", "message": said}, "reply": reply}


# What goes wrong is planted: the net amount for the total, a date that is overlooked, a total that is
# nowhere, an answer that has to be repaired (and is wrong then or not), a refusal.
RULES: dict[str, Any] = {
    "rules": [
        _rule(
            r"^Your answer was not valid", {"json": {"number": "P-3", "total": 30, "issued": "2026-03-03"}}
        ),
        _rule("repair", {"json": {"number": "P-3", "total": "a lot", "issued": None}}),
        _rule("refused", {"error": {"code": "content_filter", "message": "Refused."}}),
        _rule("swapped; " + _TEXT, {"json": _RIGHT | {"total": "{{ groups.net | float }}"}}),
        _rule("missed; " + _TEXT, {"json": _RIGHT | {"issued": None}}),
        _rule("invented; " + _TEXT, {"json": _RIGHT | {"total": 99999.0}}),
        _rule(_TEXT, {"json": _RIGHT}),
    ]
}
PLANTED = {
    "swapped": 0.06, "missed": 0.05, "invented": 0.04, "repair": 0.04, "repair, wrong": 0.03, "refused": 0.02,
}  # fmt: skip


def written(batch: Bench) -> dict[str, dict[str, Any]]:
    """The documents, and what is right for each."""
    chance = random.Random(7)
    truth: dict[str, dict[str, Any]] = {}
    for number in range(DOCUMENTS):
        kind = next(iter(chance.choices([*PLANTED, ""], [*PLANTED.values(), 1 - sum(PLANTED.values())])))
        net = round(chance.uniform(10, 900), 2)
        right: dict[str, Any] = {
            "number": f"P-{number + 1000}",
            "total": round(net * 1.19, 2),
            "issued": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        }
        if kind.startswith("repair"):
            right = {"number": "P-3", "total": 31 if "wrong" in kind else 30, "issued": "2026-03-03"}
            net = 30.0
        name = f"{number:03}.txt"
        paid = f" Paid: {net}, {net}." if kind == "swapped" else ""
        text = (
            f"{kind}; Paper {right['number']} of {right['issued']}, total {right['total']}, net {net}.{paid}"
        )
        batch.write(name, text)
        truth[name] = right
    return truth


def judged(out: Path, truth: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures of a run, counted by nothing but this."""
    rows = {row["document"]: row for row in map(json.loads, (out / "results.jsonl").read_text().splitlines())}
    hits = dict.fromkeys(FIELDS, 0)
    given = dict.fromkeys(FIELDS, 0)
    right_documents, tokens = set(), 0
    for name, right in truth.items():
        found = rows[name]["fields"] or {}
        tokens += rows[name]["usage"]["total_tokens"]
        for field in FIELDS:
            given[field] += found.get(field) is not None
            hits[field] += found.get(field) == right[field]
        if all(found.get(field) == right[field] for field in FIELDS):
            right_documents.add(name)
    in_state = {state: {n for n in truth if rows[n]["status"] == state} for state in STATES}
    return {
        "precision": {field: hits[field] / given[field] for field in FIELDS},
        "recall": {field: hits[field] / len(truth) for field in FIELDS},
        "right": len(right_documents),
        "done": len(in_state["done"]),
        "done_wrong": len(in_state["done"] - right_documents),
        "for_people": len(in_state["needs_review"]),
        "failed": len(in_state["failed"]),
        "tokens": tokens,
        "tokens_per_right_document": tokens / len(in_state["done"] & right_documents),
    }


def truth_file(path: Path, truth: dict[str, dict[str, Any]]) -> Path:
    lines = [json.dumps({"document": name, "fields": right}) + "\n" for name, right in truth.items()]
    path.write_text("".join(lines))
    return path


def evaluated(batch: Bench, truth: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    out = batch.folder / name
    file = truth_file(batch.folder / f"{name}.jsonl", truth)
    evaluate_run(batch.out, file, out=out, against=None, compare=[], require=[], rate=RATE)
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    return found


@pytest.mark.timeout(300)
async def test_figures_equal_an_independent_count_and_the_threshold_keeps_its_promise(
    bench: Callable[..., Bench],
) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE)
    truth = written(batch)
    await batch.run()
    counted, found = judged(batch.out, truth), evaluated(batch, truth, "all")
    scores = {one["field"]: one for one in found["fields"]}
    for field in FIELDS:
        for figure in ("precision", "recall"):
            assert math.isclose(scores[field][figure], counted[figure][field]), (field, figure)
    figures = ("right", "done", "done_wrong", "for_people", "failed", "tokens", "tokens_per_right_document")
    assert {name: found[name] for name in figures} == {name: counted[name] for name in figures}
    assert found["done_wrong_share"] > RATE  # without a threshold the rate is not kept
    assert counted["for_people"] > 10
    assert counted["failed"] > 0

    learned = found["confidence"]["calibration"]
    off = sum(one["values"] * abs(one["confidence"] - one["right"]) for one in learned["bins"])
    assert math.isclose(learned["ece"], off / sum(one["values"] for one in learned["bins"]))
    report = (batch.folder / "all" / "evaluation.md").read_text()
    assert f"Brier score {learned['brier']:.4f}" in report
    assert "reliability.svg" in report

    # The pipeline takes what one half has taught; the other half is counted.
    halves = [dict(list(truth.items())[start::2]) for start in (0, 1)]
    learned = evaluated(batch, halves[0], "half")["confidence"]
    assert learned["proposal"]["threshold"] is not None
    (batch.folder / "confidence.json").write_text((batch.folder / "half" / "confidence.json").read_text())
    batch.pipeline += "confidence: {file: confidence.json}\n"
    turns = batch.turns()
    await batch.run()
    assert batch.turns() == turns + counted["failed"]  # what is paid for is not asked again
    kept = judged(batch.out, halves[1])
    assert kept["done"] > len(halves[1]) / 2
    assert kept["done_wrong"] / kept["done"] <= RATE
    before = counted["done_wrong"] / counted["done"]
    assert kept["done_wrong"] / kept["done"] < before
