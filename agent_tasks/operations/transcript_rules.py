"""What is kept of what was said in turns; `agent_tasks.operations.transcripts` keeps it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NO_TRANSCRIPTS", "TranscriptRules"]


@dataclass(frozen=True)
class TranscriptRules:
    """What is kept of turns.

    Args:
        days: how long; 0: nothing is kept.
        content: whether texts are kept; secrets in them are left out in any case.
    """

    days: float = 0.0
    content: bool = True


NO_TRANSCRIPTS = TranscriptRules()
