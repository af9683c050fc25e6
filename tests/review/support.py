"""A batch with documents that wait for a person, and the desk over its journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent_tasks.journal import Journal
from agent_tasks.review import Desk, Item, find_item
from tests.batch.support import Bench

SEND_BACK_RULES: dict[str, Any] = {
    "name": "told by a person",
    "when": {"schema": "paper", "message": "They say: Look at the (?P<total>[0-9.]+)"},
    "reply": {"json": {"number": "P-4", "total": "{{ groups.total | float }}", "issued": None}},
}


@asynccontextmanager
async def desk_of(bench: Bench) -> AsyncIterator[Desk]:
    """The desk, without a service."""
    async with Journal(bench.journal_url) as journal:
        yield Desk(journal, "test")


async def item_of(bench: Bench, name: str) -> Item:
    async with desk_of(bench) as desk:
        return await find_item(desk, name)


async def unclear(bench: Bench) -> None:
    """A run with a document that is done and one whose total is invented."""
    bench.write("a.txt", "Paper P-1 of 2026-01-01, total 10.5")
    bench.write("b.txt", "Paper P-4 is unclear: the sum is 44.00 or so")
    await bench.run()
