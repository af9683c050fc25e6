"""How files go into the jail and come out of it; used on both sides, so it imports the standard library only.

A frame is the length of its head (4 bytes), the head (JSON) and, if the head has a `size`, as many bytes.
`{"path", "size"}` is a file, `{"path", "same": true}` one that has not changed, `{"folder"}` a folder;
paths are relative, below one of `PLACES`. `{"end": true}` is the last one.
"""

from __future__ import annotations

import json
import re
from typing import Any

READY = b"jail: ready\n"
"""What the jail reports when it is locked, before it has seen any code."""
HEAD_BYTES = 16_384
DEPTH = 16
DATA, STATE, SHOWN = PLACES = ("data", "state", "shown")
VARIABLES = f"{STATE}/variables.pickle"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029/]")


class FrameError(ValueError):
    """What came is no frame."""


def head_bytes(head: dict[str, Any]) -> bytes:
    """Return a head as it is sent, its length first."""
    encoded = json.dumps(head).encode()
    return len(encoded).to_bytes(4, "big") + encoded


def read_length(packed: bytes) -> int:
    """Return the length of a head. Raises `FrameError` if it is too long."""
    length = int.from_bytes(packed, "big")
    if not 0 < length <= HEAD_BYTES:
        raise FrameError("a head of a wrong length")
    return length


def read_head(encoded: bytes) -> dict[str, Any]:
    """Return a head. Raises `FrameError`."""
    try:
        head = json.loads(encoded)
    except (ValueError, RecursionError):
        raise FrameError("a head that is not JSON") from None
    if not isinstance(head, dict):
        raise FrameError("a head that is no object")
    return head


def checked_path(path: object) -> tuple[str, ...]:
    """Return the parts of a path, which leads nowhere but below one of `PLACES`. Raises `FrameError`."""
    parts = tuple(path.split("/")) if isinstance(path, str) else ()
    if not 2 <= len(parts) <= DEPTH or parts[0] not in PLACES or not all(plain_name(part) for part in parts):
        raise FrameError("a path that is not allowed")
    return parts


def plain_name(name: str) -> bool:
    """Whether a name of a file can be kept: text without control characters, not `.` or `..`."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return 0 < length <= 255 and name not in (".", "..") and not _CONTROL.search(name)
