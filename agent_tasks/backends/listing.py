"""Lists of the service from which others delete while they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from agent_tasks.errors import NotFoundError

_BEGINNINGS: Final = 20  # how often a list is read from its beginning before its 404 is believed


async def whole_list(listed: Callable[[], AsyncIterator[Any]]) -> AsyncIterator[Any]:
    """Give each item of a list once, also where items are deleted meanwhile.

    A page begins after the last item of the page before. Where that item is gone the service answers 404,
    which says nothing about what is looked for: the list is read again from its beginning.

    Args:
        listed: begins to read the list.

    Raises:
        NotFoundError: that has happened each time.
    """
    seen: set[str] = set()
    for left in reversed(range(_BEGINNINGS)):
        try:
            async for item in listed():
                if item.id not in seen:
                    seen.add(item.id)
                    yield item
        except NotFoundError:
            if not left:
                raise
        else:
            return
