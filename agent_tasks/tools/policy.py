"""What becomes of calls that fail, or that are interrupted: the same for every tool that runs here."""

from __future__ import annotations

import enum

import tenacity

from agent_tasks.errors import ConfigurationError

__all__ = ["WhenUnknown", "check_retries", "tries", "when_unknown_of"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds, about, before a call is tried again


class WhenUnknown(enum.StrEnum):
    """What happens to an interrupted call whose tool is not idempotent."""

    TELL_AGENT = "tell_agent"
    """The agent is told that the outcome is unknown, and continues."""
    STOP = "stop"
    """The step stops with `ToolOutcomeUnknownError` until a person has decided (`agent-tasks calls`)."""


def when_unknown_of(value: WhenUnknown | str) -> WhenUnknown:
    """The policy by its name. Raises ConfigurationError."""
    try:
        return WhenUnknown(value)
    except ValueError:
        raise ConfigurationError(
            f"when_unknown is {' or '.join(repr(str(one)) for one in WhenUnknown)}, not {value!r}"
        ) from None


def check_retries(tool: str, retries: int, *, idempotent: bool) -> None:
    """Raises ConfigurationError where a tool would be tried again that must not be."""
    if retries < 0 or (retries and not idempotent):
        raise ConfigurationError(
            f"tool {tool}: only a tool that is idempotent may be tried again "
            f"(retries={retries}); say idempotent=True if a repeated call does no harm"
        )


def tries(retries: int) -> tenacity.AsyncRetrying:
    """Tries of a call, with growing pauses; the last failure is the caller's."""
    return tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(1 + retries),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE),
        reraise=True,
    )
