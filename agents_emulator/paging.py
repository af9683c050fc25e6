"""List requests and list answers.

The answer past the end has null `first_id` and `last_id`: the official client's pager follows `last_id` and
ignores `has_more`, so anything else there makes it loop for ever (docs/wire.md, "Client side").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents_emulator.errors import bad_request
from agents_emulator.store import Page

MAX_LIMIT = 100


def page_from_query(query: Mapping[str, str]) -> Page:
    """Read `limit` (1..100, default 20), `order` (asc or desc, default desc), `after` and `before`."""
    text = query.get("limit", "20")
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise bad_request(
            f"Invalid 'limit': expected an integer from 1 to {MAX_LIMIT}, but got '{text}'.",
            param="limit",
            code="invalid_value",
        )
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise bad_request(
            f"Invalid 'order': expected 'asc' or 'desc', but got '{order}'.",
            param="order",
            code="invalid_value",
        )
    return Page(
        limit=limit, order=order, after=query.get("after") or None, before=query.get("before") or None
    )


def list_body(data: Sequence[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """Return the list answer for one page."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }
