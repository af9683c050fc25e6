"""Decisions about documents: what each does to the row, the results, the next run; and undoing it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks import review
from agent_tasks.errors import (
    AlreadyDecidedError,
    ConfigurationError,
    CorrectionError,
    DecisionGoneOnError,
    DocumentHeldError,
)
from agent_tasks.journal import DecisionState
from agent_tasks.operations import list_questions
from tests.batch.support import RULES, Bench
from tests.batch.test_waiting import LETTERS
from tests.batch.test_waiting import RULES as LETTER_RULES
from tests.docs.markdown import page
from tests.review.support import SEND_BACK_RULES, desk_of, item_of, unclear

MakeBench = Callable[..., Bench]
TELLING = copy.deepcopy(RULES)
TELLING["rules"].insert(0, SEND_BACK_RULES)


def status(bench: Bench, name: str = "b.txt") -> Any:
    return bench.rows()[name]["status"]


async def test_what_waits_is_listed_with_why(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk:
        [item] = await review.list_items(desk)
    assert (item.document, item.doubtful, item.steps) == ("b.txt", ["total"], ["extract", "review"])
    takes = {
        review.Filter(pipeline="papers", reason="NOT IN the", field="total"): True,
        review.Filter(pipeline="letters"): False,
        review.Filter(reason="ambiguous"): False,
        review.Filter(field="issued"): False,
        review.Filter(older_than=3600): False,
    }
    for wanted, taken in takes.items():
        assert wanted.takes(item, item.since + 10) is taken, wanted
    assert review.Filter(older_than=3600).takes(item, item.since + 3601)


async def test_an_approved_document_is_done_and_stays_so(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    turns = batch.turns()
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "b.txt")
        made = await review.approve(desk, item, by="Ann", note="It is so.")
        assert await review.approve(desk, item, by="Ann", note="It is so.") == made  # the same one, once
        assert (
            await review.approve(desk, await review.find_item(desk, "b.txt"), by="Ann", note="It is so.")
            == made
        )
        with pytest.raises(AlreadyDecidedError, match=r"b\.txt was approved by Ann at .* not committed"):
            await review.reject(desk, item, by="Bob")
        assert await review.publish_all(desk, [item.batch]) == []
        assert await review.list_items(desk, everything=True) == []
    row = batch.rows()["b.txt"]
    assert (row["status"], row["reasons"], row["fields"]["total"]) == ("done", [], 999.0)
    assert row["decision"] == {
        "kind": "approve", "by": "Ann", "note": "It is so.", "step": None, "corrected": [],
        "reasons": item.row.reasons,
    }  # fmt: skip
    report = (batch.out / "report.md").read_text()
    assert "2 done, 0 need review" in report

    summary = await batch.run()
    assert (summary.done, summary.reused, summary.turns, batch.turns()) == (2, 2, 0, turns)
    assert (batch.out / "report.md").read_text() == report


async def test_a_corrected_value_is_a_persons_and_is_looked_up(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "b.txt")
        for values, told in (
            ({"total": "44,0"}, "total: write the number with digits"),
            ({"total": "-1"}, "total: Input should be greater than or equal to 0"),
            ({"total": ""}, "total: Input should be a valid number"),
            ({"sum": "1"}, "there is no field 'sum'"),
            ({"total[0]": "1"}, "there is no item 0"),
            ({"total": 999.0}, "values that are there"),
        ):
            with pytest.raises(CorrectionError, match=told):
                await review.correct(desk, item, values, by="Ann")
        made = await review.correct(desk, item, {"total": "44.00", "issued": "2026-05-01"}, by="Ann")
        same = {"issued": "2026-05-01", "total": "44.00"}
        again = await review.correct(desk, await review.find_item(desk, "b.txt"), same, by="Ann")
        assert again == made
        await review.publish(desk, item.batch)
    row = batch.rows()["b.txt"]
    assert (row["status"], row["fields"]) == (
        "done",
        {"number": "P-4", "total": 44.0, "issued": "2026-05-01"},
    )
    assert row["decision"]["corrected"] == ["total", "issued"]
    found = {entry["path"]: (entry["status"], entry["quote"]) for entry in row["grounding"]}
    assert found["total"] == ("found", "44.00")
    assert found["issued"] == ("not_found", None)
    assert (await batch.run()).reused == 2


async def test_a_document_that_was_never_valid_is_corrected_as_a_whole(bench: MakeBench) -> None:
    batch = bench()
    batch.write("b.txt", "hopeless: P-9 for 9.50")
    await batch.run()
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "b.txt")
        with pytest.raises(ConfigurationError, match="nothing to approve"):
            await review.approve(desk, item, by="Ann")
        await review.correct(desk, item, {"number": "P-9", "total": "9.50"}, by="Ann")
        await review.publish(desk, item.batch)
    row = batch.rows()["b.txt"]
    assert (row["status"], row["fields"]) == ("done", {"number": "P-9", "total": 9.5, "issued": None})


async def test_a_correction_needs_the_document_and_pipeline_as_they_were(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    item = await item_of(batch, "b.txt")
    batch.write("b.txt", "another one, 44.00")
    async with desk_of(batch) as desk:
        with pytest.raises(Exception, match=r"b\.txt has changed since it was worked on"):
            await review.correct(desk, item, {"total": "44.00"}, by="Ann")
    batch.pipeline_file.write_text(batch.pipeline.replace("Extract.", "Extract all."))
    async with desk_of(batch) as desk:
        with pytest.raises(ConfigurationError, match="is not what the documents of papers:"):
            await review.correct(desk, item, {"total": "44.00"}, by="Ann")


async def test_a_rejected_document_is_not_used(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "b.txt")
        await review.reject(desk, item, by="Ann", note="No paper.")
        await review.publish(desk, item.batch)
    assert (status(batch), batch.rows()["b.txt"]["reasons"]) == ("rejected", ["Ann rejected it: No paper."])
    report = (batch.out / "report.md").read_text()
    assert "1 done, 0 need review, 1 rejected, 0 failed" in report
    assert "## Rejected" in report
    summary = await batch.run()
    assert (summary.rejected, summary.failed, summary.reused) == (1, 0, 2)
    assert (batch.out / "report.md").read_text() == report


async def test_a_step_is_done_anew_with_what_the_person_says_once(bench: MakeBench) -> None:
    batch = bench(rules=TELLING)
    await unclear(batch)
    turns = batch.turns()
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "b.txt")
        with pytest.raises(ConfigurationError, match="The steps that asked an agent are: extract, review"):
            await review.send_back(desk, item, "ground", by="Ann", note="Look.")
        with pytest.raises(ConfigurationError, match="Say in a note"):
            await review.send_back(desk, item, "extract", by="Ann", note=" ")
        await review.send_back(desk, item, "extract", by="Ann", note="Look at the 44.00")
        assert await review.list_items(desk) == []
        [sent] = await review.list_items(desk, everything=True)
        assert sent.is_sent_back
        await review.publish(desk, item.batch)
    assert batch.rows()["b.txt"]["reasons"] == ["Ann sent it back to extract: Look at the 44.00"]

    summary = await batch.run()
    assert (summary.done, summary.turns) == (2, 2)  # extracted and reviewed anew
    row = batch.rows()["b.txt"]
    assert (row["fields"]["total"], row["decision"]) == (44.0, None)
    # The extraction, the review of what it says, and the question over all documents, which has changed.
    asked = batch.turns()
    assert asked > turns
    assert (await batch.run()).reused == 2
    assert batch.turns() == asked


async def test_undo_until_a_run_has_gone_on(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    before = (batch.out / "results.jsonl").read_bytes()
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "b.txt")
        for decide in (
            lambda: review.approve(desk, item, by="Ann"),
            lambda: review.reject(desk, item, by="Ann"),
            lambda: review.correct(desk, item, {"total": "44.00"}, by="Ann"),
            lambda: review.send_back(desk, item, "extract", by="Ann", note="Look."),
        ):
            made = await decide()
            undone = await review.undo(desk, made, by="Bob")
            assert (undone.undone_by, await review.undo(desk, made, by="Bob")) == ("Bob", undone)
            [again] = await review.list_items(desk)
            assert (again.seen, again.row) == (item.seen, item.row)
        await review.publish(desk, item.batch)
        assert (batch.out / "results.jsonl").read_bytes() == before
        assert len(await review.history(desk, item)) == 4
        made = await review.approve(desk, item, by="Ann")
    await batch.run()
    async with desk_of(batch) as desk:
        with pytest.raises(DecisionGoneOnError, match="a run has begun with it"):
            await review.undo(desk, made, by="Ann")


async def test_two_people_and_one_document(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk, desk_of(batch) as other:
        item = await review.find_item(desk, "b.txt")
        assert await review.hold(desk, item, by="Ann") is None
        assert await review.hold(desk, item, by="Ann") is None
        for place in (desk, other):
            holder = await review.hold(place, item, by="Bob")
            assert holder is not None
            assert holder.owner == "Ann"
        with pytest.raises(DocumentHeldError, match=r"Ann looks at b\.txt until .* not committed"):
            await review.approve(other, item, by="Bob")
        [listed] = await review.list_items(other)
        assert listed.holder is not None
        await review.leave(desk, item, by="Ann")
        assert await review.hold(other, item, by="Bob") is None
        await review.leave(other, item, by="Bob", note="Ask Cleo.")
        [left] = await review.history(desk, item)
        assert (left.kind.value, left.note) == ("leave", "Ask Cleo.")
        await review.approve(desk, item, by="Ann")


async def test_a_row_that_changed_meanwhile_is_not_decided_on(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    item = await item_of(batch, "b.txt")
    batch.write("b.txt", "Paper P-4 is unclear: the sum is 45.00 or so")
    await batch.run()
    async with desk_of(batch) as desk:
        with pytest.raises(AlreadyDecidedError, match="not what you saw"):
            await review.approve(desk, item, by="Ann")


async def test_a_step_that_asks_is_answered_here_and_that_can_be_undone(bench: MakeBench) -> None:
    batch = bench(rules=LETTER_RULES, pipeline=LETTERS)
    batch.write("a.txt", "Paper P-1 ask")
    await batch.run()
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "a.txt")
        assert item.questions[0].shown == "Dear [Sir] | <b>\nPlease pay."
        made = await review.approve(desk, item, by="Ann", note="Fine.")
        assert await review.list_items(desk) == []
        await review.undo(desk, made, by="Ann")
        [item] = await review.list_items(desk)
        made = await review.approve(desk, item, by="Ann", note="Fine.")
    await batch.run()
    assert status(batch, "a.txt") == "done"
    async with batch.workspace() as ws:
        [asked] = await list_questions(ws, states=())
        assert (asked.state, asked.decided_by, asked.note) == (DecisionState.APPROVED, "Ann", "Fine.")
    async with desk_of(batch) as desk:
        with pytest.raises(DecisionGoneOnError):
            await review.undo(desk, made, by="Ann")


async def test_what_waits_at_a_step_is_sent_back_to_one_before(bench: MakeBench) -> None:
    batch = bench(rules=LETTER_RULES, pipeline=LETTERS)
    batch.write("a.txt", "Paper P-1 ask")
    await batch.run()
    async with desk_of(batch) as desk:
        item = await review.find_item(desk, "a.txt")
        made = await review.send_back(desk, item, "draft", by="Ann", note="Be kinder.")
        await review.undo(desk, made, by="Ann")
        [item] = await review.list_items(desk)
        await review.send_back(desk, item, "draft", by="Ann", note="Be kinder.")
    summary = await batch.run()
    assert (summary.waiting, summary.turns) == (1, 1)
    last = batch.service.requests("runs.create_thread_and_run")[-1]
    assert "They say: Be kinder." in str(last)
    async with desk_of(batch) as desk:
        [item] = await review.list_items(desk)  # asked again, about what is there now
        await review.reject(desk, item, by="Ann")
    await batch.run()
    assert status(batch, "a.txt") == "needs_review"


async def test_the_example_of_the_page(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench()
    await unclear(batch)
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", batch.journal_url)
    monkeypatch.setattr("agent_tasks.prefect.blocks.local_scope", lambda settings: "test")
    names: dict[str, Any] = {}
    [example] = page("docs/review.md").blocks("python")
    exec(compile(example, "docs/review.md", "exec", dont_inherit=True), names)  # noqa: S102
    await names["approve_old_ones"]("Ann")
    assert batch.rows()["b.txt"]["status"] == "done"
    assert batch.rows()["b.txt"]["decision"]["note"] == "Checked on paper."
