"""What is open is shared while it is used, and closed after its last user."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from agent_tasks.pool import Pool
from tests.support.waiting import eventually

Events = list[str]


def opener(events: Events, name: str = "it") -> Callable[[], AbstractAsyncContextManager[str]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        events.append(f"open {name}")
        try:
            yield name
        finally:
            await asyncio.sleep(0)
            events.append(f"close {name}")

    return opened


async def test_users_at_the_same_time_share_and_the_last_one_closes() -> None:
    events: Events = []
    pool: Pool[str] = Pool("test")

    async def use(turns: int) -> str:
        async with pool.use("k", opener(events)) as value:
            for _ in range(turns):
                await asyncio.sleep(0.01)
        return value

    assert await asyncio.gather(use(1), use(5), use(3)) == ["it"] * 3
    assert events == ["open it", "close it"]
    assert pool.here() == []
    await use(0)
    assert events == ["open it", "close it"] * 2


async def test_keys_are_apart() -> None:
    events: Events = []
    pool: Pool[str] = Pool("test")
    async with pool.use("a", opener(events, "a")) as a, pool.use("b", opener(events, "b")) as b:
        assert (a, b) == ("a", "b")
        assert pool.here() == ["a", "b"]


async def test_what_is_idle_stays_open_for_the_next_user_and_closes_later() -> None:
    events: Events = []
    pool: Pool[str] = Pool("test", idle=2)
    for _ in range(3):
        async with pool.use("k", opener(events)):
            pass
        await asyncio.sleep(0)
    assert events == ["open it"]
    await eventually(lambda: events == ["open it", "close it"])
    assert pool.here() == []


def test_what_is_idle_closes_with_its_event_loop() -> None:
    events: Events = []
    pool: Pool[str] = Pool("test", idle=60)

    async def once() -> None:
        async with pool.use("k", opener(events)):
            pass

    for _ in range(2):
        asyncio.run(once())
    assert events == ["open it", "close it"] * 2


async def test_what_did_not_open_is_tried_again_by_the_next_user() -> None:
    events: Events = []
    pool: Pool[str] = Pool("test")
    fails = [True, False]

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        if fails.pop(0):
            raise OSError("refused")
        async with opener(events)() as value:
            yield value

    async def use() -> str:
        async with pool.use("k", opened) as value:
            return value

    first, second = await asyncio.gather(use(), use(), return_exceptions=True)
    assert isinstance(first, OSError)
    assert second == "it"
    assert events == ["open it", "close it"]


async def test_a_cancelled_user_leaves_the_thing_to_the_others() -> None:
    events: Events = []
    pool: Pool[str] = Pool("test")

    async def stay() -> None:
        async with pool.use("k", opener(events)):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(stay()) for _ in range(2)]
    await eventually(lambda: events == ["open it"])
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    assert events == ["open it"]
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert events == ["open it", "close it"]
