"""What a check found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from agent_tasks.redaction import redacted


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, and something about it should be known."""
    FAILED = "failed"
    NOT_CONFIGURED = "not configured"
    """Nothing is set that could be checked; that is no failure."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. Its texts hold no secret: tokens and keys are never part of them."""

    check: str
    """What was checked, such as `journal`."""
    status: Status
    detail: str
    """What was found, in a sentence."""
    remedy: str | None = None
    """What to do about it; always there for a failure."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", redacted(self.detail))


def ok(check: str, detail: str) -> Finding:
    """It works."""
    return Finding(check, Status.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    """It works, and something about it should be known."""
    return Finding(check, Status.WARNING, detail, remedy)


def failed(check: str, detail: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, Status.FAILED, detail, remedy)


def not_configured(check: str, detail: str, remedy: str | None = None) -> Finding:
    """There is nothing to check."""
    return Finding(check, Status.NOT_CONFIGURED, detail, remedy)


def as_json(findings: list[Finding]) -> str:
    """The findings as a JSON list."""
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2)
