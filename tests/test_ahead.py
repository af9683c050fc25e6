"""Calls in a row, of which the next one is under way while what the last one gave is used."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from agent_tasks.ahead import one_ahead


class Calls:
    """Calls that note when they begin and end."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def call(self, number: int) -> int:
        self.notes.append(f"begin {number}")
        try:
            await asyncio.sleep(0)
            if number < 0:
                raise ValueError(number)
            await asyncio.sleep(0 if number < 9 else 60)
        except asyncio.CancelledError:
            self.notes.append(f"cancelled {number}")
            raise
        self.notes.append(f"end {number}")
        return number


async def test_the_next_one_begins_before_the_last_is_used() -> None:
    calls = Calls()
    async for number in one_ahead(partial(calls.call, number) for number in (1, 2, 3)):
        calls.notes.append(f"use {number}")
        await asyncio.sleep(0.001)
    of = calls.notes.index
    assert of("begin 2") < of("use 1") < of("begin 3") < of("use 2") < of("use 3")


@pytest.mark.parametrize("count", [0, 1])
async def test_none_and_one(count: int) -> None:
    calls = Calls()
    assert [number async for number in one_ahead(partial(calls.call, number) for number in range(count))] == [
        *range(count)
    ]


async def test_who_stops_early_leaves_nothing_under_way() -> None:
    calls = Calls()
    numbers = one_ahead(partial(calls.call, number) for number in (1, 9, 3))
    assert await anext(numbers) == 1
    await asyncio.sleep(0.001)
    await numbers.aclose()
    assert calls.notes == ["begin 1", "begin 9", "end 1", "cancelled 9"]


async def test_what_fails_ends_it_and_the_next_is_cancelled() -> None:
    calls = Calls()
    numbers = one_ahead(partial(calls.call, number) for number in (1, -2, 9))
    assert await anext(numbers) == 1
    with pytest.raises(ValueError, match="-2"):
        await anext(numbers)
    assert "cancelled 9" in calls.notes
