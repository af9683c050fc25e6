"""Styles of a Word document, as far as they decide what is shown: hidden text and numbered paragraphs."""

from __future__ import annotations

from dataclasses import dataclass

from agent_tasks.documents.readers.ooxml import is_on

_MAX_DEPTH = 20  # of styles that build upon one another; files may hold a cycle


@dataclass(slots=True)
class Style:
    """What a style itself says; None where it says nothing."""

    based_on: str | None = None
    hidden: bool | None = None
    numbering: str | None = None
    level: int | None = None


class Styles:
    """The events of ``styles.xml``, and then its styles."""

    def __init__(self) -> None:
        self._styles: dict[str, Style] = {}
        self._default: str | None = None
        self._style: Style | None = None
        self._conditional = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        if name == "w:style":
            self._style = self._styles[attributes.get("w:styleId", "")] = Style()
            if attributes.get("w:type") == "paragraph" and is_on({"w:val": attributes.get("w:default", "0")}):
                self._default = attributes.get("w:styleId")
        elif self._conditional or name == "w:tblStylePr":  # for some cells of a table only
            self._conditional += 1
        elif self._style is not None:
            self._property(self._style, name, attributes)

    def end(self, name: str) -> None:
        """Leave an element."""
        if self._conditional:
            self._conditional -= 1
        elif name == "w:style":
            self._style = None

    def text(self, data: str) -> None:
        """Take no text."""

    def hidden(self, style: str | None) -> bool:
        """Tell whether text of this style is hidden."""
        return bool(next((s.hidden for s in self._line_of(style) if s.hidden is not None), False))

    def numbering(self, style: str | None) -> tuple[str | None, int | None]:
        """Return the list that paragraphs of this style belong to, and their level if the style says it."""
        styles = self._line_of(style if style is not None else self._default)
        for found in styles:
            if found.numbering is not None:
                return found.numbering, found.level
        return None, None

    @staticmethod
    def _property(style: Style, name: str, attributes: dict[str, str]) -> None:
        value = attributes.get("w:val", "")
        if name == "w:basedOn":
            style.based_on = value
        elif name == "w:vanish":
            style.hidden = is_on(attributes)
        elif name == "w:numId":
            style.numbering = value
        elif name == "w:ilvl" and value.isdecimal():
            style.level = int(value[:3])

    def _line_of(self, style: str | None) -> list[Style]:
        line: list[Style] = []
        while style is not None and len(line) < _MAX_DEPTH and (found := self._styles.get(style)):
            line.append(found)
            style = found.based_on
        return line
