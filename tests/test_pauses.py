"""Pauses grow, end where they should, and go by a clock that tests can set."""

import asyncio
import time

import pytest

from agent_tasks.operations import effects
from agent_tasks.pauses import JumpingClock, Pauses, block, clock_of, sleep


@pytest.fixture
def clock():
    with clock_of(JumpingClock()) as clock:
        yield clock


async def test_the_first_look_comes_at_once_and_the_last_one_at_the_end(clock: JumpingClock) -> None:
    looks = [clock.now() async for _ in Pauses(1, 4, within=10)]
    assert clock.waited == pytest.approx([1, 1.5, 2.25, 3.375, 1.875], abs=0.1)
    assert looks[-1] - looks[0] == pytest.approx(10, abs=0.1)


async def test_without_time_there_is_one_look(clock: JumpingClock) -> None:
    assert [None async for _ in Pauses(1, 4, within=0)] == [None]
    assert clock.waited == []


async def test_pauses_may_be_counted(clock: JumpingClock) -> None:
    assert len([None async for _ in effects.lookup_grace()]) == 4
    assert clock.waited == pytest.approx([0.2, 0.8, 2.0])


async def test_time_that_the_looks_take_counts(clock: JumpingClock) -> None:
    pauses = Pauses(1, within=5)
    await sleep(4.5)
    assert pauses.next() == pytest.approx(0.5, abs=0.1)
    block(1)
    assert pauses.next() is None
    assert not await pauses.wait()


async def test_a_limit_may_be_learned_late() -> None:
    pauses = Pauses(1, 2)
    assert [pauses.next(within) for within in (100, 100, 3.5, 3.5)] == [
        1,
        1.5,
        pytest.approx(1, abs=0.1),
        None,
    ]


async def test_what_happens_makes_them_short_again(clock: JumpingClock) -> None:
    pauses = Pauses(1, 8, growth=2)
    event = asyncio.Event()
    assert [await pauses.until(event) for _ in range(3)] == [False] * 3
    event.set()
    assert await pauses.until(event)
    assert clock.waited == [1, 2, 4, 8]
    pauses.restart()
    assert pauses.coming == 1


async def test_an_event_ends_a_pause_by_the_real_clock() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, event.set)
    began = time.monotonic()
    assert await Pauses(60).until(event)
    assert not await Pauses(0.01).until(asyncio.Event())
    assert time.monotonic() - began < 30


def test_chance_spreads_them() -> None:
    taken = {Pauses(1, jitter=0.2).next() for _ in range(50)}
    assert len(taken) > 1
    assert all(0.8 <= one <= 1.2 for one in taken)


async def test_the_clock_is_real_again_afterwards() -> None:
    with clock_of(JumpingClock()):
        await sleep(60)
    began = time.monotonic()
    await sleep(0.05)
    assert time.monotonic() - began >= 0.04
