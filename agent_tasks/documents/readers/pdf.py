"""PDF: the text as it is shown, page by page, with what lies on the pages and is attached to them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from agent_tasks.documents.assembly import ContentBuilder
from agent_tasks.documents.content import Attachment, DocumentContent, Edges, Place
from agent_tasks.documents.layout import Run, Word, add_page
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.progress import alive
from agent_tasks.documents.readers import pdfium
from agent_tasks.documents.readers.legibility import is_garbage
from agent_tasks.documents.readers.pdf_page import Frame, PageText
from agent_tasks.documents.recogniser import Recogniser
from agent_tasks.documents.recognition import REMEDY, listed, recogniser, recognition_note
from agent_tasks.errors import EmptyDocumentError, UnreadableDocumentError

MAX_ATTACHMENTS = 200
"""Files attached to one document that are read."""
MAX_ANNOTATIONS = 10_000
"""Fields and notes of one page that are read."""
_MOST_BEFORE = 1 << 16  # bytes of something else, which some put before the file
_OBJECT = rb"^\d+ \d+ obj\b|[\r\n]\d+ \d+ obj\b"
_FEW_CHARACTERS = 60  # on a page that is a picture: a stamp, a page number
_MOST_OF_THE_PAGE = 0.6
_PIXELS_PER_POINT, _MOST_PIXELS = 150 / 72, 5_000_000
_MAX_OBJECTS = 2_000  # of a page that are looked at for pictures


def read_pdf(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read the text of a PDF, the values of its form and its notes, and the files attached to it."""
    if (begin := content.find(b"%PDF-", 0, _MOST_BEFORE)) >= 0:
        content = content[begin:]
    elif re.search(_OBJECT, content[:_MOST_BEFORE]) and b"trailer" in content[-_MOST_BEFORE:]:
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
def opened(content: bytes, filename: str) -> Iterator[pdfium.Document]:
    """Open a PDF.

    Raises:
        UnreadableDocumentError: It is damaged, encrypted, or has no pages.
    """
    try:
        document = pdfium.Document(content)
    except pdfium.PdfiumError as error:
        if error.err_code == pdfium.ERR_PASSWORD:
            raise UnreadableDocumentError(
                f"{filename} is encrypted; save it without a password", document=filename
            ) from error
        if error.err_code == pdfium.ERR_SECURITY:
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


class _Document:
    """The work on one document."""

    def __init__(self, document: pdfium.Document, name: str, limits: ReadingLimits) -> None:
        self.document = document
        self.name = name
        self.limits = limits
        self.builder = ContentBuilder(name, limits)
        self.damaged: list[int] = []
        self.unread: list[int] = []
        self.garbled: list[int] = []
        self.recognised: dict[int, float] = {}
        self.form: Any = None
        self.is_dynamic_form = self.document.form_type == pdfium.FORMTYPE_XFA_FULL
        if self.document.form_type != pdfium.FORMTYPE_NONE:
            environment = self.document.full.formenv
            self.form = environment.raw if environment is not None else None

    def read_page(self, number: int) -> None:
        """Append the text of a page."""
        try:
            page = self.document.page(number - 1)
        except pdfium.errors():
            self.damaged.append(number)
            return
        try:
            frame = Frame.of(page)
            read = self._words if isinstance(page, pdfium.Page) else self._words_and_annotations
            by_turns, place = read(page, number, frame)
            for words in by_turns:
                if words:
                    self.builder.add("" if self.builder.is_empty else "\n\n")
                    add_page(self.builder, words, place)
        except pdfium.errors():
            self.damaged.append(number)
        finally:
            page.close()

    def _words_and_annotations(
        self, page: Any, number: int, frame: Frame
    ) -> tuple[list[list[Word | Run]], Place]:
        """Return the words of a page of pypdfium2, with those of what lies on it; it may be closed then."""
        from agent_tasks.documents.readers.pdf_notes import draw_appearances, words_on

        laid_on = list(words_on(page, self.form, frame, MAX_ANNOTATIONS))
        by_turns, place = self._words(page, number, frame, laid_on)
        if drawn := draw_appearances(page, self.form, frame, MAX_ANNOTATIONS):
            page.close()
            page = self.document.page(number - 1)
            by_turns[0] = _with_drawn(by_turns[0], PageText(page, frame), drawn)
            page.close()
        return by_turns, place

    def _words(
        self, page: Any, number: int, frame: Frame, laid_on: Sequence[Word] = ()
    ) -> tuple[list[list[Word | Run]], Place]:
        """Return the words of a page, those of one direction after the other, and where they stand."""
        found = PageText(page, frame)
        by_turns = found.words()
        place = Place(page=number)
        if (is_garbled := is_garbage(found.whole_text, found.unmapped_share)) or self._is_picture(
            page, number, by_turns, frame
        ):
            self.builder.scans.append(number)
            means = recogniser() if self.limits.recognise else None
            if means is not None:
                words, sureness = _recognised(means, self._whole(page, number), frame)
                if words:
                    self.recognised[number] = sureness
                    return [[*words, *laid_on]], Place(page=number, recognised=round(sureness, 3))
            if is_garbled:
                self.garbled.append(number)
                return [[*laid_on]], place
            if means is None:
                self.unread.append(number)
        counts = {
            turns: sum(len(some.texts) for some in words) * (2 if turns == 0 else 1)
            for turns, words in by_turns.items()
        }
        main = max(counts, key=lambda turns: counts[turns], default=0)
        first = by_turns.pop(main, [])
        return [[*first, *laid_on], *(by_turns[turns] for turns in sorted(by_turns))], place

    def _is_picture(
        self, page: Any, number: int, by_turns: dict[int, list[Word | Run]], frame: Frame
    ) -> bool:
        """Whether a page is a picture, with next to no text on it."""
        texts = (text for words in by_turns.values() for some in words for text in some.texts)
        if any(number > _FEW_CHARACTERS for number in accumulate(map(len, texts))):
            return False
        most = _MOST_OF_THE_PAGE if any(by_turns.values()) else 0.02
        return _share_of_pictures(self._whole(page, number), frame) > most

    def _whole(self, page: Any, number: int) -> Any:
        """Return a page as pypdfium2 has it."""
        return self.document.full[number - 1] if isinstance(page, pdfium.Page) else page

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


def _with_drawn(words: list[Word | Run], page: PageText, places: list[Edges]) -> list[Word | Run]:
    """Return the words of a page and those that are drawn within some places, unless these are garbage."""
    known = {(word.text, round(word.left), round(word.top)) for some in words for word in some.words}
    drawn = [
        word
        for found in page.words().values()
        for some in found
        for word in some.words
        if (word.text, round(word.left), round(word.top)) not in known
        and any(_is_within(page.on_page(word), place) for place in places)
    ]
    return [*words, *drawn] if not is_garbage(" ".join(word.text for word in drawn)) else words


def _is_within(middle: tuple[float, float], place: Edges) -> bool:
    left, top, right, bottom = place
    return left - 1 <= middle[0] <= right + 1 and top - 1 <= middle[1] <= bottom + 1


def _nothing_to_read(name: str, what: str) -> EmptyDocumentError:
    return EmptyDocumentError(f"{name} contains no text: its pages {what}. {REMEDY}", document=name)


def _share_of_pictures(page: Any, frame: Frame) -> float:
    """Return how much of a page is pictures: those that lie on others are counted too."""
    area = 0.0
    for number, thing in enumerate(page.get_objects(filter=(pdfium.PAGEOBJ_IMAGE,), max_depth=5)):
        if number >= _MAX_OBJECTS:
            break
        left, bottom, right, top = thing.get_bounds()
        left, right = max(left, frame.left), min(right, frame.left + frame.width)
        bottom, top = max(bottom, frame.bottom), min(top, frame.bottom + frame.height)
        area += max(right - left, 0.0) * max(top - bottom, 0.0)
    return area / (frame.width * frame.height)


def _recognised(means: Recogniser, page: Any, frame: Frame) -> tuple[list[Word], float]:
    """Return the words that are recognised on a page, and how sure the least certain half of them is."""
    width, height = frame.shown_size
    scale = min(_PIXELS_PER_POINT, (_MOST_PIXELS / (width * height)) ** 0.5)
    picture = page.render(scale=scale).to_pil().convert("RGB")
    return means.words(picture, (width, height))


def _attachments(document: pdfium.Document, name: str, limits: ReadingLimits) -> list[Attachment]:
    found: list[Attachment] = []
    size = 0
    for i in range(min(document.attachments, MAX_ATTACHMENTS)):
        try:
            attachment = document.full.get_attachment(i)
            content = bytes(attachment.get_data())
            attached = attachment.get_name()
        except pdfium.errors():
            continue
        size += len(content)
        if size > limits.max_unpacked_bytes:
            raise too_long(name, "has too much attached", f"{limits.max_unpacked_bytes:,} bytes")
        found.append(Attachment(attached or f"attachment {i + 1}", content))
    return found
