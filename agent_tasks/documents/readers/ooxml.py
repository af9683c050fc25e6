"""What the formats of Office have in common: namespaces, on and off, texts of charts and diagrams."""

from __future__ import annotations

from collections.abc import Iterator

from agent_tasks.documents.readers.packages import Package, Relationship
from agent_tasks.documents.readers.text_builder import squeezed

_TRANSITIONAL = "http://schemas.openxmlformats.org"
_STRICT = "http://purl.oclc.org/ooxml"
PREFIXES = {
    f"{base}/{path}": prefix
    for prefix, transitional, strict in (
        ("w", "wordprocessingml/2006/main", "wordprocessingml/main"),
        ("s", "spreadsheetml/2006/main", "spreadsheetml/main"),
        ("p", "presentationml/2006/main", "presentationml/main"),
        ("a", "drawingml/2006/main", "drawingml/main"),
        ("wp", "drawingml/2006/wordprocessingDrawing", "drawingml/wordprocessingDrawing"),
        ("c", "drawingml/2006/chart", "drawingml/chart"),
        ("dgm", "drawingml/2006/diagram", "drawingml/diagram"),
        ("m", "officeDocument/2006/math", "officeDocument/math"),
        ("r", "officeDocument/2006/relationships", "officeDocument/relationships"),
    )
    for base, path in ((_TRANSITIONAL, transitional), (_STRICT, strict))
} | {
    f"{_TRANSITIONAL}/markup-compatibility/2006": "mc",
    "urn:schemas-microsoft-com:vml": "v",
}
_OFF = ("0", "false", "off", "none")


def is_on(attributes: dict[str, str], name: str = "w:val") -> bool:
    """Tell whether a property that is there is switched on."""
    return attributes.get(name, "1").lower() not in _OFF


def drawn_texts(package: Package, relationship: Relationship) -> list[str]:
    """Return the lines of a chart or diagram: titles, categories and values as they were last shown."""
    if relationship.external or relationship.target not in package:
        return []
    events = _Drawn()
    package.follow(relationship.target, events, PREFIXES)
    return list(events.lines())


class _Drawn:
    """The texts of a chart (one line a series) or of a diagram (one line a paragraph)."""

    def __init__(self) -> None:
        self._lines: list[list[str]] = [[]]
        self._taking = False
        self._separate = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._taking = name in ("a:t", "c:v")
        if name == "c:v":
            self._separate = True
        elif name in ("a:p", "c:ser", "c:cat", "c:val", "c:xVal", "c:yVal"):
            self._lines.append([])

    def end(self, name: str) -> None:
        self._taking = False

    def text(self, data: str) -> None:
        if self._taking:
            line = self._lines[-1]
            if self._separate and line:
                line.append(" | ")
            self._separate = False
            line.append(data)

    def lines(self) -> Iterator[str]:
        for pieces in self._lines:
            if text := squeezed("".join(pieces)):
                yield text
