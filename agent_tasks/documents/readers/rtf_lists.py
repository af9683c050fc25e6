"""Lists of RTF: tables say how levels are numbered, for paragraphs that do not bring their number along."""

from __future__ import annotations

from agent_tasks.documents.readers.docx.numbering import AbstractList, Level, NumberedList, Numbering
from agent_tasks.documents.readers.docx.styles import Styles

_LEVELS = 9
_MOST_LISTS = 10_000
_FORMS = {
    1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 5: "ordinal", 22: "decimalZero",
    23: "bullet", 255: "none",
}  # fmt: skip
_NO_STYLES = Styles()


class RtfLists:
    """What stands in the groups ``listtable`` and ``listoverridetable``, then the label of each paragraph."""

    def __init__(self) -> None:
        """Begin without any list."""
        self._numbering = Numbering()
        self._list = AbstractList()
        self._of_paragraphs: NumberedList | None = None
        self._changed = -1
        """The level of a list that its paragraphs change."""
        self._level: Level | None = None
        self._text: list[str] | None = None

    def word(self, word: str, number: int | None) -> None:
        """Take a control word of the tables."""
        if word == "list":
            self._list, self._of_paragraphs = AbstractList(), None
        elif word == "listoverride":
            self._of_paragraphs, self._changed, self._level = NumberedList(), -1, None
        elif word == "lfolevel":
            self._changed, self._level = self._changed + 1, None
        elif word == "listlevel":
            self._begin_level()
        elif word == "leveltext":
            self._text = []
        elif number is not None:
            self._number(word, number)

    def _begin_level(self) -> None:
        of_paragraphs = self._of_paragraphs
        levels = self._list.levels if of_paragraphs is None else of_paragraphs.levels
        number = len(levels) if of_paragraphs is None else self._changed
        if 0 <= number < _LEVELS:
            self._level = levels[number] = Level()

    def _number(self, word: str, number: int) -> None:
        if self._of_paragraphs is None:
            if word == "listid":
                self._numbering.define(str(number), self._list)
        elif word == "listid":
            self._of_paragraphs.abstract = str(number)
        elif word == "ls" and number < _MOST_LISTS:
            self._numbering.use(str(number), self._of_paragraphs)
        elif word == "levelstartat" and self._level is None:
            self._of_paragraphs.starts[self._changed] = number
        if self._level is not None:
            self._define(self._level, word, number)

    @staticmethod
    def _define(level: Level, word: str, number: int) -> None:
        if word in ("levelnfc", "levelnfcn"):
            level.form = _FORMS.get(number, "decimal")
        elif word == "levelstartat":
            level.start = number
        elif word == "levelnorestart" and number:
            level.restart = 0
        elif word == "levellegal":
            level.legal = number != 0

    def text(self, text: str) -> None:
        """Take characters of the tables; a byte is the character of its number."""
        if self._text is not None and len(self._text) < 1_000:
            self._text += text

    def end(self) -> None:
        """Leave a group; a level's text is its length, then characters, some of which stand for numbers."""
        if self._text and self._level is not None:
            shown = self._text[1 : 1 + ord(self._text[0])]
            self._level.text = "".join(f"%{ord(char) + 1}" if ord(char) < _LEVELS else char for char in shown)
        self._text = None

    def label(self, number: int, level: int) -> str:
        """Count a paragraph of a list, and return its label."""
        return self._numbering.label(str(number), level, None, _NO_STYLES)
