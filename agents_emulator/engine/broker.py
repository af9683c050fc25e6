"""Events of runs on their way to the clients that stream them (server-sent events).

Frames are exactly as recorded: `event: NAME`, one `data:` line, LF only, and `event: done` / `data: [DONE]`
at the end. A run publishes whether or not anybody listens, so a client that goes away changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Protocol

from agents_emulator.store import Record

MAX_WAITING_BYTES = 4 * 1024 * 1024
"""What a slow reader may leave unread of a stream before it is broken off."""
DONE_FRAME = b"event: done\ndata: [DONE]\n\n"


@dataclass(frozen=True)
class Event:
    """One event of a stream: its name and the body of its `data` line."""

    name: str
    body: Record

    def frame(self) -> bytes:
        """Return the event as it goes over the wire."""
        data = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return f"event: {self.name}\ndata: {data}\n\n".encode("utf-8", "replace")


class Feed(Protocol):
    """What tells the events of a run in another way than the engine does."""

    def take(self, events: Iterable[Event]) -> list[Event]:
        """Return the events to send instead of the engine's."""
        ...


class Subscription:
    """The frames of one run from the moment of subscription until it stops."""

    def __init__(self, broker: EventBroker, run_id: str) -> None:
        self._broker = broker
        self._run_id = run_id
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting_bytes = 0

    def send(self, frame: bytes | None) -> None:
        """Queue a frame; None ends the stream. A reader that is too far behind loses it, and has to poll."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            return
        self._waiting_bytes += len(frame or b"")
        self._frames.put_nowait(None if self._waiting_bytes > MAX_WAITING_BYTES else frame)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield frames until the end of the stream; those that wait together in one piece."""
        try:
            is_last = False
            while not is_last:
                waiting = [await self._frames.get()]
                while not self._frames.empty():
                    waiting.append(self._frames.get_nowait())
                is_last = None in waiting
                piece = b"".join(frame for frame in waiting if frame is not None)
                self._waiting_bytes -= len(piece)
                if piece:
                    yield piece
        finally:
            self._broker.unsubscribe(self._run_id, self)


class EventBroker:
    """Hands the events of each run to its subscribers."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, list[Subscription]] = defaultdict(list)
        self._feeds: dict[str, Feed] = {}
        self._waiting: dict[str, list[asyncio.Future[bool]]] = defaultdict(list)
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the service stops."""
        return self._closed

    def attach(self, run_id: str, feed: Feed) -> None:
        """Have the events of a run told in another way, whether or not anybody listens."""
        self._feeds[run_id] = feed

    def feed_of(self, run_id: str) -> Feed | None:
        """Return the feed of a run that is at work."""
        return self._feeds.get(run_id)

    def subscribe(self, run_id: str, frames: Iterable[bytes] = ()) -> Subscription:
        """Listen to a run from now on, after these frames."""
        subscription = Subscription(self, run_id)
        for frame in frames:
            subscription.send(frame)
        if self._closed:
            subscription.send(None)
        self._subscriptions[run_id].append(subscription)
        return subscription

    def unsubscribe(self, run_id: str, subscription: Subscription) -> None:
        """Stop listening."""
        remaining = [other for other in self._subscriptions.get(run_id, []) if other is not subscription]
        if remaining:
            self._subscriptions[run_id] = remaining
        else:
            self._subscriptions.pop(run_id, None)

    def ended(self, run_id: str) -> asyncio.Future[bool]:
        """Return what is done when a run rests; its result is False if the service stops before that."""
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._closed:
            waiting.set_result(False)
        else:
            self._waiting[run_id].append(waiting)
        return waiting

    def publish(self, run_id: str, events: Iterable[Event]) -> None:
        """Send events to whoever listens to the run."""
        feed = self._feeds.get(run_id)
        if feed is not None:
            events = feed.take(events)
        subscriptions = self._subscriptions.get(run_id)
        if not subscriptions:
            return
        for event in events:
            frame = event.frame()
            for subscription in subscriptions:
                subscription.send(frame)

    def finish(self, run_id: str) -> None:
        """End the streams of a run that reached a final state or waits for its client."""
        feed = self._feeds.pop(run_id, None)
        for subscription in self._subscriptions.pop(run_id, []):
            if feed is None:
                subscription.send(DONE_FRAME)
            subscription.send(None)
        self._release(run_id, True)

    def _release(self, run_id: str, ended: bool) -> None:
        for waiting in self._waiting.pop(run_id, []):
            if not waiting.done():
                waiting.set_result(ended)

    def close(self) -> None:
        """Break off every stream, without `done`: the service stops, the runs resume at its next start."""
        self._closed = True
        for run_id in list(self._subscriptions):
            for subscription in self._subscriptions.pop(run_id, []):
                subscription.send(None)
        for run_id in list(self._waiting):
            self._release(run_id, False)
