"""Whether a figure, or a difference, is more than chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict

_STEPS = 60  # halvings: as exact as a float is


def tail(successes: int, trials: int, share: float) -> float:
    """The probability of at most so many successes, each with this probability."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 1.0 if successes >= trials else 0.0
    logs = math.log(share), math.log1p(-share)
    terms = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        + k * logs[0] + (trials - k) * logs[1]
        for k in range(successes + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def upper_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """The largest share that is likely, seen these successes (one-sided, Clopper and Pearson)."""
    if successes >= trials:
        return 1.0
    return _root(lambda share: tail(successes, trials, share) - (1 - confidence))


def interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """In what the true share lies with this confidence (two-sided, Clopper and Pearson)."""
    sure = 1 - (1 - confidence) / 2
    low = 0.0 if successes == 0 else 1 - upper_bound(trials - successes, trials, sure)
    return low, upper_bound(successes, trials, sure)


def _root(falling: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return high


class Contrast(BaseModel):
    """Two runs over the same documents."""

    model_config = ConfigDict(extra="forbid")

    documents: int
    """Documents that both have."""
    both: int
    """Right in both."""
    only_first: int
    only_second: int
    neither: int
    p_value: float
    """How likely a difference like this, or a greater one, is by chance (McNemar's exact test, two-sided)."""

    def said(self) -> str:
        """In one sentence."""
        better = self.only_second - self.only_first
        if better == 0:
            return "Both runs have as many right documents."
        which = "The second run is" if better > 0 else "The first run is"
        by = f"{which} right for {abs(better)} more of {self.documents} documents"
        sure = "that is more than chance" if self.p_value < 0.05 else "that may be chance"
        return f"{by}; {sure} (p = {self.p_value:.2g})."


def contrast(first: Mapping[str, bool], second: Mapping[str, bool]) -> Contrast:
    """Compare two runs, document by document.

    Values of one document go wrong together, so documents are what is counted.

    Args:
        first: For each document whether all its values are right.
        second: Likewise; only documents of both are compared.
    """
    pairs = [(first[name], second[name]) for name in first if name in second]
    only_first = sum(one and not other for one, other in pairs)
    only_second = sum(other and not one for one, other in pairs)
    differing = only_first + only_second
    p_value = min(1.0, 2 * tail(min(only_first, only_second), differing, 0.5)) if differing else 1.0
    return Contrast(
        documents=len(pairs),
        both=sum(one and other for one, other in pairs),
        only_first=only_first,
        only_second=only_second,
        neither=sum(not one and not other for one, other in pairs),
        p_value=p_value,
    )
