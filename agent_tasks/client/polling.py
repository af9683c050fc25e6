"""Pauses between reads of something that the service is working on."""

from __future__ import annotations

from agent_tasks.pauses import Pauses

FIRST_PAUSE = 0.5  # seconds
_LONGEST = 8.0  # seconds

DEFAULT_DEADLINE = 600.0
"""Seconds that files, vector stores and batches may take, unless the caller says otherwise."""

RUN_GRACE = 60.0
"""Seconds past a run's own expiry in which the service may still write down that it expired."""

LONGEST_RUN = 36_000.0
"""Seconds a run may take where it does not say when it expires (the longest that was recorded)."""


def polls(first: float = FIRST_PAUSE) -> Pauses:
    """Pauses between reads, from `first` seconds to the longer of 8 seconds and `first`.

    Raises ValueError for a first pause that is not above 0.
    """
    if not first > 0:
        raise ValueError(f"poll_interval must be above 0 seconds, not {first}")
    return Pauses(first, max(_LONGEST, first))


def run_limit(created_at: int, expires_at: int | None, deadline: float | None) -> float:
    """Seconds to follow a run: the caller's deadline, or the whole life that the run has by its own word.

    The service ends a run when it expires; this only keeps a wait from lasting for ever. It does not compare
    the service's clock with ours.
    """
    if deadline is not None:
        return deadline
    return LONGEST_RUN if expires_at is None else max(0, expires_at - created_at) + RUN_GRACE
