"""Answers of limited size: what a megabyte on the wire unpacks to is up to whoever sent it.

httpx unpacks an answer's `Content-Encoding` as it comes, without a limit: one megabyte of gzip becomes one
gigabyte at once, and as Python objects three. A `Bounded` body is unpacked piece by piece instead, each of a
size that we choose, and given up as soon as there is more than asked for.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import httpx

__all__ = [
    "ACCEPT_ENCODING",
    "Bounded",
    "BoundedLines",
    "TooLargeError",
    "bounded_json",
    "pieces_of",
    "read_at_most",
]

ACCEPT_ENCODING = "gzip, deflate"
"""What is unpacked here. Others (br, zstd) are not asked for, and refused where they come all the same."""

PIECE_BYTES = 64 * 1024
"""Most that is unpacked at once."""

MAX_JSON_PARTS = 2_000_000
"""Values, keys and containers of one JSON text; an empty list takes three bytes, and eighty in memory."""


class TooLargeError(ValueError):
    """The answer is larger than the limit, comes in too slowly, or can't be unpacked."""


class Answered(Protocol):
    """The head of an answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in lower case."""
        ...


class Bounded:
    """Unpacks the body of one answer: `feed` its raw pieces, then `finish`.

    Args:
        encoding: its `Content-Encoding`.
        limit: bytes of the unpacked body.
        seconds: time from now in which it has to come in whole; None: any.
        clock: gives the time in seconds.
    """

    def __init__(
        self,
        encoding: str | None,
        limit: int,
        *,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._left = limit
        # Packed it is smaller, but for what holds nothing at all.
        self._raw_left = limit + PIECE_BYTES
        self._clock = clock
        self._seconds = seconds
        self._until = None if seconds is None else clock() + seconds
        self._unpacker = _unpacker(encoding)
        self._first = True

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """The pieces that a raw piece unpacks to.

        Raises:
            TooLargeError: there is more than the limit, it took too long, or it can't be unpacked.
        """
        if self._until is not None and self._clock() > self._until:
            raise TooLargeError(f"it did not come in whole within {self._seconds:g} s")
        self._raw_left -= len(raw)
        if self._raw_left < 0:
            raise TooLargeError(f"it is larger than {self._limit} bytes")
        if self._unpacker is None:
            yield self._counted(raw)
            return
        if self._unpacker.eof and raw:
            raise TooLargeError("something follows its packed body")
        pending = raw
        while pending:
            yield self._counted(self._unpacked(pending))
            pending = self._unpacker.unconsumed_tail

    def finish(self) -> None:
        """Say that this was all. Raises TooLargeError where the packed body is cut off."""
        if self._unpacker is not None and not self._first and not self._unpacker.eof:
            raise TooLargeError("its packed body is cut off")

    def _unpacked(self, raw: bytes) -> bytes:
        assert self._unpacker is not None  # noqa: S101 - asked by the caller
        try:
            piece: bytes = self._unpacker.decompress(raw, PIECE_BYTES)
        except zlib.error as error:
            if not self._first:
                raise TooLargeError(f"it can't be unpacked: {error}") from error
            # "deflate" is a zlib stream by the specification, and a bare one by many.
            self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                piece = self._unpacker.decompress(raw, PIECE_BYTES)
            except zlib.error as again:
                raise TooLargeError(f"it can't be unpacked: {again}") from error
        self._first = False
        return piece

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise TooLargeError(f"it is larger than {self._limit} bytes")
        return piece

    @classmethod
    def of(cls, response: Answered, limit: int, *, seconds: float | None = None) -> Bounded:
        """For the body of an answer of httpx, to be fed from `iter_raw` or `aiter_raw`.

        Raises:
            TooLargeError: it says itself that it is too large, or is packed in a way that is not known.
        """
        encoding = response.headers.get("content-encoding")
        declared = response.headers.get("content-length", "")
        if declared.isascii() and declared.isdecimal() and int(declared[:20]) > limit:
            raise TooLargeError(f"it is larger than {limit} bytes")
        return cls(encoding, limit, seconds=seconds)


def _unpacker(encoding: str | None) -> Any:
    match (encoding or "identity").strip().lower():
        case "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        case "deflate":
            return zlib.decompressobj()
        case other:
            raise TooLargeError(f"it is packed as {other[:40]!r}, which was not asked for")


async def read_at_most(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """Read the body of an answer that was opened as a stream.

    Args:
        response: the answer; the caller closes it.
        limit: bytes of the unpacked body.
        cut: give what came up to the limit, instead of raising.

    Raises:
        TooLargeError: it is larger than the limit, or can't be unpacked.
        httpx.HTTPError: the connection broke.
    """
    content = bytearray()
    try:
        async for piece in pieces_of(response, limit):
            content += piece
    except TooLargeError:
        if not cut:
            raise
    return bytes(content)


async def pieces_of(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The body of an answer opened as a stream, unpacked piece by piece; raises as `read_at_most`."""
    if response.is_stream_consumed:  # one that was made in this process is read already
        if len(response.content) > limit:
            raise TooLargeError(f"it is larger than {limit} bytes")
        yield response.content
        return
    body = Bounded.of(response, limit)
    async for raw in response.aiter_raw():
        for piece in body.feed(raw):
            yield piece
    body.finish()


def bounded_json(content: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, is nested too deeply, or has more than `MAX_JSON_PARTS` parts.
    """
    if len(content) > MAX_JSON_PARTS and _parts(content) > MAX_JSON_PARTS:
        raise TooLargeError(f"its JSON has more than {MAX_JSON_PARTS} parts")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def _parts(content: bytes | str) -> int:
    """At least the values of a JSON text, without reading it: commas and brackets, also those in texts."""
    if isinstance(content, str):
        return content.count(",") + content.count("[") + content.count("{")
    return content.count(b",") + content.count(b"[") + content.count(b"{")


class BoundedLines:
    """Takes pieces of a text, cut anywhere, and gives its lines; LF or CRLF ends one.

    Args:
        longest: bytes of a line.
        limit: bytes of all lines.
    """

    def __init__(self, *, longest: int, limit: int) -> None:
        self._longest = longest
        self._limit = limit
        self._left = limit
        self._begun: list[bytes] = []
        self._length = 0

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that this piece completes. Raises TooLargeError."""
        self._left -= len(piece)
        if self._left < 0:
            raise TooLargeError(f"it is larger than {self._limit} bytes")
        *complete, rest = piece.split(b"\n")
        for line in complete:
            yield self._line(line)
        self._begin(rest)

    def finish(self) -> Iterator[str]:
        """The last line, where nothing ended it."""
        if self._length:
            yield self._line(b"")

    def _begin(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > self._longest:
            raise TooLargeError(f"a line is longer than {self._longest} bytes")
        if part:
            self._begun.append(part)

    def _line(self, end: bytes) -> str:
        self._begin(end)
        line = b"".join(self._begun)
        self._begun, self._length = [], 0
        return line.removesuffix(b"\r").decode("utf-8", "replace")
