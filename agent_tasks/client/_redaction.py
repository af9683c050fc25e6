"""What may be written into a log of a body."""

from __future__ import annotations

import json
from typing import Any

REDACTED = "REDACTED"
"""What the service itself shows in place of headers (recorded)."""


def loggable(content: bytes) -> str:
    """A body as text, without the values of headers in it: those of MCP servers hold keys."""
    text = content.decode("utf-8", "replace")
    if '"headers"' not in text:
        return text
    try:
        return json.dumps(_without_headers(json.loads(text)), ensure_ascii=False)
    except ValueError:
        return REDACTED


def _without_headers(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_headers(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: dict.fromkeys(inner, REDACTED)
        if key == "headers" and isinstance(inner, dict)
        else _without_headers(inner)
        for key, inner in value.items()
    }
