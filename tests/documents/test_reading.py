"""Text out of documents: what comes out, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import docx
import pytest

from agent_tasks.documents import reading
from agent_tasks.documents.content import DocumentContent, Place, Section, WordBoxes
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import (
    ConfigurationError,
    DocumentTooLongError,
    EmptyDocumentError,
    UnreadableDocumentError,
    UnsupportedDocumentError,
)
from tests.support.pdf_files import pdf


def text_of(content: bytes, name: str, **options: Any) -> str:
    return read_document(content, name, **options).text


def saved(document: docx.document.Document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


class TestPlainText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
    def test_is_decoded_from_the_usual_encodings(self, encoding: str) -> None:
        assert text_of("Größe: 3 m – für Müller".encode(encoding), "a.txt") == "Größe: 3 m – für Müller"

    def test_has_one_kind_of_line_end_and_few_blank_lines(self) -> None:
        assert text_of(b"\n\na  b \r\nc\rd\n\n\n\n\ne\n", "a.md") == "a  b\nc\nd\n\ne"

    def test_keeps_indentation_of_source_files(self) -> None:
        assert text_of(b"def f():\n    return 1\n", "a.py") == "def f():\n    return 1"

    @pytest.mark.parametrize(
        "content",
        [
            bytes(range(256)),
            b"\x89PNG\r\n\x1a\n" + bytes(200),
            b"\x00\x01\x02 text",
            b"\xff\xfea",
            b"\xe4" * 50,
        ],
    )
    def test_refuses_binary_data(self, content: bytes) -> None:
        with pytest.raises(UnreadableDocumentError, match=r"a\.txt"):
            text_of(content, "a.txt")


class TestEveryFormat:
    @pytest.mark.parametrize("name", ["a.exe", "a", "a.doc", ".txt/../x.zip"])
    def test_is_refused_if_unknown(self, name: str) -> None:
        with pytest.raises(UnsupportedDocumentError, match=r"\.docx, .*\.go"):
            text_of(b"text", name)

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b"", "a.txt"),
            (b" \n\t\n ", "a.txt"),
            (b"", "a.pdf"),
            (b"<html><script>x</script><p> </p></html>", "a.html"),
            (pdf([]), "a.pdf"),
            (saved(docx.Document()), "a.docx"),
        ],
    )
    def test_without_text_is_an_error_of_its_own(self, content: bytes, name: str) -> None:
        with pytest.raises(EmptyDocumentError) as caught:
            text_of(content, name)
        assert caught.value.document == name

    def test_is_chosen_by_the_extension_in_any_case(self) -> None:
        assert text_of(b"<p>x</p>", "A.HTML") == "x"
        assert text_of(b"<p>x</p>", "a.txt") == "<p>x</p>"

    def test_is_limited_in_bytes_and_characters(self) -> None:
        with pytest.raises(DocumentTooLongError, match="the limit is 3 bytes"):
            text_of(b"text", "a.txt", limits=replace(DEFAULT_LIMITS, max_bytes=3))
        with pytest.raises(DocumentTooLongError, match="the limit is 3 characters"):
            text_of(b"text", "a.txt", limits=replace(DEFAULT_LIMITS, max_characters=3))


class TestHtml:
    def test_puts_blocks_on_lines_and_drops_scripts(self) -> None:
        html = b"""<!doctype html><html><head><title>T</title><style>p{}</style></head><body>
          <h1>Invoice <em>no.</em>
            7</h1><div>From:<br>Acme &amp; Co<div>Oslo</div></div><!-- note -->
          <p>Total&nbsp;due</p><script>alert(1)</script><ul><li>one<li>two</ul></body></html>"""
        assert text_of(html, "a.html") == ("Invoice no. 7\n\nFrom:\nAcme & Co\nOslo\n\nTotal due\n\none\ntwo")

    def test_writes_a_table_row_by_row(self) -> None:
        html = b"""<table><thead><tr><th>Item</th><th>Price</th></tr></thead><tbody>
          <tr><td><p>Pump</p><p>blue</p></td><td> 12.00 </td></tr></tbody></table>"""
        assert text_of(html, "a.htm") == "Item | Price\nPump blue | 12.00"

    def test_keeps_rows_of_a_table_within_a_layout_table_apart(self) -> None:
        html = b"<table><tr><td><table><tr><td>a<td>b<tr><td>c<td>d</table></td></tr></table>"
        assert text_of(html, "a.html").split() == ["a", "|", "b", "c", "|", "d"]
        assert "\nc | d" in text_of(html, "a.html")

    def test_honours_a_declared_encoding(self) -> None:
        html = '<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2")
        assert text_of(html, "a.html") == "Łódź"

    @pytest.mark.parametrize("charset", ["no-such-charset", "ascii"])
    def test_survives_an_untrue_declaration(self, charset: str) -> None:
        assert text_of(f'<meta charset="{charset}"><p>Łódź</p>'.encode(), "a.html") == "Łódź"

    def test_survives_deep_nesting(self) -> None:
        assert text_of(b"<div>" * 3000 + b"deep", "a.html") == "deep"


class TestDocx:
    def test_keeps_paragraphs_and_table_rows_in_document_order(self) -> None:
        document = docx.Document()
        document.sections[0].header.paragraphs[0].text = "Acme GmbH"
        document.sections[0].footer.paragraphs[0].text = "IBAN DE00"
        document.add_paragraph("Delivery note 12")
        table = document.add_table(rows=3, cols=2)
        for row, texts in zip(table.rows, [("Item", "Pieces"), ("Pump\nblue", "3")], strict=False):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
        table.rows[2].cells[0].merge(table.rows[2].cells[1]).text = "merged"
        document.add_paragraph("Received by:\tJ. Doe")
        assert text_of(saved(document), "a.docx") == (
            "Acme GmbH\nDelivery note 12\nItem | Pieces\nPump blue | 3\nmerged\n"
            "Received by: J. Doe\nIBAN DE00"
        )

    def test_refuses_what_is_not_a_docx(self) -> None:
        empty_zip = io.BytesIO()
        with zipfile.ZipFile(empty_zip, "w") as archive:
            archive.writestr("a.txt", "a")
        for content in (b"text", b"PK\x03\x04rubbish", b"\xd0\xcf\x11\xe0old", empty_zip.getvalue()):
            with pytest.raises(UnreadableDocumentError, match=r"a\.docx"):
                text_of(content, "a.docx")

    def test_refuses_zip_bombs_before_unpacking(self) -> None:
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("word/document.xml", b"0" * 30_000_000)
        with pytest.raises(DocumentTooLongError, match="unpacks from"):
            text_of(bomb.getvalue(), "a.docx")


class _Package:
    """An entry point of another package."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = repr(value)
        self.dist = None
        self._loaded = value

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


class TestReadersOfOthers:
    @pytest.fixture
    def offer(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
        def clear() -> None:
            reading._reader.cache_clear()
            reading._readers_of_others.cache_clear()

        def offer(*points: _Package) -> None:
            monkeypatch.setattr("importlib.metadata.entry_points", lambda group: list(points))
            clear()

        yield offer
        clear()

    def test_read_their_kind(self, offer: Callable[..., None]) -> None:
        offer(_Package("dwg", lambda content, name, limits: DocumentContent(f"{name} {len(content)}")))
        assert text_of(b"abc", "a.DWG") == "a.DWG 3"
        assert ".dwg" in reading.document_extensions()

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([_Package("pdf", len)], r"for \.pdf, which has a built-in reader"),
            ([_Package("dwg", len), _Package(".dwg", str)], r"both for \.dwg"),
            ([_Package("dwg", ImportError("no cad"))], "cannot be loaded: ImportError: no cad"),
            ([_Package("dwg", "text")], "is not a function"),
        ],
    )
    def test_that_are_broken_are_everybodys_failure(
        self, offer: Callable[..., None], points: list[_Package], message: str
    ) -> None:
        offer(*points)
        with pytest.raises(ConfigurationError, match=message):
            text_of(b"abc", "a.dwg")

    def test_that_give_odd_text_are_put_right(self, offer: Callable[..., None]) -> None:
        words = WordBoxes()
        words.add(0, 5, (0, 0, 1, 1))
        words.add(6, 8, (0, 0, 1, 1))
        sections = (Section(6, 8, Place(page=2)),)
        offer(_Package("dwg", lambda *_: DocumentContent("cafe\u0301 \ud83dx", sections, words)))
        found = read_document(b"abc", "a.dwg")
        assert found.text == "café \ufffdx"
        assert [found.text[part.start : part.end] for part in found.sections] == ["\ufffdx"]
        assert found.words is not None
        assert list(found.words.ends) == [4, 7]
