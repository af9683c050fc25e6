"""Documents that wait for a person: the batch ends, a decision is taken on by the next run, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.batch.records import AllDocumentsFailedError
from agent_tasks.journal import DecisionState
from agent_tasks.operations import decide, list_questions
from agent_tasks.testing import kill_at
from tests.batch.support import Bench
from tests.batch.test_attachments import with_attached
from tests.support.pdf_files import pdf
from tests.support.postgresql import PostgresServer

MakeBench = Callable[..., Bench]
LETTERS = """\
name: papers
model: test-model
agents:
  clerk: {instructions: Write letters.}
steps:
  - {id: draft, agent: clerk, prompt: "Draft: {{ document.text }}"}
  - id: release
    approve: "Send [it] | {{ document.text }}?"
    show: "{{ draft }}"
    when: "'ask' in document.text"
  - {id: sent, agent: clerk, prompt: Send it., follows: draft}
"""
"""A letter is drafted; a person is asked if the document says so; it is sent, in the same conversation."""

RULES: dict[str, Any] = {
    "rules": [{"when": {"message": "Send it"}, "reply": {"text": "Sent."}}],
    "default": {"reply": {"text": "Dear [Sir] | <b>\nPlease pay."}},
}


def limited(limit: str, policy: str) -> str:
    """The pipeline with a time limit."""
    return LETTERS.replace("    show:", f"    time_limit: {limit}\n    at_limit: {policy}\n    show:")


@pytest.fixture(params=["sqlite", "postgresql"])
async def both(request: pytest.FixtureRequest, bench: MakeBench) -> Bench:
    made = bench(rules=RULES, pipeline=LETTERS)
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgresql")
        url = await server.new_database()
        made.__class__ = type("PostgresBench", (Bench,), {"journal_url": property(lambda self: url)})
    return made


def states(bench: Bench) -> dict[str, str]:
    return {name: row["status"] for name, row in bench.rows().items()}


async def decided(bench: Bench, *, approved: bool = True, by: str = "Ann", note: str = "") -> None:
    async with bench.workspace() as ws:
        for question in await list_questions(ws):
            await decide(ws, question.key, approved=approved, by=by, note=note)


@pytest.mark.timeout(120)
async def test_a_batch_ends_and_the_next_run_takes_on_what_was_decided(both: Bench) -> None:
    both.write("a.txt", "Paper P-1 ask")
    both.write("b.txt", "Paper P-2")
    summary = await both.run()

    assert (summary.done, summary.waiting, summary.failed) == (1, 1, 0)
    assert summary.headline() == "1 done, 1 waiting, 0 need review, 0 failed"
    row = both.rows()["a.txt"]
    assert (row["status"], row["error"], row["turns"]) == ("waiting", None, 1)
    [awaited] = row["waiting"]
    assert (awaited["step"], awaited["expires_at"]) == ("release", None)
    assert f"agent-tasks approvals show {awaited['key'][:8]}" in row["reasons"][0]
    report = (both.out / "report.md").read_text()
    assert "## Waiting for a person" in report
    assert r"| a.txt | Send \[it\] \| Paper P-1 ask? |" in report.replace("a\\.txt", "a.txt")
    assert both.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 1}

    turns, files = both.turns(), [both.out / "results.jsonl", both.out / "report.md"]
    before = [file.read_bytes() for file in files]
    again = await both.run()
    assert (again.reused, again.waiting, again.turns, both.turns()) == (2, 1, 0, turns)
    assert [file.read_bytes() for file in files] == before

    await decided(both)
    summary = await both.run()
    assert states(both) == {"a.txt": "done", "b.txt": "done"}
    assert (summary.done, summary.waiting, summary.turns, both.turns()) == (2, 0, 1, turns + 1)
    assert both.rows()["a.txt"]["waiting"] == []
    assert "Waiting" not in (both.out / "report.md").read_text()
    assert both.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    assert len(both.service.requests("threads.create")) == 0
    assert (await both.run()).reused == 2
    assert both.turns() == turns + 1


@pytest.mark.timeout(120)
async def test_a_rejection_is_for_review(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=LETTERS)
    batch.write("a.txt", "Paper P-1 ask")
    await batch.run()
    await decided(batch, approved=False, note="Not now.")
    await batch.run()
    row = batch.rows()["a.txt"]
    assert (row["status"], row["reasons"]) == ("needs_review", ["release was rejected by Ann: Not now."])
    assert batch.turns() == 1
    assert batch.left()["threads"] == 0


@pytest.mark.timeout(120)
async def test_a_conversation_that_is_gone_meanwhile_is_told_anew(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=LETTERS)
    batch.write("a.txt", "Paper P-1 ask")
    await batch.run()
    with batch.service.http() as http:
        for thread in http.get("/threads").json()["data"]:
            http.delete(f"/threads/{thread['id']}")
    await decided(batch)
    assert (await batch.run()).done == 1
    assert len(batch.service.requests("runs.create_thread_and_run")) == 2
    assert batch.left()["threads"] == 0


@pytest.mark.timeout(120)
async def test_a_time_limit_that_passed_between_runs_decides(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=limited("0.0001 minutes", "reject"))
    batch.write("a.txt", "Paper P-1 ask")
    assert (await batch.run()).waiting == 1
    assert (await batch.run()).needs_review == 1
    assert batch.rows()["a.txt"]["reasons"] == ["release was rejected by its time limit"]


@pytest.mark.timeout(120)
async def test_another_time_limit_counts_while_nobody_has_decided(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=limited("0.0001 minutes", "fail"))
    batch.write("a.txt", "Paper P-1 ask")
    assert (await batch.run()).waiting == 1
    with pytest.raises(AllDocumentsFailedError):
        await batch.run()
    assert batch.rows()["a.txt"]["error"]["type"] == "DecisionExpiredError"
    batch.pipeline = limited("2 hours", "fail")
    assert (await batch.run()).waiting == 1
    batch.pipeline = limited("0.0001 minutes", "approve")
    assert (await batch.run()).done == 1
    assert batch.turns() == 2


@pytest.mark.timeout(120)
async def test_questions_of_documents_that_changed_or_left_are_withdrawn(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=LETTERS)
    for name in ("a", "b", "c"):
        batch.write(f"{name}.txt", f"Paper P-{name} ask")
    await batch.run()
    batch.write("a.txt", "Paper P-1 ask again")
    batch.write("b.txt", "Paper P-2")
    (batch.documents / "c.txt").unlink()
    await batch.run()
    assert states(batch) == {"a.txt": "waiting", "b.txt": "done"}
    async with batch.workspace() as ws:
        found = await list_questions(ws, states=())
    assert sorted((one.owner[-5:], one.state) for one in found) == [
        ("a.txt", DecisionState.WAITING),
        ("a.txt", DecisionState.WITHDRAWN),
        ("b.txt", DecisionState.WITHDRAWN),
        ("c.txt", DecisionState.WITHDRAWN),
    ]
    assert batch.left()["threads"] == 2  # both of a.txt, until it has its state


@pytest.mark.timeout(120)
async def test_an_attachment_waits_by_itself(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=LETTERS)
    (batch.documents / "a.pdf").write_bytes(with_attached(pdf(["Paper P-1"]), b_txt=b"Paper P-2 ask"))
    await batch.run()
    assert states(batch) == {"a.pdf": "done", "a.pdf/b.txt": "waiting"}
    turns = batch.turns()
    assert (await batch.run()).reused == 2
    await decided(batch)
    await batch.run()
    assert states(batch) == {"a.pdf": "done", "a.pdf/b.txt": "done"}
    assert batch.turns() == turns + 1
    assert batch.left()["threads"] == 0


async def run_once(endpoint: str, folder: str) -> str:
    """The batch in a child process; returns what it came to."""
    bench = object.__new__(Bench)
    bench.__dict__.update(
        folder=Path(folder), pipeline=LETTERS, documents=Path(folder) / "documents", out=Path(folder) / "out",
        pipeline_file=Path(folder) / "pipeline.yaml",
        service=type("Running", (), {"endpoint": endpoint})(),
    )  # fmt: skip
    return (await bench.run()).headline()


@pytest.mark.timeout(300)
async def test_killed_around_the_decision_no_turn_is_made_again(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=LETTERS)
    batch.write("a.txt", "Paper P-1 ask")
    given = batch.service.endpoint, str(batch.folder)
    kill_at("decision.asked", run_once, *given)
    kill_at("batch.document", run_once, *given)
    assert (await batch.run()).waiting == 1
    await decided(batch)
    kill_at("decision.taken", run_once, *given)
    kill_at("turn.committed", run_once, *given)
    assert (await batch.run()).done == 1
    assert batch.turns() == 2
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
