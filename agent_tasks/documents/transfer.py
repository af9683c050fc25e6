"""What a reading process and its owner say to each other: frames of a small head in JSON and raw parts.

A process that has read a hostile file is not to be trusted: nothing that it sends is executed or unpickled,
all of it is bounded, and checked as it is taken apart.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent_tasks import errors
from agent_tasks.documents.content import Attachment, DocumentContent, Place, Section, WordBoxes
from agent_tasks.documents.limits import ReadingLimits

_LENGTH = struct.Struct(">II")
MAX_HEAD = 1_000_000
MAX_PARTS = 2_000
MAX_PICTURE_BYTES = 1_000_000
"""Of the picture of a place."""
MAX_PICTURE_SIDE = 1_600
"""Pixels of such a picture's longer side."""
MAX_IMAGE_BYTES = 5_000_000
"""Of the image of a page."""


class TransferError(Exception):
    """What was sent is not what is sent here."""


def packed(head: dict[str, Any], parts: Sequence[bytes | memoryview] = ()) -> list[bytes | memoryview]:
    """Return the pieces of a frame: lengths, head, parts."""
    body = json.dumps({**head, "sizes": [len(part) for part in parts]}).encode()
    return [_LENGTH.pack(len(body), sum(len(part) for part in parts)) + body, *parts]


def received(read: Callable[[int], bytes], max_bytes: int) -> tuple[dict[str, Any], list[bytes]]:
    """Return head and parts of the next frame.

    Args:
        read: Reads exactly so many bytes.
        max_bytes: How much the parts may be together.

    Raises:
        TransferError: It is no frame, or too large.
    """
    head_size, size = _LENGTH.unpack(read(_LENGTH.size))
    if head_size > MAX_HEAD or size > max_bytes:
        raise TransferError(f"{head_size:,} and {size:,} bytes were sent, at most {max_bytes:,} are taken")
    try:
        head = json.loads(read(head_size))
        sizes = head["sizes"]
        if len(sizes) > MAX_PARTS or any(part < 0 for part in sizes) or sum(sizes) != size:
            raise TransferError("the sizes of the parts do not fit")
    except (ValueError, KeyError, TypeError) as error:
        raise TransferError(f"the head is none: {error}") from error
    return head, [read(part) for part in sizes]


@dataclass(frozen=True)
class Request:
    """What is asked for: that a document is read, or that pictures are made of places in it, or of pages."""

    name: str
    content: bytes
    limits: ReadingLimits
    places: tuple[Place, ...] = ()
    """Of which pictures are made."""
    pages: tuple[int, ...] = ()
    """Of which images are made; no places and no pages: the document is read."""
    max_pixels: int = 0
    """Of an image."""

    @property
    def wants(self) -> str:
        """The kind of the frame that answers it."""
        return "pictures" if self.places or self.pages else "content"

    def frame(self) -> list[bytes | memoryview]:
        """Return the frame that asks for it."""
        head = {
            "name": self.name,
            "limits": asdict(self.limits),
            "places": [place.model_dump(include={"page", "boxes"}) for place in self.places],
            "pages": self.pages,
            "max_pixels": self.max_pixels,
        }
        return packed(head, [self.content])

    @classmethod
    def of(cls, head: dict[str, Any], parts: Sequence[bytes]) -> Request:
        """Return what a frame asks for."""
        places = tuple(Place.model_validate(place) for place in head["places"])
        limits, pages = ReadingLimits(**head["limits"]), tuple(head["pages"])
        return cls(head["name"], parts[0], limits, places, pages, head["max_pixels"])


def answer(content: DocumentContent, memory: int) -> list[bytes | memoryview]:
    """Return the frame of what was read; `memory` is how many bytes the process holds now."""
    places: dict[Place, int] = {}
    sections = array("I")
    for section in content.sections:
        sections.extend((section.start, section.end, places.setdefault(section.place, len(places))))
    words = content.words or WordBoxes()
    told = {
        "places": [place.model_dump(exclude_none=True, exclude={"boxes"}) for place in places],
        "notes": content.notes,
        "unread": content.unread,
        "scans": content.scans,
        "attachments": [attachment.name for attachment in content.attachments],
    }
    parts: list[bytes | memoryview] = [
        json.dumps(told).encode(),
        content.text.encode("utf-8", "replace"),
        *(memoryview(numbers).cast("B") for numbers in (sections, words.starts, words.ends, words.edges)),
        *(attachment.content for attachment in content.attachments),
    ]
    return packed({"kind": "content", "memory": memory}, parts)


def content_of(parts: Sequence[bytes]) -> DocumentContent:
    """Return what was read, from the parts of its frame.

    Raises:
        TransferError: They are not those of a document.
    """
    try:
        told = json.loads(parts[0])
        text = parts[1].decode()
        sections, starts, ends = (_numbers("I", part) for part in parts[2:5])
        edges = _numbers("H", parts[5])
        places = [Place.model_validate(place) for place in told["places"]]
        names = told["attachments"]
        if len(edges) != 4 * len(starts) or len(starts) != len(ends) or len(names) != len(parts) - 6:
            raise TransferError("the parts do not fit together")
        if max((*sections[1::3], *ends), default=0) > len(text):
            raise TransferError("a place lies behind the end of the text")
        triples = zip(sections[::3], sections[1::3], sections[2::3], strict=True)
        return DocumentContent(
            text=text,
            sections=tuple(Section(start, end, places[place]) for start, end, place in triples),
            words=WordBoxes(starts, ends, edges) if starts else None,
            attachments=tuple(
                Attachment(str(name), part) for name, part in zip(names, parts[6:], strict=True)
            ),
            notes=tuple(map(str, told["notes"])),
            unread=tuple(map(str, told["unread"])),
            scans=tuple(map(int, told["scans"])),
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise TransferError(f"what was read cannot be taken apart: {error}") from error


def pictures(made: Sequence[bytes], memory: int) -> list[bytes | memoryview]:
    """Return the frame of pictures of places."""
    return packed({"kind": "pictures", "memory": memory}, made)


def pictures_of(parts: Sequence[bytes], count: int) -> list[bytes]:
    """Return pictures, from the parts of their frame: a PNG for each place, or nothing.

    Raises:
        TransferError: They are none.
    """
    if len(parts) != count:
        raise TransferError(f"{len(parts)} pictures were sent for {count} places")
    for part in parts:
        if part and not _is_small_png(part):
            raise TransferError("a picture is no PNG, or too large")
    return list(parts)


def images_of(parts: Sequence[bytes], count: int) -> list[bytes]:
    """Return images of pages, from the parts of their frame: a JPEG for each.

    Raises:
        TransferError: They are none.
    """
    if len(parts) != count:
        raise TransferError(f"{len(parts)} images were sent for {count} pages")
    for part in parts:
        if len(part) > MAX_IMAGE_BYTES or not part.startswith(b"\xff\xd8\xff"):
            raise TransferError("an image is no JPEG, or too large")
    return list(parts)


def _is_small_png(part: bytes) -> bool:
    if (
        len(part) > MAX_PICTURE_BYTES
        or not part.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
        or len(part) < 24
    ):
        return False
    width, height = struct.unpack(">II", part[16:24])
    return bool(max(width, height) <= MAX_PICTURE_SIDE)


def _numbers(kind: str, part: bytes) -> array[int]:
    numbers = array(kind)
    numbers.frombytes(part)
    return numbers


def failure(error: errors.AgentTasksError, *, is_spent: bool) -> list[bytes | memoryview]:
    """Return the frame of an error; `is_spent` says that the process should not be used again."""
    kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
    document = getattr(error, "document", None)
    message = error.message[:10_000]
    return packed(
        {"kind": "error", "type": kind, "message": message, "document": document, "spent": is_spent}
    )


_ERRORS: dict[str, type[errors.AgentTasksError]] = {
    cls.__name__: cls
    for cls in (
        errors.DocumentError,
        errors.DocumentTooLongError,
        errors.EmptyDocumentError,
        errors.UnreadableDocumentError,
        errors.UnsupportedDocumentError,
        errors.ConfigurationError,
        errors.NotInstalledError,
        errors.AgentTasksError,
    )
}


def error_of(head: dict[str, Any], name: str) -> errors.AgentTasksError:
    """Return the error that a frame tells of."""
    cls = _ERRORS.get(str(head.get("type")), errors.UnreadableDocumentError)
    error = cls(str(head.get("message")))
    if isinstance(error, errors.DocumentError):
        error.document = name
    return error
