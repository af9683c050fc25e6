"""How a turn ended, as a typed error or none."""

from __future__ import annotations

from typing import Any

from agent_tasks.backends.base import TurnEnded, TurnStatus
from agent_tasks.client import ended_error
from agent_tasks.errors import EmptyAnswerError, RunFailedError, RunThrottledError

DEFAULT_THROTTLE_WAIT = 20.0
"""Seconds to wait after a throttled turn whose text does not say how long."""


def turn_error(ended: TurnEnded) -> RunFailedError | None:
    """The error that a turn's end means, or None if it gave an answer."""
    is_completed = ended.status == TurnStatus.COMPLETED
    if is_completed and ended.text.strip():
        return None
    where: Any = {"run_id": ended.ref.turn_id, "thread_id": ended.ref.conversation}
    turn = f"The turn {ended.ref.turn_id}"
    if is_completed:
        return EmptyAnswerError(f"{turn} completed without an answer of the agent.", **where)
    # A turn that ended incomplete carries the reason as its message.
    said = {"reason" if ended.status == TurnStatus.INCOMPLETE else "said": ended.error_message}
    error = ended_error(turn, ended.status, code=ended.error_code, **said, **where)
    if isinstance(error, RunThrottledError) and error.retry_after is None:
        error.retry_after = DEFAULT_THROTTLE_WAIT
    return error
