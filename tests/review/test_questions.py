"""Questions of own flows and of MCP calls at the desk: by page, command and Python, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks import review
from agent_tasks.cli.app import app
from agent_tasks.errors import AlreadyDecidedError, DocumentHeldError, WaitingForPersonError
from agent_tasks.operations import ask_person
from agent_tasks.testing import kill_at, run_coroutine
from tests.batch.support import Bench
from tests.batch.test_waiting import RULES as LETTER_RULES
from tests.batch.test_waiting import limited
from tests.durability import review_process
from tests.review.pages import Browser, browser_of
from tests.review.support import desk_of
from tests.support.mcp_server import McpLedger, mcp_ledger

MakeBench = Callable[..., Bench]
SCRIPT = "<script>alert('x')</script>"
WRITING = """\
name: papers
model: test-model
agents:
  clerk:
    instructions: Write it down.
    tools:
      - {{mcp: "{url}", label: ledger, approve: person, time_limit: {limit}}}
steps:
  - {{id: write, agent: clerk, prompt: "Write: {{{{ document.text }}}}"}}
"""
WRITE = {"name": "write", "arguments": {"line": SCRIPT}}
WRITE_RULES: dict[str, Any] = {
    "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": [WRITE]}}],
    "default": {"reply": {"text": "It says: {{ tool_results | join(' and ') }}"}},
}


@pytest.fixture
def ledger() -> Iterator[McpLedger]:
    with mcp_ledger() as running:
        yield running


async def asked(bench: Bench, question: str = "Pay it?", limit: timedelta | None = None) -> None:
    async with bench.workspace() as ws:
        await ask_person(
            ws, owner="payments/a", step="pay", question=question, shown=SCRIPT, time_limit=limit,
            at_limit="reject",
        )  # fmt: skip


async def answered(browser: Browser, key: str, what: str, **fields: str) -> Any:
    page = await browser.get(f"/questions/{key}")
    seen = page.split('name="seen" value="')[1].split('"')[0]
    data = {"csrf": browser.csrf, "seen": seen, "do": what, **fields}
    return await browser.http.post(f"/questions/{key}/decide", data=data)


async def test_a_question_of_a_flow_is_answered_by_the_page_once(bench: MakeBench) -> None:
    batch = bench()
    with pytest.raises(WaitingForPersonError):
        await asked(batch, f"Pay {SCRIPT}?")
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [question] = await review.list_questions(desk)
        queue = await ann.get("/")
        assert "and 1 question of flows" in queue
        page = await ann.get(f"/questions/{question.key}")
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page + queue
        with pytest.raises(DocumentHeldError, match="Ann looks at"):
            await review.answer(desk, question, approved=False, by="Bob")
        assert (await answered(ann, question.key, "approve", seen="other")).status_code == 409
        done = await answered(ann, question.key, "approve", note="Fine.")
        assert (done.status_code, done.headers["location"]) == (303, f"/questions/{question.key}")
        again = await answered(ann, question.key, "approve", note="Fine.")  # the same, by a second click
        assert again.status_code == 303
        late = await answered(ann, question.key, "reject")
        assert late.status_code == 409
        assert "was approved by Ann" in late.text
        with pytest.raises(AlreadyDecidedError, match="was approved by Ann"):
            await review.answer(desk, question, approved=False, by="Bob")
        queue = await ann.get("/")
        assert "Answered; what asked goes on when it is run again" in queue
        assert "questions of flows" not in queue
        assert await review.list_questions(desk) == []
        await asked(batch, f"Pay {SCRIPT}?")  # it goes on
        assert await review.decided_questions(desk) == []


async def test_a_time_limit_that_passes_while_nothing_runs_is_shown(bench: MakeBench) -> None:
    batch = bench(rules=LETTER_RULES, pipeline=limited("0.005 minutes", "reject"))
    batch.write("a.txt", "Paper P-1 ask")
    await batch.run()
    with pytest.raises(WaitingForPersonError):
        await asked(batch, limit=timedelta(seconds=0.1))
    await asyncio.sleep(0.4)
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        queue = await ann.get("/")
        assert queue.count("by <bdi>its time limit</bdi>") == 2
        [item] = await review.list_items(desk, everything=True)
        page = await ann.get(f"/items/{item.key}")
        assert "by <bdi>its time limit</bdi>. The next run goes on with it." in page
        assert '<fieldset class="decision" disabled>' in page
        own = next(one for one in await review.decided_questions(desk) if one.owner == "payments/a")
        assert "Rejected," in await ann.get(f"/questions/{own.key}")
        assert (await answered(ann, own.key, "approve")).status_code == 409
    await batch.run()
    assert batch.rows()["a.txt"]["status"] == "needs_review"
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        assert "release was rejected by its time limit" in await ann.get("/")


async def test_a_call_of_an_mcp_server_is_decided_at_the_desk_two_restarts_later(
    bench: MakeBench, ledger: McpLedger
) -> None:
    batch = bench(rules=WRITE_RULES, pipeline=WRITING.format(url=ledger.url, limit="2 days"))
    batch.write("a.txt", "Paper P-1")
    assert (await batch.run()).waiting == 1
    summary = await batch.run()  # nothing decided: nothing is asked of anybody
    assert (summary.waiting, summary.turns, batch.turns()) == (1, 0, 1)
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        page = await ann.get(f"/items/{item.key}")
        assert "May the agent call write of the MCP server ledger?" in page
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page
        assert "then: reject" in page
        assert await review.list_questions(desk) == []  # it is the document's
    async with desk_of(batch) as desk:
        await review.approve(desk, await review.find_item(desk, "a.txt"), by="Ann", note="Once.")
    assert ledger.written == {}
    assert (await batch.run()).done == 1
    assert ledger.written == {SCRIPT: 1}
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}


@pytest.mark.timeout(240)
def test_a_desk_or_worker_that_is_killed_changes_nothing(bench: MakeBench, ledger: McpLedger) -> None:
    batch = bench(rules=WRITE_RULES)
    batch.write("a.txt", "Paper P-1")
    batch.pipeline_file.write_text(WRITING.format(url=ledger.url, limit="2 days"))
    given = batch.service.endpoint, batch.journal_url, str(batch.folder)

    kill_at("decision.asked", review_process.run, *given)
    assert "1 waiting" in run_coroutine(review_process.run, *given).result
    kill_at("review.decided", review_process.person, batch.journal_url, "Ann", "approve")
    said = run_coroutine(review_process.person, batch.journal_url, "Ann", "approve").result
    assert said.startswith("approve by Ann")
    kill_at("approvals.submitted", review_process.run, *given)
    assert "1 done" in run_coroutine(review_process.run, *given).result
    assert ledger.written == {SCRIPT: 1}
    assert batch.turns() == 1


def test_the_same_by_command(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = bench()
    with pytest.raises(WaitingForPersonError):
        asyncio.run(asked(batch))
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", batch.journal_url)
    monkeypatch.setattr("agent_tasks.prefect.blocks.local_scope", lambda settings: "test")
    monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)

    def said(*words: str) -> Any:
        return CliRunner().invoke(app, ["review", *words])

    [listed] = json.loads(said("list", "--json").stdout)
    assert (listed["question"], listed["owner"]) == ("Pay it?", "payments/a")
    assert "Pay it?" in said("list").output
    assert json.loads(said("list", "--json", "--pipeline", "papers").stdout) == []
    key = listed["id"][:10]
    assert "<script>" in said("show", key).output  # a terminal shows texts as they are, on lines of their own
    assert said("reject", key, "--by", "Ann", "--note", "No.").exit_code == 0
    assert json.loads(said("list", "--json").stdout) == []
    assert said("approve", key, "--by", "Bob").exit_code == 1
    assert said("correct", key, "--set", "total=1").exit_code == 1
