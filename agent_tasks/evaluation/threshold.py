"""A threshold of confidence that keeps wrong documents among those that are done under a rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from agent_tasks.evaluation.significance import upper_bound

SURE = 0.9
"""How sure it is that a proposed threshold keeps the rate."""


class Proposal(BaseModel):
    """A threshold, and what it does."""

    model_config = ConfigDict(extra="forbid")

    rate: float
    """The share of wrong documents among those that are done which is allowed."""
    threshold: float | None
    """None: no threshold keeps the rate for sure, as far as these documents tell."""
    done: int
    """Documents that are done without it."""
    kept: int = 0
    """Of these, documents that are done with it."""
    kept_wrong: int = 0
    """Of these, documents with a wrong value."""
    needed: int | None = None
    """Documents, all of them right, that would be needed for a threshold; None: there are enough."""


def needed(rate: float) -> int:
    """How many documents, all of them right, it takes to be `SURE` of a rate."""
    return math.ceil(math.log(1 - SURE) / math.log1p(-rate))


def _first_tested(done: int, rate: float) -> int:
    """How many documents the strictest threshold keeps that is tested.

    One wrong document among a few would end the search: where there are documents enough, it begins where two
    or one would not. That is chosen before anything is known of which are wrong.
    """
    least = needed(rate)
    for allowed in (2, 1):
        count = least
        while count <= done // 2 and upper_bound(allowed, count, SURE) > rate:
            count += 1
        if count <= done // 2:
            return count
    return least


def propose(documents: Sequence[tuple[float, bool]], rate: float) -> Proposal:
    """Propose the lowest threshold that keeps the rate.

    Thresholds are tested from the strictest on that these documents can say something about, each at the
    same level, until one fails: so with the probability `SURE` the proposed one keeps the rate on documents
    like these (fixed sequence testing of an upper bound; the documents must not be those that the
    confidence was learned from).

    Args:
        documents: The confidence of each document that is done, and whether all its values are right.
        rate: The share of wrong ones that is allowed; between 0 and 1.
    """
    ordered = sorted(documents, reverse=True)
    least = needed(rate)
    proposal = Proposal(rate=rate, threshold=None, done=len(ordered))
    if len(ordered) < least:
        return proposal.model_copy(update={"needed": least})
    first, wrong = _first_tested(len(ordered), rate), 0
    for count, (score, right) in enumerate(ordered, start=1):
        wrong += not right
        is_last_of_score = count == len(ordered) or ordered[count][0] != score
        if count < first or not is_last_of_score:
            continue
        if upper_bound(wrong, count, SURE) > rate:
            break
        proposal = Proposal(rate=rate, threshold=score, done=len(ordered), kept=count, kept_wrong=wrong)
    return proposal
