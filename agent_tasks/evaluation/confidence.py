"""Learning from right values what the signs of a value are worth, and how well that describes new ones."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from agent_tasks.batch.records import DocumentRow, DocumentStatus
from agent_tasks.confidence import Confidence, is_complaint, of_document, signs_of
from agent_tasks.errors import ConfigurationError
from agent_tasks.evaluation.judging import Judged
from agent_tasks.evaluation.threshold import Proposal, propose

FOLDS = 5
MIN_DOCUMENTS = 10
"""Fewer with right values say nothing about confidence."""
BINS = 10
_PULL = 1.0  # of weights towards zero (ridge): a sign that was seen once decides nothing
_MAX_ROUNDS = 100
_ENOUGH = 1e-9


class Example(BaseModel):
    """A document to learn from."""

    model_config = ConfigDict(frozen=True)

    document: str
    is_done: bool
    is_right: bool
    values: tuple[tuple[tuple[str, ...], bool], ...]
    """The signs of each value, and whether it is right."""


class Bin(BaseModel):
    """Values of about one confidence."""

    model_config = ConfigDict(extra="forbid")

    values: int
    confidence: float
    """On average."""
    right: float
    """The share that is right."""


class Calibration(BaseModel):
    """How well confidence says what is right, on documents that it was not learned from."""

    model_config = ConfigDict(extra="forbid")

    values: int
    brier: float
    """Mean squared distance from what is (0 is best; always saying 0.5 has 0.25)."""
    ece: float
    """Expected calibration error: how far confidence is off, on average over `bins`."""
    bins: list[Bin]


class Learned(BaseModel):
    """What a run and its right values say about confidence."""

    model_config = ConfigDict(extra="forbid")

    confidence: Confidence
    calibration: Calibration
    proposal: Proposal
    held_out: Proposal | None = None
    """The promise kept? Learned and proposed on one half of the documents, counted on the other."""


def examples(rows: Mapping[str, DocumentRow], judged: Mapping[str, Sequence[Judged]]) -> list[Example]:
    """The documents with an extraction, to learn from.

    What a person has decided about says nothing of the agents. A document that needs review only because a
    threshold was set would be done without it: else each threshold would be proposed from what the last left.
    """
    found = []
    for name, values in sorted(judged.items()):
        row = rows.get(name)
        if row is None or not row.fields or row.decision is not None:
            continue
        repaired = any("repair" in turn for turn in row.ids)
        signs = signs_of(row.fields, row.grounding, row.review, repaired=repaired, steps=row.steps)
        told = [(signs[one.path], one.verdict.is_right) for one in values if one.path in signs]
        found.append(
            Example(
                document=name,
                is_done=_would_be_done(row),
                is_right=all(one.verdict.is_right for one in values),
                values=tuple(told),
            )
        )
    return found


def _would_be_done(row: DocumentRow) -> bool:
    """Whether a document is done, or would be without a threshold of confidence."""
    doubted = row.status is DocumentStatus.NEEDS_REVIEW and all(map(is_complaint, row.reasons))
    return row.status is DocumentStatus.DONE or doubted


def learn(documents: Sequence[Example], rate: float) -> Learned:
    """Learn what signs are worth, and propose a threshold.

    Every figure is of documents that were not learned from: the documents are dealt into `FOLDS` parts (by
    their names), and each part is scored with what the others say.

    Args:
        documents: Those with right values (`examples`).
        rate: The share of wrong documents among those that are done which is allowed.

    Raises:
        ConfigurationError: There are too few documents.
    """
    known = [one for one in documents if one.values]
    if len(known) < MIN_DOCUMENTS:
        raise ConfigurationError(
            f"Confidence can't be learned from {len(known)} documents with right values; at least "
            f"{MIN_DOCUMENTS} are needed, and some hundred for a threshold that can be relied on."
        )
    scores: dict[str, float] = {}
    values: list[tuple[float, bool]] = []
    for part in range(FOLDS):
        own = [one for one in known if _part(one.document, FOLDS) == part]
        others = [one for one in known if _part(one.document, FOLDS) != part]
        if not own or not others:
            continue
        fitted = fit(others)
        for one in own:
            scored = [(fitted.of_value(signs), right) for signs, right in one.values]
            values += scored
            scores[one.document] = of_document({str(n): score for n, (score, _) in enumerate(scored)})
    proposal = _proposed(known, scores, rate)
    whole = fit(known).model_copy(update={"threshold": proposal.threshold, "rate": rate})
    return Learned(
        confidence=whole, calibration=calibration(values), proposal=proposal, held_out=_held_out(known, rate)
    )


def _proposed(documents: Sequence[Example], scores: Mapping[str, float], rate: float) -> Proposal:
    done = [
        (scores[one.document], one.is_right) for one in documents if one.is_done and one.document in scores
    ]
    return propose(done, rate)


def _held_out(documents: Sequence[Example], rate: float) -> Proposal | None:
    """Propose by one half of the documents, and count on the other."""
    halves = [[one for one in documents if _part(one.document, 2) == half] for half in (0, 1)]
    if min(map(len, halves)) < MIN_DOCUMENTS:
        return None
    threshold = learn_threshold(halves[0], rate)
    if threshold is None:
        return None
    fitted = fit(halves[0])
    kept = [one.is_right for one in halves[1] if one.is_done and score(fitted, one) >= threshold]
    done = sum(one.is_done for one in halves[1])
    return Proposal(rate=rate, threshold=threshold, done=done, kept=len(kept), kept_wrong=kept.count(False))


def learn_threshold(documents: Sequence[Example], rate: float) -> float | None:
    """The threshold that these documents alone propose."""
    scores: dict[str, float] = {}
    for part in range(FOLDS):
        own = [one for one in documents if _part(one.document, FOLDS) == part]
        others = [one for one in documents if _part(one.document, FOLDS) != part]
        if own and others:
            fitted = fit(others)
            scores |= {one.document: score(fitted, one) for one in own}
    return _proposed(documents, scores, rate).threshold


def score(confidence: Confidence, document: Example) -> float:
    """A document's confidence."""
    return of_document({str(n): confidence.of_value(signs) for n, (signs, _) in enumerate(document.values)})


def _part(document: str, parts: int) -> int:
    """The part that a document is dealt to: by its name, so always the same one."""
    digest = hashlib.blake2b(f"{parts}:{document}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % parts


def fit(documents: Sequence[Example]) -> Confidence:
    """Logistic regression with a ridge, by Newton's method; a dozen signs need no library."""
    values = [value for one in documents for value in one.values]
    names = sorted({sign for signs, _ in values for sign in signs})
    places = {name: place for place, name in enumerate(names, start=1)}
    counted: dict[tuple[int, ...], list[int]] = {}
    for signs, right in values:
        of = counted.setdefault((0, *sorted({places[sign] for sign in signs})), [0, 0])
        of[right] += 1
    weights = [0.0] * (len(names) + 1)
    for _ in range(_MAX_ROUNDS):
        change = _newton_step(weights, counted)
        weights = [weight + by for weight, by in zip(weights, change, strict=True)]
        if max(map(abs, change)) < _ENOUGH:
            break
    return Confidence(
        intercept=weights[0],
        weights={name: weights[place] for name, place in places.items()},
        documents=len(documents),
        values=len(values),
    )


def _newton_step(weights: Sequence[float], counted: Mapping[tuple[int, ...], Sequence[int]]) -> list[float]:
    size = len(weights)
    slope = [0.0, *(-_PULL * weight for weight in weights[1:])]
    curve = [[0.0] * size for _ in range(size)]
    for place in range(size):
        curve[place][place] = _PULL if place else 1e-6
    for places, (wrong, right) in counted.items():
        odds = max(-30.0, min(30.0, sum(weights[place] for place in places)))
        expected = 1 / (1 + math.exp(-odds))
        pull = right - (wrong + right) * expected
        bend = (wrong + right) * expected * (1 - expected)
        for one in places:
            slope[one] += pull
            for other in places:
                curve[one][other] += bend
    change = _solved(curve, slope)
    longest = max(map(abs, change))
    return [by * min(1.0, 5.0 / longest) for by in change] if longest else change


def _solved(matrix: list[list[float]], right: Sequence[float]) -> list[float]:
    """Solve a positive definite system (Cholesky would do; elimination with pivots is as short)."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(rows[row][column]))
        rows[column], rows[best] = rows[best], rows[column]
        head = rows[column]
        for below in rows[column + 1 :]:
            factor = below[column] / head[column]
            if factor:
                for place in range(column, size + 1):
                    below[place] -= factor * head[place]
    solution = [0.0] * size
    for place in reversed(range(size)):
        known = sum(rows[place][other] * solution[other] for other in range(place + 1, size))
        solution[place] = (rows[place][size] - known) / rows[place][place]
    return solution


def calibration(values: Sequence[tuple[float, bool]]) -> Calibration:
    """Measure confidences against what is.

    Args:
        values: The confidence of each value, and whether it is right.
    """
    binned: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for one in values:
        binned[min(int(one[0] * BINS), BINS - 1)].append(one)
    bins = [
        Bin(
            values=len(inside),
            confidence=math.fsum(score for score, _ in inside) / len(inside),
            right=sum(right for _, right in inside) / len(inside),
        )
        for inside in binned
        if inside
    ]
    return Calibration(
        values=len(values),
        brier=math.fsum((score - right) ** 2 for score, right in values) / len(values),
        ece=math.fsum(one.values * abs(one.confidence - one.right) for one in bins) / len(values),
        bins=bins,
    )
