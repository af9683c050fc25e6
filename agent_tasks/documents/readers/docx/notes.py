"""Footnotes, endnotes and comments of a Word document: the parts that hold them, one story a note."""

from __future__ import annotations

from collections.abc import Callable

from agent_tasks.documents.content import Place
from agent_tasks.documents.readers.docx.story import Story
from agent_tasks.documents.readers.tables import Line
from agent_tasks.documents.readers.text_builder import squeezed

_SEPARATORS = ("separator", "continuationSeparator", "continuationNotice")


class NotesPart:
    """The events of ``footnotes.xml``, ``endnotes.xml`` or ``comments.xml``; then the lines of each note."""

    def __init__(self, kind: str, new_story: Callable[[], Story]) -> None:
        """Begin.

        Args:
            kind: ``footnote``, ``endnote`` or ``comment``.
            new_story: Makes the story that reads one of them.
        """
        self.texts: dict[tuple[str, str], list[Line]] = {}
        self._kind = kind
        self._element = f"w:{kind}"
        self._new_story = new_story
        self._story: Story | None = None
        self._note: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        if self._story is not None:
            self._story.start(name, attributes)
        elif name == self._element and attributes.get("w:type") not in _SEPARATORS:
            self._note = attributes
            self._story = self._new_story()

    def end(self, name: str) -> None:
        """Leave an element."""
        if self._story is None:
            return
        if name == self._element:
            lines = self._story.lines()
            self._story = None
            key = (self._kind, self._note.get("w:id", ""))
            self.texts[key] = self._comment(lines) if self._kind == "comment" else lines
        else:
            self._story.end(name)

    def text(self, data: str) -> None:
        """Take text."""
        if self._story is not None:
            self._story.text(data)

    def _comment(self, lines: list[Line]) -> list[Line]:
        said = squeezed("\n".join(line.text for line in lines))
        author = squeezed(self._note.get("w:author", "")).replace("\n", " ")
        by = f" by {author}" if author else ""
        return [Line(f"[Comment{by}: {said}]", Place(part=f"comment{by}"))] if said else []
