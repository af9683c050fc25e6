"""Pages of lists."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

from agent_tasks.wire.base import WireModel

__all__ = ["ListPage", "ListSortOrder"]

T = TypeVar("T")


class ListSortOrder(StrEnum):
    """Order of a list, by creation."""

    ASC = "asc"
    DESC = "desc"


class ListPage(WireModel, Generic[T]):
    """One page, newest first unless asked otherwise.

    A page past the end has no data, null ids and `has_more: false`. The official client ignores `has_more`
    and follows `last_id`, so `last_id` of a page without data must be null.
    """

    object: str | None = None
    data: list[T]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False
