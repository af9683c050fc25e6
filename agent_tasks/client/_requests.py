"""One request to the service, as data: what is sent and whether it may be sent twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import (
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)
from tenacity.retry import retry_base
from tenacity.stop import stop_base

from agent_tasks.bounded import TooLargeError
from agent_tasks.client._options import RetryPolicy
from agent_tasks.client._uploads import Upload
from agent_tasks.client.resending import count_resent
from agent_tasks.errors import (
    AgentTasksError,
    InvalidAnswerError,
    RateLimitedError,
    ServiceError,
    TransportError,
)

# Raised by httpx before any byte of the request has left.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A request. `creates` is true when repeating it would have an effect of its own."""

    method: str
    path: str
    creates: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    upload: Upload | None = None

    @property
    def changes(self) -> bool:
        """Whether it has an effect at all."""
        return self.method != "GET"

    def content(self) -> bytes | None:
        """The JSON text to send."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def path_of(*parts: str) -> str:
    """A path of names and ids: `/threads/thread_1/runs`. Ids are quoted.

    Raises ValueError for an id that would lead to another resource: an empty one, `.` and `..`.
    """
    for part in parts:
        if not part.strip() or part in (".", ".."):
            raise ValueError(f"{part!r} is not an id (in {'/'.join(parts)})")
    return "/" + "/".join(quote(part, safe="") for part in parts)


@contextmanager
def transport_errors(call: ServiceRequest) -> Iterator[None]:
    """Turns errors of httpx into ours, with what is known about the effect of the call."""
    what = f"{call.method} {call.path}"
    known: dict[str, Any] = {"method": call.method, "path": call.path}
    try:
        yield
    except _NOT_SENT as error:
        raise TransportError(
            f"{what} could not be sent ({_words(error)}): check the network and the service's address "
            "(PROJECT_ENDPOINT, or OPENAI_BASE_URL)",
            **known,
        ) from error
    except TooLargeError as error:
        raise InvalidAnswerError(
            f"{what} got an answer that is not read: {error}",
            **known,
            outcome_unknown=call.changes,
            retryable=False,
        ) from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise TransportError(
            f"{what} got no complete answer ({_words(error)})"
            + ("; it may have had its effect all the same" if call.changes else ""),
            **known,
            outcome_unknown=call.changes,
        ) from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def retry_condition(call: ServiceRequest) -> retry_base:
    """Whether to try a call again: never a creating one that may have had its effect."""

    def again(error: BaseException) -> bool:
        if not isinstance(error, (ServiceError, TransportError)) or not error.retryable:
            return False
        return not (call.creates and getattr(error, "outcome_unknown", False))

    return retry_if_exception(again)


def retry_stop(policy: RetryPolicy) -> stop_base:
    """When to give up."""
    return stop_after_attempt(policy.attempts) | stop_before_delay(policy.total_time)


class RetryWait:
    """Seconds before the next try: what the service asks for and a little more, or growing with jitter."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._own = wait_random_exponential(
            multiplier=policy.initial_delay, max=policy.max_delay, min=policy.initial_delay / 2
        )
        self._spread = wait_random_exponential(multiplier=0.1, max=1.0)

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, AgentTasksError) else None
        # Spread, so that many workers which were told the same time do not come back together.
        pause = self._own(state) if asked is None else asked + self._spread(state)
        count_resent(pause, throttled=isinstance(error, RateLimitedError))
        return pause
