"""A decision about a document survives `kill -9` of the desk and of the run, and takes effect once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.counts import counted
from tests.durability.effects import duplicate_effects
from tests.durability.review_process import person, run

PIPELINE = """\
name: papers
model: m
agents: {extractor: {}}
output: {fields: {number: string}}
"""
RULES: dict[str, Any] = {
    "rules": [{"when": {"message": "They say: Look again"}, "reply": {"json": {"number": "P-1"}}}],
    "default": {"reply": {"json": {"number": "P-9"}}},
}


@pytest.mark.timeout(240)
def test_killed_at_every_point_a_document_is_decided_once(
    service: ServiceFactory, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    endpoint = service(rules=RULES).endpoint
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("Paper P-1")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    log = ServiceLog(endpoint)

    def row() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((tmp_path / "out" / "results.jsonl").read_text())
        return found

    def said(name: str, kind: str) -> Any:
        return run_coroutine(person, journal, name, kind).result

    def ran() -> Any:
        return run_coroutine(run, endpoint, journal, str(tmp_path)).result

    assert ran() == "0 done, 1 need review, 0 failed".replace("1 need", "1 needs")
    kill_at("review.deciding", person, journal, "Ann", "approve")
    kill_at("review.decided", person, journal, "Ann", "approve")
    assert row()["status"] == "needs_review"  # committed, and not in the results yet
    assert "was approved by Ann" in said("Bob", "correct")
    assert said("Ann", "approve") == "approve by Ann, undone by None"
    assert row()["status"] == "done"

    kill_at("review.undoing", person, journal, "Ann", "undo")
    kill_at("review.undone", person, journal, "Ann", "undo")
    assert said("Ann", "undo") == "approve by Ann, undone by Ann"
    assert row()["status"] == "needs_review"

    kill_at("review.published", person, journal, "Ann", "correct")
    assert (row()["status"], row()["decision"]["corrected"]) == ("done", ["number"])
    assert said("Ann", "undo") == "correct by Ann, undone by Ann"

    kill_at("review.decided", person, journal, "Ann", "send back")
    turns = len(log.requests("runs.create_thread_and_run"))
    kill_at("turn.started", run, endpoint, journal, str(tmp_path))
    assert ran() == "1 done, 0 need review, 0 failed"
    assert "a run has begun with it" in said("Ann", "undo")
    assert ran() == "1 done, 0 need review, 0 failed"
    assert len(log.requests("runs.create_thread_and_run")) == turns + 1
    assert row()["fields"] == {"number": "P-1"}

    duplicates, verdict = duplicate_effects(log.requests()), log.verdict()
    points = {f"review.{name}" for name in ("deciding", "decided", "undoing", "undone", "published")}
    counted(pytestconfig).add(
        points=points, kills=7, duplicates=len(duplicates), leaks=verdict["left_over"]["count"]
    )
    assert duplicates == []
    assert verdict["ok"], verdict
