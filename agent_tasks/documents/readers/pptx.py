"""PPTX: presentations of PowerPoint, slide after slide, with the speaker's notes."""

from __future__ import annotations

from collections.abc import Iterable

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.docx.numbering import written_number
from agent_tasks.documents.readers.ooxml import PREFIXES, drawn_texts, is_on
from agent_tasks.documents.readers.packages import Package, reading
from agent_tasks.documents.readers.tables import Cell, Line, Row
from agent_tasks.documents.readers.text_builder import TextBuilder
from agent_tasks.errors import UnreadableDocumentError

_REMEDY = "save it again as .pptx, without a password"
_SHAPES = frozenset(("p:sp", "p:grpSp", "p:graphicFrame", "p:pic", "p:cxnSp"))
_FURNITURE = frozenset(("sldNum", "sldImg", "hdr", "dt"))  # of pages of notes
_NUMBER_FORMS = {
    "arabic": "decimal", "alphaLc": "lowerLetter", "alphaUc": "upperLetter", "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}  # fmt: skip


def read_pptx(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a presentation: .pptx, .pptm, .ppsx, .ppsm, .potx or .potm."""
    with reading(filename, "a PowerPoint presentation", _REMEDY):
        package = Package(content, filename, limits, _REMEDY)
        main = package.main_part("ppt/presentation.xml")
        presentation = _Presentation()
        if main is not None:
            package.follow(main, presentation, PREFIXES)
        if main is None or not presentation.is_presentation:
            raise UnreadableDocumentError(
                f"{filename} is not a PowerPoint presentation; {_REMEDY}", document=filename
            )
        if len(presentation.slides) > limits.max_pages:
            raise too_long(
                filename, f"has {len(presentation.slides):,} slides", f"{limits.max_pages:,} slides"
            )
        return _Reader(package, TextBuilder(filename, limits)).content(main, presentation.slides)


class _Reader:
    def __init__(self, package: Package, builder: TextBuilder) -> None:
        self._package = package
        self._builder = builder
        self._notes: list[str] = []

    def content(self, main: str, slides: list[str]) -> DocumentContent:
        relationships = self._package.relationships(main)
        for number, identifier in enumerate(slides, 1):
            relationship = relationships.get(identifier)
            if relationship is None or relationship.external or relationship.target not in self._package:
                self._notes.append(f"Slide {number} is not in the file.")
            else:
                self._read_slide(number, relationship.target)
        return self._builder.content(notes=self._notes)

    def _read_slide(self, number: int, part: str) -> None:
        slide = self._followed(part)
        if slide.hidden:
            self._notes.append(f"The hidden slide {number} was not read.")
            return
        self._builder.gap()
        for line in slide.lines():
            self._builder.line(line.text, Place(slide=number, part=line.place.part if line.place else None))
        if slide.pictures:
            count = f"{slide.pictures} picture{'s' if slide.pictures > 1 else ''}"
            self._notes.append(f"The text of {count} on slide {number} was not read.")
        for relationship in self._package.relationships(part).values():
            if relationship.external or relationship.target not in self._package:
                continue
            if relationship.kind == "notesSlide":
                for line in self._followed(relationship.target, notes=True).lines():
                    self._builder.line(line.text, Place(slide=number, part="notes"))
            elif relationship.kind == "comments":
                for text in drawn_texts(self._package, relationship) or self._comments(relationship.target):
                    self._builder.line(f"[Comment: {text}]", Place(slide=number, part="comment"))

    def _followed(self, part: str, *, notes: bool = False) -> _Slide:
        slide = _Slide(notes=notes)
        self._package.follow(part, slide, PREFIXES)
        relationships = self._package.relationships(part)
        for identifier in slide.drawings:
            if (relationship := relationships.get(identifier)) is not None:
                place = Place(part="drawing")
                slide.add(Line(text, place) for text in drawn_texts(self._package, relationship))
        return slide

    def _comments(self, part: str) -> list[str]:
        comments = _Comments()
        self._package.follow(part, comments, PREFIXES)
        return ["".join(pieces) for pieces in comments.found if "".join(pieces).strip()]


class _Presentation:
    def __init__(self) -> None:
        self.is_presentation = False
        self.slides: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "p:presentation":
            self.is_presentation = True
        elif name == "p:sldId":
            self.slides.append(attributes.get("r:id", ""))

    def end(self, name: str) -> None:
        pass

    def text(self, data: str) -> None:
        pass


class _Comments:
    """Comments of the old kind."""

    def __init__(self) -> None:
        self.found: list[list[str]] = []
        self._taking = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._taking = name == "p:text"
        if self._taking:
            self.found.append([])

    def end(self, name: str) -> None:
        self._taking = False

    def text(self, data: str) -> None:
        if self._taking:
            self.found[-1].append(data)


class _Slide:
    """The events of a slide or of a page of notes: shapes in order, tables row by row."""

    def __init__(self, *, notes: bool) -> None:
        self.hidden = False
        self.drawings: list[str] = []
        self.pictures = 0
        self._notes = notes
        self._cells = [Cell()]
        self._rows: list[Row] = []
        self._shapes: list[bool] = []  # for each open shape: whether it is shown
        self._pieces: list[str] = []
        self._taking = False
        self._numbers: dict[int, int] = {}
        self._level = 0
        self._label = ""
        self._alternatives: list[tuple[int, bool]] = []
        self._produced = 0
        self._skipped = 0

    def lines(self) -> list[Line]:
        return [line for line in self._cells[0].lines if line.text.strip()]

    def add(self, lines: Iterable[Line]) -> None:
        self._cells[0].lines += lines

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipped:
            self._skipped += 1
        elif name in _SHAPES:
            self._shapes.append(True)
            self._numbers.clear()
        elif name == "p:cNvPr" and self._shapes:
            self._shapes[-1] = not is_on({"w:val": attributes.get("hidden", "0")})
        elif name == "p:ph" and self._shapes and self._notes and attributes.get("type") in _FURNITURE:
            self._shapes[-1] = False
        elif name in ("a:t", "m:t"):
            self._taking = all(self._shapes)
        elif name == "a:br":
            self._pieces.append("\n")
        elif name == "a:p":
            self._pieces, self._level, self._label = [], 0, ""
        elif name == "a:pPr":
            level = attributes.get("lvl", "0")
            self._level = int(level) if level.isdecimal() and len(level) < 3 else 0
        elif name == "a:buAutoNum":
            self._count(attributes)
        else:
            self._start_other(name, attributes)

    def _start_other(self, name: str, attributes: dict[str, str]) -> None:
        if name == "a:tr":
            self._rows.append(Row(len(self._cells)))
        elif name == "a:tc" and self._rows:
            self._rows[-1].cells.append(Cell())
            self._cells.append(self._rows[-1].cells[-1])
        elif name in ("c:chart", "dgm:relIds"):
            identifier = attributes.get("r:id") or attributes.get("r:dm")
            if identifier and all(self._shapes):
                self._produced += 1
                self.drawings.append(identifier)
        elif name == "p:sld":
            self.hidden = not is_on({"w:val": attributes.get("show", "1")})
        elif name == "a:blip" and not self._notes:
            self.pictures += 1
        elif name == "mc:AlternateContent":
            self._alternatives.append((self._produced, False))
        elif name in ("mc:Choice", "mc:Fallback") and self._alternatives:
            before, taken = self._alternatives[-1]
            if taken or self._produced > before:
                self._skipped = 1

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif name in _SHAPES:
            self._shapes.pop()
        elif name in ("a:t", "m:t"):
            self._taking = False
        elif name == "a:p":
            text = "".join(self._pieces)
            self._pieces = []
            if text.strip():
                self._cells[-1].lines.append(Line(f"{self._label} {text}" if self._label else text))
        elif name == "a:tc" and len(self._cells) > 1:
            self._cells.pop()
        elif name == "a:tr" and self._rows:
            self._cells[-1].lines += self._rows.pop().lines()
        elif name == "mc:AlternateContent" and self._alternatives:
            self._alternatives.pop()

    def text(self, data: str) -> None:
        if self._taking:
            self._produced += 1
            self._pieces.append(data)

    def _count(self, attributes: dict[str, str]) -> None:
        """Number a paragraph of a list that counts by itself."""
        start = attributes.get("startAt", "1")
        number = (
            self._numbers.get(self._level, int(start) - 1 if start.isdecimal() and len(start) < 6 else 0) + 1
        )
        self._numbers = {level: n for level, n in self._numbers.items() if level < self._level}
        self._numbers[self._level] = number
        kind = attributes.get("type", "arabicPeriod")
        form = next((form for prefix, form in _NUMBER_FORMS.items() if kind.startswith(prefix)), "decimal")
        written = written_number(number, form)
        if kind.endswith("ParenBoth"):
            self._label = f"({written})"
        else:
            self._label = written + (
                ")" if kind.endswith("ParenR") else "." if kind.endswith("Period") else ""
            )
