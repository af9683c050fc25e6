# ruff: noqa: E501  (XML reads best in one line)
"""Presentations: slide after slide, tables, groups, charts and notes."""

from __future__ import annotations

import io
import time
import zipfile

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import UnreadableDocumentError
from tests.documents.conftest import Recall
from tests.documents.readers.compound import compound
from tests.documents.readers.packed import zipped

BOX = (Inches(1), Inches(1), Inches(4), Inches(2))


def saved(presentation: object) -> bytes:
    out = io.BytesIO()
    presentation.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def read(content: bytes) -> DocumentContent:
    return read_document(content, "a.pptx")


class TestPresentations:
    def test_everything_that_slides_show_is_read_in_its_place(self, recall: Recall) -> None:
        made = pptx.Presentation()
        first = made.slides.add_slide(made.slide_layouts[1])
        first.shapes.title.text = "Sales 2026"
        first.placeholders[1].text = "North 12\nSouth 7"
        first.notes_slide.notes_text_frame.text = "Say 19 first"
        second = made.slides.add_slide(made.slide_layouts[6])
        table = second.shapes.add_table(2, 2, *BOX).table
        for cell, text in zip(table.iter_cells(), ("Item", "Price", "Pump", "12.50"), strict=True):
            cell.text = text
        group = second.shapes.add_group_shape()
        group.shapes.add_textbox(*BOX).text_frame.text = "in a group 3"
        data = CategoryChartData()
        data.categories = ["Q1", "Q2"]
        data.add_series("Revenue", (100, 250))
        second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, data)
        content = read(saved(made))
        for piece, place in (
            ("Sales 2026", Place(slide=1)),
            ("South 7", Place(slide=1)),
            ("Say 19 first", Place(slide=1, part="notes")),
            ("Item | Price\nPump | 12.50", Place(slide=2)),
            ("in a group 3", Place(slide=2)),
            ("100 | 250", Place(slide=2, part="drawing")),
        ):
            start = content.text.index(piece)
            assert content.places(start, start + len(piece))[0] == place
        recall(
            "pptx",
            "Sales 2026 North 12 South 7 Say 19 first Item Price Pump 12.50 in a group 3 Q1 Q2 Revenue 100 250",
            content.text,
        )

    def test_hidden_slides_and_shapes_are_not_read(self) -> None:
        made = pptx.Presentation()
        for text in ("shown", "SECRET"):
            slide = made.slides.add_slide(made.slide_layouts[6])
            slide.shapes.add_textbox(*BOX).text_frame.text = text
        slide._element.set("show", "0")
        hidden = made.slides[0].shapes.add_textbox(*BOX)
        hidden.text_frame.text = "SECRET"
        hidden._element.nvSpPr.cNvPr.set("hidden", "1")
        content = read(saved(made))
        assert content.text == "shown"
        assert content.notes == ("The hidden slide 2 was not read.",)

    def test_lists_that_count_by_themselves_show_their_numbers(self) -> None:
        made = pptx.Presentation()
        frame = made.slides.add_slide(made.slide_layouts[6]).shapes.add_textbox(*BOX).text_frame
        frame.text = "a\nb\nc"
        for paragraph in frame.paragraphs:
            properties = paragraph._p.get_or_add_pPr()
            properties.append(
                properties.makeelement(
                    "{http://schemas.openxmlformats.org/drawingml/2006/main}buAutoNum",
                    {"type": "alphaLcParenR"},
                )
            )
        assert read(saved(made)).text == "a) a\nb) b\nc) c"


class TestHostilePresentations:
    def test_depth_costs_nothing(self) -> None:
        made = pptx.Presentation()
        made.slides.add_slide(made.slide_layouts[6]).shapes.add_textbox(*BOX).text_frame.text = "deep"
        with zipfile.ZipFile(io.BytesIO(saved(made))) as archive:
            parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
        slide = parts["ppt/slides/slide1.xml"]
        assert isinstance(slide, bytes)
        deep = slide.replace(b"<p:sp>", b"<p:grpSp>" * 50_000 + b"<p:sp>").replace(
            b"</p:sp>", b"</p:sp>" + b"</p:grpSp>" * 50_000
        )
        started = time.process_time()
        assert read(zipped(parts | {"ppt/slides/slide1.xml": deep})).text == "deep"
        assert time.process_time() - started < 10

    def test_what_is_no_presentation_is_named(self) -> None:
        for content, said in (
            (b"x", "not a PowerPoint presentation"),
            (zipped({"a": "b"}), "not a PowerPoint presentation"),
            (compound({"PowerPoint Document": b"x"}), r"old format of PowerPoint \(\.ppt\)"),
            (saved(pptx.Presentation())[:2000], r"a\.pptx"),
        ):
            with pytest.raises(UnreadableDocumentError, match=said):
                read(content)
