"""Results and report as files."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from agent_tasks.batch.evidence import evidence, without_pictures
from agent_tasks.batch.markdown import escape, quote
from agent_tasks.batch.records import DocumentRow, DocumentStatus
from agent_tasks.batch.writers import cell, prepare_folder, replacing, summary_line
from agent_tasks.documents.content import Box, Place
from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus
from agent_tasks.errors import ConfigurationError, ResultsError
from tests.batch.support import SMALL, Bench

MakeBench = Callable[..., Bench]

EVIL = (
    "[x](http://evil) <script>alert(1)</script> ![i](http://evil/i.png) | `a` **b**\n# Head\n- www.evil.com"
)


def _unescaped(text: str) -> str:
    """What of a Markdown text is not escaped, and so may be markup."""
    return re.sub(r"\\.", "", text)


def test_text_from_outside_stays_text() -> None:
    text = str(escape(EVIL))
    assert "\n" not in text
    assert not set("[]<>!|`*#") & set(_unescaped(text))
    assert "://" not in text
    assert "www.e" not in text
    assert str(escape("invoice-30077.pdf (copy) 12,50 EUR")) == "invoice-30077.pdf (copy) 12,50 EUR"
    assert str(escape(escape("a|b"))) == "a\\|b"
    assert "\u202e" not in escape("a\u202eb\x1b[0m")


def test_a_quoted_line_is_no_list_rule_or_heading() -> None:
    text = "A line\n---\nand\n===\n- a\n+ b\n1. c\n2) d\n  - e\n* f\n# g"
    html = MarkdownIt("commonmark").render(quote(text))
    for tag in ("<h1", "<h2", "<hr", "<li", "<ul", "<ol"):
        assert tag not in html
    for line in text.splitlines():
        assert line.strip() in html
    assert str(escape("-5 of 1.5, 2026-11-29")) == "-5 of 1.5, 2026-11-29"


def test_a_quote_keeps_its_lines() -> None:
    assert str(quote("One.\n\n# Two")) == "> One.\n>\n> \\# Two"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (12.0, "12"),
        (12.5, "12.5"),
        (1e308, "1e+308"),
        (["a", "b"], "a, b"),
        ([1, 2, 3, 4], "1, 2, 3, ..."),
        ({"text": "Oak", "price": None, "count": 2}, "Oak 2"),
        ([{"text": "Oak"}, {"text": "Glue"}], "Oak, Glue"),
    ],
)
def test_values_as_cells(value: object, text: str) -> None:
    assert cell({"x": value}, "x") == text
    assert cell(None, "x") == ""


def test_the_gist_of_a_row() -> None:
    row = DocumentRow(document="a", status=DocumentStatus.DONE, fields={"a": 1, "b": None, "c": "x"})
    assert summary_line(row) == "a: 1, c: x"
    assert summary_line(row, fields=1) == "a: 1"
    row = DocumentRow(document="a", status=DocumentStatus.FAILED, reasons=["empty", "sad"])
    assert summary_line(row) == "empty; sad"


async def test_a_row_is_one_line_for_every_reader(bench: MakeBench) -> None:
    hidden = "a\u2028b\u2029c\x85d\x9b2Je\u202ef\U000e0041g\u200ch"
    batch = bench(pipeline=SMALL, rules={"rules": [{"reply": {"json": {"number": hidden}}}]})
    batch.write("\u202ea.txt", "other")
    await batch.run()
    (row,) = batch.rows().values()
    assert row["document"] == "\u202ea.txt"
    assert row["fields"]["number"] == hidden
    assert not {"\u2028", "\x85", "\x9b", "\u202e"} & set((batch.out / "results.jsonl").read_text())


async def test_the_report_cannot_be_written_into(bench: MakeBench) -> None:
    batch = bench(pipeline=SMALL, rules={"rules": [{"reply": {"json": {"number": EVIL}}}]})
    batch.write("[a](b) | <i>.txt", EVIL)
    batch.write("b.txt", "other")
    await batch.run()
    report = _unescaped(without_pictures((batch.out / "report.md").read_text()))
    assert not set("[]<>`") & set(report)
    assert [line for line in report.splitlines() if line.startswith("# ")] == [
        "# papers: 1 done, 1 needs review, 0 failed"
    ]
    [row] = [line for line in report.splitlines() if line.startswith("| a(b)")]
    assert row.count("|") == 4


def test_a_file_is_replaced_in_one_go_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text("old")

    def fail_half_way() -> None:
        with replacing(path) as file:
            file.write("half of the new")
            raise OSError(28, "No space left on device")

    with pytest.raises(
        ResultsError, match=r"results\.jsonl can't be written: No space left on device\. Free"
    ):
        fail_half_way()
    assert path.read_text() == "old"
    with replacing(path) as file:
        file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.jsonl"]


def test_a_folder_that_cannot_be_written_is_known_before_the_first_turn(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="Give another folder"):
        prepare_folder(tmp_path / "file", documents=tmp_path)
    with pytest.raises(ConfigurationError, match="another folder"):
        prepare_folder(tmp_path, documents=tmp_path)
    assert prepare_folder(tmp_path / "a" / "b", documents=tmp_path).is_dir()


def test_evidence_links_the_page_and_names_the_place(tmp_path: Path) -> None:
    box = Box(left=0.5, top=0.16, right=0.55, bottom=0.17)
    places = (Place(page=2, part="form field [total](http://evil)", boxes=(box,)),)
    entry = FieldGrounding(
        path="total", kind="number", status=GroundingStatus.FOUND, value=12, offset=0, end=2, places=places
    )
    cells = (Place(sheet="Costs", cell="B7"),)
    attached = entry.model_copy(update={"places": cells})
    rows = [
        DocumentRow(document="a)b (1).pdf", status=DocumentStatus.DONE, grounding=[entry]),
        DocumentRow(document="m/x.xlsx", parent="m", status=DocumentStatus.DONE, grounding=[attached]),
        DocumentRow(document="m/y.pdf", parent="m", status=DocumentStatus.DONE, grounding=[entry]),
    ]
    first, second, third = evidence(rows, documents=tmp_path / "documents", out=tmp_path / "out")
    assert (first.document, first.field, first.value) == ("a)b (1).pdf", "total", 12)
    assert str(first.place).endswith("(../documents/a%29b%20%281%29.pdf#page=2)")
    assert "50% to 55% across, 16% to 17% down" in first.place
    assert _unescaped(str(first.place)).count("[") == 1
    assert str(second.place) == "sheet Costs, cell B7"
    assert "](" not in _unescaped(str(third.place))  # a page of what lies in another file has no address
