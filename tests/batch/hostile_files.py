"""Files that try to harm whoever reads them."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO

from agent_tasks.documents.reading import document_extensions
from tests.support.pdf_files import drawn, encrypted, pdf


def _cut(content: bytes) -> Iterator[tuple[str, bytes]]:
    for share in (10, 30, 60, 90, 99):
        yield f"cut{share}.pdf", content[: len(content) * share // 100]


def _bomb() -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("[Content_Types].xml", b" " * 50_000_000)
        file.writestr("word/document.xml", b"<w>" * 10_000_000)
    return archive.getvalue()


def _huge_picture() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def hostile_files() -> Iterator[tuple[str, bytes]]:
    """Name and content of each."""
    chance = random.Random(11)
    yield from _cut(pdf(*([f"page {number}"] for number in range(20))))
    for extension in document_extensions():
        yield f"noise{extension}", chance.randbytes(5_000)
    flipped = bytearray(pdf(["Paper"] * 40))
    for _ in range(200):
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
    yield "flipped.pdf", bytes(flipped)
    yield "closed.pdf", encrypted(pdf(["x"]), "secret")
    yield "wide.pdf", drawn(lambda canvas: canvas.drawString(9, 9, "x"), size=(9e6, 9e6))
    yield "bomb.docx", _bomb()
    yield "bomb.png", _huge_picture()
    yield "deep.html", b"<div>" * 200_000 + b"x"
    yield "empty.pdf", b""
    yield "surrogates.txt", b"\xed\xa0\x80 broken \xff\xfe" * 50
