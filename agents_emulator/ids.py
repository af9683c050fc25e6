"""Identifiers in the shapes the service was recorded with (docs/wire.md, "Identifiers")."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_EVEN = 256 - 256 % len(_ALPHABET)


def random_characters(length: int) -> str:
    """Return random characters. One draw for all of them: a request may make a hundred thousand ids."""
    text = ""
    while len(text) < length:
        # Bytes above the last whole multiple of the alphabet would favour its first characters.
        drawn = secrets.token_bytes(length + 8)
        text += "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in drawn if byte < _EVEN)
    return text[:length]


def new_id(prefix: str) -> str:
    """Return `<prefix>_` (`asst`, `thread`, `msg`, `run`, `step`, `call`, `vs`) and 24 alphanumerics."""
    return f"{prefix}_{random_characters(24)}"


def new_file_id() -> str:
    """Return a file id: `assistant-` and 22 alphanumerics. It also names the stored content on disk."""
    return f"assistant-{random_characters(22)}"


def new_batch_id() -> str:
    """Return a vector store file batch id: `vsfb_` and 32 hexadecimal digits."""
    return f"vsfb_{secrets.token_hex(16)}"
