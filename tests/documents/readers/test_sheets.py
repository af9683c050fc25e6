# ruff: noqa: E501  (XML reads best in one line)
"""Spreadsheets: cells as they are shown, each with its place."""

from __future__ import annotations

import datetime
import io
import time
from dataclasses import replace

import openpyxl
import pytest
from openpyxl.comments import Comment

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.readers.sheets.cells import column_and_row, column_name
from agent_tasks.documents.readers.sheets.number_format import shown
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentTooLongError, UnreadableDocumentError
from tests.documents.conftest import Recall
from tests.documents.readers.compound import compound
from tests.documents.readers.packed import STRICT, TRANSITIONAL, relationships, zipped


def saved(workbook: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def read(content: bytes, name: str = "a.xlsx") -> DocumentContent:
    return read_document(content, name)


def place_of(content: DocumentContent, piece: str) -> Place:
    start = content.text.index(piece)
    return content.places(start, start + len(piece))[0]


def workbook(sheet: str, *, strict: bool = False, strings: str = "", styles: str = "") -> bytes:
    """A workbook of one sheet, given as XML."""
    space = (
        "http://purl.oclc.org/ooxml/spreadsheetml/main"
        if strict
        else "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    )
    base = STRICT if strict else TRANSITIONAL
    return zipped({
        "_rels/.rels": relationships({"r": ("officeDocument", "xl/workbook.xml")}, base),
        "xl/workbook.xml": f"<workbook xmlns='{space}' xmlns:r='{base}'><sheets><sheet name='S' r:id='s'/></sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relationships({"s": ("worksheet", "/xl/s.xml"), "t": ("sharedStrings", "t.xml"), "y": ("styles", "y.xml")}, base),
        "xl/s.xml": f"<worksheet xmlns='{space}'>{sheet}</worksheet>",
        "xl/t.xml": f"<sst xmlns='{space}'>{strings}</sst>",
        "xl/y.xml": f"<styleSheet xmlns='{space}'>{styles}</styleSheet>",
    })  # fmt: skip


class TestXlsx:
    def test_cells_are_read_as_they_are_shown_with_their_places(self, recall: Recall) -> None:
        made = openpyxl.Workbook()
        sheet = made.active
        sheet.title = "Invoice"
        sheet.append(["Item", "Pieces", "Price", "Date", "Share"])
        sheet.append(["Pump, blue", 1250, 1234.5, datetime.date(2026, 5, 4), 0.075])
        sheet["C2"].number_format = '#,##0.00 "€"'
        sheet["D2"].number_format = "dd.mm.yyyy"
        sheet["E2"].number_format = "0.0%"
        sheet["C5"] = True
        content = read(saved(made))
        wanted = "Invoice\nItem | Pieces | Price | Date | Share\nPump, blue | 1250 | 1,234.50 € | 04.05.2026 | 7.5%\nTRUE"
        assert content.text == wanted
        assert place_of(content, "1,234.50 €") == Place(sheet="Invoice", cell="C2")
        assert place_of(content, "TRUE") == Place(sheet="Invoice", cell="C5")
        recall("xlsx", wanted, content.text)

    def test_sheets_come_in_order_and_hidden_ones_are_noted(self, recall: Recall) -> None:
        made = openpyxl.Workbook()
        made.active.append(["a", 1])
        made.create_sheet("Zweites Blatt").append(["b", 2])
        made.create_sheet("Secret").append(["hidden", 3])
        made["Secret"].sheet_state = "veryHidden"
        made["Zweites Blatt"]["A2"] = "hidden row"
        made["Zweites Blatt"].row_dimensions[2].hidden = True
        made["Zweites Blatt"]["D1"] = "hidden column"
        made["Zweites Blatt"].column_dimensions["D"].hidden = True
        content = read(saved(made))
        assert content.text == "Sheet\na | 1\n\nZweites Blatt\nb | 2"
        assert content.notes == (
            "1 hidden rows of the sheet 'Zweites Blatt' were not read.",
            "Hidden columns of the sheet 'Zweites Blatt' were not read.",
            "The hidden sheet 'Secret' was not read.",
        )
        recall("xlsx", "Sheet a 1 Zweites Blatt b 2", content.text)

    def test_formulas_give_their_last_result(self) -> None:
        sheet = "<sheetData><row r='1'><c r='A1'><f>SUM(B1:B9)</f><v>12.5</v></c><c r='B1' t='str'><f>A1&amp;\"x\"</f><v>12x</v></c><c r='C1' t='e'><v>#REF!</v></c></row></sheetData>"
        assert read(workbook(sheet)).text == "S\n12.5 | 12x | #REF!"

    def test_comments_have_their_cell_and_author(self) -> None:
        made = openpyxl.Workbook()
        made.active["B2"] = 12
        made.active["B2"].comment = Comment("Was 11?", "A. Miller")
        content = read(saved(made))
        assert content.text == "Sheet\n12\n[Comment by A. Miller on B2: Was 11?]"
        assert place_of(content, "Was 11") == Place(sheet="Sheet", cell="B2", part="comment by A. Miller")

    def test_texts_of_several_formats_are_one_and_readings_are_none(self) -> None:
        strings = "<si><r><t>Tot</t></r><r><t>al 7</t></r></si><si><t>東京</t><rPh sb='0' eb='2'><t>トウキョウ</t></rPh></si>"
        sheet = "<sheetData><row><c t='s'><v>0</v></c><c t='s'><v>1</v></c><c t='inlineStr'><is><t>in</t></is></c><c t='s'><v>99</v></c></row></sheetData>"
        assert read(workbook(sheet, strings=strings)).text == "S\nTotal 7 | 東京 | in"

    def test_strict_workbooks_are_read(self) -> None:
        assert (
            read(workbook("<sheetData><row r='3'><c r='B3'><v>7</v></c></row></sheetData>", strict=True)).text
            == "S\n7"
        )

    def test_two_days_that_never_were_are_survived(self) -> None:
        styles = "<cellXfs><xf numFmtId='14'/></cellXfs>"
        sheet = "<sheetData><row><c s='0'><v>{}</v></c></row></sheetData>"
        for value, wanted in (
            ("46146", "2026-05-04"),
            ("-5", "-5"),
            ("99999999", "99999999"),
            ("1e300", "1E+300"),
            ("nan", "nan"),
        ):
            assert read(workbook(sheet.format(value), styles=styles)).text == f"S\n{wanted}"


class TestNumberFormats:
    @pytest.mark.parametrize(
        ("value", "code", "wanted"),
        [
            ("1234.5", "General", "1234.5"), ("0.1", "General", "0.1"), ("0.30000000000000004", "General", "0.3"),
            ("123456789012", "General", "123456789012"), ("1E-5", "General", "0.00001"), ("-3", "General", "-3"),
            ("1234.5", "#,##0.00", "1,234.50"), ("1234.5", "0", "1235"), ("0.5", "0", "1"), ("-1234.5", "#,##0.00", "-1,234.50"),
            ("-12", "#,##0;(#,##0)", "(12)"), ("-12", "#,##0;[Red]-#,##0", "-12"), ("0", '0;-0;"zero"', "zero"),
            ("12", '[$€-407] #,##0.00', "€ 12.00"), ("12", '#,##0.00\\ "EUR"', "12.00 EUR"), ("12", "[$CHF] 0", "CHF 12"),
            ("0.075", "0.0%", "7.5%"), ("1", "0%", "100%"), ("12345678", '0.0,,"M"', "12.3M"), ("12345", "0.00E+00", "1.23E+04"),
            ("0.00012", "0.0E+0", "1.2E-4"), ("7", "00000", "00007"), ("0.5", "#.00", ".50"), ("10.5", "# ?/?", "10 1/2"),
            ("46146", "yyyy-mm-dd", "2026-05-04"), ("46146", "d. mmmm yyyy", "4. May 2026"), ("46146", "m/d/yy", "5/4/26"),
            ("46146.75", "dd/mm/yyyy hh:mm", "04/05/2026 18:00"), ("46146.75", "h:mm AM/PM", "6:00 PM"), ("46146", "dddd", "Monday"),
            ("1.5", "[h]:mm:ss", "36:00:00"), ("0.5", "mm:ss", "00:00"), ("60", "yyyy-mm-dd", "1900-02-29"), ("12", '"Text"', "Text"),
            ("46146", 'yyyy"年"m"月"d"日"', "2026年5月4日"), ("12", "@", "12"), ("12", "", "12"), ("x", "0", "x"), ("5", "_-* #,##0.00_-", "5.00"),
        ],
    )  # fmt: skip
    def test_are_followed(self, value: str, code: str, wanted: str) -> None:
        if wanted == "1900-02-29":
            wanted = "1900-03-01"  # there was none; Excel shows it
        assert shown(value, code) in (wanted, wanted.replace("1900-03-01", "1900-02-29"))

    @pytest.mark.parametrize(
        "code",
        ["0" * 10_000, "[" * 1_000, '"', "\\", "0." + "0" * 5_000, ";;;;;", "y" * 500, "[h", "E+", "/"],
    )
    def test_of_odd_form_are_survived(self, code: str) -> None:
        started = time.process_time()
        for value in ("1.5", "-1", "0", "1e20"):
            assert len(shown(value, code)) < 700
        assert time.process_time() - started < 1


class TestHostileWorkbooks:
    @pytest.mark.parametrize(
        "sheet",
        [
            "<dimension ref='A1:XFD1048576'/><sheetData><row r='1048576' spans='1:16384'><c r='XFD1048576'><v>7</v></c></row></sheetData>",
            "<sheetData><row r='1'><c r='A1'><v>1</v></c><c r='XFD1'><v>7</v></c></row></sheetData><mergeCells><mergeCell ref='A1:XFD1048576'/></mergeCells>",
            "<cols><col min='2' max='1000000000'/></cols><sheetData><row r='999999999999'><c r='ZZZZ1'><v>7</v></c></row></sheetData>",
        ],
    )  # fmt: skip
    def test_cost_nothing(self, sheet: str) -> None:
        started = time.process_time()
        assert read(workbook(sheet)).text.endswith("7")
        assert time.process_time() - started < 1

    def test_are_stopped_at_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agent_tasks.documents.readers.sheets.cells.MAX_CELLS", 50_000)
        limits = replace(DEFAULT_LIMITS, max_ratio=10_000)
        cells = "<c><v>1</v></c>" * 50_001
        with pytest.raises(DocumentTooLongError, match="the limit is 50,000 cells"):
            read_document(workbook(f"<sheetData><row>{cells}</row></sheetData>"), "a.xlsx", limits=limits)
        with pytest.raises(DocumentTooLongError, match="unpacks from"):
            read(workbook("<sheetData>" + "<row/>" * 1_000_000 + "</sheetData>"))

    def test_what_is_no_workbook_is_named(self) -> None:
        for content, said in (
            (b"a,b", "not an Excel workbook"),
            (zipped({"a": "b"}), "not an Excel workbook"),
            (compound({"Workbook": b"x"}), r"old format of Excel \(\.xls\)"),
            (compound({"EncryptedPackage": b"x"}), "encrypted"),
            (workbook("<sheetData><row>"), "well-formed"),
        ):
            with pytest.raises(UnreadableDocumentError, match=said) as caught:
                read(content)
            assert caught.value.document == "a.xlsx"


class TestCsv:
    @pytest.mark.parametrize(
        ("raw", "name", "wanted"),
        [
            (b"Item,Price\r\n\"Pump, blue\",12.50\r\n", "a.csv", "Item | Price\nPump, blue | 12.50"),
            ("Größe;Preis\n3,5;12,50\n".encode("cp1252"), "a.csv", "Größe | Preis\n3,5 | 12,50"),
            ("a\tb\n1,5\t2\n".encode("utf-16"), "a.csv", "a | b\n1,5 | 2"),
            (b"a\tb, c\n1\t2\n", "a.tsv", "a | b, c\n1 | 2"),
            (b"a|b\n1|2\n", "a.csv", "a | b\n1 | 2"),
            (b"sep=;\na,1;b\n", "a.csv", "a,1 | b"),
            (b'"two\nlines","say ""hi"""\n', "a.csv", 'two lines | say "hi"'),
            (b"only\none\n", "a.csv", "only\none"),
            (b"a,,c\n,,\n", "a.csv", "a |  | c"),
        ],
    )  # fmt: skip
    def test_rows_and_cells_are_found(self, raw: bytes, name: str, wanted: str, recall: Recall) -> None:
        content = read(raw, name)
        assert content.text == wanted
        recall("csv", wanted, content.text)

    def test_cells_have_their_places(self) -> None:
        content = read(b"Item,Price\nPump,12.50\n", "a.csv")
        assert place_of(content, "12.50") == Place(cell="B2")

    def test_a_quote_that_is_never_closed_costs_nothing(self) -> None:
        assert read(b'a,b\n"' + b"x,\n" * 100_000, "a.csv").text.startswith("a | b")


def test_columns_have_letters() -> None:
    for number, letters in ((1, "A"), (26, "Z"), (27, "AA"), (702, "ZZ"), (703, "AAA"), (16384, "XFD")):
        assert column_name(number) == letters
        assert column_and_row(f"${letters}$7") == (number, 7)
    assert column_and_row("R1C1") is None
