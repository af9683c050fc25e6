"""Whether another attempt at a turn is due after one that gave no answer, and how soon."""

from __future__ import annotations

from collections import Counter

from agent_tasks.errors import RunExpiredError, RunFailedError, RunServerError, RunThrottledError

_SERVER_ERRORS = 2  # new attempts after the service failed on a turn
_EXPIRIES = 2  # new attempts after a turn reached its expiry
_THROTTLES = 10  # new attempts after throttling, within the deadline


class FailedAttempts:
    """The attempts that gave no answer: whether another one is due, and how soon."""

    def __init__(self) -> None:
        self._seen: Counter[type[RunFailedError]] = Counter()

    @property
    def throttled(self) -> int:
        """How many of them were throttled, in this process."""
        return self._seen[RunThrottledError]

    def pause_after(self, error: RunFailedError) -> float:
        """Seconds until the next attempt. Raises the error if none is due."""
        kind: type[RunFailedError]
        match error:
            case RunThrottledError():
                kind, most, pause = RunThrottledError, _THROTTLES, error.retry_after or 0.0
            case RunServerError():
                kind, most, pause = RunServerError, _SERVER_ERRORS, 2.0 ** (self._seen[RunServerError] + 1)
            case RunExpiredError():
                kind, most, pause = RunExpiredError, _EXPIRIES, 0.0
            case _:
                raise error
        if self._seen[kind] >= most:
            raise error
        self._seen[kind] += 1
        return pause
