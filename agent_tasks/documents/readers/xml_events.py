"""XML as a series of events: no tree is built, so that neither size nor depth of a document costs memory.

The parser is expat. It resolves no external entity; a document type, in which entities are declared, is
refused where the format has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Protocol
from xml.parsers import expat

_SEPARATOR = " "
_CHUNK = 1 << 16


class Events(Protocol):
    """What follows a document. Names are ``prefix:local``, by the reader's own prefixes; ``?`` if unknown."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""

    def end(self, name: str) -> None:
        """Leave an element."""

    def text(self, data: str) -> None:
        """Take text of the element that is open."""


class XmlError(ValueError):
    """The document is not XML as it is wanted."""


def follow_xml(
    source: IO[bytes] | bytes, events: Events, prefixes: Mapping[str, str], *, doctype: bool = False
) -> None:
    """Call `events` for each element and text.

    Args:
        source: The document.
        events: What is called.
        prefixes: Namespace to the prefix that its names get; several may have the same.
        doctype: Whether a document type is borne; its external parts are not read in any case.

    Raises:
        XmlError: It is not well-formed, or declares a type without leave.
    """
    names = _Names(prefixes)
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        events.start(names[name], {names[key]: value for key, value in attributes.items()})

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: events.end(names[name])
    parser.CharacterDataHandler = events.text
    if not doctype:
        parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        if isinstance(source, bytes):
            parser.Parse(source, True)
            return
        while chunk := source.read(_CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise XmlError(f"its XML is not well-formed ({error})") from error


class _Names(dict[str, str]):
    """Names as expat gives them, to ``prefix:local``."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        super().__init__()
        self._prefixes = prefixes

    def __missing__(self, name: str) -> str:
        namespace, _, local = name.rpartition(_SEPARATOR)
        short = f"{self._prefixes.get(namespace, '?')}:{local}" if namespace else local
        if len(self) < 10_000:  # a document of made-up names must not fill memory
            self[name] = short
        return short


def _refuse_doctype(*_: object) -> None:
    raise XmlError("its XML declares a document type, which this format does not have")
