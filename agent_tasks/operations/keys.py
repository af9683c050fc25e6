"""Operation keys: a hash of what an operation is, never of when or how often it was tried."""

from __future__ import annotations

import hashlib
import json
from typing import Any

KEY_LENGTH = 40
"""Hexadecimal characters of a key: 160 bits, and short enough for every place that carries it."""


def operation_key(kind: str, **what: Any) -> str:
    """The key of an operation.

    Args:
        kind: the operation's kind.
        what: all that makes it this operation and no other, as JSON values. The order of names does not
        matter.

    Returns:
        40 hexadecimal characters.

    Raises:
        TypeError: a value is not JSON; two different operations must not share a key by their `repr`.
    """
    text = json.dumps(
        [kind, what], sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def content_hash(content: bytes | str) -> str:
    """The SHA-256 of some content, as hexadecimal characters."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
