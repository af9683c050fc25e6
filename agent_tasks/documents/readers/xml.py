"""XML: a line for each element that holds text, with its name; where both mix, a line of text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.packages import reading
from agent_tasks.documents.readers.plain import BYTE_ORDER_MARKS, decode
from agent_tasks.documents.readers.text_builder import TextBuilder
from agent_tasks.documents.readers.xml_events import follow_xml

_DECLARED = re.compile(r"^\s*<\?xml[^>]*\?>")
_MAX_PATH = 300


def read_xml(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read the texts of a document's elements, such as ``ID: 471102``; the place is their path."""
    with reading(filename, "XML", "save it again as XML"):
        builder = TextBuilder(filename, limits)
        events = _Elements(builder)
        follow_xml(_in_utf_8(content, filename), events, {}, doctype=True)
        return builder.content()


def _in_utf_8(content: bytes, filename: str) -> bytes:
    """Return the document in UTF-8; what expat does not know of encodings, Python does."""
    head = content[:200].split(b">", 1)[0]
    match = re.search(rb"encoding=[\"']([\w.:-]+)", head)
    if match is None or any(content.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        text = decode(content, filename).text
    else:
        try:
            text = content.decode(match[1].decode())
        except (LookupError, ValueError):
            text = decode(content, filename).text
    return _DECLARED.sub("", text.lstrip("\ufeff"), count=1).encode("utf-8", "replace")


@dataclass(slots=True)
class _Element:
    name: str
    attributes: str = ""
    text: list[str] = field(default_factory=list)
    mixed: bool = False
    has_children: bool = False


class _Elements:
    """Writes the text of an element when it ends; text before the first child marks an element as mixed."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._open: list[_Element] = []
        self._characters = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = _Element(name.rpartition(":")[2], _written(attributes))
        if self._open:
            parent = self._open[-1]
            parent.has_children = True
            if "".join(parent.text).strip():
                parent.mixed = True
            element.mixed = parent.mixed  # within a sentence, elements are part of it
        self._open.append(element)

    def end(self, name: str) -> None:
        element = self._open.pop()
        text = " ".join("".join(element.text).split())
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.mixed:
            parent.text.append("".join(element.text))
            return
        if not text and not element.attributes:
            return
        label = f"{element.name} ({element.attributes})" if element.attributes else element.name
        path = "/".join(one.name for one in (*self._open[-8:], element))[-_MAX_PATH:]
        line = text if element.mixed and not element.attributes else f"{label}: {text}".rstrip(": ")
        self._builder.line(line, Place(part=path))

    def text(self, data: str) -> None:
        if self._open:
            self._characters += len(data)
            if self._characters > 4 * self._builder.limits.max_characters:  # of entities within entities
                raise ValueError("its entities stand for too much text")
            self._open[-1].text.append(data)


def _written(attributes: dict[str, str]) -> str:
    """Return attributes as text, without those that only say how to read the document."""
    return ", ".join(
        f"{name.rpartition(':')[2]} {value}"
        for name, value in attributes.items()
        if value.strip() and not name.endswith((":schemaLocation", ":noNamespaceSchemaLocation"))
    )
