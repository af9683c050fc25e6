"""XLSX: workbooks of Excel. Only the cells that the file holds are looked at, not those that it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.ooxml import PREFIXES, drawn_texts, is_on
from agent_tasks.documents.readers.packages import Package, Relationship, reading
from agent_tasks.documents.readers.sheets.cells import RowWriter, column_and_row
from agent_tasks.documents.readers.sheets.number_format import BUILT_IN, shown
from agent_tasks.documents.readers.text_builder import TextBuilder, squeezed
from agent_tasks.errors import UnreadableDocumentError

_REMEDY = "save it again as .xlsx, without a password"
MAX_SHEETS = 5_000


def read_xlsx(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a workbook: .xlsx, .xlsm, .xltx or .xltm; its cells as Excel last showed them."""
    with reading(filename, "an Excel workbook", _REMEDY):
        package = Package(content, filename, limits, _REMEDY)
        main = package.main_part("xl/workbook.xml")
        workbook = _Workbook()
        if main is not None:
            package.follow(main, workbook, PREFIXES)
        if main is None or not workbook.is_workbook:
            raise UnreadableDocumentError(
                f"{filename} is not an Excel workbook; {_REMEDY}", document=filename
            )
        return _Reader(package, main, workbook, TextBuilder(filename, limits)).content()


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    relationship: str
    hidden: bool


class _Events:
    """Events of which most are of no interest."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""

    def end(self, name: str) -> None:
        """Leave an element."""

    def text(self, data: str) -> None:
        """Take text."""


class _Workbook(_Events):
    def __init__(self) -> None:
        self.is_workbook = False
        self.sheets: list[_Sheet] = []
        self.since_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "s:workbook":
            self.is_workbook = True
        elif name == "s:sheet":
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append(_Sheet(attributes.get("name", ""), attributes.get("r:id", ""), hidden))
        elif name == "s:workbookPr":
            self.since_1904 = is_on({"w:val": attributes.get("date1904", "0")})


class _Styles(_Events):
    """The format code of each style of cells."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self._custom: dict[str, str] = {}
        self._in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "s:numFmt":
            self._custom[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "s:cellXfs":
            self._in_cells = True
        elif name == "s:xf" and self._in_cells:
            number = attributes.get("numFmtId", "0")
            built_in = BUILT_IN.get(int(number), "General") if number.isdecimal() else "General"
            self.codes.append(self._custom.get(number, built_in))

    def end(self, name: str) -> None:
        if name == "s:cellXfs":
            self._in_cells = False


class _Strings(_Events):
    """Texts that cells share."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._pieces: list[str] = []
        self._taking = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "s:si":
            self._pieces = []
        elif name == "s:rPh":
            self._phonetic = True
        elif name == "s:t":
            self._taking = not self._phonetic

    def end(self, name: str) -> None:
        if name == "s:si":
            self.texts.append("".join(self._pieces))
        elif name == "s:rPh":
            self._phonetic = False
        elif name == "s:t":
            self._taking = False

    def text(self, data: str) -> None:
        if self._taking:
            self._pieces.append(data)


@dataclass(slots=True)
class _Cell:
    column: int
    kind: str
    style: int
    value: list[str] = field(default_factory=list)


class _SheetEvents(_Events):
    """The rows of a sheet, handed on one by one."""

    def __init__(self, shown: Callable[[_Cell], str], write: Callable[[int, dict[int, str]], None]) -> None:
        self.hidden_rows = 0
        self._shown = shown
        self._write = write
        self._hidden_columns: list[tuple[int, int]] = []
        self._row = 0
        self._hidden = False
        self._cells: dict[int, str] = {}
        self._cell: _Cell | None = None
        self._column = 0
        self._taking = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "s:c":
            self._start_cell(attributes)
        elif name in ("s:v", "s:t"):
            self._taking = not self._phonetic
        elif name == "s:rPh":
            self._phonetic = True
        elif name == "s:row":
            self._row = _number(attributes.get("r"), self._row + 1)
            self._hidden = is_on({"w:val": attributes.get("hidden", "0")})
            self._cells, self._column = {}, 0
        elif name == "s:col" and is_on({"w:val": attributes.get("hidden", "0")}):
            first = _number(attributes.get("min"), 0)
            self._hidden_columns.append((first, _number(attributes.get("max"), first)))

    def end(self, name: str) -> None:
        if name == "s:c" and self._cell is not None:
            if text := self._shown(self._cell):
                self._cells[self._cell.column] = text
            self._cell = None
        elif name in ("s:v", "s:t"):
            self._taking = False
        elif name == "s:rPh":
            self._phonetic = False
        elif name == "s:row":
            self._end_row()

    def text(self, data: str) -> None:
        if self._taking and self._cell is not None:
            self._cell.value.append(data)

    def _start_cell(self, attributes: dict[str, str]) -> None:
        named = column_and_row(attributes.get("r", ""))
        self._column = named[0] if named is not None else self._column + 1
        self._cell = _Cell(self._column, attributes.get("t", "n"), _number(attributes.get("s"), 0))

    def _end_row(self) -> None:
        if self._hidden and self._cells:
            self.hidden_rows += 1
            return
        for column in [c for c in self._cells if any(a <= c <= b for a, b in self._hidden_columns)]:
            del self._cells[column]
        if self._cells:
            self._write(self._row, self._cells)

    @property
    def hides_columns(self) -> bool:
        return bool(self._hidden_columns)


class _Comments(_Events):
    """Comments on cells: of the old kind, which are notes, and threads."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []
        self._authors: list[str] = []
        self._pieces: list[str] = []
        self._cell = self._author = ""
        self._taking = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._taking = name in ("s:t", "s:author", "?:text")
        if name == "s:author":
            self._pieces = []
        elif name in ("s:comment", "?:threadedComment"):
            self._cell = attributes.get("ref", "")
            author = _number(attributes.get("authorId"), -1)
            self._author = self._authors[author] if 0 <= author < len(self._authors) else ""
            self._pieces = []

    def end(self, name: str) -> None:
        self._taking = False
        if name == "s:author":
            self._authors.append("".join(self._pieces))
        elif name in ("s:comment", "?:threadedComment"):
            said = squeezed("".join(self._pieces)).replace("\n", " ")
            if said and not said.startswith("[Threaded comment]"):  # the copy for old programs
                self.found.append((self._cell, squeezed(self._author), said))

    def text(self, data: str) -> None:
        if self._taking:
            self._pieces.append(data)


class _Reader:
    def __init__(self, package: Package, main: str, workbook: _Workbook, builder: TextBuilder) -> None:
        self._package = package
        self._workbook = workbook
        self._builder = builder
        self._relationships = package.relationships(main)
        self._strings, self._styles = _Strings(), _Styles()
        self._follow("sharedStrings", self._strings)
        self._follow("styles", self._styles)
        self._rows = RowWriter(builder)
        self._notes: list[str] = []

    def content(self) -> DocumentContent:
        sheets = self._workbook.sheets
        if len(sheets) > MAX_SHEETS:
            raise too_long(self._builder.filename, f"has {len(sheets):,} sheets", f"{MAX_SHEETS:,} sheets")
        for sheet in sheets:
            relationship = self._relationships.get(sheet.relationship)
            if sheet.hidden:
                self._notes.append(f"The hidden sheet {sheet.name!r} was not read.")
            elif relationship is None or relationship.external or relationship.target not in self._package:
                self._notes.append(f"The sheet {sheet.name!r} is not in the file.")
            else:
                self._read_sheet(sheet.name, relationship)
        return self._builder.content(notes=self._notes)

    def _follow(self, kind: str, events: _Events) -> None:
        for relationship in self._relationships.values():
            if relationship.kind == kind and relationship.target in self._package:
                self._package.follow(relationship.target, events, PREFIXES)

    def _read_sheet(self, name: str, relationship: Relationship) -> None:
        started = False

        def write(row: int, cells: dict[int, str]) -> None:
            nonlocal started
            if not started:
                self._title(name)
                started = True
            self._rows.write(name, row, cells)

        events = _SheetEvents(self._shown, write)
        if relationship.kind == "worksheet":
            self._package.follow(relationship.target, events, PREFIXES)
        if events.hidden_rows:
            self._notes.append(f"{events.hidden_rows} hidden rows of the sheet {name!r} were not read.")
        if events.hides_columns:
            self._notes.append(f"Hidden columns of the sheet {name!r} were not read.")
        self._read_beside(name, relationship.target, started=started)

    def _title(self, name: str) -> None:
        self._builder.gap()
        self._builder.line(name, Place(sheet=name, part="sheet name"))

    def _read_beside(self, name: str, part: str, *, started: bool) -> None:
        """Read comments, text boxes and charts of a sheet."""
        for relationship in self._package.relationships(part).values():
            if relationship.external or relationship.target not in self._package:
                continue
            if relationship.kind in ("comments", "threadedComment"):
                comments = _Comments()
                self._package.follow(relationship.target, comments, PREFIXES)
                for cell, author, said in comments.found:
                    by = f" by {author}" if author else ""
                    place = Place(sheet=name, cell=cell or None, part=f"comment{by}")
                    self._builder.line(f"[Comment{by} on {cell}: {said}]", place)
            elif relationship.kind == "drawing":
                self._read_drawing(name, relationship, started=started)

    def _read_drawing(self, name: str, drawing: Relationship, *, started: bool) -> None:
        lines = drawn_texts(self._package, drawing)
        for chart in self._package.relationships(drawing.target).values():
            if chart.kind == "chart":
                lines += drawn_texts(self._package, chart)
        if lines and not started:
            self._title(name)
        for line in lines:
            self._builder.line(line, Place(sheet=name, part="drawing"))

    def _shown(self, cell: _Cell) -> str:
        value = "".join(cell.value)
        if cell.kind == "s":
            number = _number(value.strip(), -1)
            return self._strings.texts[number] if 0 <= number < len(self._strings.texts) else ""
        if cell.kind == "b":
            return "TRUE" if value.strip() == "1" else "FALSE"
        if cell.kind != "n" or not value.strip():
            return value
        codes = self._styles.codes
        code = codes[cell.style] if cell.style < len(codes) else "General"
        return shown(value.strip(), code, since_1904=self._workbook.since_1904)


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value is not None and value.isdecimal() and len(value) < 10 else otherwise
