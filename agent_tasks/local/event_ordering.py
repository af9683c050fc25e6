"""How a Prefect server that was restarted orders events: it does not wait for one that it will never see.

Automations see an event only after the one that it follows (of two state changes within five minutes, the
second follows the first). Prefect's server knows from memory which events it has seen; after a restart it has
forgotten them, and holds what follows one of those back for 15 minutes. So a flow run that began under the
server before, and was lost, was started again a quarter of an hour later than others. With one server, which
delivers in memory, events overtake each other by seconds at most: `GRACE` is enough.

A server uses this with the setting
`PREFECT_SERVER_EVENTS_CAUSAL_ORDERING=agent_tasks.local.event_ordering`; ours has it. Loaded by the server
alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.server.events.ordering.memory import CausalOrdering as InMemory
from prefect.server.events.schemas.events import ReceivedEvent

__all__ = ["GRACE", "CausalOrdering"]

GRACE = timedelta(seconds=30)
"""How long an event waits for the one that it follows."""


class CausalOrdering(InMemory):
    """Prefect's ordering in memory, with a shorter wait."""

    async def wait_for_leader(self, event: ReceivedEvent) -> None:
        """Raise EventArrivedEarly where the event that this one follows may still come."""
        if not _is_over(event):
            await super().wait_for_leader(event)

    async def get_lost_followers(self) -> list[ReceivedEvent]:
        """Take out the events that have waited for long enough, in the order in which they occurred."""
        async with self._lock:
            over = [event for event in self._events.values() if _is_over(event)]
        for event in over:
            await self.forget_follower(event)
        return sorted(over, key=lambda event: event.occurred)


def _is_over(event: ReceivedEvent) -> bool:
    return datetime.now(UTC) - event.received >= GRACE
