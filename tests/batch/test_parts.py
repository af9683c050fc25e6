"""Documents that are not put into a prompt whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks.batch.processing import _DocumentWork
from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import Bench
from tests.support.pdf_files import pdf

MakeBench = Callable[..., Bench]

PIPELINE = """\
name: papers
model: test-model
agents:
  extractor: {read: HOW, prompt: "{{ document.text }}"}
  reviewer: {prompt: "{{ document.text }}"}
output:
  name: paper
  fields:
    number: string
    total: {type: number, description: What has to be paid in all}
    note: {type: string, optional: true}
limits: {max_document_tokens: 340}
"""
NONE = {"number": None, "total": None, "note": None}
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"schema": "paper", "message": r"Number (?P<n>\S+)(.|\n)*Total (?P<t>[\d.]+)"},
            "reply": {"json": {**NONE, "number": "{{ groups.n }}", "total": "{{ groups.t | float }}"}},
        },
        {
            "when": {"schema": "paper", "message": r"Number (?P<n>\S+)"},
            "reply": {"json": {**NONE, "number": "{{ groups.n }}"}},
        },
        {
            "when": {"schema": "paper", "message": r"Total (?P<t>[\d.]+)"},
            "reply": {"json": {**NONE, "total": "{{ groups.t | float }}"}},
        },
        {"when": {"schema": "paper"}, "reply": {"json": NONE}},
        {
            "when": {"schema": "review", "message": r"Number(.|\n)*Total"},
            "reply": {"json": {"approved": True, "problems": []}},
        },
        {"when": {"schema": "review"}, "reply": {"json": {"approved": False, "problems": ["Not shown."]}}},
    ]
}
FILLER = ["Nothing in this clause limits what is said elsewhere in it."] * 10


def document(**on_page: str) -> bytes:
    """Six pages, two of which fit into a prompt; `page_1` is a line on the first one."""
    return pdf(*([on_page.get(f"page_{n}", ""), *FILLER] for n in range(1, 7)))


async def test_a_turn_is_made_for_each_range_of_pages(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "pages"))
    batch.write("a.pdf", document(page_1="Number P-7", page_5="Total 950.00"))
    batch.write("short.pdf", pdf(["Number P-8", "Total 10.00"]))
    await batch.run()
    rows = batch.rows()
    assert {n: (row["status"], row["reasons"]) for n, row in rows.items()} == {
        "a.pdf": ("done", []),
        "short.pdf": ("done", []),
    }
    assert rows["a.pdf"]["fields"] == {"number": "P-7", "total": 950.0, "note": None}
    assert list(rows["a.pdf"]["ids"]) == [
        "extract-pages-1-2",
        "extract-pages-3-4",
        "extract-pages-5-6",
        "review",
    ]
    assert [entry["places"][0]["page"] for entry in rows["a.pdf"]["grounding"]] == [1, 5]
    assert "3 parts" in rows["a.pdf"]["notes"][0]
    assert list(rows["short.pdf"]["ids"]) == ["extract", "review"]

    turns = batch.turns()
    await batch.run()
    assert batch.turns() == turns


async def test_what_parts_say_differently_is_for_a_person(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "pages"))
    batch.write("a.pdf", document(page_1="Number P-7", page_3="Total 900.00", page_5="Total 950.00"))
    batch.write("b.pdf", document(page_1="Number P-7"))
    await batch.run()
    rows = batch.rows()
    assert {row["status"] for row in rows.values()} == {"needs_review"}
    assert rows["a.pdf"]["fields"]["total"] == 900.0
    assert rows["a.pdf"]["reasons"] == [
        "total: parts of the document say different things: 900.0 (pages 3-4) and 950.0 (pages 5-6)"
    ]
    assert rows["b.pdf"]["fields"] is None
    assert "not valid: total" in rows["b.pdf"]["reasons"][0]


async def test_a_document_that_was_half_asked_about_is_resumed(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    asked: list[str] = []
    turn = _DocumentWork._turn

    async def dies(self: Any, plan: Any, agent: Any, step: str, *args: Any, **given: Any) -> Any:
        asked.append(step)
        if step == "extract-pages-5-6":
            raise Killed
        return await turn(self, plan, agent, step, *args, **given)

    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "pages"))
    batch.write("a.pdf", document(page_1="Number P-7", page_5="Total 950.00"))
    monkeypatch.setattr(_DocumentWork, "_turn", dies)
    with pytest.raises(Killed):
        await batch.run()
    assert asked == ["extract-pages-1-2", "extract-pages-3-4", "extract-pages-5-6"]
    assert batch.turns() == 2
    monkeypatch.undo()
    await batch.run()
    assert batch.turns() == 4
    assert batch.rows()["a.pdf"]["status"] == "done"


async def test_passages_that_speak_of_the_fields_go_into_one_prompt(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "passages").replace(": 340", ": 600"))
    batch.write("a.pdf", document(page_2="Number P-7", page_5="Total 950.00 is to be paid"))
    await batch.run()
    row = batch.rows()["a.pdf"]
    assert (row["status"], row["fields"]["total"]) == ("done", 950.0)
    assert list(row["ids"]) == ["extract", "review"]
    assert [entry["places"][0]["page"] for entry in row["grounding"]] == [2, 5]
    assert "of the text; the rest was not asked about" in row["notes"][0]


async def test_a_document_that_is_too_long_says_what_to_do(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "whole"))
    batch.write("a.pdf", document())
    batch.write("short.pdf", pdf(["Number P-8", "Total 10.00"]))
    await batch.run()
    assert "agents.extractor.read: pages" in batch.rows()["a.pdf"]["error"]["message"]


@pytest.mark.parametrize("how", ["pages", "passages"])
def test_a_prompt_that_does_not_take_the_text_is_refused(bench: MakeBench, how: str) -> None:
    batch = bench(pipeline=PIPELINE)
    text = PIPELINE.replace("HOW", how).replace('"{{ document.text }}"}', '"{{ document.pages[0] }}"}', 1)
    batch.pipeline_file.write_text(text)
    with pytest.raises(PipelineError, match=r"agents\.extractor\.read.*document\.text"):
        load_pipeline(batch.pipeline_file)


def test_a_file_that_does_not_say_how_keeps_its_fingerprint(bench: MakeBench) -> None:
    batch = bench()
    fingerprints = {}
    for how in ("", "read: whole, ", "read: pages, "):
        batch.pipeline_file.write_text(PIPELINE.replace("read: HOW, ", how))
        fingerprints[how] = load_pipeline(batch.pipeline_file).fingerprint
    assert fingerprints[""] == fingerprints["read: whole, "] != fingerprints["read: pages, "]
