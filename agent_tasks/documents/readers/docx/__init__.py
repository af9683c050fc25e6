"""DOCX: documents of Word, as Word shows and prints them when all changes are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent_tasks.documents.content import Attachment, DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.docx.notes import NotesPart
from agent_tasks.documents.readers.docx.numbering import Numbering
from agent_tasks.documents.readers.docx.story import Story
from agent_tasks.documents.readers.docx.structure import Found, Notes
from agent_tasks.documents.readers.docx.styles import Styles
from agent_tasks.documents.readers.ooxml import PREFIXES, drawn_texts, is_on
from agent_tasks.documents.readers.packages import Package, Relationship, reading
from agent_tasks.documents.readers.tables import Line
from agent_tasks.documents.readers.text_builder import TextBuilder
from agent_tasks.documents.readers.xml_events import Events
from agent_tasks.errors import UnreadableDocumentError

_REMEDY = "save it again as .docx, without a password"
_MARGINS = (("first", "first-page "), ("default", ""), ("even", "even-page "))


def read_docx(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a document of Word: .docx, .docm, .dotx or .dotm."""
    with reading(filename, "a Word document", _REMEDY):
        package = Package(content, filename, limits, _REMEDY)
        main = package.main_part("word/document.xml")
        if main is None:
            raise UnreadableDocumentError(
                f"{filename} is not a Word document: there is no document in it; {_REMEDY}", document=filename
            )
        return _WordDocument(package, main, TextBuilder(filename, limits)).content()


class _WordDocument:
    """The parts of a document of Word."""

    def __init__(self, package: Package, main: str, builder: TextBuilder) -> None:
        self._package = package
        self._main = main
        self._builder = builder
        self._relationships = package.relationships(main)
        self._styles = Styles()
        self._numbering = Numbering()
        self._notes = Notes()
        self._follow("styles", self._styles)
        self._follow("numbering", self._numbering)
        for kind in ("footnote", "endnote", "comment"):
            self._read_notes(kind)

    def content(self) -> DocumentContent:
        """Headers, body, footers: letterheads and bank details often stand outside the body."""
        body = self._story(self._relationships)
        checked = _Root(body)
        self._package.follow(self._main, checked, PREFIXES)
        lines = body.lines()
        if checked.root != "w:document":
            raise UnreadableDocumentError(
                f"{self._builder.filename} is not a Word document: its main part holds {checked.root};"
                " give it the extension of its real format",
                document=self._builder.filename,
            )
        self._write(self._margin_lines("header", body.found))
        self._write(lines)
        for (kind, _), unreferenced in self._notes.texts.items():
            if kind == "comment":
                self._write(unreferenced)
        self._write(self._margin_lines("footer", body.found))
        attachments, notes = self._chunks(body.found)
        if body.found.pictures:
            count = body.found.pictures
            notes.append(f"The text of {count} picture{'s' if count > 1 else ''} in it was not read.")
        return self._builder.content(attachments=attachments, notes=notes)

    def _write(self, lines: list[Line] | Iterator[Line]) -> None:
        for line in lines:
            self._builder.line(line.text, line.place)

    def _story(self, relationships: dict[str, Relationship], numbering: Numbering | None = None) -> Story:
        def drawn(relationship: str) -> list[str]:
            found = relationships.get(relationship)
            return drawn_texts(self._package, found) if found is not None else []

        return Story(self._styles, numbering or self._numbering, self._notes, drawn)

    def _part(self, kind: str) -> str | None:
        found = (r for r in self._relationships.values() if r.kind == kind and not r.external)
        return next((r.target for r in found if r.target in self._package), None)

    def _follow(self, kind: str, events: Events) -> None:
        if (part := self._part(kind)) is not None:
            self._package.follow(part, events, PREFIXES)

    def _read_notes(self, kind: str) -> None:
        part = self._part(f"{kind}s")
        if part is None:
            return
        relationships = self._package.relationships(part)
        notes = NotesPart(kind, lambda: self._story(relationships))
        self._package.follow(part, notes, PREFIXES)
        self._notes.texts.update(notes.texts)

    def _margin_lines(self, margin: str, found: Found) -> Iterator[Line]:
        """Yield what stands above or below the pages, each line once, of those that Word shows."""
        settings = _Settings()
        self._follow("settings", settings)
        done: set[str] = set()
        seen: set[str] = set()
        inherited: dict[str, str] = {}
        for section in found.margins:
            inherited |= section
            for kind, described in _MARGINS:
                shown = {"first": "title page" in section, "even": settings.even}.get(kind, True)
                relationship = self._relationships.get(inherited.get(f"{margin} {kind}", ""))
                if not shown or relationship is None or relationship.target in done:
                    continue
                done.add(relationship.target)
                if relationship.external or relationship.target not in self._package:
                    continue
                story = self._story(self._package.relationships(relationship.target))
                self._package.follow(relationship.target, story, PREFIXES)
                place = Place(part=f"{described}{margin}")
                for line in story.lines():
                    if line.text.strip() and line.text not in seen:
                        seen.add(line.text)
                        yield Line(line.text, line.place or place)

    def _chunks(self, found: Found) -> tuple[list[Attachment], list[str]]:
        """Return documents that Word would take into this one when it opens it."""
        attachments, notes = [], []
        for chunk in found.chunks:
            relationship = self._relationships.get(chunk)
            if relationship is None or relationship.external or relationship.target not in self._package:
                notes.append("A document that belongs into its text is not in the file.")
                continue
            name = relationship.target.rpartition("/")[2]
            attachments.append(Attachment(name, self._package.read(relationship.target)))
            notes.append(f"A part of its text is a document of its own, {name}.")
        return attachments, notes


class _Root:
    """Passes events on, and keeps the name of the outermost element."""

    def __init__(self, events: Events) -> None:
        self.root = "nothing"
        self._events = events
        self.start: Callable[[str, dict[str, str]], None] = self._start_root
        self.end = events.end
        self.text = events.text

    def _start_root(self, name: str, attributes: dict[str, str]) -> None:
        self.root = name
        self.start = self._events.start
        self.start(name, attributes)


class _Settings:
    def __init__(self) -> None:
        self.even = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "w:evenAndOddHeaders":
            self.even = is_on(attributes)

    def end(self, name: str) -> None:
        pass

    def text(self, data: str) -> None:
        pass
