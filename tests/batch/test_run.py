"""A whole batch against the local service, without Prefect."""

import asyncio
import gc
import os
import pickle
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas

from agent_tasks.batch.circuit_breaker import BatchStoppedError
from agent_tasks.batch.observer import Observer, observed_by
from agent_tasks.batch.records import AllDocumentsFailedError, AnswerRow, BatchSummary, DocumentRow
from agent_tasks.batch.run import PLAIN_STEPS, Steps, _old_objects_left_alone, run_batch
from agent_tasks.batch.workers import Work
from agent_tasks.documents.reading_pool import ReadingPool
from agent_tasks.errors import ConfigurationError
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.steps import Agent
from agent_tasks.steps.answer_types import AnswerType
from agent_tasks.steps.file.agents import FileAgent
from tests.batch.support import PIPELINE, RULES, SMALL, TOOLS, Bench
from tests.support.pdf_files import drawn, filled_with, pdf, scan

MakeBench = Callable[..., Bench]


async def test_every_document_ends_in_one_state(bench: MakeBench) -> None:
    batch = bench()
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5, look up")
    batch.write("b/c.txt", "Paper P-2 of 2026-03-02, total 20")
    batch.write("d.txt", "Paper P-3 of 2026-03-03, total 30, needs repair")
    batch.write("e.txt", "Paper P-4, unclear")
    batch.write("f.txt", "Paper P-5 of 2026-03-05, total 50, disputed")
    batch.write("g.txt", "hopeless")
    batch.write("h.txt", "breaks")
    batch.write("empty.txt", "")
    batch.write("broken.pdf", b"%PDF-1.4 nonsense")
    batch.write("drawing.dwg", b"PK")
    batch.write(".hidden.txt", "Paper")

    summary = await batch.run()

    rows = batch.rows()
    states = {name: row["status"] for name, row in rows.items()}
    assert states == {
        "a.txt": "done",
        "b/c.txt": "done",
        "d.txt": "done",
        "e.txt": "needs_review",
        "f.txt": "needs_review",
        "g.txt": "needs_review",
        "h.txt": "failed",
        "empty.txt": "failed",
        "broken.pdf": "failed",
        "drawing.dwg": "failed",
    }
    assert summary.headline() == "3 done, 3 need review, 4 failed"
    assert rows["a.txt"]["fields"] == {"number": "P-1", "total": 10.5, "issued": "2026-03-01"}
    assert [call["name"] for call in rows["a.txt"]["tool_calls"]] == ["look_up"]
    assert set(rows["d.txt"]["ids"]) == {"extract", "repair-1", "review"}
    assert rows["e.txt"]["reasons"] == ["total 999.0 is not in the document"]
    assert rows["f.txt"]["reasons"] == ["reviewer: The total is disputed."]
    assert "not valid after 1 repair turn: total: Field required" in rows["g.txt"]["reasons"][0]
    assert rows["h.txt"]["error"]["type"].startswith("Run")
    assert rows["empty.txt"]["error"]["type"] == "EmptyDocumentError"
    assert rows["broken.pdf"]["error"]["type"] == "UnreadableDocumentError"
    assert rows["drawing.dwg"]["error"]["type"] == "UnsupportedDocumentError"
    assert rows["g.txt"]["fields"] is None
    assert rows["g.txt"]["answer"]
    assert summary.turns == batch.turns() == 15
    assert summary.usage == summary.usage_total
    assert set(summary.reasons) == {name for name, state in states.items() if state != "done"}


async def test_a_question_is_answered_with_the_names_of_its_sources(bench: MakeBench) -> None:
    batch = bench()
    batch.write("2026/first paper.txt", "Paper P-1 of 2026-03-01, total 10.5 in all.")
    batch.write("second.txt", "Paper P-2 of 2026-03-02, total 20")

    summary = await batch.run()

    [answer] = summary.answers
    assert answer.error is None
    assert "2026/first paper.txt" in answer.sources
    assert "[1]" in answer.answer
    assert "\u3010" not in answer.answer
    report = (batch.out / "report.md").read_text()
    assert "### What is the sum?" in report
    assert "1. 2026/first paper.txt" in report


async def test_an_unchanged_folder_costs_nothing_again(bench: MakeBench) -> None:
    batch = bench()
    for number in (1, 2, 3):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-0{number}, total {number}0")
    batch.write("empty.txt", "")
    first = await batch.run()
    results, report = (batch.out / "results.jsonl").read_bytes(), (batch.out / "report.md").read_bytes()
    requests = len(batch.service.requests())

    second = await batch.run()

    assert len(batch.service.requests()) == requests
    assert (second.turns, second.turns_reused, second.reused) == (0, first.turns, 3)
    assert second.usage.total_tokens == 0
    assert second.usage_total == first.usage_total
    assert (batch.out / "report.md").read_bytes() == report
    rows = results.decode().splitlines()
    again = (batch.out / "results.jsonl").read_text().splitlines()
    assert [row for row in rows if "empty.txt" not in row] == [row for row in again if "empty.txt" not in row]


async def test_old_objects_are_left_out_of_collections_as_long_as_a_batch_runs(bench: MakeBench) -> None:
    """Also one that fails; what is left out for ever would be kept for ever. Others are seldom meanwhile."""
    batch = bench()
    batch.write("empty.txt", "")
    left_out, collected_after, before = [], [], gc.get_threshold()

    class Watcher(Observer):
        def batch_started(self, pipeline: str, folder: str, total: int) -> None:
            left_out.append(gc.get_freeze_count())
            collected_after.append(gc.get_threshold()[0])

    with observed_by(Watcher()), pytest.raises(AllDocumentsFailedError):
        await batch.run()
    assert left_out[0] > 10_000
    assert gc.get_freeze_count() < 10_000
    assert collected_after[0] > before[0] == gc.get_threshold()[0]


@pytest.mark.parametrize("ends_first", [0, 1])
def test_two_batches_of_a_process_leave_the_collector_as_they_found_it(ends_first: int) -> None:
    before = gc.get_threshold()
    batches = [_old_objects_left_alone(), _old_objects_left_alone()]
    for batch in batches:
        batch.__enter__()
    assert gc.get_threshold() != before
    for batch in (batches[ends_first], batches[1 - ends_first]):
        batch.__exit__(None, None, None)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_only_what_changed_is_done_again(bench: MakeBench) -> None:
    batch = bench()
    for number in (1, 2, 3):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-0{number}, total {number}0")
    await batch.run()

    batch.write("2.txt", "Paper P-2 of 2026-03-02, total 99")
    changed = await batch.run()
    assert (changed.reused, changed.turns) == (2, 3)  # extract, review, and the question
    assert batch.rows()["2.txt"]["fields"]["total"] == 99

    (batch.documents / "1.txt").unlink()
    removed = await batch.run()
    assert (removed.total, removed.reused, removed.turns) == (2, 2, 1)
    assert list(batch.rows()) == ["2.txt", "3.txt"]


async def test_another_pipeline_does_everything_again_and_another_question_only_that(
    bench: MakeBench,
) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10")
    await batch.run()

    batch.pipeline = batch.pipeline.replace("What is the sum?", "What is the total?")
    asked = await batch.run()
    assert (asked.reused, asked.turns) == (1, 1)

    batch.pipeline = batch.pipeline.replace("instructions: Extract.", "instructions: Extract well.")
    extracted = await batch.run()
    # The same extraction came out of it, so the review is the one that is known, as is the answer.
    assert (extracted.reused, extracted.turns, extracted.turns_reused) == (0, 1, 2)


async def test_resources_are_deleted_after_success_or_kept(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10")
    await batch.run()
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}

    batch.pipeline += "resources: {on_success: keep}\nrevision: 2\n"
    batch.write("2.txt", "Paper P-2 of 2026-03-02, total 20")
    await batch.run()
    assert batch.left() == {"agents": 3, "files": 2, "stores": 1, "threads": 0}


async def test_all_documents_failed_is_an_error_with_results(bench: MakeBench) -> None:
    batch = bench()
    batch.write("a.txt", "")
    batch.write("b.bin", "x")
    with pytest.raises(AllDocumentsFailedError) as caught:
        await batch.run()
    assert caught.value.summary.failed == 2
    assert len(batch.rows()) == 2
    assert batch.turns() == 0
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - Prefect pickles errors of flows
    assert copy.summary == caught.value.summary


async def test_an_empty_folder_is_fine_and_a_missing_one_is_not(bench: MakeBench) -> None:
    batch = bench()
    summary = await batch.run()
    assert (summary.total, summary.headline()) == (0, "no documents")
    assert batch.rows() == {}
    batch.documents.rmdir()
    with pytest.raises(ConfigurationError, match="not a folder"):
        await batch.run()


async def test_a_service_that_fails_everybody_stops_the_batch(bench: MakeBench) -> None:
    rules = {
        "rules": [
            {
                "reply": {
                    "error": {"code": "rate_limit_exceeded", "message": "Quota. Try again in 86400 seconds."}
                }
            }
        ]
    }
    batch = bench(
        rules=rules,
        pipeline=PIPELINE.replace("concurrency: 2", "concurrency: 1, max_consecutive_failures: 3"),
    )
    for number in range(8):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total 10")
    with pytest.raises(BatchStoppedError, match="3 failures of the same kind"):
        await batch.run()
    assert batch.turns() == 3


WITHOUT_RECOGNITION = """
    from agent_tasks.documents import reading_process
    from agent_tasks.documents.readers import pdf
    pdf.recogniser = lambda: None
    reading_process.main()
"""
WITH_RECOGNITION = """
    from agent_tasks.documents import reading_process
    from agent_tasks.documents.layout import Word
    from agent_tasks.documents.readers import pdf

    class Seeing:
        def words(self, picture, size):
            return [Word("Total", 0.0, 0.0, 9.0, 9.0, box=(0.0, 0.0, 0.1, 0.1))], 0.9

    pdf.recogniser = Seeing
    reading_process.main()
"""


async def test_a_batch_that_is_stopped_writes_what_is_done(bench: MakeBench) -> None:
    error = {"code": "rate_limit_exceeded", "message": "Quota. Try again in 86400 seconds."}
    refuse = {"when": {"message": "total 99"}, "reply": {"error": error}}
    batch = bench(
        rules={"rules": [refuse, *RULES["rules"]]},
        pipeline=PIPELINE.replace("concurrency: 2", "concurrency: 1, max_consecutive_failures: 3"),
    )
    for number in range(8):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total {10 if number < 2 else 99}")
    with pytest.raises(BatchStoppedError):
        await batch.run()
    rows = batch.rows()
    assert [rows[f"{number}.txt"]["status"] for number in range(4)] == ["done", "done", "failed", "failed"]
    assert set(rows) <= {f"{number}.txt" for number in range(5)}
    report = (batch.out / "report.md").read_text()
    assert "The batch was stopped, and not all documents have results" in report


async def test_odd_documents_in_a_row_stop_nothing_and_change_nothing(bench: MakeBench) -> None:
    batch = bench(pipeline=PIPELINE.replace("concurrency: 2", "concurrency: 1, max_consecutive_failures: 2"))
    for number in range(6):
        (batch.documents / f"{number}.pdf").write_bytes(b"%PDF-1.4 odd")
    (batch.documents / "7.txt").symlink_to(batch.documents / "7.txt")
    os.mkfifo(batch.documents / "8.txt")
    batch.write("9.txt", "Paper P-9 of 2026-03-01, total 10")
    summary = await batch.run()
    assert (summary.done, summary.failed) == (1, 8)
    files = [batch.out / "results.jsonl", batch.out / "report.md"]
    before = [file.read_bytes() for file in files]
    await batch.run()
    assert [file.read_bytes() for file in files] == before


async def test_a_document_with_pages_that_are_not_read_needs_review_until_they_are(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def text(canvas: Canvas) -> None:
        canvas.drawString(
            50, 700, "Paper P-1 of 2026-03-01, total 10, with more words than a stamp on a scan"
        )

    batch = bench()
    (batch.documents / "a.pdf").write_bytes(drawn(text, filled_with(scan(["Total 7"]))))
    without = (sys.executable, "-P", "-c", textwrap.dedent(WITHOUT_RECOGNITION))
    monkeypatch.setattr("agent_tasks.batch.readings.shared_pool", lambda: ReadingPool(1, command=without))
    await batch.run()
    row = batch.rows()["a.pdf"]
    assert row["status"] == "needs_review"
    assert "page 2 of 2: a picture" in row["reasons"][0]
    assert row["unread"] == row["reasons"]
    assert row["grounding"][0]["places"][0]["page"] == 1
    before = (batch.out / "results.jsonl").read_bytes()
    turns = batch.turns()
    await batch.run()
    assert (batch.turns(), (batch.out / "results.jsonl").read_bytes()) == (turns, before)

    seeing = (sys.executable, "-P", "-c", textwrap.dedent(WITH_RECOGNITION))
    monkeypatch.setattr("agent_tasks.batch.readings.shared_pool", lambda: ReadingPool(1, command=seeing))
    await batch.run()
    row = batch.rows()["a.pdf"]
    assert (row["status"], row["unread"]) == ("done", [])
    assert row["notes"] == ["The text of page 2 was recognised in a picture; at the least, it is 90% sure."]


async def test_a_prompt_may_take_some_pages_of_a_long_document(bench: MakeBench) -> None:
    batch = bench(
        pipeline=PIPELINE.replace("{{ document.text }}", "{{ document.pages[:1] | join }}").replace(
            "concurrency: 2", "concurrency: 2, max_document_tokens: 100"
        )
    )
    long = ["nothing of interest " * 20] * 30
    (batch.documents / "a.pdf").write_bytes(pdf(["Paper P-1 of 2026-03-01, total 10"], long, long))
    await batch.run()
    assert batch.rows()["a.pdf"]["status"] == "done"


async def test_a_missing_deployment_stops_the_batch_at_the_first_document(bench: MakeBench) -> None:
    error = {"code": "invalid_engine_error", "message": "Failed to resolve model info."}
    batch = bench(rules={"rules": [{"reply": {"error": error}}]})
    for number in range(8):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total 10")
    with pytest.raises(ConfigurationError, match="MODEL_DEPLOYMENT_NAME"):
        await batch.run()
    assert batch.turns() <= 2  # those in flight together


async def test_two_processes_do_not_work_on_one_batch(bench: MakeBench) -> None:
    batch = bench(rules={"rules": [{"reply": {"json": {"number": "P-1"}}, "delay": 1.0}]}, pipeline=SMALL)
    batch.write("1.txt", "P-1")
    outcomes = await asyncio.gather(batch.run(), batch.run(), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BatchSummary", "JournalError"]
    assert batch.turns() == 1


async def test_results_among_the_documents_are_refused(bench: MakeBench) -> None:
    batch = bench(pipeline=SMALL)
    batch.out = batch.documents
    with pytest.raises(ConfigurationError, match="another folder"):
        await batch.run()


async def test_long_outputs_of_tools_are_shortened_in_the_row(bench: MakeBench) -> None:
    batch = bench(tools=TOOLS.replace('"known": "yes"', '"known": "yes" * 1000'))
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5, look up")
    await batch.run()
    [call] = batch.rows()["1.txt"]["tool_calls"]
    assert len(call["output"]) == 2003


async def test_a_failure_is_paid_for_again_only_if_it_may_pass(bench: MakeBench) -> None:
    throttled = {"code": "rate_limit_exceeded", "message": "Quota. Try again in 86400 seconds."}
    rules = {
        "rules": [
            {"when": {"message": "refused", "call": 1}, "reply": {"error": {"code": "content_filter"}}},
            {"when": {"message": "throttled", "call": 1}, "reply": {"error": throttled}},
            {"reply": {"json": {"number": "P-1"}}},
        ]
    }
    batch = bench(rules=rules, pipeline=SMALL)
    batch.write("1.txt", "P-1 refused")
    batch.write("2.txt", "P-1 throttled")
    batch.write("3.txt", "P-1")
    assert (await batch.run()).headline() == "1 done, 0 need review, 2 failed"

    again = await batch.run()
    assert (again.headline(), again.turns) == ("2 done, 0 need review, 1 failed", 1)

    batch.pipeline += "limits: {max_completion_tokens: 999}\n"  # a reason to try the failed one again
    third = await batch.run()
    assert (third.headline(), third.turns, third.reused) == ("3 done, 0 need review, 0 failed", 1, 2)


async def test_a_review_that_is_cut_off_leaves_the_extraction_to_a_person(bench: MakeBench) -> None:
    rules = {
        "rules": [
            {"when": {"schema": "review"}, "reply": {"text": '{"approved": tr'}, "finish": "length"},
            {"reply": {"json": {"number": "P-1"}}},
        ]
    }
    batch = bench(rules=rules, pipeline=SMALL.replace("extractor: {}", "extractor: {}, reviewer: {}"))
    batch.write("1.txt", "P-1")
    await batch.run()
    row = batch.rows()["1.txt"]
    assert (row["status"], row["fields"]) == ("needs_review", {"number": "P-1"})
    assert row["reasons"][0].startswith("the review was interrupted")


async def test_unchanged_documents_cost_no_task_run(bench: MakeBench) -> None:
    batch = bench()
    for number in range(5):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total 10")
    assert (await batch.run()).done == 5
    labels: list[str] = []

    async def process(work: Work, label: str) -> None:
        labels.append(label)
        await work()

    steps = Steps(process, PLAIN_STEPS.answer, PLAIN_STEPS.publish)

    async def again() -> BatchSummary:
        async with batch.workspace() as ws:
            plan = load_pipeline(batch.pipeline_file)
            return await run_batch(ws, plan, batch.documents, batch.out, steps=steps)

    summary = await again()
    assert (summary.done, summary.reused, summary.turns, labels) == (5, 5, 0, [])
    for number in (0, 2, 4):  # of three chunks
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total 11")
    summary = await again()
    assert (summary.done, summary.reused, labels) == (5, 2, ["1-2", "3-3"])


async def test_an_observer_hears_of_everything(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10")
    batch.write("2.txt", "")
    heard: list[str] = []

    class Watcher(Observer):
        def batch_started(self, pipeline: str, folder: str, total: int) -> None:
            heard.append(f"{pipeline} {total}")

        def step_started(self, name: str, step: str) -> None:
            heard.append(f"{name} {step}")

        def document_finished(self, row: DocumentRow, *, reused: bool, by_other: bool = False) -> None:
            heard.append(f"{row.document} {row.status.value} {reused}")

        def answer_finished(self, row: AnswerRow, *, reused: bool) -> None:
            heard.append(f"{row.id} {reused}")

        def batch_finished(self, summary: BatchSummary) -> None:
            heard.append(summary.headline())

    with observed_by(Watcher()):
        await batch.run()
    assert heard[0] == "papers 2"
    assert {"1.txt extract", "1.txt review", "1.txt done False", "2.txt failed False", "sum False"} < set(
        heard
    )
    assert heard[-1] == "1 done, 0 need review, 1 failed"


async def test_conversations_are_deleted_together_beside_the_work_on_others(bench: MakeBench) -> None:
    """A slot is free for the next document when a row is committed, not when its conversations are gone."""
    batch = bench(pipeline=SMALL + "limits: {concurrency: 1, chunk_size: 25}\n")
    for number in range(25):
        batch.write(f"{number:02}.txt", f"Paper P-{number} of 2026-03-01, total {number}.5")
    await batch.run()
    operations = [row["operation"] for row in batch.service.requests()]
    turns = [at for at, operation in enumerate(operations) if operation == "runs.create_thread_and_run"]
    deleted = [at for at, operation in enumerate(operations) if operation == "threads.delete"]
    assert len(turns) == len(deleted) == 25
    # Nothing is deleted before the conversations of twenty are there, and then beside the turns that follow.
    assert turns[19] < deleted[0]
    assert turns[24] < deleted[24]
    assert batch.left()["threads"] == 0


@pytest.mark.parametrize(("option", "status"), [("", "done"), (", ambiguous: review", "needs_review")])
async def test_an_ambiguous_date_is_shown_or_looked_at(bench: MakeBench, option: str, status: str) -> None:
    answer = {"number": "P-8", "total": 10, "issued": "2026-04-03"}
    rule = {"when": {"schema": "paper", "message": "P-8"}, "reply": {"json": answer}}
    field = "issued: {type: date, optional: true"
    assert field in PIPELINE
    batch = bench(
        pipeline=PIPELINE.replace(field, field + option), rules={**RULES, "rules": [rule, *RULES["rules"]]}
    )
    batch.write("a.txt", "Paper P-8 of 03/04/2026, total 10")
    await batch.run()
    row = batch.rows()["a.txt"]
    doubt = "issued '2026-04-03' is ambiguous: 03/04/2026 may be 2026-03-04 or 2026-04-03"
    assert (row["status"], row["reasons"], row["notes"]) == (
        (status, [doubt], []) if option else (status, [], [doubt])
    )
    assert "03/04/2026 may be 2026-03-04 or 2026-04-03" in (batch.out / "report.md").read_text()


async def test_the_agents_of_a_batch_are_made_once_whatever_many_documents(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session keeps what it finds out about an agent: one for each document would fill the memory."""
    made: list[str] = []
    make = FileAgent._made

    def counted(agent: FileAgent, answer: AnswerType[Any]) -> Agent[Any]:
        made.append(agent.key)
        return make(agent, answer)

    monkeypatch.setattr(FileAgent, "_made", counted)
    batch = bench()
    for number in range(6):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total {number}")
    await batch.run()
    assert sorted(made) == sorted(set(made))
    assert len(batch.rows()) == 6
