"""Putting the content of a document together: text, places and boxes grow side by side."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from itertools import accumulate
from operator import sub

from agent_tasks.documents.content import Attachment, Box, DocumentContent, Edges, Place, Section, WordBoxes
from agent_tasks.documents.limits import ReadingLimits, too_long


class ContentBuilder:
    """Grows the content of a document from its beginning to its end.

    Args:
        name: The document's name, for errors.
        limits: What the text may grow to.
    """

    def __init__(self, name: str, limits: ReadingLimits) -> None:
        self._name = name
        self._limits = limits
        self._pieces: list[str] = []
        self._length = 0
        self._sections: list[Section] = []
        self._words = WordBoxes()
        self.attachments: list[Attachment] = []
        self.notes: list[str] = []
        self.unread: list[str] = []
        self.scans: list[int] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is no text yet."""
        return self._length == 0

    def add(self, text: str, place: Place | None = None, box: Box | Edges | None = None) -> None:
        """Append a text, which stands in a place and, if it is a word, in a box.

        Raises:
            DocumentTooLongError: The text has too many characters now.
        """
        if not text:
            return
        if not text.isascii():
            text = unicodedata.normalize("NFC", text)
        start = self._length
        self._append(text, place)
        if box is not None:
            self._words.add(start, self._length, box)

    def _append(self, text: str, place: Place | None) -> None:
        start = self._length
        self._pieces.append(text)
        self._length += len(text)
        if self._length > self._limits.max_characters:
            raise too_long(self._name, "has too much text", f"{self._limits.max_characters:,} characters")
        if place is not None:
            last = self._sections[-1] if self._sections else None
            if last is not None and (
                last.place is place or last.place == place
            ):  # what is between the two belongs to the place too
                self._sections[-1] = Section(last.start, self._length, place)
            else:
                self._sections.append(Section(start, self._length, place))

    def add_words(self, texts: Sequence[str], units: list[int], glued: Collection[int], place: Place) -> None:
        """Append words that stand in one place, each in its box, with blanks between them.

        Args:
            texts: Their texts.
            units: Their boxes in units, one after the other.
            glued: Which of them have no blank before them; the first one has none anyway.
            place: Where they stand.

        Raises:
            DocumentTooLongError: The text has too many characters now.
        """
        if not "".join(texts).isascii():
            texts = [unicodedata.normalize("NFC", text) for text in texts]
        spaced = [text if not i or i in glued else f" {text}" for i, text in enumerate(texts)]
        ends = list(accumulate(map(len, spaced), initial=self._length))[1:]
        self._words.add_row(list(map(sub, ends, map(len, texts))), ends, units)
        self._append("".join(spaced), place)

    def content(self) -> DocumentContent:
        """Return what has grown."""
        return DocumentContent(
            text="".join(self._pieces),
            sections=tuple(self._sections),
            words=self._words if self._words.starts else None,
            attachments=tuple(self.attachments),
            notes=tuple(self.notes),
            unread=tuple(self.unread),
            scans=tuple(self.scans),
        )
