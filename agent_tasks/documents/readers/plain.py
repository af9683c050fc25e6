"""Plain text: what a person sees in an editor."""

from __future__ import annotations

import codecs
import unicodedata

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.lines import tidy
from agent_tasks.errors import UnreadableDocumentError

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v")
_MAX_CONTROL_SHARE = 0.01
_MAX_NON_ASCII_SHARE = 0.30


def read_plain(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read text as it is."""
    return DocumentContent(tidy(decode(content, filename)))


def decode(content: bytes, filename: str) -> str:
    """Decode text by its byte order mark, else UTF-8, else Windows-1252 if what comes out is printable."""
    encoding = next((name for bom, name in BYTE_ORDER_MARKS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise _undecodable(filename, f"it is marked as {encoding} but is not") from error
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError as second:
            raise _undecodable(filename, "it is neither UTF-8 nor Windows-1252") from second
        if sum(char > "\x7f" for char in text) > _MAX_NON_ASCII_SHARE * len(text):
            raise _undecodable(filename, "it looks like binary data") from None
    controls = sum(
        char not in _ALLOWED_CONTROLS and unicodedata.category(char) in ("Cc", "Cn", "Co") for char in text
    )
    if controls > _MAX_CONTROL_SHARE * len(text):
        raise _undecodable(filename, "it looks like binary data")
    return text


def _undecodable(filename: str, why: str) -> UnreadableDocumentError:
    return UnreadableDocumentError(
        f"{filename} cannot be read as text: {why}; save it as UTF-8 or give it the extension of"
        " its real format",
        document=filename,
    )
