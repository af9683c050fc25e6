"""What share or number of documents makes a run a failed one, or one that a person should look at.

A rule reads ``failed > 5%`` or ``waiting >= 1``; several stand after each other with commas, and one that is
met is enough.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent_tasks.batch.records import BatchSummary
from agent_tasks.errors import AgentTasksError, ConfigurationError

MEASURES = ("failed", "needs_review", "waiting", "not_done")
"""What is counted; ``not_done`` is all three together."""

NOT_ALL_DONE = "NotAllDone"
"""Name of the flow run's state where a rule of `warn_on` is met; its type is Completed."""

_SIGNS: dict[str, Callable[[float, float], bool]] = {">": operator.gt, ">=": operator.ge}
_RULE = re.compile(r"\s*(\w+)\s*(>=|>)\s*(\d+(?:\.\d+)?)\s*(%?)\s*")


@dataclass(frozen=True)
class OutcomeRule:
    """One rule."""

    measure: str
    sign: str
    bound: float
    is_share: bool

    def met_by(self, summary: BatchSummary) -> str | None:
        """Say how a batch meets the rule; None if it does not. A share of no documents is none."""
        counts = {name: getattr(summary, name) for name in MEASURES[:3]}
        count = sum(counts.values()) if self.measure == "not_done" else counts[self.measure]
        share = 100 * count / summary.total if summary.total else 0.0
        if not _SIGNS[self.sign](share if self.is_share else count, self.bound):
            return None
        name = self.measure.replace("_", " ")
        bound = f"{self.bound:g}%" if self.is_share else f"{self.bound:g}"
        of = f"{count} of {summary.total} documents" + (f" ({share:.1f}%)" if self.is_share else "")
        return f"{name} {self.sign} {bound}: {of}"


def outcome_rules(text: str | None, setting: str) -> tuple[OutcomeRule, ...]:
    """Read rules.

    Args:
        text: Such as ``failed > 5%, waiting >= 1``; None or empty: no rules.
        setting: The parameter, for messages.

    Raises:
        ConfigurationError: A rule is none; the message says what one looks like.
    """
    return tuple(_rule(part, setting) for part in (text or "").split(",") if part.strip())


def _rule(text: str, setting: str) -> OutcomeRule:
    match = _RULE.fullmatch(text)
    if match is None or match[1] not in MEASURES:
        raise ConfigurationError(
            f"{text.strip()!r} is no rule. Write MEASURE > NUMBER, MEASURE >= NUMBER, or a share such as "
            f"`failed > 5%`; measures are {', '.join(MEASURES)}.",
            setting=setting,
        )
    measure, sign, number, percent = match.groups()
    if percent and float(number) > 100:
        raise ConfigurationError(f"{text.strip()!r} can't be met: a share is at most 100%.", setting=setting)
    return OutcomeRule(measure, sign, float(number), bool(percent))


def met(rules: tuple[OutcomeRule, ...], summary: BatchSummary) -> str | None:
    """Say which rules a batch meets; None if it meets none."""
    said = [text for rule in rules if (text := rule.met_by(summary)) is not None]
    return "; ".join(said) or None


class TooManyNotDoneError(AgentTasksError):
    """A batch ended, and more of its documents failed or wait than its flow run allows (`fail_on`).

    What was done is done: results and report are written, and another run does not do it again.
    """

    summary: Any
    """The batch's `BatchSummary`."""
