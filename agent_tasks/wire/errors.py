"""Bodies of answers with status >= 400."""

from __future__ import annotations

import re

from agent_tasks.wire.base import WireModel

__all__ = ["AgentErrorDetail", "AgentV1Error", "wait_in_text"]


class AgentErrorDetail(WireModel):
    """What was wrong; each field may be null. The gateway sends `code` and `message` alone."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | None = None


class AgentV1Error(WireModel):
    """The body of an error, of the service and of its gateway."""

    error: AgentErrorDetail


_WAIT_IN_TEXT = re.compile(
    r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) ?(ms|s\b|sec|min|h)?", re.IGNORECASE
)
_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}


def wait_in_text(text: str | None) -> float | None:
    """Seconds to wait as the text of a failed run puts it ("Try again in 22 seconds."), or None.

    Throttling reaches the caller as a failed run with `rate_limit_exceeded`; the wait is in the text alone
    (recorded).
    """
    found = _WAIT_IN_TEXT.search(text or "")
    return float(found[1]) * _SECONDS[(found[2] or "s").lower()] if found else None
