"""Plain text: what a person sees in an editor."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.encodings import LATIN, AmbiguousTextError, recognised
from agent_tasks.documents.readers.lines import tidy
from agent_tasks.errors import UnreadableDocumentError

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = (("utf-32-le", 4, 0), ("utf-32-be", 4, 3), ("utf-16-le", 2, 0), ("utf-16-be", 2, 1))
_JAPANESE_ESCAPES = (b"\x1b$B", b"\x1b$@", b"\x1b(J")
_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v")
_CONTROLS = re.compile(r"[^\x09-\x0d\x20-\x7e\xa0-\ud7ff]")  # what is to be looked at more closely
_MAX_CONTROL_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes as text."""

    text: str
    notes: tuple[str, ...] = ()


def read_plain(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read text as it is."""
    decoded = decode(content, filename)
    return DocumentContent(tidy(decoded.text), notes=decoded.notes)


def decode(content: bytes, filename: str) -> Decoded:
    """Decode text by its byte order mark or its form, else by what its letters are.

    Raises:
        UnreadableDocumentError: It is binary data, or which encoding it is in cannot be told.
    """
    mark = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), None)
    if mark is not None:
        try:
            return _printable(Decoded(content.decode(mark)), filename)
        except UnicodeDecodeError as error:
            raise undecodable(filename, f"it is marked as {mark} but is not") from error
    if b"\0" in content:
        return _printable(_wide(content, filename), filename)
    if any(escape in content for escape in _JAPANESE_ESCAPES):
        try:
            return _printable(Decoded(content.decode("iso2022_jp_ext")), filename)
        except UnicodeDecodeError:
            pass  # text that happens to hold such a sign
    try:
        return _printable(Decoded(content.decode("utf-8")), filename)
    except UnicodeDecodeError:
        return _printable(_old(content, filename), filename)


def undecodable(filename: str, why: str) -> UnreadableDocumentError:
    """Return the error of a document that is no text."""
    return UnreadableDocumentError(
        f"{filename} cannot be read as text: {why}; save it as UTF-8 or give it the extension of"
        " its real format",
        document=filename,
    )


def _wide(content: bytes, filename: str) -> Decoded:
    """Decode UTF-16 or UTF-32 without a mark: most zeros then stand at the same place of each character."""
    sample = content[:10_000]
    for encoding, width, used in _WIDE:
        zeros = sum(sample[offset::width].count(0) for offset in range(width) if offset != used)
        zeros_of_used = sample[used::width].count(0)
        if len(content) % width or zeros_of_used * 20 > zeros or (width == 4 and zeros * 2 < len(sample)):
            continue
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return Decoded(text)
    raise undecodable(filename, "it looks like binary data")


def _old(content: bytes, filename: str) -> Decoded:
    """Decode text that is not all UTF-8: that but for a few bytes, or in an older encoding."""
    replaced = content.decode("utf-8", errors="replace")
    damaged = replaced.count("\ufffd") - content.count("\ufffd".encode())
    sound = sum(char > "\x7f" for char in replaced) - damaged
    if sound > 2 * damaged:
        where = replaced.count("\n", 0, replaced.index("\ufffd")) + 1
        return Decoded(
            replaced,
            (f"{damaged} bytes in it are not UTF-8 as the rest is, the first in line {where}.",),
        )
    if sum(byte < 32 and byte not in b"\t\n\r\f\v\x1b" for byte in content[:10_000]) > 10:
        raise undecodable(filename, "it looks like binary data")
    try:
        guess = recognised(content)
    except AmbiguousTextError as error:
        raise undecodable(filename, str(error)) from error
    if sound * 4 >= damaged and guess.encoding in LATIN:
        raise undecodable(filename, f"it looks like {guess.encoding}, but some of it is UTF-8")
    return Decoded(guess.text)


def _printable(decoded: Decoded, filename: str) -> Decoded:
    controls = sum(
        match[0] not in _ALLOWED_CONTROLS and unicodedata.category(match[0]) in ("Cc", "Cn", "Co")
        for match in _CONTROLS.finditer(decoded.text)
    )
    if controls > _MAX_CONTROL_SHARE * len(decoded.text):
        raise undecodable(filename, "it looks like binary data")
    return decoded
