"""A request and its answer where httpx does not carry them: plain values, for most of a turn is requests."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Carried", "CarriedRequest", "Carrier"]


@dataclass(frozen=True, slots=True)
class CarriedRequest:
    """A request whose body is in memory."""

    method: str
    address: str
    """Whole and quoted, with its query."""
    headers: Mapping[str, str]
    content: bytes | None
    extensions: Mapping[str, Any]
    """As httpx has them: `timeout`, and perhaps `trace`."""


@dataclass(slots=True)
class Carried:
    """An answer whose body is not read, as far as the client looks at one of httpx."""

    status_code: int
    headers: Mapping[str, str]
    """By names in whichever case."""
    stream: AsyncIterable[bytes]
    """The pieces of the body, as they come."""
    close: Callable[[], None]
    """Close the connection, unless the body was read to its end: then it is free already."""
    closed: Callable[[], None] | None
    """Called once when it is closed."""

    is_closed = is_stream_consumed = False
    content = b""

    @property
    def is_success(self) -> bool:
        """Whether its status is 2xx."""
        return 200 <= self.status_code < 300

    async def aclose(self) -> None:
        """Be done with it."""
        closed, self.closed = self.closed, None
        try:
            self.close()
        finally:
            if closed is not None:
                closed()


class Carrier(Protocol):
    """Carries requests."""

    async def carry(self, request: CarriedRequest, closed: Callable[[], None]) -> Carried:
        """Send one; gives its answer with the body unread. Raises what httpx raises.

        Args:
            request: what to send.
            closed: called when the answer is closed.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
