# ruff: noqa: E501  (XML reads best in one line)
"""OpenDocument texts, spreadsheets and presentations; EPUB books; XML."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentError, UnreadableDocumentError
from tests.documents.conftest import Recall
from tests.documents.readers.packed import zipped

NAMES = (
    " ".join(
        f"xmlns:{name}='urn:oasis:names:tc:opendocument:xmlns:{name}:1.0'"
        for name in ("office", "text", "table", "draw", "style", "presentation")
    )
    + " xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:svg='urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0'"
)


def odf(body: str, name: str = "a.odt", *, styles: str = "", master: str = "") -> DocumentContent:
    kind = {"odt": "text", "ods": "spreadsheet", "odp": "presentation"}[name[-3:]]
    content = f"<office:document-content {NAMES}><office:automatic-styles>{styles}</office:automatic-styles><office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    return read_document(
        zipped({"content.xml": content, "styles.xml": f"<office:document-styles {NAMES}>{master}</office:document-styles>"}),
        name, limits=replace(DEFAULT_LIMITS, max_ratio=10_000),
    )  # fmt: skip


def p(inner: str, style: str = "") -> str:
    return f"<text:p text:style-name='{style}'>{inner}</text:p>"


LISTS = "<text:list-style style:name='L'><text:list-level-style-number text:level='1' style:num-format='1' style:num-suffix='.'/><text:list-level-style-number text:level='2' style:num-format='a' text:display-levels='2'/></text:list-style>"


class TestTexts:
    @pytest.mark.parametrize(
        ("body", "wanted"),
        [
            (p("Total <text:span>12.50</text:span><text:s text:c='3'/>EUR<text:tab/>x<text:line-break/>y"), "Total 12.50 EUR\tx\ny"),
            ("<text:tracked-changes><text:changed-region><text:deletion>" + p("SECRET") + "</text:deletion></text:changed-region></text:tracked-changes>" + p("The rent is <text:change-start/>950"), "The rent is 950"),
            (p("950<text:note><text:note-citation>1</text:note-citation><text:note-body>" + p("Plus VAT.") + "</text:note-body></text:note> a year"), "950[1] a year\n[1] Plus VAT."),
            (p("x<office:annotation><dc:creator>A. Miller</dc:creator><dc:date>2026</dc:date>" + p("Was 900?") + "</office:annotation> y"), "x y\n[Comment by A. Miller: Was 900?]"),
            (p("a<draw:frame><draw:text-box>" + p("boxed 3") + "</draw:text-box><svg:desc>SECRET</svg:desc></draw:frame>b"), "ab\nboxed 3"),
            (p("seen <text:span text:style-name='Hid'>SECRET</text:span>too") + p("SECRET", "Hid"), "seen too"),
            ("<table:table><table:table-row><table:table-cell table:number-columns-spanned='2000000000'>" + p("Item") + "</table:table-cell><table:covered-table-cell/><table:table-cell>" + p("12") + p("345") + "</table:table-cell></table:table-row></table:table>" + p("end"), "Item | 12; 345\nend"),
            ("<text:list text:style-name='L'><text:list-item>" + p("A") + "<text:list><text:list-item>" + p("B") + "</text:list-item><text:list-item>" + p("C") + "</text:list-item></text:list></text:list-item><text:list-item>" + p("D") + "</text:list-item></text:list>", "1. A\n1.a B\n1.b C\n2. D"),
            ("<text:h text:outline-level='1'>Head</text:h><text:section>" + p("in a section") + "</text:section>", "Head\nin a section"),
        ],
    )  # fmt: skip
    def test_what_is_shown_is_read(self, body: str, wanted: str, recall: Recall) -> None:
        hidden = "<style:style style:name='Hid'><style:text-properties text:display='none'/></style:style>"
        content = odf(body, styles=hidden + LISTS)
        assert content.text == wanted
        recall("odt", wanted, content.text)

    def test_headers_and_footers_have_their_places(self) -> None:
        master = (
            "<office:master-styles><style:master-page><style:header>"
            + p("Acme")
            + "</style:header><style:footer>"
            + p("IBAN")
            + "</style:footer></style:master-page></office:master-styles>"
        )
        content = odf(p("Body"), master=master)
        assert content.text == "Acme\nBody\nIBAN"
        assert [s.place for s in content.sections] == [Place(part="header"), Place(part="footer")]

    @pytest.mark.parametrize("prefix", ["style", "loext"])
    def test_those_of_the_first_page_too_also_by_the_names_of_earlier_versions(self, prefix: str) -> None:
        space = "xmlns:loext='urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0'"
        master = (
            f"<office:master-styles {space}><style:master-page><style:footer>"
            + p("Page 2")
            + f"</style:footer><{prefix}:footer-first>"
            + p("IBAN")
            + f"</{prefix}:footer-first></style:master-page></office:master-styles>"
        )
        assert odf(p("Body"), master=master).text == "Body\nPage 2\nIBAN"


class TestSpreadsheetsAndPresentations:
    def test_cells_have_their_places(self, recall: Recall) -> None:
        cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>"
        body = (
            "<table:table table:name='Prices'><table:table-row>"
            + cell.format("", "Item")
            + "<table:table-cell table:number-columns-repeated='2'/>"
            + cell.format(" table:number-columns-repeated='2'", "1,234.50 €")
            + "</table:table-row>"
            "<table:table-row table:number-rows-repeated='1048000'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>"
            "<table:table-row>" + cell.format("", "last") + "</table:table-row></table:table>"
            "<table:table table:name='Secret' table:style-name='hid'><table:table-row>"
            + cell.format("", "SECRET")
            + "</table:table-row></table:table>"
        )
        styles = "<style:style style:name='hid'><style:table-properties table:display='false'/></style:style>"
        content = odf(body, "a.ods", styles=styles)
        assert content.text == "Prices\nItem |  |  | 1,234.50 € | 1,234.50 €\nlast"
        assert [s.place.cell for s in content.sections] == [None, "A1", "D1", "E1", "A1048002"]
        assert content.notes == ("The hidden sheet 'Secret' was not read.",)
        recall("ods", "Prices Item 1,234.50 € last", content.text)

    def test_slides_have_their_places(self, recall: Recall) -> None:
        page = "<draw:page><draw:frame><draw:text-box>{}</draw:text-box></draw:frame><presentation:notes><draw:frame><draw:text-box>{}</draw:text-box></draw:frame></presentation:notes></draw:page>"
        content = odf(page.format(p("One 1"), p("say 2")) + page.format(p("Three 3"), ""), "a.odp")
        assert content.text == "One 1\nsay 2\n\nThree 3"
        assert [s.place for s in content.sections] == [
            Place(slide=1),
            Place(slide=1, part="notes"),
            Place(slide=2),
        ]
        recall("odp", "One 1 say 2 Three 3", content.text)

    def test_what_cannot_be_read_is_named(self) -> None:
        for parts, said in (
            ({"a": "b"}, "not an OpenDocument file"),
            ({"content.xml": "<x", "META-INF/manifest.xml": ""}, "well-formed"),
            ({"content.xml": "<x/>", "META-INF/manifest.xml": "<m:encryption-data/>"}, "encrypted"),
        ):
            with pytest.raises(UnreadableDocumentError, match=said):
                read_document(zipped(dict(parts)), "a.odt")


class TestEpub:
    def test_chapters_come_in_the_order_of_reading(self, recall: Recall) -> None:
        book = zipped({
            "META-INF/container.xml": "<container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles><rootfile full-path='OEBPS/b.opf'/></rootfiles></container>",
            "OEBPS/b.opf": "<package xmlns='http://www.idpf.org/2007/opf'><manifest><item id='a' href='t/a%201.xhtml' media-type='application/xhtml+xml'/><item id='b' href='b.xhtml' media-type='application/xhtml+xml'/><item id='c' href='no.xhtml' media-type='application/xhtml+xml'/></manifest><spine><itemref idref='b'/><itemref idref='a'/><itemref idref='c'/></spine></package>",
            "OEBPS/t/a 1.xhtml": "<!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head><body><p>Second 2</p></body></html>",
            "OEBPS/b.xhtml": "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>First 1</p></body></html>",
        })  # fmt: skip
        content = read_document(book, "a.epub")
        assert content.text == "First 1\n\nSecond 2"
        assert [s.place for s in content.sections] == [Place(part="chapter 1"), Place(part="chapter 2")]
        assert content.notes == ("Chapter 3 is not in the file.",)
        recall("epub", "First 1 Second 2", content.text)

    def test_what_is_none_is_named(self) -> None:
        with pytest.raises(UnreadableDocumentError, match="not an EPUB book"):
            read_document(zipped({"a": "b"}), "a.epub")


class TestXml:
    def test_elements_with_text_are_lines(self, recall: Recall) -> None:
        document = "<?xml version='1.0' encoding='UTF-8'?><rsm:Invoice xmlns:rsm='r' xmlns:ram='a'><ram:ID>471102</ram:ID><ram:Total currencyID='EUR'>529.87</ram:Total><ram:Note>Pay <b>now</b> please</ram:Note></rsm:Invoice>"
        content = read_document(document.encode(), "a.xml")
        assert content.text == "ID: 471102\nTotal (currencyID EUR): 529.87\nPay now please"
        assert content.places(0, 3) == [Place(part="Invoice/ID")]
        recall("xml", "ID 471102 Total EUR 529.87 Pay now please", content.text)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-2", "cp1251", "shift_jis"])
    def test_encodings_are_honoured(self, encoding: str) -> None:
        said = {"cp1251": "Счёт", "shift_jis": "合計", "iso-8859-2": "Łódź"}.get(encoding, "Łódź")
        document = f"<?xml version='1.0' encoding='{encoding}'?><a><b>{said}</b></a>".encode(encoding)
        assert read_document(document, "a.xml").text == f"b: {said}"

    def test_entities_neither_read_files_nor_grow(self) -> None:
        outside = b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a><b>before &x; after</b></a>"
        assert "root" not in read_document(outside, "a.xml").text
        laughs = "".join(f"<!ENTITY l{i} '{f'&l{i - 1};' * 10 if i else 'lol' * 100}'>" for i in range(12))
        started = time.process_time()
        with pytest.raises(DocumentError, match=r"a\.xml"):
            read_document(f"<!DOCTYPE a [{laughs}]><a>&l11;</a>".encode(), "a.xml")
        assert time.process_time() - started < 10

    def test_depth_costs_nothing(self) -> None:
        assert read_document(b"<a>" * 50_000 + b"x" + b"</a>" * 50_000, "a.xml").text == "a: x"
