"""A story of a Word document (its body, a header, a footnote): from the events of its XML to lines.

Whatever is not known here lets its text pass: new elements wrap text far more often than they hide it.
"""

from __future__ import annotations

from collections.abc import Callable

from agent_tasks.documents.content import Place
from agent_tasks.documents.readers.docx.forms import Form
from agent_tasks.documents.readers.docx.numbering import Numbering, written_number
from agent_tasks.documents.readers.docx.structure import (
    Alternatives,
    Container,
    Field,
    Found,
    Notes,
    Paragraph,
)
from agent_tasks.documents.readers.docx.styles import Styles
from agent_tasks.documents.readers.docx.symbols import symbol, with_symbols
from agent_tasks.documents.readers.ooxml import is_on
from agent_tasks.documents.readers.tables import Line, Row
from agent_tasks.documents.readers.text_builder import shifted

_MAX_NESTING = 100  # of tables and text boxes; Word stops long before


class Story:
    """The events of a story, then its lines."""

    def __init__(
        self, styles: Styles, numbering: Numbering, notes: Notes, drawn: Callable[[str], list[str]]
    ) -> None:
        """Begin a story.

        Args:
            styles: The document's styles.
            numbering: Its lists, which count on over the story.
            notes: Its notes.
            drawn: Gives the lines of a chart or diagram by its relationship.
        """
        self._styles = styles
        self._numbering = numbering
        self._notes = notes
        self._drawn = drawn
        self.found = Found()
        self._containers = [Container()]
        self._paragraphs: list[Paragraph | None] = [None]  # the open one of each container
        self._rows: list[Row] = []
        self._fields: list[Field] = []
        self._alternatives: list[Alternatives] = []
        self._produced = 0
        self._skipped = 0
        self._taking = False
        self._formatting_mark = False  # in the properties of a paragraph
        self._row_properties = False
        self._description = ""
        self._margins: dict[str, str] | None = None
        self._form: Form | None = None

    def lines(self) -> list[Line]:
        """Return the lines when the story has been read."""
        self._end_paragraph()
        body = self._containers[0]
        self._release(body)
        for unfinished in self._fields:  # its end is missing: an instruction then is not told from text
            if text := "".join(unfinished.held_back):
                body.lines.append(Line(text))
        self._fields.clear()
        return body.lines

    # --- events ---

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
        elif (enter := _STARTS.get(name)) is not None:
            enter(self, attributes)

    def end(self, name: str) -> None:
        """Leave an element."""
        if self._skipped:
            self._skipped -= 1
        elif (leave := _ENDS.get(name)) is not None:
            leave(self)

    def text(self, data: str) -> None:
        """Take text."""
        if self._taking and not self._skipped:
            self._write(data)

    # --- text ---

    def _paragraph(self) -> Paragraph:
        paragraph = self._paragraphs[-1]
        if paragraph is None:  # text outside of any paragraph is not lost
            paragraph = self._paragraphs[-1] = Paragraph()
        return paragraph

    def _write(self, text: str) -> None:
        paragraph = self._paragraph()
        run = paragraph.run
        if run.hidden if run.hidden is not None else run.hidden_by_style:
            return
        instruction = next((field for field in reversed(self._fields) if not field.shows), None)
        if instruction is not None:
            instruction.held_back.append(text)
            return
        for open_field in self._fields:
            open_field.has_result = True
        self._produced += 1
        text = with_symbols(text, run.font)
        paragraph.pieces.append(text if run.raised is None else shifted(text, raised=run.raised))

    def _start_text(self, _: dict[str, str]) -> None:
        self._taking = True

    def _end_text(self) -> None:
        self._taking = False

    def _symbol(self, attributes: dict[str, str]) -> None:
        try:
            code = int(attributes.get("w:char", ""), 16)
        except ValueError:
            return
        self._write(symbol(code, attributes.get("w:font")))

    def _word_art(self, attributes: dict[str, str]) -> None:
        if text := attributes.get("string"):
            self._write(text)

    # --- paragraphs and runs ---

    def _start_paragraph(self, _: dict[str, str]) -> None:
        self._end_paragraph()
        self._paragraphs[-1] = Paragraph()

    def _end_paragraph(self) -> None:
        paragraph = self._paragraphs[-1]
        if paragraph is None:
            return
        self._paragraphs[-1] = None
        container = self._containers[-1]
        if container.carried is not None:
            paragraph.pieces[:0] = container.carried.pieces
            paragraph.beside[:0] = container.carried.beside
            container.carried = None
        if paragraph.joined:
            container.carried = paragraph
            return
        container.finish(paragraph, self._label(paragraph))

    def _release(self, container: Container) -> None:
        """Add the paragraph that nothing continued."""
        if (carried := container.carried) is not None:
            container.carried = None
            if "".join(carried.pieces).strip() or carried.beside:
                container.finish(carried, self._label(carried))

    def _label(self, paragraph: Paragraph) -> str:
        return self._numbering.label(paragraph.numbering, paragraph.level, paragraph.style, self._styles)

    def _start_properties(self, _: dict[str, str]) -> None:
        self._formatting_mark = True

    def _end_properties(self) -> None:
        self._formatting_mark = False

    def _paragraph_style(self, attributes: dict[str, str]) -> None:
        self._paragraph().style = attributes.get("w:val")

    def _list_of_paragraph(self, attributes: dict[str, str]) -> None:
        self._paragraph().numbering = attributes.get("w:val")

    def _level_of_paragraph(self, attributes: dict[str, str]) -> None:
        value = attributes.get("w:val", "")
        self._paragraph().level = int(value) if value.isdecimal() and len(value) < 3 else None

    def _start_run(self, _: dict[str, str]) -> None:
        paragraph = self._paragraph()
        run = paragraph.run
        run.hidden, run.font, run.raised = None, None, None
        run.hidden_by_style = self._styles.hidden(paragraph.style)

    def _end_run(self) -> None:
        paragraph = self._paragraph()
        run = paragraph.run
        run.hidden, run.font, run.raised, run.hidden_by_style = None, None, None, False

    def _style_of_run(self, attributes: dict[str, str]) -> None:
        if not self._formatting_mark and self._styles.hidden(attributes.get("w:val")):
            self._paragraph().run.hidden_by_style = True

    def _font_of_run(self, attributes: dict[str, str]) -> None:
        if not self._formatting_mark:
            self._paragraph().run.font = attributes.get("w:ascii") or attributes.get("w:hAnsi")

    def _vertical(self, attributes: dict[str, str]) -> None:
        value = attributes.get("w:val")
        if not self._formatting_mark and value in ("superscript", "subscript"):
            self._paragraph().run.raised = value == "superscript"

    def _drop_cap(self, attributes: dict[str, str]) -> None:
        """Join a first letter that is drawn large, in a paragraph of its own, to its word."""
        if attributes.get("w:dropCap", "none") != "none":
            self._paragraph().joined = True

    def _vanish(self, attributes: dict[str, str]) -> None:
        if not self._formatting_mark:
            self._paragraph().run.hidden = is_on(attributes)
        elif is_on(attributes):
            self._paragraph().joined = True

    def _start_deleted(self, _: dict[str, str]) -> None:
        """Skip what is deleted; within properties it is the paragraph's mark, or the row, that is."""
        if self._formatting_mark:
            self._paragraph().joined = True
        elif self._row_properties and self._rows:
            self._rows[-1].gone = True
        self._skipped = 1

    # --- tables ---

    def _start_row(self, _: dict[str, str]) -> None:
        self._rows.append(Row(len(self._containers)))

    def _end_row(self) -> None:
        row = self._rows.pop()
        if not row.gone:
            self._containers[-1].lines += row.lines()

    def _start_row_properties(self, _: dict[str, str]) -> None:
        self._row_properties = True

    def _end_row_properties(self) -> None:
        self._row_properties = False

    def _start_table(self, _: dict[str, str]) -> None:
        self._end_paragraph()
        self._release(self._containers[-1])

    def _hidden_row(self, attributes: dict[str, str]) -> None:
        if self._row_properties and self._rows and is_on(attributes):
            self._rows[-1].gone = True

    def _start_cell(self, _: dict[str, str]) -> None:
        if not self._rows or self._rows[-1].depth != len(self._containers):
            self._rows.append(Row(len(self._containers), implied=True))  # a cell without a row is not lost
        cell = Container()
        self._rows[-1].cells.append(cell)
        self._open(cell)

    def _deleted_cell(self, _: dict[str, str]) -> None:
        self._containers[-1].gone = True

    def _end_cell(self) -> None:
        cell = self._close()
        if cell.gone:
            cell.lines.clear()
        if self._rows[-1].implied:
            self._end_row()

    # --- boxes ---

    def _open(self, container: Container) -> None:
        if len(self._containers) > _MAX_NESTING:
            raise ValueError(f"tables or text boxes are nested more than {_MAX_NESTING} deep")
        self._containers.append(container)
        self._paragraphs.append(None)

    def _close(self) -> Container:
        self._end_paragraph()
        self._release(self._containers[-1])
        self._paragraphs.pop()
        return self._containers.pop()

    def _start_box(self, _: dict[str, str]) -> None:
        self._paragraph()
        self._open(Container())

    def _end_box(self) -> None:
        box = self._close()
        place = Place(part="text box")
        lines = [Line(line.text, line.place or place) for line in box.lines if line.text.strip()]
        self._paragraph().beside += lines

    def _start_alternatives(self, _: dict[str, str]) -> None:
        self._alternatives.append(Alternatives())

    def _end_alternatives(self) -> None:
        self._alternatives.pop()

    def _start_alternative(self, _: dict[str, str]) -> None:
        """Read the first that holds text: the same text box often comes in a new and an old form."""
        if not self._alternatives:
            return
        if self._alternatives[-1].taken:
            self._skipped = 1
        else:
            self._alternatives[-1].produced_before = self._produced

    def _end_alternative(self) -> None:
        if self._alternatives and self._produced > self._alternatives[-1].produced_before:
            self._alternatives[-1].taken = True

    def _drawing(self, attributes: dict[str, str]) -> None:
        place = Place(part="drawing")
        for relationship in (attributes.get("r:id"), attributes.get("r:dm")):
            if relationship is not None:
                lines = [Line(text, place) for text in self._drawn(relationship)]
                self._produced += len(lines)
                self._paragraph().beside += lines

    def _described(self, attributes: dict[str, str]) -> None:
        self._description = attributes.get("descr", "")

    def _picture(self, _: dict[str, str]) -> None:
        """Count a picture; what describes it stands in its place, as it does where a page cannot show it."""
        self.found.pictures += 1
        if self._description.strip():
            self._paragraph().beside.append(Line(self._description, Place(part="picture")))
        self._description = ""

    # --- fields ---

    def _field_mark(self, attributes: dict[str, str]) -> None:
        kind = attributes.get("w:fldCharType")
        if kind == "begin":
            self._fields.append(Field())
        elif self._fields and kind == "separate":
            self._fields[-1].shows = True
        elif self._fields and kind == "end":
            ended = self._fields.pop()
            if ended.fallback and not ended.has_result:
                self._write(ended.fallback)

    def _start_form(self, _: dict[str, str]) -> None:
        self._form = Form()

    def _end_form(self) -> None:
        form, self._form = self._form, None
        if form is not None and self._fields and (shown := form.shown()):
            self._fields[-1].fallback = shown

    # --- notes ---

    def _footnote(self, attributes: dict[str, str]) -> None:
        self._note("footnote", attributes, lambda number: str(number))

    def _endnote(self, attributes: dict[str, str]) -> None:
        self._note("endnote", attributes, lambda number: written_number(number, "lowerRoman"))

    def _note(self, kind: str, attributes: dict[str, str], written: Callable[[int], str]) -> None:
        key = (kind, attributes.get("w:id", ""))
        own_mark = is_on({"w:val": attributes.get("w:customMarkFollows", "0")})
        number = self._notes.numbers.get(key)
        if number is None:
            number = self._notes.counts.get(kind, 0) + 1
            self._notes.counts[kind] = self._notes.numbers[key] = number
        mark = "" if own_mark else f"[{written(number)}]"
        if mark:
            self._write(mark)
        place = Place(part=f"{kind} {number}")
        lines = [line.text for line in self._notes.texts.pop(key, []) if line.text.strip()]
        self._paragraph().beside += [
            Line(f"{mark} {line}" if mark and position == 0 else line, place)
            for position, line in enumerate(lines)
        ]

    def _comment(self, attributes: dict[str, str]) -> None:
        self._paragraph().beside += self._notes.texts.pop(("comment", attributes.get("w:id", "")), [])

    # --- what a story refers to ---

    def _start_section(self, _: dict[str, str]) -> None:
        self._margins = {}
        self.found.margins.append(self._margins)

    def _end_section(self) -> None:
        self._margins = None

    def _header(self, attributes: dict[str, str]) -> None:
        self._margin("header", attributes)

    def _footer(self, attributes: dict[str, str]) -> None:
        self._margin("footer", attributes)

    def _margin(self, kind: str, attributes: dict[str, str]) -> None:
        if self._margins is not None:
            self._margins[f"{kind} {attributes.get('w:type', 'default')}"] = attributes.get("r:id", "")

    def _title_page(self, attributes: dict[str, str]) -> None:
        if self._margins is not None and is_on(attributes):
            self._margins["title page"] = ""

    def _chunk(self, attributes: dict[str, str]) -> None:
        self.found.chunks.append(attributes.get("r:id", ""))


def _writes(text: str) -> Callable[[Story, dict[str, str]], None]:
    return lambda story, _: story._write(text)


def _of_form(take: Callable[[Form, dict[str, str]], None]) -> Callable[[Story, dict[str, str]], None]:
    return lambda story, attributes: take(story._form, attributes) if story._form is not None else None


# fmt: off
_SKIPPED = frozenset((
    "w:instrText", "w:delText", "w:delInstrText", "w:sdtPr", "w:sdtEndPr", "w:rt", "w:docPartPr",
    "w:pPrChange", "w:rPrChange", "w:sectPrChange", "w:tblPrChange", "w:tblPrExChange", "w:tblGridChange",
    "w:trPrChange", "w:tcPrChange", "w:numberingChange",
))
# fmt: on
_STARTS: dict[str, Callable[[Story, dict[str, str]], None]] = {
    "w:t": Story._start_text,
    "m:t": Story._start_text,
    "w:tab": lambda story, _: None if story._formatting_mark else story._write("\t"),
    "w:ptab": _writes("\t"),
    "w:br": _writes("\n"),
    "w:cr": _writes("\n"),
    "w:noBreakHyphen": _writes("-"),
    "w:sym": Story._symbol,
    "m:den": _writes("/"),
    "m:sup": _writes("^"),
    "m:sub": _writes("_"),
    "v:textpath": Story._word_art,
    "w:p": Story._start_paragraph,
    "w:pPr": Story._start_properties,
    "w:pStyle": Story._paragraph_style,
    "w:numId": Story._list_of_paragraph,
    "w:ilvl": Story._level_of_paragraph,
    "w:r": Story._start_run,
    "w:rStyle": Story._style_of_run,
    "w:rFonts": Story._font_of_run,
    "w:vanish": Story._vanish,
    "w:vertAlign": Story._vertical,
    "w:framePr": Story._drop_cap,
    "wp:docPr": Story._described,
    "w:del": Story._start_deleted,
    "w:moveFrom": Story._start_deleted,
    "w:tbl": Story._start_table,
    "w:tr": Story._start_row,
    "w:trPr": Story._start_row_properties,
    "w:tc": Story._start_cell,
    "w:cellDel": Story._deleted_cell,
    "w:hidden": Story._hidden_row,
    "w:txbxContent": Story._start_box,
    "mc:AlternateContent": Story._start_alternatives,
    "mc:Choice": Story._start_alternative,
    "mc:Fallback": Story._start_alternative,
    "c:chart": Story._drawing,
    "dgm:relIds": Story._drawing,
    "a:blip": Story._picture,
    "v:imagedata": Story._picture,
    "w:fldChar": Story._field_mark,
    "w:ffData": Story._start_form,
    "w:checkBox": _of_form(Form.check_box),
    "w:ddList": _of_form(Form.drop_down),
    "w:listEntry": _of_form(Form.entry),
    "w:checked": _of_form(lambda form, told: form.value("checked", told)),
    "w:default": _of_form(lambda form, told: form.value("default", told)),
    "w:result": _of_form(lambda form, told: form.value("result", told)),
    "w:footnoteReference": Story._footnote,
    "w:endnoteReference": Story._endnote,
    "w:commentReference": Story._comment,
    "w:sectPr": Story._start_section,
    "w:headerReference": Story._header,
    "w:footerReference": Story._footer,
    "w:titlePg": Story._title_page,
    "w:altChunk": Story._chunk,
}
_ENDS: dict[str, Callable[[Story], None]] = {
    "w:t": Story._end_text,
    "m:t": Story._end_text,
    "w:p": Story._end_paragraph,
    "w:pPr": Story._end_properties,
    "w:r": Story._end_run,
    "w:tr": Story._end_row,
    "w:trPr": Story._end_row_properties,
    "w:tc": Story._end_cell,
    "w:txbxContent": Story._end_box,
    "mc:AlternateContent": Story._end_alternatives,
    "mc:Choice": Story._end_alternative,
    "mc:Fallback": Story._end_alternative,
    "w:ffData": Story._end_form,
    "w:sectPr": Story._end_section,
}
