"""`agent-tasks review`: listing, showing and deciding, in the journal alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from tests.batch.conftest import bench
from tests.batch.support import Bench
from tests.review.support import unclear

__all__ = ["bench"]

RUNNER = CliRunner()


def test_a_document_is_listed_shown_and_decided_on(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    batch = bench()
    asyncio.run(unclear(batch))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", batch.journal_url)
    monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.setattr("agent_tasks.prefect.blocks.local_scope", lambda settings: "test")

    def told(*words: str, code: int = 0) -> str:
        ended = RUNNER.invoke(app, ["review", *words])
        assert ended.exit_code == code, ended.output
        return " ".join(ended.output.split())

    assert "No document waits" in told("list", "--field", "issued")
    [item] = json.loads(RUNNER.invoke(app, ["review", "list", "--json"]).stdout)
    assert (item["document"], item["doubtful"]) == ("b.txt", ["total"])
    shown = told("show", "b.txt")
    assert "total: 999.0 - not found" in shown
    assert "number: P-4 - found" in shown
    told("correct", "b.txt", "--set", "total", code=2)
    assert "total: write the number" in told("correct", "b.txt", "--set", "total=x", code=1)
    assert "correct by Ann" in told("correct", item["id"][:8], "--set", "total=44.00", "--by", "Ann")
    assert batch.rows()["b.txt"]["decision"]["corrected"] == ["total"]
    assert "taken back by Ann" in told("undo", "b.txt", "--by", "Ann")
    assert "sent back" not in told("list")
    told("send-back", "b.txt", "--note", "Look at the sum.", "--by", "Ann")
    assert "sent back" in told("list", "--all")
    told("undo", "b.txt", "--by", "Ann")
    told("reject", "b.txt", "--by", "Ann", "--note", "No paper.")
    assert "was rejected by Ann" in told("approve", "b.txt", "--by", "Bob", code=1)
    assert batch.rows()["b.txt"]["status"] == "rejected"
    assert "No document" in told("show", "c.txt", code=1)
