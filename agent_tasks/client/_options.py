"""How the client signs in, and how patient it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import httpx
from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from pydantic import SecretStr

from agent_tasks.errors import ConfigurationError
from agent_tasks.field_types import check_field_types

DEFAULT_API_VERSION = "v1"
TOKEN_SCOPE = "https://ai.azure.com/.default"  # noqa: S105  (a scope, not a secret)

T = TypeVar("T")

Credential = AsyncTokenCredential | TokenCredential | SecretStr
"""Any credential of azure-identity, or the token itself."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is tried, and how long in all.

    Retried are connection errors and timeouts, 408, 429, 5xx, and every answer >= 400 with Retry-After;
    a request that creates something only where it provably had no effect.
    """

    attempts: int = 6
    """Tries in all, the first included."""
    total_time: float = 180.0
    """Seconds from the first try after which no other one is started."""
    initial_delay: float = 0.5
    """Seconds before the second try; doubles each time, with jitter, unless the service names a time."""
    max_delay: float = 30.0
    """Seconds: the longest wait of our own choice. What the service asks for is obeyed up to `total_time`."""

    def __post_init__(self) -> None:
        check_field_types(self)
        if self.attempts < 1 or min(self.total_time, self.initial_delay, self.max_delay) < 0:
            raise ValueError("a retry policy needs at least one attempt and no negative times")

    @classmethod
    def checked(cls, given: RetryPolicy | None) -> RetryPolicy:
        """What was given, or the default. Raises ConfigurationError for a number in its place."""
        return _checked(cls, given, "retry")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting, in seconds."""

    connect: float = 10.0
    read: float = 120.0
    """Between two pieces of an answer."""
    write: float = 60.0
    """Between two pieces of a request."""
    pool: float = 60.0
    """For a free connection."""
    stream_idle: float = 300.0
    """Between two pieces of a stream of events; then it counts as broken. A stream has no limit in all: the
    run behind it has its own expiry."""
    stream_silence: float = 900.0
    """Between two events of a stream, whatever comments keep it alive meanwhile; then it counts as broken."""
    answer: float = 600.0
    """For a plain answer in whole, however slowly it trickles in."""

    def __post_init__(self) -> None:
        check_field_types(self)
        if min(self.connect, self.read, self.write, self.pool, self.stream_idle) <= 0:
            raise ValueError("limits on waiting are above 0 seconds")

    @classmethod
    def checked(cls, given: Timeouts | None) -> Timeouts:
        """What was given, or the default. Raises ConfigurationError for a number in its place."""
        return _checked(cls, given, "timeout")

    def for_answer(self) -> httpx.Timeout:
        """Limits of a plain request."""
        return httpx.Timeout(connect=self.connect, read=self.read, write=self.write, pool=self.pool)

    def for_stream(self) -> httpx.Timeout:
        """Limits of a streamed one."""
        return httpx.Timeout(connect=self.connect, read=self.stream_idle, write=self.write, pool=self.pool)


def _checked(kind: Callable[[], T], given: T | None, name: str) -> T:
    if given is None:
        return kind()
    if not isinstance(given, cast("type", kind)):
        raise ConfigurationError(
            f"{name} is a {type(given).__name__}, and has to be a {getattr(kind, '__name__', kind)}(...).",
            setting=name,
        )
    return given
