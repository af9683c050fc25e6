"""OpenDocument: texts (.odt), spreadsheets (.ods) and presentations (.odp) of LibreOffice and others."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.docx.numbering import written_number
from agent_tasks.documents.readers.packages import Package, reading
from agent_tasks.documents.readers.sheets.cells import RowWriter
from agent_tasks.documents.readers.tables import Cell, Line, Row
from agent_tasks.documents.readers.text_builder import TextBuilder, cell_text
from agent_tasks.errors import UnreadableDocumentError

_REMEDY = "save it again, without a password"
_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
PREFIXES = {
    f"{_OASIS}:{name}:1.0": name
    for name in ("office", "text", "table", "draw", "style", "presentation", "manifest")
} | {
    f"{_OASIS}:svg-compatible:1.0": "svg",
    # LibreOffice's own names of what ODF 1.3 took up, such as footers of the first page
    "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0": "style",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/1998/Math/MathML": "math",
}
_SKIPPED = frozenset((
    "dc:date", "office:forms", "presentation:settings", "svg:desc", "svg:title",
    "table:covered-table-cell", "table:database-ranges", "table:tracked-changes",
    "text:alphabetical-index-source", "text:bibliography-source", "text:hidden-text",
    "text:illustration-index-source", "text:ruby-text", "text:sequence-decls",
    "text:table-of-content-source", "text:tracked-changes", "text:user-field-decls",
    "text:variable-decls",
))  # fmt: skip
_FORMS = {"i": "lowerRoman", "I": "upperRoman", "a": "lowerLetter", "A": "upperLetter", "1": "decimal"}
_MAX_REPEATED = 30
_MAX_NESTING = 100


def read_opendocument(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a text, spreadsheet or presentation of the OpenDocument format."""
    with reading(filename, "an OpenDocument file", _REMEDY):
        package = Package(content, filename, limits, _REMEDY)
        if "content.xml" not in package:
            raise UnreadableDocumentError(
                f"{filename} is not an OpenDocument file: there is no document in it; {_REMEDY}",
                document=filename,
            )
        if "META-INF/manifest.xml" in package and b"encryption-data" in package.read("META-INF/manifest.xml"):
            raise UnreadableDocumentError(
                f"{filename} is encrypted; save it without a password", document=filename
            )
        builder = TextBuilder(filename, limits)
        styles = _Styles()
        margins = _Document(styles, TextBuilder(filename, limits))
        if "styles.xml" in package:
            package.follow("styles.xml", styles, PREFIXES)
            package.follow("styles.xml", margins, PREFIXES)
        package.follow("content.xml", styles, PREFIXES)
        document = _Document(styles, builder)
        for line in margins.margins["header"]:
            builder.line(line.text, line.place)
        package.follow("content.xml", document, PREFIXES)
        document.write()
        for line in margins.margins["footer"]:
            builder.line(line.text, line.place)
        return builder.content(notes=document.notes)


@dataclass(slots=True)
class _Level:
    form: str
    prefix: str
    suffix: str
    start: int
    shown_levels: int


class _Styles:
    """Which styles hide text or tables, and how lists are numbered."""

    def __init__(self) -> None:
        self.hidden: set[str] = set()
        self.lists: dict[str, dict[int, _Level]] = {}
        self._style = ""
        self._list: dict[int, _Level] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "style:style":
            self._style = attributes.get("style:name", "")
        elif name == "style:text-properties":
            if attributes.get("text:display") in ("none", "condition"):
                self.hidden.add(self._style)
        elif name == "style:table-properties":
            if attributes.get("table:display") == "false":
                self.hidden.add(self._style)
        elif name == "text:list-style":
            self._list = self.lists[attributes.get("style:name", "")] = {}
        elif self._list is not None and name.startswith("text:list-level-style-"):
            bullet = name.endswith("bullet")
            self._list[_number(attributes.get("text:level"), 1)] = _Level(
                form="bullet" if bullet else _FORMS.get(attributes.get("style:num-format", ""), ""),
                prefix=attributes.get("style:num-prefix", "")[:50],
                suffix=attributes.get("style:num-suffix", "")[:50],
                start=_number(attributes.get("text:start-value"), 1),
                shown_levels=_number(attributes.get("text:display-levels"), 1),
            )

    def end(self, name: str) -> None:
        if name == "text:list-style":
            self._list = None

    def text(self, data: str) -> None:
        pass


@dataclass(slots=True)
class _List:
    style: str
    counter: int | None = None
    label: str = ""


@dataclass(slots=True)
class _Paragraph:
    pieces: list[str] = field(default_factory=list)
    beside: list[Line] = field(default_factory=list)
    hidden: bool = False


@dataclass(slots=True)
class _Box(Cell):
    """Something that holds paragraphs: the body, a cell, a note, a text box."""

    kind: str = "body"
    paragraphs: list[_Paragraph] = field(default_factory=list)
    mark: str = ""
    author: str = ""


class _Document:
    """The events of content.xml, or of the headers and footers of styles.xml."""

    def __init__(self, styles: _Styles, builder: TextBuilder) -> None:
        self.notes: list[str] = []
        self.margins: dict[str, list[Line]] = {"header": [], "footer": []}
        self._styles = styles
        self._builder = builder
        self._sheet_rows = RowWriter(builder)
        self._boxes = [_Box()]
        self._rows: list[Row] = []
        self._lists: list[_List] = []
        self._skipped = 0
        self._taking_into: list[str] | None = None  # the mark of a note, the author of a comment
        self._spreadsheet = False
        self._sheet: str | None = None
        self._row = self._column = self._repeated_rows = 0
        self._cells: dict[int, str] = {}
        self._repeated_cell = 1
        self._slide = 0
        self._notes_of_slide = False

    def write(self) -> None:
        """Write what has been read and is not written yet."""
        place = None
        if self._slide:
            place = Place(slide=self._slide, part="notes" if self._notes_of_slide else None)
        for line in self._boxes[0].lines:
            self._builder.line(line.text, line.place or place)
        self._boxes[0].lines.clear()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipped or name in _SKIPPED:
            self._skipped += 1
            return
        if name in ("text:p", "text:h"):
            paragraph = _Paragraph(hidden=attributes.get("text:style-name") in self._styles.hidden)
            self._boxes[-1].paragraphs.append(paragraph)
        elif name == "text:span" and attributes.get("text:style-name") in self._styles.hidden:
            self._skipped = 1
        elif name == "text:hidden-paragraph" and attributes.get("text:is-hidden", "true") == "true":
            if self._boxes[-1].paragraphs:
                self._boxes[-1].paragraphs[-1].hidden = True
        elif name == "text:s":
            self._put(" " * min(_number(attributes.get("text:c"), 1), 100))
        elif name == "text:tab":
            self._put("\t")
        elif name == "text:line-break":
            self._put("\n")
        elif name in ("text:note", "office:annotation", "draw:text-box", "style:header", "style:footer"):
            self._open(name.partition(":")[2])
        elif name in ("style:header-first", "style:header-left", "style:footer-first", "style:footer-left"):
            self._open(name.partition(":")[2].partition("-")[0])
        elif name in ("text:note-citation", "dc:creator"):
            self._taking_into = []
        elif name == "text:list":
            outer = self._lists[-1].style if self._lists else ""
            self._lists.append(_List(attributes.get("text:style-name", outer)))
        elif name in ("text:list-item", "text:list-header"):
            self._start_item(name, attributes)
        elif name.startswith("table:"):
            self._start_of_table(name, attributes)
        elif name == "draw:page":
            self.write()
            self._slide += 1
            self._builder.gap()
        elif name == "presentation:notes":
            self.write()
            self._notes_of_slide = True
        elif name == "office:spreadsheet":
            self._spreadsheet = True

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif name in ("text:p", "text:h"):
            self._end_paragraph()
        elif name in ("text:note", "office:annotation", "draw:text-box") or name.startswith(
            ("style:header", "style:footer")
        ):
            if len(self._boxes) > 1 and self._boxes[-1].kind != "cell":
                self._end_box()
        elif name in ("text:note-citation", "dc:creator"):
            self._end_mark(name)
        elif name == "text:list" and self._lists:
            self._lists.pop()
        elif name.startswith("table:"):
            self._end_of_table(name)
        elif name in ("presentation:notes", "draw:page"):
            self.write()
            self._notes_of_slide = False

    def text(self, data: str) -> None:
        if self._skipped:
            return
        if self._taking_into is not None:
            self._taking_into.append(data)
        else:
            self._put(" ".join(data.split("\n")) if "\n" in data else data)

    # --- text ---

    def _put(self, text: str) -> None:
        paragraphs = self._boxes[-1].paragraphs
        if paragraphs and not paragraphs[-1].hidden:
            paragraphs[-1].pieces.append(text)

    def _end_paragraph(self) -> None:
        box = self._boxes[-1]
        if not box.paragraphs:
            return
        paragraph = box.paragraphs.pop()
        text = "".join(paragraph.pieces)
        if self._lists and text.strip() and (label := self._lists[-1].label):
            self._lists[-1].label = ""
            text = f"{label} {text}"
        box.lines.append(Line(text))
        box.lines += paragraph.beside
        if box is self._boxes[0] and not self._rows and not self._slide:
            self.write()

    def _start_item(self, name: str, attributes: dict[str, str]) -> None:
        if not self._lists:
            return
        this = self._lists[-1]
        level = self._styles.lists.get(this.style, {}).get(len(self._lists))
        if level is None or name == "text:list-header":
            this.label = ""
            return
        started = attributes.get("text:start-value")
        if started is not None:
            this.counter = _number(started, 1)
        else:
            this.counter = level.start if this.counter is None else this.counter + 1
        if level.form == "bullet":
            this.label = "•"
            return
        shown = self._lists[-min(max(level.shown_levels, 1), len(self._lists)) :]
        numbers = []
        for depth, one in enumerate(shown, len(self._lists) - len(shown) + 1):
            form = self._styles.lists.get(one.style, {}).get(depth, level).form
            numbers.append(written_number(one.counter or 1, form) if form else "")
        written = ".".join(filter(None, numbers)) if level.form else ""
        this.label = f"{level.prefix}{written}{level.suffix}".strip() if written else ""

    # --- boxes ---

    def _open(self, kind: str) -> None:
        if len(self._boxes) > _MAX_NESTING:
            raise ValueError(f"tables or text boxes are nested more than {_MAX_NESTING} deep")
        self._boxes.append(_Box(kind=kind))

    def _end_box(self) -> None:
        box = self._boxes.pop()
        lines = [line for line in box.lines if line.text.strip()]
        if box.kind in self.margins:
            place = Place(part=box.kind)
            self.margins[box.kind] += [Line(line.text, line.place or place) for line in lines]
            return
        if box.kind == "annotation":
            by = f" by {box.author}" if box.author else ""
            said = " ".join(line.text for line in lines)
            lines = [Line(f"[Comment{by}: {said}]", Place(part=f"comment{by}"))] if said else []
        elif box.kind == "note":
            place = Place(part=f"note {box.mark}" if box.mark else "note")
            lines = [
                Line(f"[{box.mark}] {line.text}" if not position else line.text, place)
                for position, line in enumerate(lines)
            ]
        elif not self._slide:
            lines = [Line(line.text, line.place or Place(part="text box")) for line in lines]
        around = self._boxes[-1]
        if around.paragraphs:
            around.paragraphs[-1].beside += lines
        else:
            around.lines += lines

    def _end_mark(self, name: str) -> None:
        text = "".join(self._taking_into or [])
        self._taking_into = None
        if name == "dc:creator":
            self._boxes[-1].author = text
        elif self._boxes[-1].kind == "note" and len(self._boxes) > 1:
            self._boxes[-1].mark = text
            if (around := self._boxes[-2].paragraphs) and not around[-1].hidden:
                around[-1].pieces.append(f"[{text}]")

    # --- tables ---

    def _start_of_table(self, name: str, attributes: dict[str, str]) -> None:
        if name == "table:table":
            self._start_sheet(attributes)
        elif name == "table:table-row":
            self._repeated_rows = _number(attributes.get("table:number-rows-repeated"), 1)
            if attributes.get("table:visibility", "visible") != "visible":
                self._row += self._repeated_rows
                self._skipped = 1
                return
            self._column, self._cells = 0, {}
            self._rows.append(Row(len(self._boxes)))
        elif name == "table:table-cell" and self._rows:
            self._repeated_cell = _number(attributes.get("table:number-columns-repeated"), 1)
            self._open("cell")
            self._rows[-1].cells.append(self._boxes[-1])

    def _start_sheet(self, attributes: dict[str, str]) -> None:
        if not self._spreadsheet or len(self._boxes) > 1:
            return
        self._sheet, self._row = attributes.get("table:name", ""), 0
        if attributes.get("table:style-name") in self._styles.hidden:
            self.notes.append(f"The hidden sheet {self._sheet!r} was not read.")
            self._skipped = 1
            return
        self._builder.gap()
        self._builder.line(self._sheet, Place(sheet=self._sheet, part="sheet name"))

    def _end_of_table(self, name: str) -> None:
        if name == "table:table-cell" and len(self._boxes) > 1 and self._boxes[-1].kind == "cell":
            cell = self._boxes.pop()
            if self._spreadsheet and len(self._boxes) == 1:
                self._end_cell_of_sheet(cell)
        elif name == "table:table-row" and self._rows:
            row = self._rows.pop()
            if self._spreadsheet and len(self._boxes) == 1:
                self._row += 1
                self._sheet_rows.write(self._sheet, self._row, self._cells)
                self._row += self._repeated_rows - 1
                for line in self._boxes[0].lines:
                    self._builder.line(line.text, line.place)
                self._boxes[0].lines.clear()
            else:
                self._boxes[-1].lines += row.lines()
                if len(self._boxes) == 1 and not self._slide:
                    self.write()

    def _end_cell_of_sheet(self, cell: _Box) -> None:
        text = cell_text(line.text for line in cell.lines if line.place is None)
        for repeated in range(min(self._repeated_cell, _MAX_REPEATED) if text else 0):
            self._cells[self._column + repeated + 1] = text
        self._column += self._repeated_cell
        for line in cell.lines:
            if line.place is not None:
                self._boxes[0].lines.append(
                    Line(line.text, line.place.model_copy(update={"sheet": self._sheet}))
                )


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 10 else otherwise
