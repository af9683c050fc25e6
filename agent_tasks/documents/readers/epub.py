"""EPUB: books, chapter after chapter in the order of reading."""

from __future__ import annotations

import posixpath

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.html import as_html, decode_html, html_lines
from agent_tasks.documents.readers.packages import Package, reading
from agent_tasks.documents.readers.text_builder import TextBuilder
from agent_tasks.errors import UnreadableDocumentError

_REMEDY = "save it again as .epub, without copy protection"
_PREFIXES = {
    "urn:oasis:names:tc:opendocument:xmlns:container": "container",
    "http://www.idpf.org/2007/opf": "opf",
}
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a book; the place of its text is the chapter, counted as the book lists them."""
    with reading(filename, "an EPUB book", _REMEDY):
        package = Package(content, filename, limits, _REMEDY)
        book = _Book()
        if "META-INF/container.xml" in package:
            package.follow("META-INF/container.xml", book, _PREFIXES)
        if book.root not in package:
            raise UnreadableDocumentError(
                f"{filename} is not an EPUB book: it does not list what is in it; {_REMEDY}",
                document=filename,
            )
        if "META-INF/encryption.xml" in package and "META-INF/rights.xml" in package:
            raise UnreadableDocumentError(f"{filename} is encrypted; {_REMEDY}", document=filename)
        package.follow(book.root, book, _PREFIXES)
        chapters = [book.items[name] for name in book.spine if name in book.items]
        if len(chapters) > limits.max_pages:
            raise too_long(filename, f"has {len(chapters):,} chapters", f"{limits.max_pages:,} chapters")
        builder, notes = TextBuilder(filename, limits), []
        for number, (target, kind) in enumerate(chapters, 1):
            part = posixpath.normpath(posixpath.join(posixpath.dirname(book.root), target))
            if kind not in _PAGES:
                continue
            if part not in package:
                notes.append(f"Chapter {number} is not in the file.")
                continue
            builder.gap()
            page = decode_html(package.read(part), filename)
            for line in html_lines(as_html(page.text), filename):
                builder.line(line.text, Place(part=f"chapter {number}"))
        return builder.content(notes=notes)


class _Book:
    """Where the list of contents is, then what it says."""

    def __init__(self) -> None:
        self.root = ""
        self.items: dict[str, tuple[str, str]] = {}
        self.spine: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "container:rootfile" and not self.root:
            self.root = attributes.get("full-path", "")
        elif name == "opf:item":
            self.items[attributes.get("id", "")] = (
                attributes.get("href", ""),
                attributes.get("media-type", ""),
            )
        elif name == "opf:itemref" and len(self.spine) < 100_000:
            self.spine.append(attributes.get("idref", ""))

    def end(self, name: str) -> None:
        pass

    def text(self, data: str) -> None:
        pass
