# ruff: noqa: E501  (XML reads best in one line)
"""Word documents: nothing that Word shows may vanish, and nothing that it does not show may come in."""

from __future__ import annotations

import io
import time
import zipfile
from dataclasses import replace

import docx
import pytest

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentTooLongError, UnreadableDocumentError
from tests.documents.conftest import Recall
from tests.documents.readers.packed import p, r, relationships, table, word, zipped


def read(content: bytes, name: str = "a.docx") -> DocumentContent:
    return read_document(content, name)


def text(content: bytes) -> str:
    return read(content).text


def saved(document: docx.document.Document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def parts_of(content: DocumentContent) -> dict[str | None, str]:
    """What stands in each part."""
    found: dict[str | None, str] = {}
    for section in content.sections:
        part = section.place.part
        found[part] = f"{found[part]}\n" if part in found else ""
        found[part] += content.text[section.start : section.end]
    return found


CHANGE = 'w:id="1" w:author="A" w:date="2026-01-01T00:00:00Z"'


class TestChanges:
    def test_are_shown_as_accepted(self, recall: Recall) -> None:
        body = p("The rent is EUR ", f"<w:del {CHANGE}><w:r><w:delText>900</w:delText></w:r></w:del>",
                 f"<w:ins {CHANGE}>{r('950')}</w:ins>", " a month.")  # fmt: skip
        assert text(word(body)) == "The rent is EUR 950 a month."
        recall("docx insertions", "The rent is EUR 950 a month.", text(word(body)))

    def test_moved_text_stands_where_it_was_moved_to(self, recall: Recall) -> None:
        body = p(f"<w:moveFrom {CHANGE}>{r('Clause 7.')}</w:moveFrom>", "First.")
        body += p("Last. ", f"<w:moveTo {CHANGE}>{r('Clause 7.')}</w:moveTo>")
        assert text(word(body)) == "First.\nLast. Clause 7."
        recall("docx moved text", "First. Last. Clause 7.", text(word(body)))

    def test_a_paragraph_whose_mark_is_deleted_goes_on_in_the_next(self) -> None:
        body = p("The fee ", properties=f"<w:rPr><w:del {CHANGE}/></w:rPr>") + p("is 12.")
        assert text(word(body)) == "The fee is 12."
        assert text(word(p("The end", properties=f"<w:rPr><w:del {CHANGE}/></w:rPr>"))) == "The end"

    def test_a_deleted_row_is_gone_and_an_inserted_one_is_there(self) -> None:
        row = "<w:tr><w:trPr><w:{} {}/></w:trPr><w:tc>{}</w:tc></w:tr>"
        body = f"<w:tbl>{row.format('del', CHANGE, p('old'))}{row.format('ins', CHANGE, p('new'))}</w:tbl>"
        assert text(word(body)) == "new"

    def test_former_formats_are_not_text(self) -> None:
        properties = (
            f"<w:pPrChange {CHANGE}><w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr></w:pPrChange>"
        )
        assert text(word(p("text", properties=properties))) == "text"


class TestWrappers:
    """Elements around text."""

    @pytest.mark.parametrize(
        ("label", "wrapped"),
        [
            ("inline content controls", "<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>"),
            ("smart tags", "<w:smartTag w:uri='u' w:element='e'>{}</w:smartTag>"),
            ("simple fields", "<w:fldSimple w:instr='DOCPROPERTY Total'>{}</w:fldSimple>"),
            ("hyperlinks", "<w:hyperlink w:anchor='a'>{}</w:hyperlink>"),
            ("custom XML", "<w:customXml w:element='e'>{}</w:customXml>"),
            ("text of other directions", "<w:bdo w:val='rtl'>{}</w:bdo>"),
            ("elements of later versions", "<w:notYetKnown>{}</w:notYetKnown>"),
        ],
    )  # fmt: skip
    def test_inline_ones_let_their_text_pass(self, label: str, wrapped: str, recall: Recall) -> None:
        body = p("Total ", wrapped.format(r("12.50")), " EUR")
        assert text(word(body)) == "Total 12.50 EUR"
        recall(f"docx {label}", "Total 12.50 EUR", text(word(body)))

    def test_content_controls_hold_blocks_rows_and_cells(self, recall: Recall) -> None:
        control = "<w:sdt><w:sdtContent>{}</w:sdtContent></w:sdt>"
        row = "<w:tr><w:tc>{}</w:tc>{}</w:tr>"
        body = control.format(p("Block 1")) + "<w:tbl>" + control.format(
            row.format(p("Row"), control.format(f"<w:tc>{p('Cell 2')}</w:tc>"))
        ) + "</w:tbl>"  # fmt: skip
        assert text(word(body)) == "Block 1\nRow | Cell 2"
        recall("docx block content controls", "Block 1 Row Cell 2", text(word(body)))

    def test_alternative_forms_are_read_once(self, recall: Recall) -> None:
        box = "<w:txbxContent>" + p("Pay to 4711") + p("by Friday") + "</w:txbxContent>"
        drawing = f"<w:drawing><wp:anchor><a:graphic><a:graphicData><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:anchor></w:drawing>"
        old = f"<w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict>"
        both = f"<w:r><mc:AlternateContent><mc:Choice Requires='wps'>{drawing}</mc:Choice><mc:Fallback>{old}</mc:Fallback></mc:AlternateContent></w:r>"
        content = read(word(p("Before ", both, "after") + p("end")))
        assert content.text == "Before after\nPay to 4711\nby Friday\nend"
        assert parts_of(content) == {"text box": "Pay to 4711\nby Friday"}
        recall("docx text boxes", "Before after Pay to 4711 by Friday end", content.text)
        unknown = f"<w:r><mc:AlternateContent><mc:Choice Requires='new'><a:new/></mc:Choice><mc:Fallback>{old}</mc:Fallback></mc:AlternateContent></w:r>"
        assert text(word(p("Before ", unknown))) == "Before\nPay to 4711\nby Friday"

    def test_text_in_the_old_ways_of_drawing_is_read(self) -> None:
        old = "<w:r><w:pict><v:shape><v:textpath string='DRAFT 3'/></v:shape></w:pict></w:r>"
        assert text(word(p(old))) == "DRAFT 3"


def field(result: str, *, instruction: str = "REF x", form: str = "") -> str:
    mark = "<w:r><w:fldChar w:fldCharType='{}'>{}</w:fldChar></w:r>"
    middle = mark.format("separate", "") + r(result) if result else ""
    begin = mark.format("begin", f"<w:ffData>{form}</w:ffData>" if form else "")
    return f"{begin}<w:r><w:instrText>{instruction}</w:instrText></w:r>{middle}{mark.format('end', '')}"


class TestFields:
    def test_show_their_results(self, recall: Recall) -> None:
        nested = field("12.50", instruction=f"=SUM(</w:instrText></w:r>{field('9')}<w:r><w:instrText>)")
        body = p("Total ", nested, " on ", field("5 May"), field("", instruction="XE index"), " end")
        assert text(word(body)) == "Total 12.50 on 5 May end"
        recall("docx complex fields", "Total 12.50 on 5 May end", text(word(body)))

    def test_of_forms_show_what_is_chosen(self) -> None:
        ticked = "<w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox>"
        chosen = (
            "<w:ddList><w:result w:val='1'/><w:listEntry w:val='no'/><w:listEntry w:val='yes'/></w:ddList>"
        )
        body = p(field("", form=ticked), " agreed: ", field("", form=chosen))
        assert text(word(body)) == "☒ agreed: yes"

    def test_without_an_end_hide_nothing(self) -> None:
        body = p("<w:r><w:fldChar w:fldCharType='begin'/></w:r>", "Total 12") + p("more")
        assert text(word(body)).split() == ["Total", "12more"]


class TestNotes:
    def test_stand_after_the_paragraph_that_refers_to_them(self, recall: Recall) -> None:
        body = p("The fee is 950", "<w:r><w:footnoteReference w:id='7'/></w:r>", " a year",
                 "<w:r><w:endnoteReference w:id='3'/></w:r>", ".") + p("Next.")  # fmt: skip
        footnotes = f"<w:footnote w:id='0' w:type='separator'>{p('---')}</w:footnote><w:footnote w:id='7'>{p('<w:r><w:footnoteRef/></w:r>', 'Plus 19% VAT.')}</w:footnote>"
        endnotes = f"<w:endnote w:id='3'>{p('Since 2024.')}</w:endnote>"
        content = read(word(body, footnotes=footnotes, endnotes=endnotes))
        assert content.text == "The fee is 950[1] a year[i].\n[1] Plus 19% VAT.\n[i] Since 2024.\nNext."
        assert parts_of(content) == {"footnote 1": "[1] Plus 19% VAT.", "endnote 1": "[i] Since 2024."}
        recall("docx footnotes", "Plus 19% VAT.", content.text)
        recall("docx endnotes", "Since 2024.", content.text)

    def test_of_a_cell_stand_after_its_row(self) -> None:
        cell = p("950", "<w:r><w:footnoteReference w:id='1'/></w:r>")
        footnotes = f"<w:footnote w:id='1'>{p('Net.')}</w:footnote>"
        assert (
            text(word(table(["Fee", cell], ["a", "b"]), footnotes=footnotes))
            == "Fee | 950[1]\n[1] Net.\na | b"
        )

    def test_with_a_mark_of_their_own_keep_it(self) -> None:
        reference = "<w:r><w:footnoteReference w:id='1' w:customMarkFollows='1'/><w:t>*</w:t></w:r>"
        footnotes = f"<w:footnote w:id='1'>{p('* Net.')}</w:footnote>"
        assert text(word(p("950", reference), footnotes=footnotes)) == "950*\n* Net."

    def test_that_are_comments_say_so_and_who_wrote_them(self, recall: Recall) -> None:
        body = p("<w:commentRangeStart w:id='4'/>", "EUR 950", "<w:commentRangeEnd w:id='4'/>",
                 "<w:r><w:commentReference w:id='4'/></w:r>") + p("Next.")  # fmt: skip
        comments = f"<w:comment w:id='4' w:author='A. Miller'>{p('Was 900?')}{p('Ask.')}</w:comment>"
        comments += f"<w:comment w:id='5' w:author='B'>{p('Lost.')}</w:comment>"
        content = read(word(body, comments=comments))
        assert content.text.startswith("EUR 950\n[Comment by A. Miller: Was 900?\nAsk.]\nNext.")
        assert content.text.endswith("[Comment by B: Lost.]")
        assert parts_of(content)["comment by A. Miller"] == "[Comment by A. Miller: Was 900?\nAsk.]"
        recall("docx comments", "Was 900? Ask.", content.text)


class TestHeadersAndFooters:
    def test_of_every_kind_that_is_shown_are_read(self, recall: Recall) -> None:
        document = docx.Document()
        section = document.sections[0]
        section.different_first_page_header_footer = True
        document.settings.odd_and_even_pages_header_footer = True
        section.header.paragraphs[0].text = "Acme GmbH"
        section.first_page_header.paragraphs[0].text = "Letter 1"
        section.even_page_header.paragraphs[0].text = "Even 2"
        section.footer.paragraphs[0].text = "IBAN DE00"
        section.first_page_footer.paragraphs[0].text = "Tax 3"
        section.even_page_footer.paragraphs[0].text = "Even 4"
        document.add_paragraph("Body")
        content = read(saved(document))
        assert content.text == "Letter 1\nAcme GmbH\nEven 2\nBody\nTax 3\nIBAN DE00\nEven 4"
        assert parts_of(content) == {
            "first-page header": "Letter 1", "header": "Acme GmbH", "even-page header": "Even 2",
            "first-page footer": "Tax 3", "footer": "IBAN DE00", "even-page footer": "Even 4",
        }  # fmt: skip
        recall("docx headers and footers", "Letter 1 Acme GmbH Even 2 Tax 3 IBAN DE00 Even 4", content.text)

    def test_that_word_does_not_show_are_not_read(self) -> None:
        document = docx.Document()
        document.sections[0].first_page_header.paragraphs[0].text = "not shown"
        document.sections[0].even_page_header.paragraphs[0].text = "nor this"
        document.sections[0].different_first_page_header_footer = False
        document.add_paragraph("Body")
        assert text(saved(document)) == "Body"

    def test_are_inherited_and_come_once(self) -> None:
        references = "<w:sectPr><w:headerReference w:type='first' r:id='header'/></w:sectPr>"
        body = p("One", properties=references) + p("Two") + "<w:sectPr><w:titlePg/></w:sectPr>"
        assert text(word(body, header=p("Second section"))) == "Second section\nOne\nTwo"


def level(number: int, form: str, written: str, more: str = "") -> str:
    return f"<w:lvl w:ilvl='{number}'><w:start w:val='1'/><w:numFmt w:val='{form}'/><w:lvlText w:val='{written}'/>{more}</w:lvl>"


LEVELS = level(0, "decimal", "%1.") + level(1, "decimal", "%1.%2") + level(2, "lowerLetter", "%1.%2.%3")
NUMBERING = f"<w:abstractNum w:abstractNumId='0'>{LEVELS}</w:abstractNum><w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>"


def item(content: str, depth: int = 0, numbering: int = 1) -> str:
    return p(
        content, properties=f"<w:numPr><w:ilvl w:val='{depth}'/><w:numId w:val='{numbering}'/></w:numPr>"
    )


class TestNumbers:
    def test_of_clauses_are_counted_over_levels(self, recall: Recall) -> None:
        body = (
            item("A") + item("B", 1) + item("C", 1) + item("D", 2) + item("E", 2) + item("F") + item("G", 1)
        )
        wanted = "1. A\n1.1 B\n1.2 C\n1.2.a D\n1.2.b E\n2. F\n2.1 G"
        assert text(word(body, numbering=NUMBERING)) == wanted
        recall("docx clause numbers", wanted, text(word(body, numbering=NUMBERING)))

    def test_start_over_where_a_list_says_so(self) -> None:
        again = "<w:num w:numId='2'><w:abstractNumId w:val='0'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='5'/></w:lvlOverride></w:num>"
        body = item("A") + item("B", 0, 2) + item("C", 0, 2) + item("D")
        assert text(word(body, numbering=NUMBERING + again)) == "1. A\n5. B\n6. C\n7. D"

    def test_come_from_styles(self) -> None:
        styles = (
            "<w:style w:type='paragraph' w:styleId='H1'><w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr></w:style>"
            "<w:style w:type='paragraph' w:styleId='H2'><w:basedOn w:val='H1'/></w:style>"
            "<w:style w:type='paragraph' w:styleId='None'><w:basedOn w:val='H1'/><w:pPr><w:numPr><w:numId w:val='0'/></w:numPr></w:pPr></w:style>"
        )
        levels = level(0, "upperRoman", "%1", "<w:pStyle w:val='H1'/>") + level(
            1, "decimal", "§ %2 of %1", "<w:pStyle w:val='H2'/>"
        )
        numbering = f"<w:abstractNum w:abstractNumId='0'>{levels}</w:abstractNum><w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>"
        style = "<w:pStyle w:val='{}'/>"
        body = "".join(
            p(name, properties=style.format(name)) for name in ("H1", "H2", "H2", "None", "H1", "H2")
        )
        assert text(word(body, styles=styles, numbering=numbering)) == (
            "I H1\n§ 1 of I H2\n§ 2 of I H2\nNone\nII H1\n§ 1 of II H2"
        )

    @pytest.mark.parametrize(
        ("form", "wanted"),
        [("lowerRoman", "iv"), ("upperLetter", "D"), ("decimalZero", "04"), ("ordinal", "4th"), ("japaneseCounting", "四"),
         ("bullet", "•"), ("notKnown", "4")],
    )  # fmt: skip
    def test_are_written_in_many_forms(self, form: str, wanted: str) -> None:
        numbering = NUMBERING.replace(level(0, "decimal", "%1."), level(0, form, "%1"))
        assert text(word(item("x") * 4, numbering=numbering)).split("\n")[3] == f"{wanted} x"

    def test_are_counted_neither_for_deleted_items_nor_shown_for_empty_ones(self) -> None:
        mark = f"<w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr><w:rPr><w:del {CHANGE}/></w:rPr>"
        deleted = p(f"<w:del {CHANGE}><w:r><w:delText>gone</w:delText></w:r></w:del>", properties=mark)
        assert text(word(item("A") + deleted + item("B"), numbering=NUMBERING)) == "1. A\n2. B"

    def test_of_enormous_size_cost_nothing(self) -> None:
        for form in ("lowerLetter", "upperRoman", "japaneseCounting"):
            numbering = NUMBERING.replace(level(0, "decimal", "%1."), level(0, form, "%1" * 9).replace(
                "<w:start w:val='1'/>", "<w:start w:val='2000000000'/>"))  # fmt: skip
            assert text(word(item("x"), numbering=numbering)).startswith("2000000000")


class TestCharacters:
    def test_hidden_text_is_not_read(self) -> None:
        styles = (
            "<w:style w:type='character' w:styleId='Hid'><w:rPr><w:vanish/></w:rPr></w:style>"
            "<w:style w:type='paragraph' w:styleId='HidP'><w:rPr><w:vanish/></w:rPr></w:style>"
        )
        body = p(
            "a",
            r("HIDDEN", "<w:vanish/>"),
            r("b", "<w:vanish w:val='0'/>"),
            r("HIDDEN", "<w:rStyle w:val='Hid'/>"),
        )
        body += p("HIDDEN", r(" c", "<w:vanish w:val='false'/>"), properties="<w:pStyle w:val='HidP'/>")
        assert text(word(body, styles=styles)) == "ab\nc"

    def test_tabs_breaks_hyphens_and_symbols(self, recall: Recall) -> None:
        body = p("Total:", "<w:r><w:tab/><w:t>24.99</w:t><w:tab/><w:t>5.00</w:t><w:br/><w:t>INV</w:t><w:noBreakHyphen/><w:t>7</w:t></w:r>",
                 "<w:r><w:sym w:font='Wingdings' w:char='F0FE'/><w:t xml:space='preserve'> paid </w:t><w:sym w:font='Symbol' w:char='F0A3'/></w:r>",
                 r("\uf06d", "<w:rFonts w:ascii='Symbol'/>"), " ", "<w:r><w:t>soft</w:t><w:softHyphen/><w:t>ware</w:t></w:r>")  # fmt: skip
        assert text(word(body)) == "Total:\t24.99\t5.00\nINV-7☑ paid ≤μ software"
        recall("docx tabs, breaks and symbols", "Total: 24.99 5.00 INV-7 paid software", text(word(body)))

    @pytest.mark.parametrize(("code", "shown"), [("F0A7", "♣"), ("F0CE", "∈"), ("F0DE", "⇒"), ("F0F2", "∫")])
    def test_all_signs_of_the_font_symbol_are_known(self, code: str, shown: str) -> None:
        assert text(word(p(f"<w:r><w:sym w:font='Symbol' w:char='{code}'/></w:r>"))) == shown

    def test_raised_digits_are_not_part_of_a_number(self) -> None:
        body = p(
            "EUR 950",
            r("1", "<w:vertAlign w:val='superscript'/>"),
            " for CO",
            r("2", "<w:vertAlign w:val='subscript'/>"),
        )
        assert text(word(body)) == "EUR 950¹ for CO₂"

    def test_a_first_letter_that_is_drawn_large_belongs_to_its_word(self) -> None:
        assert (
            text(word(p("D", properties="<w:framePr w:dropCap='drop' w:lines='3'/>") + p("rop cap")))
            == "Drop cap"
        )

    def test_tab_stops_are_not_tabs(self) -> None:
        assert text(word(p("a", properties="<w:tabs><w:tab w:val='left' w:pos='720'/></w:tabs>"))) == "a"

    def test_formulas_are_read_in_a_line(self) -> None:
        half = "<m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"
        assert text(word(p("a = ", half))) == "a = 1/2"

    def test_of_readings_beside_han_only_the_base_is_read(self) -> None:
        ruby = f"<w:r><w:ruby><w:rubyPr/><w:rt>{r('とう')}</w:rt><w:rubyBase>{r('東')}</w:rubyBase></w:ruby></w:r>"
        assert text(word(p(ruby, "京"))) == "東京"


class TestTables:
    def test_keep_paragraphs_and_rows_in_order(self) -> None:
        document = docx.Document()
        document.add_paragraph("Delivery note 12")
        made = document.add_table(rows=3, cols=2)
        for row, texts in zip(made.rows, [("Item", "Pieces"), ("Pump\nblue", "3")], strict=False):
            for cell, content in zip(row.cells, texts, strict=True):
                cell.text = content
        made.rows[2].cells[0].merge(made.rows[2].cells[1]).text = "merged"
        document.add_paragraph("Received by:\tJ. Doe")
        assert text(saved(document)) == (
            "Delivery note 12\nItem | Pieces\nPump blue | 3\nmerged\nReceived by:\tJ. Doe"
        )

    def test_two_numbers_of_a_cell_do_not_become_one(self) -> None:
        assert text(word(table(["Net", p("12") + p("345")]))) == "Net | 12; 345"

    def test_within_cells_keep_their_rows(self, recall: Recall) -> None:
        body = table(["a", p("before") + table(["1", "2"], ["3", "4"]) + p("after")], ["x", "y"])
        assert text(word(body)) == "a | before\n1 | 2\n3 | 4\nafter\nx | y"
        recall("docx nested tables", "a before 1 2 3 4 after x y", text(word(body)))

    def test_with_an_odd_grid_are_read(self, recall: Recall) -> None:
        row = "<w:tr><w:trPr><w:gridBefore w:val='3'/><w:gridAfter w:val='70'/></w:trPr><w:tc><w:tcPr><w:gridSpan w:val='9'/></w:tcPr>{}</w:tc></w:tr>"
        merged = "<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr>{}</w:tc><w:tc>{}</w:tc></w:tr>".format(p(), p("5"))
        body = f"<w:tbl><w:tblGrid><w:gridCol/></w:tblGrid>{row.format(p('odd 4'))}{merged}</w:tbl>"
        assert text(word(body)).split() == ["odd", "4", "|", "5"]
        recall("docx odd grids", "odd 4 5", text(word(body)))


class TestOtherForms:
    def test_strict_documents_are_read(self, recall: Recall) -> None:
        body = p("Strict 1") + item("x")
        assert text(word(body, strict=True, numbering=NUMBERING)) == "Strict 1\n1. x"
        recall("docx Strict", "Strict 1 x", text(word(body, strict=True)))

    @pytest.mark.parametrize("extension", ["docm", "dotx", "dotm"])
    def test_documents_with_macros_and_templates_are_read(self, extension: str) -> None:
        assert read(word(p("x")), f"a.{extension}").text == "x"

    def test_a_chunk_is_given_as_an_attachment_and_noted(self) -> None:
        content = read(word(p("x") + "<w:altChunk r:id='c.html'/>", others={"c.html": b"<p>chunk"}))
        assert [(a.name, a.content) for a in content.attachments] == [("c.html", b"<p>chunk")]
        assert "c.html" in content.notes[0]

    def test_charts_and_diagrams_are_read(self) -> None:
        names = "xmlns:c='http://schemas.openxmlformats.org/drawingml/2006/chart' xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'"
        chart = f"<c:chartSpace {names}><c:title><a:p><a:r><a:t>Sales 2026</a:t></a:r></a:p></c:title><c:ser><c:tx><c:v>North</c:v></c:tx><c:val><c:pt><c:v>12</c:v></c:pt><c:pt><c:v>345</c:v></c:pt></c:val></c:ser></c:chartSpace>"
        drawing = "<w:r><w:drawing><c:chart r:id='chart'/></w:drawing></w:r>"
        content = read(word(p("x", drawing), chart=chart))
        assert content.text == "x\nSales 2026\nNorth\n12 | 345"

    def test_what_describes_a_picture_stands_in_its_place(self) -> None:
        drawing = "<w:r><w:drawing><wp:inline><wp:docPr id='1' descr='Stamp: PAID 5 May'/><a:graphic><a:blip r:embed='i'/></a:graphic></wp:inline></w:drawing></w:r>"
        content = read(word(p("x", drawing)))
        assert content.text == "x\nStamp: PAID 5 May"
        assert parts_of(content) == {"picture": "Stamp: PAID 5 May"}

    def test_pictures_are_noted(self) -> None:
        assert read(word(p("x", "<w:r><w:drawing><a:blip r:embed='i'/></w:drawing></w:r>"))).notes == (
            "The text of 1 picture in it was not read.",
        )


class TestHostileFiles:
    @pytest.mark.parametrize(
        "body",
        [
            "<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='2000000000'/></w:tcPr>" + p("x") + "</w:tc></w:tr></w:tbl>",
            table(*[["x", "<w:tcPr><w:vMerge/></w:tcPr>" + p()]] * 20_000),
            "<w:sdt><w:sdtContent>" * 50_000 + p("x") + "</w:sdtContent></w:sdt>" * 50_000,
            "<w:tbl><w:tr><w:tc>" * 90 + p("x") + "</w:tc></w:tr></w:tbl>" * 90,
            ("<w:p><w:r><w:pict><w:txbxContent>" * 90) + p("x") + "</w:txbxContent></w:pict></w:r></w:p>" * 90,
            "<w:r><w:fldChar w:fldCharType='begin'/></w:r>" * 20_000 + p("x"),
        ],
        ids=["span", "merged rows", "deep controls", "deep tables", "deep boxes", "open fields"],
    )  # fmt: skip
    def test_cost_nothing(self, body: str) -> None:
        started = time.process_time()
        limits = replace(DEFAULT_LIMITS, max_ratio=10_000)
        assert "x" in read_document(word(body), "a.docx", limits=limits).text
        assert time.process_time() - started < 5

    @pytest.mark.parametrize(
        ("opened", "closed"),
        [("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>"),
         ("<w:p><w:r><w:pict><w:txbxContent>", "</w:txbxContent></w:pict></w:r></w:p>")],
    )  # fmt: skip
    def test_of_absurd_depth_are_refused(self, opened: str, closed: str) -> None:
        limits = replace(DEFAULT_LIMITS, max_ratio=10_000)
        with pytest.raises(UnreadableDocumentError, match="more than 100 deep"):
            read_document(word(opened * 50_000 + p("x") + closed * 50_000), "a.docx", limits=limits)

    def test_styles_in_a_circle_end(self) -> None:
        styles = "".join(
            f"<w:style w:type='paragraph' w:styleId='{a}'><w:basedOn w:val='{b}'/></w:style>"
            for a, b in ("ab", "ba")
        )
        assert (
            text(word(p("x", properties="<w:pStyle w:val='a'/>"), styles=styles, numbering=NUMBERING)) == "x"
        )

    def test_entities_are_refused(self, tmp_path: object) -> None:
        for declared in ('<!ENTITY x "y">', '<!ENTITY x SYSTEM "file:///etc/passwd">'):
            content = word(p("before &x; after"))
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            parts["word/document.xml"] = f"<!DOCTYPE d [{declared}]>".encode() + parts["word/document.xml"]
            with pytest.raises(UnreadableDocumentError, match=r"a\.docx .*document type"):
                read(zipped(dict(parts)))

    def test_a_note_that_is_referred_to_often_comes_once(self) -> None:
        body = p(*["<w:r><w:footnoteReference w:id='1'/></w:r>"] * 1_000)
        note = "long " * 1_000
        assert len(text(word(body, footnotes=f"<w:footnote w:id='1'>{p(note)}</w:footnote>"))) < 20_000

    def test_too_much_text_is_stopped(self) -> None:
        with pytest.raises(DocumentTooLongError, match="the limit is 10 characters"):
            read_document(word(p("x" * 11)), "a.docx", limits=replace(DEFAULT_LIMITS, max_characters=10))

    def test_zip_bombs_are_refused_before_unpacking(self) -> None:
        with pytest.raises(DocumentTooLongError, match="unpacks from"):
            read(zipped({"word/document.xml": b"0" * 30_000_000}))

    def test_what_is_no_word_document_is_named(self) -> None:
        sheet = zipped({
            "_rels/.rels": relationships({"r": ("officeDocument", "xl/workbook.xml")}),
            "xl/workbook.xml": "<workbook xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'/>",
        })  # fmt: skip
        for content, said in (
            (b"text", "not a Word document"),
            (b"PK\x03\x04rubbish", "not a Word document"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1old", "old format of Office, or encrypted"),
            (b"{\\rtf1 x}", "rename it to .rtf"),
            (zipped({"a.txt": "a"}), "no document in it"),
            (zipped({"word/document.xml": "<w:document"}), "well-formed"),
            (sheet, "s:workbook"),
            (word(p("x"))[:-200], "a.docx"),
        ):
            with pytest.raises(UnreadableDocumentError, match=said) as caught:
                read(content)
            assert caught.value.document == "a.docx"

    def test_a_part_that_is_missing_is_no_reason_to_fail(self) -> None:
        content = word(
            p("x", "<w:r><w:footnoteReference w:id='9'/></w:r>")
            + "<w:sectPr><w:headerReference r:id='no'/></w:sectPr>"
        )
        assert text(content) == "x[1]"
