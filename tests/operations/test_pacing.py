"""Few go on at a time, in the order in which they came, and nobody waits for ever."""

from __future__ import annotations

import asyncio

from agent_tasks.operations.pacing import Pace, go_on, step_aside


class Work:
    """Somebody with several steps to do; notes who does which."""

    def __init__(self, pace: Pace) -> None:
        self.notes: list[tuple[int, int]] = []
        self._pace = pace

    async def do(self, who: int) -> None:
        with self._pace.kept():
            await go_on()
            for step in range(3):
                self.notes.append((who, step))
                await asyncio.sleep(0)
            step_aside()
            await asyncio.sleep(0)


async def test_one_does_all_its_steps_before_the_next_one_begins() -> None:
    work = Work(Pace(at_once=1))
    await asyncio.gather(*(work.do(who) for who in range(4)))
    assert work.notes == [(who, step) for who in range(4) for step in range(3)]


async def test_with_room_for_all_they_go_side_by_side() -> None:
    work = Work(Pace(at_once=4))
    await asyncio.gather(*(work.do(who) for who in range(4)))
    assert work.notes[:4] == [(who, 0) for who in range(4)]


async def test_one_who_waits_in_its_place_holds_up_the_others_for_a_moment() -> None:
    pace, came = Pace(at_once=1, longest=0.05), asyncio.Event()

    async def waits() -> None:
        with pace.kept():
            await go_on()
            await came.wait()

    async def comes() -> None:
        with pace.kept():
            await go_on()
            came.set()

    async with asyncio.timeout(20):
        await asyncio.gather(waits(), comes())
    assert not pace.free.locked()


async def test_what_is_done_side_by_side_in_one_place_takes_no_more_than_that() -> None:
    pace = Pace(at_once=2, longest=60)
    with pace.kept():
        await asyncio.gather(*(go_on() for _ in range(5)))
        assert not pace.free.locked()
        step_aside()
        async with asyncio.timeout(20):
            await asyncio.gather(*(pace.free.acquire() for _ in range(2)))
    assert pace.free.locked()


async def test_one_who_gives_up_while_it_waits_takes_no_place() -> None:
    pace = Pace(at_once=1, longest=60)

    async def wait() -> None:
        with pace.kept():
            await go_on()

    with pace.kept():
        await go_on()
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
    assert not pace.free.locked()


async def test_where_no_pace_is_kept_nobody_waits() -> None:
    await go_on()
    step_aside()
