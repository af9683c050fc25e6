"""How a turn ended, as a typed error or none."""

from __future__ import annotations

from typing import Any

from agent_tasks.backend.protocol import TurnEnded, TurnStatus
from agent_tasks.errors import (
    EmptyAnswerError,
    RunCancelledError,
    RunExpiredError,
    RunFailedError,
    RunIncompleteError,
    RunServerError,
    RunThrottledError,
)
from agent_tasks.wire import wait_in_text

DEFAULT_THROTTLE_WAIT = 20.0
"""Seconds to wait after a throttled turn whose text does not say how long."""


def throttle_wait(message: str | None) -> float:
    """Seconds to wait, read from the text of a throttled run (recorded: the wait is nowhere else)."""
    wait = wait_in_text(message or "")
    return DEFAULT_THROTTLE_WAIT if wait is None else wait


def turn_error(ended: TurnEnded) -> RunFailedError | None:
    """The error that a turn's end means, or None if it gave an answer."""
    where: Any = {"run_id": ended.ref.turn_id, "thread_id": ended.ref.conversation}
    said = ended.error_message or "no reason given"
    turn = f"The turn {ended.ref.turn_id}"
    match ended.status:
        case TurnStatus.COMPLETED:
            if ended.text.strip():
                return None
            return EmptyAnswerError(f"{turn} completed without an answer of the agent.", **where)
        case TurnStatus.CANCELLED:
            return RunCancelledError(f"{turn} was cancelled.", **where)
        case TurnStatus.EXPIRED:
            return RunExpiredError(f"{turn} expired on the service: {said}", **where)
        case TurnStatus.INCOMPLETE:
            return RunIncompleteError(
                f"{turn} was cut off ({said}). Raise max_completion_tokens or shorten the prompt.",
                **where,
                code=ended.error_code,
                reason=ended.error_message,
            )
        case TurnStatus.FAILED:
            text = f"{turn} failed with {ended.error_code or 'no code'}: {said}"
            if ended.error_code == "rate_limit_exceeded":
                wait = throttle_wait(ended.error_message)
                return RunThrottledError(text, **where, code=ended.error_code, retry_after=wait)
            if ended.error_code == "server_error":
                return RunServerError(text, **where, code=ended.error_code)
            return RunFailedError(text, **where, code=ended.error_code)
