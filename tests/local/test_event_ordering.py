"""A restarted server does not hold events back for one that went to the server before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect.server.events.ordering import EventArrivedEarly
from prefect.server.events.schemas.events import ReceivedEvent

from agent_tasks.local.event_ordering import GRACE, CausalOrdering


@pytest.fixture
def ordering() -> Iterator[CausalOrdering]:
    """That of a server that has just begun."""
    made = CausalOrdering(f"test-{uuid4()}")
    yield made
    made.clear()


def crashed(follows: UUID, *, age: timedelta = timedelta()) -> ReceivedEvent:
    """An event that follows another one."""
    return ReceivedEvent(
        occurred=datetime.now(UTC) - age,
        received=datetime.now(UTC) - age,
        event="prefect.flow-run.Crashed",
        resource={"prefect.resource.id": "prefect.flow-run.1"},
        id=uuid4(),
        follows=follows,
    )


async def handled(ordering: CausalOrdering, event: ReceivedEvent) -> list[UUID]:
    """The events that are acted on when this one comes."""
    acted_on: list[UUID] = []

    async def handle(event: ReceivedEvent, depth: int = 0) -> None:
        async with ordering.preceding_event_confirmed(handle, event, depth):
            acted_on.append(event.id)

    await handle(event)
    return acted_on


async def test_an_event_waits_for_the_one_it_follows_and_both_are_acted_on_in_order(
    ordering: CausalOrdering,
) -> None:
    running = crashed(uuid4(), age=GRACE)
    follower = crashed(running.id)
    with pytest.raises(EventArrivedEarly):
        await handled(ordering, follower)
    assert await handled(ordering, running) == [running.id, follower.id]
    assert await ordering.get_lost_followers() == []


async def test_an_event_whose_leader_went_to_the_server_before_waits_for_seconds(
    ordering: CausalOrdering,
) -> None:
    event = crashed(uuid4(), age=GRACE - timedelta(seconds=5))
    with pytest.raises(EventArrivedEarly):
        await handled(ordering, event)
    assert await ordering.get_lost_followers() == []
    event.received -= timedelta(seconds=5)
    assert await ordering.get_lost_followers() == [event]
    assert await handled(ordering, event) == [event.id]
    assert await ordering.get_lost_followers() == []
