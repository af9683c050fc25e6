"""PDF: the text as it is shown, page by page, with what lies on the pages and is attached to them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from agent_tasks.documents.assembly import ContentBuilder
from agent_tasks.documents.content import Attachment, DocumentContent, Edges, Place
from agent_tasks.documents.layout import Word, add_page
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.progress import alive
from agent_tasks.documents.readers.legibility import is_garbage
from agent_tasks.documents.readers.pdf_notes import draw_appearances, words_on
from agent_tasks.documents.readers.pdf_page import Frame, PageText
from agent_tasks.documents.recogniser import Recogniser
from agent_tasks.documents.recognition import REMEDY, listed, recogniser, recognition_note
from agent_tasks.errors import EmptyDocumentError, UnreadableDocumentError

MAX_ATTACHMENTS = 200
"""Files attached to one document that are read."""
MAX_ANNOTATIONS = 10_000
"""Fields and notes of one page that are read."""
_MOST_BEFORE = 1 << 16  # bytes of something else, which some put before the file
_OBJECT = re.compile(rb"^\d+ \d+ obj\b|[\r\n]\d+ \d+ obj\b")
_FEW_CHARACTERS = 60  # on a page that is a picture: a stamp, a page number
_MOST_OF_THE_PAGE = 0.6
_PIXELS_PER_POINT, _MOST_PIXELS = 150 / 72, 5_000_000
_MAX_OBJECTS = 2_000  # of a page that are looked at for pictures


def read_pdf(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read the text of a PDF, the values of its form and its notes, and the files attached to it."""
    if (begin := content.find(b"%PDF-", 0, _MOST_BEFORE)) >= 0:
        content = content[begin:]
    elif _OBJECT.search(content, 0, _MOST_BEFORE) and b"trailer" in content[-_MOST_BEFORE:]:
        content = b"%PDF-1.7\n" + content  # its first line is lost, or garbled
    else:
        raise UnreadableDocumentError(
            f"{filename} is not a PDF file, whatever its name says", document=filename
        )
    with opened(content, filename) as document:
        if (pages := len(document)) > limits.max_pages:
            raise too_long(filename, f"has {pages:,} pages", f"{limits.max_pages:,} pages")
        work = _Document(document, filename, limits)
        for number in range(1, pages + 1):
            work.read_page(number)
            alive()
        work.conclude()
        return work.builder.content()


@contextlib.contextmanager
def opened(content: bytes, filename: str) -> Iterator[Any]:
    """Open a PDF.

    Raises:
        UnreadableDocumentError: It is damaged, encrypted, or has no pages.
    """
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise UnreadableDocumentError(
                f"{filename} is encrypted; save it without a password", document=filename
            ) from error
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            raise UnreadableDocumentError(
                f"{filename} is encrypted in a way that is not supported; save it without protection",
                document=filename,
            ) from error
        raise _damaged(filename, "it has no readable table of its objects") from error
    try:
        if len(document) == 0:
            raise _damaged(filename, "it has no pages")
        yield document
    finally:
        document.close()


def _damaged(filename: str, why: str) -> UnreadableDocumentError:
    return UnreadableDocumentError(f"{filename} is damaged: {why}; export the PDF again", document=filename)


@dataclass
class _Document:
    """The work on one document."""

    document: Any
    name: str
    limits: ReadingLimits
    damaged: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)
    garbled: list[int] = field(default_factory=list)
    recognised: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builder = ContentBuilder(self.name, self.limits)
        self.form: Any = None
        self.is_dynamic_form = False
        if (kind := self.document.get_formtype()) != pdfium.FORMTYPE_NONE:
            self.is_dynamic_form = kind == pdfium.FORMTYPE_XFA_FULL
            self.document.init_forms()
            self.form = self.document.formenv.raw if self.document.formenv is not None else None

    def read_page(self, number: int) -> None:
        """Append the text of a page."""
        try:
            page = self.document[number - 1]
        except pypdfium2.PdfiumError:
            self.damaged.append(number)
            return
        try:
            frame = Frame.of(page)
            laid_on = list(words_on(page, self.form, frame, MAX_ANNOTATIONS))
            by_turns, place = self._words(page, number, frame, laid_on)
            if drawn := draw_appearances(page, self.form, frame, MAX_ANNOTATIONS):
                page.close()
                page = self.document[number - 1]
                by_turns[0] = _with_drawn(by_turns[0], PageText(page, frame), drawn)
            for words in by_turns:
                if words:
                    self.builder.add("" if self.builder.is_empty else "\n\n")
                    add_page(self.builder, words, place)
        except pypdfium2.PdfiumError:
            self.damaged.append(number)
        finally:
            page.close()

    def _words(
        self, page: Any, number: int, frame: Frame, laid_on: list[Word]
    ) -> tuple[list[list[Word]], Place]:
        """Return the words of a page, those of one direction after the other, and where they stand."""
        found = PageText(page, frame)
        by_turns = found.words()
        place = Place(page=number)
        if (is_garbled := is_garbage(found.whole_text, found.unmapped_share)) or _is_picture(
            page, by_turns, frame
        ):
            self.builder.scans.append(number)
            means = recogniser() if self.limits.recognise else None
            if means is not None:
                words, sureness = _recognised(means, page, frame)
                if words:
                    self.recognised[number] = sureness
                    return [[*words, *laid_on]], Place(page=number, recognised=round(sureness, 3))
            if is_garbled:
                self.garbled.append(number)
                return [laid_on], place
            if means is None:
                self.unread.append(number)
        counts = {turns: len(words) * (2 if turns == 0 else 1) for turns, words in by_turns.items()}
        main = max(counts, key=lambda turns: counts[turns], default=0)
        first = by_turns.pop(main, [])
        return [[*first, *laid_on], *(by_turns[turns] for turns in sorted(by_turns))], place

    def conclude(self) -> None:
        """Read what is attached, and note what a person should know."""
        builder = self.builder
        if len(self.damaged) == len(self.document):
            raise _damaged(self.name, "none of its pages can be read")
        builder.attachments += _attachments(self.document, self.name, self.limits)
        if self.limits.keeps_scans:
            self.unread, self.garbled = [], []
        elif builder.is_empty and not builder.attachments and (self.unread or self.garbled):
            what = "are pictures" if self.unread else "have fonts that do not say which letters they show"
            raise _nothing_to_read(self.name, what)
        if self.recognised:
            builder.notes.append(recognition_note(self.recognised))
        for pages, why in (
            (self.unread, f"a picture, whose text has to be recognised. {REMEDY}"),
            (self.garbled, f"fonts that do not say which letters they show. {REMEDY}"),
            (self.damaged, "damaged. Export the PDF again."),
        ):
            if pages:
                builder.unread.append(f"Not read: {listed('page', pages)} of {len(self.document)}: {why}")
        if self.is_dynamic_form:
            builder.unread.append(
                "It is a dynamic (XFA) form, of which only the fixed pages were read. Print it to a PDF."
            )


def _with_drawn(words: list[Word], page: PageText, places: list[Edges]) -> list[Word]:
    """Return the words of a page and those that are drawn within some places, unless these are garbage."""
    known = {(word.text, round(word.left), round(word.top)) for word in words}
    drawn = [
        word
        for found in page.words().values()
        for word in found
        if (word.text, round(word.left), round(word.top)) not in known
        and any(_is_within(page.on_page(word), place) for place in places)
    ]
    return [*words, *drawn] if not is_garbage(" ".join(word.text for word in drawn)) else words


def _is_within(middle: tuple[float, float], place: Edges) -> bool:
    left, top, right, bottom = place
    return left - 1 <= middle[0] <= right + 1 and top - 1 <= middle[1] <= bottom + 1


def _nothing_to_read(name: str, what: str) -> EmptyDocumentError:
    return EmptyDocumentError(f"{name} contains no text: its pages {what}. {REMEDY}", document=name)


def _is_picture(page: Any, by_turns: dict[int, list[Word]], frame: Frame) -> bool:
    """Whether a page is a picture, with next to no text on it."""
    if sum(len(word.text) for words in by_turns.values() for word in words) > _FEW_CHARACTERS:
        return False
    area = 0.0
    has_text = any(by_turns.values())
    for number, thing in enumerate(page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=5)):
        if number >= _MAX_OBJECTS:
            break
        left, bottom, right, top = thing.get_bounds()
        left, right = max(left, frame.left), min(right, frame.left + frame.width)
        bottom, top = max(bottom, frame.bottom), min(top, frame.bottom + frame.height)
        area += max(right - left, 0.0) * max(top - bottom, 0.0)
    share = area / (frame.width * frame.height)
    return share > (_MOST_OF_THE_PAGE if has_text else 0.02)


def _recognised(means: Recogniser, page: Any, frame: Frame) -> tuple[list[Word], float]:
    """Return the words that are recognised on a page, and how sure the least certain half of them is."""
    width, height = frame.shown_size
    scale = min(_PIXELS_PER_POINT, (_MOST_PIXELS / (width * height)) ** 0.5)
    picture = page.render(scale=scale).to_pil().convert("RGB")
    return means.words(picture, (width, height))


def _attachments(document: Any, name: str, limits: ReadingLimits) -> list[Attachment]:
    found: list[Attachment] = []
    size = 0
    for i in range(min(document.count_attachments(), MAX_ATTACHMENTS)):
        try:
            attachment = document.get_attachment(i)
            content = bytes(attachment.get_data())
            attached = attachment.get_name()
        except pypdfium2.PdfiumError:
            continue
        size += len(content)
        if size > limits.max_unpacked_bytes:
            raise too_long(name, "has too much attached", f"{limits.max_unpacked_bytes:,} bytes")
        found.append(Attachment(attached or f"attachment {i + 1}", content))
    return found
