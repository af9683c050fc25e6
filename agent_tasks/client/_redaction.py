"""What may be written into a log of a body."""

from __future__ import annotations

from agent_tasks.redaction import REDACTED, loggable

__all__ = ["REDACTED", "loggable"]
