"""What the host and the app process say to each other: JSON, one object a line, over a pair of sockets.

The app process begins with one `Ready` (or `Failed`), and answers each `Invocation` with an `Outcome` of the
same id, in any order.
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Binding", "Channel", "Function", "Invocation", "Outcome", "open_channel"]

LINE_LIMIT = 64 * 1024 * 1024
"""Longest line in bytes: outputs are bounded by what a queue takes, but are looked at only afterwards."""


@dataclass(frozen=True)
class Binding:
    """A binding of a function to a queue, or to something else."""

    type: str
    """`queueTrigger`, `queue`, or another type."""
    name: str
    """The function's parameter."""
    queue: str = ""
    connection: str = ""


@dataclass(frozen=True)
class Function:
    """A function of the app."""

    id: str
    name: str
    trigger: Binding
    outputs: list[Binding] = field(default_factory=list)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Function:
        """As it came over the wire."""
        outputs = [Binding(**output) for output in values["outputs"]]
        return cls(values["id"], values["name"], Binding(**values["trigger"]), outputs)


@dataclass(frozen=True)
class Invocation:
    """A message for a function."""

    id: str
    function_id: str
    body: str
    """Decoded."""
    message_id: str
    dequeue_count: int
    pop_receipt: str
    inserted_at: str
    """ISO 8601, as the other times."""
    expires_at: str
    next_visible_at: str


@dataclass(frozen=True)
class Outcome:
    """What became of an invocation."""

    id: str
    error: str | None = None
    """The traceback of a function that has failed."""
    outputs: dict[str, list[str]] = field(default_factory=dict)
    """Messages to put, by output binding; not encoded."""


class Channel:
    """Lines of JSON in both directions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: Any) -> None:
        """Sends an object, without waiting."""
        values = message if isinstance(message, dict) else asdict(message)
        if not self._writer.is_closing():
            self._writer.write(json.dumps(values).encode() + b"\n")

    async def receive(self) -> dict[str, Any] | None:
        """The next object; None: the other side is gone."""
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError):
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        """Closes it."""
        self._writer.close()


async def open_channel(end: socket.socket) -> Channel:
    """One end of a connected pair of sockets as a channel."""
    return Channel(*await asyncio.open_connection(sock=end, limit=LINE_LIMIT))
