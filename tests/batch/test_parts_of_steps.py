"""Files with steps whose documents are not put into a prompt whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import Bench
from tests.batch.test_parts import RULES, document
from tests.support.pdf_files import pdf

MakeBench = Callable[..., Bench]

PIPELINE = """\
name: papers
model: test-model
agents:
  paper:
    answer:
      number: string
      total: {type: number, description: What has to be paid in all}
      note: {type: string, optional: true}
  checker: {}
steps:
  - {extract: paper, read: HOW, prompt: "{{ document.text }}"}
  - ground: extract
  - {review: checker, read: passages, prompt: "{{ document.text }}"}
limits: {max_document_tokens: 340}
"""


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
    assert list(rows["a.pdf"]["steps"]["extract"]["turns"]) == list(rows["a.pdf"]["ids"])[:3]
    assert [entry["places"][0]["page"] for entry in rows["a.pdf"]["grounding"]] == [1, 5]
    assert "3 parts" in rows["a.pdf"]["notes"][0]
    assert list(rows["short.pdf"]["ids"]) == ["extract", "review"]

    turns = batch.turns()
    await batch.run()
    assert batch.turns() == turns


async def test_passages_that_speak_of_the_fields_go_into_one_prompt(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "passages").replace(": 340", ": 600"))
    batch.write("a.pdf", document(page_2="Number P-7", page_5="Total 950.00 is to be paid"))
    await batch.run()
    row = batch.rows()["a.pdf"]
    assert (row["status"], row["fields"]["total"]) == ("done", 950.0)
    assert list(row["ids"]) == ["extract", "review"]
    assert "of the text; the rest was not asked about" in row["notes"][0]


INNER = """\
name: outer
model: test-model
agents: {teller: {prompt: "Tell {{ document.name }}"}}
steps:
  - agent: teller
  - {pipeline: papers.yaml, text: "Number P-9{{ teller }}"}
limits: {max_document_tokens: 2000}
"""


async def test_a_file_that_is_a_step_reads_the_text_that_it_is_given(bench: MakeBench) -> None:
    rules = {
        **RULES,
        "rules": [{"when": {"message": "^Tell"}, "reply": {"text": "\nTotal 20.5"}}, *RULES["rules"]],
    }
    batch = bench(rules=rules, pipeline=INNER)
    (batch.pipeline_file.parent / "papers.yaml").write_text(
        PIPELINE.replace("HOW", "pages").replace("  - ground: extract\n", "")
    )
    batch.write("a.txt", "Nothing is said here.")
    await batch.run()
    row = batch.rows()["a.txt"]
    assert (row["status"], row["fields"]["number"], row["fields"]["total"]) == ("done", "P-9", 20.5), row


async def test_a_document_that_is_too_long_says_which_step_takes_it_whole(bench: MakeBench) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("HOW", "whole"))
    batch.write("a.pdf", document())
    batch.write("short.pdf", pdf(["Number P-8", "Total 10.00"]))
    await batch.run()
    message = batch.rows()["a.pdf"]["error"]["message"]
    assert "give these steps `read: passages` (an extract: or pages): extract" in message
    assert batch.turns() == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("read: HOW, prompt: \"{{ document.text }}\"", "read: pages, prompt: \"{{ document.name }}\"",
         "`pages` of a document are given as document.text, which the prompt does not use"),
        ("  - {extract: paper, read: HOW, prompt: \"{{ document.text }}\"}\n  - ground: extract\n", "",
         "there are no fields whose passages could be shown"),
        ("HOW", "lines", "'whole', 'pages' or 'passages'"),
    ],
)  # fmt: skip
def test_a_way_of_reading_that_reads_nothing_is_refused(tmp_path, old: str, new: str, said: str) -> None:
    file = tmp_path / "papers.yaml"
    file.write_text(PIPELINE.replace(old, new).replace("HOW", "pages"))
    with pytest.raises(PipelineError) as caught:
        load_pipeline(file)
    assert said in str(caught.value)
