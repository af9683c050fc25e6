"""PDF: everything that a page shows, in the order in which it is read, with where it stands."""

from __future__ import annotations

import contextlib
import io
import random
import re
import time
import zlib
from dataclasses import replace

import pytest
from pypdf import PdfWriter
from pypdf.annotations import FreeText, Text
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    RectangleObject,
)
from reportlab.pdfgen.canvas import Canvas

from agent_tasks.documents import recognition
from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.readers.legibility import is_garbage
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentTooLongError, EmptyDocumentError, UnreadableDocumentError
from tests.support.pdf_files import Draw, changed, drawn, encrypted, filled_with, pdf, scan


@pytest.fixture(autouse=True)
def nothing_recognises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_tasks.documents.readers.pdf.recogniser", lambda: None)


def read(content: bytes) -> DocumentContent:
    return read_document(content, "a.pdf")


def pieces(*placed: tuple[float, float, str]) -> Draw:
    def draw(canvas: Canvas) -> None:
        for x, y, text in placed:
            canvas.drawString(x, y, text)

    return draw


PROSE = "the quick brown fox jumps over the lazy dog and"


def columns(count: int = 2, rows: int = 12) -> list[tuple[float, float, str]]:
    width = 500 / count
    line = PROSE[: int(width / 6)].rsplit(" ", 1)[0]
    return [
        (
            50 + width * column,
            770 - 12 * row,
            f"{'ABC'[column]}{row} {line}",
        )
        for column in range(count)
        for row in range(rows)
    ]


class TestOrder:
    def test_pieces_drawn_from_right_to_left_are_kept_apart(self) -> None:
        content = drawn(pieces((400, 700, "29.99"), (350, 700, "5.00"), (300, 700, "24.99")))
        assert read(content).text.split() == ["24.99", "5.00", "29.99"]

    @pytest.mark.parametrize("seed", range(5))
    def test_the_order_of_drawing_does_not_matter_on_a_line(self, seed: int) -> None:
        words = [f"w{number}" for number in range(12)]
        placed = [(50 + 40 * number, 700.0, word) for number, word in enumerate(words)]
        random.Random(seed).shuffle(placed)
        assert read(drawn(pieces(*placed))).text.split() == words

    def test_a_label_does_not_run_into_its_value(self) -> None:
        content = drawn(
            pieces((150, 700, "COBADEFFXXX"), (50, 700, "BIC"), (50, 686, "IBAN"), (150, 686, "DE89"))
        )
        assert [line.split() for line in read(content).text.splitlines()] == [
            ["BIC", "COBADEFFXXX"],
            ["IBAN", "DE89"],
        ]

    def test_a_table_drawn_column_by_column_is_read_row_by_row(self) -> None:
        table = [
            ["Item", "Qty", "Price"],
            ["Pump", "1", "12.00"],
            ["Valve", "22", "5,000.00"],
            ["Hose", "3", "7.25"],
        ]
        placed = [(50 + 120 * x, 700 - 14 * y, table[y][x]) for x in range(3) for y in range(4)]
        assert [line.split() for line in read(drawn(pieces(*placed))).text.splitlines()] == table

    def test_wide_gaps_stay_two_blanks_so_that_columns_of_digits_are_no_number(self) -> None:
        assert read(drawn(pieces((50, 700, "12"), (120, 700, "345")))).text == "12  345"

    @pytest.mark.parametrize("count", [2, 3])
    @pytest.mark.parametrize("drawn_by", ["columns", "rows", "chance"])
    def test_columns_of_prose_are_read_one_after_the_other(self, count: int, drawn_by: str) -> None:
        placed = columns(count)
        wanted = [text.split()[0] for _, _, text in placed]
        if drawn_by == "rows":
            placed.sort(key=lambda piece: (-piece[1], piece[0]))
        elif drawn_by == "chance":
            random.Random(1).shuffle(placed)
        heading = (50.0, 800.0, "A heading over the whole width of the page and of all the columns on it")
        text = read(drawn(pieces(heading, *placed, (50, 500, "footer")))).text
        assert text.startswith("A heading")
        assert text.endswith("footer")
        assert re.findall(r"[ABC]\d+", text) == wanted

    def test_columns_of_short_lines_that_are_not_level_are_read_one_after_the_other(self) -> None:
        left = [(50.0, 770 - 14.0 * row, f"L{row} f({row})") for row in range(14)]
        right = [(300.0, 763 - 14.0 * row, f"R{row} g({row})") for row in range(14)]
        text = read(drawn(pieces(*left, *right))).text
        assert re.findall(r"[LR]\d+", text) == [piece[2].split()[0] for piece in (*left, *right)]

    def test_cells_with_further_lines_stay_in_their_rows(self) -> None:
        placed = []
        for row in range(8):
            top = 770 - 42 * row
            placed += [
                (50, top, f"item{row}"),
                (50, top - 14, "described at length"),
                (300, top, f"{row}.00"),
            ]
        text = read(drawn(pieces(*placed))).text
        assert all(f"item{row}  {row}.00" in text for row in range(8))

    def test_upright_text_comes_before_text_on_its_side(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.rotate(90)
            canvas.drawString(300, -40, "printed on the side")
            canvas.drawString(300, -52, "in two lines")
            canvas.rotate(-90)
            canvas.drawString(100, 700, "first line of the page")
            canvas.drawString(100, 686, "second")

        assert read(drawn(draw)).text == (
            "first line of the page\nsecond\n\nprinted on the side\nin two lines"
        )

    def test_a_word_broken_over_a_line_keeps_its_hyphen(self) -> None:
        assert read(pdf(["hyphen-", "ated"])).text == "hyphen-\nated"

    def test_words_stand_apart_beside_narrow_letters_where_the_page_has_no_blanks(self) -> None:
        lines = ["the final Claims of all 14 cars", "(at will) local, one part in 3.5 mm"]

        def draw(canvas: Canvas) -> None:
            for number, line in enumerate(lines):
                x, y = 50.0, 780 - 14 * number
                for word in line.split():
                    canvas.drawString(x, y, word)
                    x += canvas.stringWidth(word) + 1.4
            canvas.drawString(50, 740, "3")  # digits that stand a little apart are one number
            canvas.drawString(50 + canvas.stringWidth("3") + 1.4, 740, "750")
            for number, letter in enumerate("spouse"):  # and so are letters that are all spaced out
                canvas.drawString(50 + 6.7 * number, 720, letter)

        assert read(drawn(draw)).text.split() == " ".join([*lines, "3750", "spouse"]).split()

    def test_letters_of_a_font_whose_size_is_mistaken_stay_in_their_words(self) -> None:
        lines = ["NOTICE of 12 hearings", "The public may attend"]

        def draw(canvas: Canvas) -> None:
            canvas.scale(10, 10)  # of size 1, so that any gap seems wide
            canvas.setFont("Helvetica", 1)
            for number, line in enumerate(lines):
                x = 5.0
                for letter in line:
                    if letter != " ":
                        canvas.drawString(x, 70 - 1.5 * number, letter)
                    x += (canvas.stringWidth(letter) if letter != " " else 0.9) + 0.08

        assert read(drawn(draw)).text.split() == " ".join(lines).split()

    @pytest.mark.parametrize("degrees", [20, 45, 70, -30, 160])
    @pytest.mark.parametrize("turn", [0, 90])
    def test_a_stamp_across_the_page_keeps_its_words_and_stays_out_of_the_lines(
        self, degrees: int, turn: int
    ) -> None:
        def draw(canvas: Canvas) -> None:
            for number in range(20):
                canvas.drawString(60, 780 - 30 * number, f"line {number} says 1,250.{number:02} EUR")
            canvas.translate(300, 420)
            canvas.rotate(degrees)
            canvas.setFont("Helvetica", 40)
            canvas.drawString(-200, 0, "COPY of 2026")

        found = read(changed(drawn(draw), lambda writer: writer.pages[0].rotate(turn) and None))
        lines, _, stamp = found.text.rpartition("\n\n")
        assert stamp == "COPY of 2026"
        assert re.findall(r"line (\d+) says", lines) == [str(number) for number in range(20)]
        [box] = found.places(len(lines) + 2, len(lines) + 6)[0].boxes
        assert 0 < box.left < box.right < 1
        assert 0 < box.top < box.bottom < 1

    def test_pages_follow_each_other(self) -> None:
        found = read(pdf(["Invoice 7", "Total (net): 12.00 €"], ["Page two"]))
        assert found.text == "Invoice 7\nTotal (net): 12.00 €\n\nPage two"
        assert [section.place.page for section in found.sections] == [1, 2]


class TestBoxes:
    def test_each_value_has_its_box(self) -> None:
        found = read(drawn(pieces((297.6, 421, "middle"), (50, 800, "Top"))))
        start = found.text.index("middle")
        [place] = found.places(start, start + 6)
        [box] = place.boxes
        assert place.page == 1
        assert box.left == pytest.approx(0.5, abs=0.01)
        assert box.top < 0.5 < box.bottom + 0.002
        assert 0.005 < box.bottom - box.top < 0.03

    @pytest.mark.parametrize("turn", [0, 90, 180, 270])
    def test_boxes_are_those_of_the_page_as_shown(self, turn: int) -> None:
        content = changed(
            drawn(pieces((50, 800, "corner"))), lambda writer: writer.pages[0].rotate(turn) and None
        )
        found = read(content)
        [box] = found.places(0, len(found.text))[0].boxes
        assert found.text == "corner"
        across, down = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        wanted = {0: (0, 0), 90: (1, 0), 180: (1, 1), 270: (0, 1)}[turn]
        assert (round(across), round(down)) == wanted

    def test_what_the_crop_box_hides_is_not_read(self) -> None:
        def crop(writer: PdfWriter) -> None:
            writer.pages[0].cropbox = RectangleObject((0, 400, 300, 842))

        found = read(changed(drawn(pieces((50, 450, "shown"), (50, 100, "hidden"))), crop))
        [box] = found.places(0, 5)[0].boxes
        assert found.text == "shown"
        assert (box.top + box.bottom) / 2 == pytest.approx(1 - 53 / 442, abs=0.02)

    def test_a_value_over_two_lines_has_two_boxes(self) -> None:
        found = read(pdf(["Acme and", "Sons Ltd"]))
        assert len(found.places(5, 14)[0].boxes) == 2


class TestOnThePage:
    def test_values_of_a_form_are_read_where_they_stand(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.drawString(200, 605, "Total:")
            canvas.acroForm.textfield(name="total", value="1,234.50", x=300, y=600, width=100, height=20)
            canvas.drawString(80, 565, "I agree")
            canvas.acroForm.checkbox(name="agree", checked=True, x=50, y=560)
            canvas.acroForm.checkbox(name="news", checked=False, x=50, y=520)
            canvas.drawString(80, 525, "Send news")

        found = read(drawn(draw))
        assert found.text.split("\n\n") == ["Total:  1,234.50", "[x] I agree", "[ ] Send news"]
        start = found.text.index("1,234.50")
        [place] = found.places(start, start + 8)
        assert (place.page, place.part) == (1, "form field total")
        assert place.boxes[0].left == pytest.approx(300 / 595, abs=0.01)

    def test_a_choice_is_read_as_it_is_shown_not_as_it_is_sent(self) -> None:
        def draw(canvas: Canvas) -> None:
            cities = [("Berlin", "46"), ("Paris", "47")]
            canvas.acroForm.choice(name="city", value="Berlin", options=cities, x=50, y=600)
            canvas.acroForm.choice(name="free", value="Oslo", options=["Oslo", "Rome"], x=50, y=560)

        assert read(drawn(draw)).text.split() == ["Berlin", "Oslo"]

    def test_notes_and_comments_are_marked_as_such(self) -> None:
        def annotate(writer: PdfWriter) -> None:
            writer.add_annotation(0, FreeText(text="Approved by Ada", rect=(50, 500, 250, 520)))
            note = Text(text="Is this right?", rect=(300, 300, 320, 320))
            note[NameObject("/T")] = FreeText(text="x", rect=(0, 0, 1, 1))["/Contents"].__class__("Bob")
            writer.add_annotation(0, note)

        found = read(changed(pdf(["Body"]), annotate))
        parts = {found.text[part.start : part.end]: part.place.part for part in found.sections}
        assert parts == {"Body": None, "Approved by Ada": "note", "Is this right?": "comment by Bob"}

    def test_hidden_fields_are_not_read(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.drawString(50, 700, "Body")
            canvas.acroForm.textfield(name="x", value="secret", x=300, y=600, annotationFlags="hidden")

        assert read(drawn(draw)).text == "Body"

    def test_attached_files_are_given(self) -> None:
        content = changed(
            pdf(["Invoice"]),
            lambda writer: writer.add_attachment("factur-x.xml", b"<total>7</total>") and None,
        )
        [attachment] = read(content).attachments
        assert (attachment.name, attachment.content) == ("factur-x.xml", b"<total>7</total>")

    @pytest.mark.parametrize("kind", ["/Stamp", "/Widget", "/Watermark"])
    def test_what_a_signature_or_a_stamp_shows_is_read_where_it_stands(self, kind: str) -> None:
        found = read(changed(pdf(["Contract"]), lambda writer: _add_shown(writer, kind, "Signed by Ada")))
        assert found.text == "Contract\n\nSigned by Ada"
        start = found.text.index("Ada")
        assert found.places(start, start + 3)[0].boxes[0].left > 200 / 595

    def test_what_is_drawn_of_a_value_is_not_read_twice(self) -> None:
        def draw(canvas: Canvas) -> None:
            canvas.acroForm.textfield(name="total", value="1,234.50", x=300, y=600, width=100, height=20)

        content = changed(drawn(draw), lambda writer: _add_shown(writer, "/Stamp", "Paid"))
        assert sorted(read(content).text.split()) == ["1,234.50", "Paid"]

    def test_a_hidden_stamp_is_not_read(self) -> None:
        content = changed(pdf(["Body"]), lambda writer: _add_shown(writer, "/Stamp", "Paid", flags=2))
        assert read(content).text == "Body"


class TestLetters:
    @pytest.mark.parametrize(
        ("code", "wanted"), [("D842DFB7", "𠮷野屋"), ("001C", "fi野屋"), ("FB01", "fi野屋")]
    )
    def test_letters_beyond_16_bits_and_those_of_old_fonts_stay_in_their_words(
        self, code: str, wanted: str
    ) -> None:
        content = changed(pdf(["ABC"]), lambda writer: _means(writer, {"A": code, "B": "91CE", "C": "5C4B"}))
        assert read(content).text == wanted

    def test_what_stands_before_a_file_does_not_matter(self) -> None:
        assert read(b"Content-Type: application/pdf\r\n" * 50 + pdf(["Body"])).text == "Body"


def _add_shown(writer: PdfWriter, kind: str, text: str, flags: int = 4) -> None:
    """Add an annotation that has no value, but an appearance."""
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F 10 Tf 2 5 Td ({text}) Tj ET".encode())
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    fonts = DictionaryObject({NameObject("/F"): font})
    stream.update(
        {
            NameObject("/Type"): NameObject("/XObject"),
            NameObject("/Subtype"): NameObject("/Form"),
            NameObject("/BBox"): RectangleObject((0, 0, 100, 20)),
            NameObject("/Resources"): DictionaryObject({NameObject("/Font"): fonts}),
        }
    )
    shown = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Annot"),
            NameObject("/Subtype"): NameObject(kind),
            NameObject("/F"): NumberObject(flags),
            NameObject("/Rect"): RectangleObject((200, 300, 300, 320)),
            NameObject("/AP"): DictionaryObject({NameObject("/N"): writer._add_object(stream)}),
        }
    )
    if kind == "/Widget":
        shown[NameObject("/FT")] = NameObject("/Sig")
    page = writer.pages[0]
    there = page.get("/Annots", ArrayObject())
    page[NameObject("/Annots")] = ArrayObject([*there, writer._add_object(shown)])


def _means(writer: PdfWriter, codes: dict[str, str]) -> None:
    """Let the font of a page say what its letters mean."""
    lines = "".join(f"<{ord(letter):02X}> <{code}>\n" for letter, code in codes.items())
    stream = DecodedStreamObject()
    stream.set_data(
        (
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
            "1 begincodespacerange <00> <FF> endcodespacerange\n"
            f"{len(codes)} beginbfchar\n{lines}endbfchar endcmap end end"
        ).encode()
    )
    for font in writer.pages[0]["/Resources"]["/Font"].values():
        font.get_object()[NameObject("/ToUnicode")] = writer._add_object(stream)


class TestWhatIsNotRead:
    def test_pages_that_are_pictures_are_named(self) -> None:
        page = filled_with(scan(["Total 7"]))
        found = read(
            drawn(
                pieces((50, 700, "Cover letter with enough words to be read as such, and no scan")),
                page,
                page,
            )
        )
        assert found.text.startswith("Cover letter")
        [sentence] = found.unread
        assert sentence.startswith("Not read: pages 2-3 of 3: a picture")
        assert "prefect-azure-agents[recognition]" in sentence

    def test_a_scan_alone_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(EmptyDocumentError, match=r"prefect-azure-agents\[recognition\]"):
            read(drawn(filled_with(scan(["Total 7"]))))

    def test_a_stamp_on_a_scan_does_not_make_it_text(self) -> None:
        def draw(canvas: Canvas) -> None:
            filled_with(scan(["Total 7"]))(canvas)
            canvas.drawString(50, 20, "Received 3 March")

        found = read(drawn(draw))
        assert found.text == "Received 3 March"
        assert len(found.unread) == 1

    def test_an_empty_page_is_nothing_to_tell_of(self) -> None:
        found = read(drawn(pieces((50, 700, "one")), pieces()))
        assert (found.text, found.unread) == ("one", ())

    def test_fonts_that_say_nothing_of_unicode_may_be_good_text(self) -> None:
        assert not is_garbage(
            "The standard linear regression model is generalized " * 5, unmapped=lambda: 1.0
        )
        assert is_garbage("\x01\x03 standard \x04\x05 model \x01\x02\x01\x01 " * 5, unmapped=lambda: 1.0)

    def test_text_that_its_font_garbles_is_no_text(self) -> None:
        garbled = "".join(chr(0xE000 + ord(char) % 64) for char in PROSE * 5)
        assert is_garbage(garbled)
        assert is_garbage("\ufffd\ufffd ok " * 50)
        assert is_garbage(" ".join("".join(chr(ord(c) - 29) for c in word) for word in (PROSE * 12).split()))
        assert is_garbage("Tоtаl аmоunt dυе Βаnk trаnsfеr " * 20)

    @pytest.mark.parametrize(
        "text",
        [
            PROSE * 20,
            "Überweisung an Müller & Söhne, Größe 12 " * 20,
            "Faktura za dodané zboží, splatnost čtrnáct dnů, vystavil Krč " * 20,
            "Счет на оплату № 7 от 3 марта ООО Ромашка " * 20,
            "請求書 合計 12万3千円 東京都 " * 20,
            "• item one ✓ 12.00 € – “quoted” " * 20,
            "0123456789 12.00 3,000.50 " * 50,
            "gsubst bnrclassno hclassno znprimroot lfunmf gcvtop dgesv strtrs " * 20,
            "IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX " * 20,
        ],
    )
    def test_text_of_any_language_is_no_garbage(self, text: str) -> None:
        assert not is_garbage(text)


class TestRefused:
    def test_reads_what_is_encrypted_without_a_password(self) -> None:
        assert read(encrypted(pdf(["open"]), "")).text == "open"

    def test_refuses_what_needs_a_password(self) -> None:
        with pytest.raises(UnreadableDocumentError, match="without a password"):
            read(encrypted(pdf(["closed"]), "secret"))

    @pytest.mark.parametrize("content", [b"no pdf", b"%PDF-1.7\n" + b"\x93garbage" * 40, pdf(["x"])[:120]])
    def test_refuses_damaged_files(self, content: bytes) -> None:
        with pytest.raises(UnreadableDocumentError, match=r"a\.pdf is"):
            read(content)

    def test_is_limited_in_pages_and_text(self) -> None:
        content = pdf(["one"], ["two"])
        for limits in ({"max_pages": 1}, {"max_characters": 4}):
            with pytest.raises(DocumentTooLongError):
                read_document(content, "a.pdf", limits=replace(DEFAULT_LIMITS, **limits))

    def test_a_file_without_its_first_line_is_read(self) -> None:
        content = pdf(["Invoice 4711"])
        assert read(content[content.index(b"\n", 9) :]).text == "Invoice 4711"

    def test_a_damaged_page_is_named_and_the_others_are_read(self) -> None:
        def damage(writer: PdfWriter) -> None:
            pages = writer.root_object["/Pages"]
            pages[NameObject("/Kids")] = ArrayObject([*pages["/Kids"], NumberObject(3)])
            pages[NameObject("/Count")] = NumberObject(2)

        found = read(changed(pdf(["one"]), damage))
        assert found.text == "one"
        assert "damaged" in found.unread[0]


class TestHostile:
    def test_a_thousand_pages(self) -> None:
        found = read(pdf(*([f"Page {number}", "Total 12.00"] for number in range(1000))))
        assert found.sections[-1].place.page == 1000

    def test_a_page_tree_that_is_a_circle(self) -> None:
        def loop(writer: PdfWriter) -> None:
            pages = writer.root_object["/Pages"]
            pages[NameObject("/Kids")] = ArrayObject([pages["/Kids"][0], pages.indirect_reference])

        with contextlib.suppress(UnreadableDocumentError):
            assert "one" in read(changed(pdf(["one"]), loop)).text

    def test_a_table_of_objects_that_is_a_circle(self) -> None:
        content = pdf(["one"])
        start = int(re.findall(rb"startxref\s+(\d+)", content)[-1])
        content = content.replace(b"trailer\n<<", b"trailer\n<< /Prev %d" % start)
        assert "one" in read(content).text

    def test_a_page_of_a_kilometre(self) -> None:
        content = drawn(pieces((50, 700, "far")), size=(3_000_000, 3_000_000))
        assert read(content).text == "far"

    def test_words_beyond_number_on_one_page(self) -> None:
        placed = [
            (random.Random(n).random() * 500, random.Random(-n).random() * 800, f"w{n}") for n in range(8_000)
        ]
        started = time.process_time()
        assert len(read(drawn(pieces(*placed))).text.split()) >= 7_000
        assert time.process_time() - started < 60

    def test_a_stream_that_unpacks_to_much_more(self) -> None:
        stream = zlib.compress(b" " * 50_000_000 + b"BT /F1 12 Tf 50 700 Td (deep) Tj ET")
        out = io.BytesIO()
        out.write(
            b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
            b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
            b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
            b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n"
            b"4 0 obj<</Length %d/Filter/FlateDecode>>stream\n" % len(stream)
        )
        out.write(stream + b"\nendstream endobj\ntrailer<</Root 1 0 R>>")
        with contextlib.suppress(EmptyDocumentError, UnreadableDocumentError, DocumentTooLongError):
            assert read(out.getvalue()).text == "deep"


def test_pages_are_named_in_few_words() -> None:
    assert recognition.listed("page", [1, 2, 3, 7]) == "pages 1-3 and 7"
    assert recognition.listed("Page", [4]) == "Page 4"
