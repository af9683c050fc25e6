"""Identifiers of the successor's wire, in the recorded shapes.

A conversation, its responses and their items share a partition of 16 hexadecimal digits. What the service
makes while it answers carries the time of its creation; what a client posts has random characters instead.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from agents_emulator.ids import random_characters

_SEPARATOR = "00"
_CONVERSATION = re.compile(r"conv_[0-9a-f]{16}00[0-9A-Za-z]{32}")


def new_partition() -> str:
    """Return the part of identifiers that a conversation shares with all that is in it."""
    return secrets.token_hex(8)


def partition_of(identifier: str) -> str:
    """Return the partition of an identifier."""
    return identifier.partition("_")[2][:16]


def new_conversation_id() -> str:
    """Return the id of a conversation, with a partition of its own."""
    return f"conv_{new_partition()}{_SEPARATOR}{random_characters(32)}"


def is_conversation_id(text: str) -> bool:
    """Whether a text has the shape of a conversation's id."""
    return _CONVERSATION.fullmatch(text) is not None


def posted_id(prefix: str, partition: str) -> str:
    """Return the id of an item that a client posts."""
    return f"{prefix}_{partition}{_SEPARATOR}{random_characters(32)}"


def response_id(partition: str, created_at: int) -> str:
    """Return the id of a response."""
    return f"resp_{partition}{_SEPARATOR}{created_at:08x}{secrets.token_hex(12)}"


def made_id(prefix: str, partition: str, created_at: int, made_of: str) -> str:
    """Return the id of an item that tells of one of the engine's records: the same for the same record."""
    digest = hashlib.blake2s(made_of.encode(), digest_size=12).hexdigest()
    return f"{prefix}_{partition}{_SEPARATOR}{created_at:08x}{digest}"


def new_container_id() -> str:
    """Return `cntr_` and 48 hexadecimal digits."""
    return f"cntr_{secrets.token_hex(24)}"
