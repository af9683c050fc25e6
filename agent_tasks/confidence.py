"""How sure a value is, from what is known without asking a model how sure it feels.

Each value has *signs*: whether and how it was found in the document, what the reviewer says, whether the
answer had to be repaired, whether the page was recognised from a picture. How much each sign is worth is
learned from right values (`agent_tasks.evaluation`), and kept in a file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus, How
from agent_tasks.errors import ConfigurationError
from agent_tasks.steps.file.records import Review, StepRecord

_SURELY = 0.9  # a page recognised less surely than this is recognised badly
_COMPLAINT = "confidence "
_SHOWN = 3  # values that a reason names
_VOTE = "vote"
_LEAST_SAMPLES = 2  # one alone agrees with itself
_MIN_NAMED = 3  # characters of a value that count as named in a reviewer's problem
_NUMBERS = re.compile(r"\[\d+\]")
_MAX_BYTES = 1024 * 1024


def leaves(fields: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk the values of an extraction: path, such as ``items[0].amount``, and value."""
    if isinstance(fields, dict):
        for name, value in fields.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(fields, list):
        for number, value in enumerate(fields):
            yield from leaves(value, f"{path}[{number}]")
    else:
        yield path, fields


def field_of(path: str) -> str:
    """The field of a value: its path without numbers of items, such as ``items[].amount``."""
    return _NUMBERS.sub("[]", path)


def signs_of(
    fields: Mapping[str, Any],
    grounding: Sequence[FieldGrounding],
    review: Review | None,
    *,
    repaired: bool,
    steps: Mapping[str, StepRecord] | None = None,
) -> dict[str, tuple[str, ...]]:
    """What speaks for and against each value of an extraction.

    Args:
        fields: The extraction.
        grounding: What came of looking its values up.
        review: The reviewer's verdict, if there is a reviewer.
        repaired: Whether the extractor's first answer was not valid.
        steps: What the steps gave: where agents or samples have voted, whether they agree on a value.

    Returns:
        The names of the signs, by path of the value.
    """
    found = {one.path: one for one in grounding}
    everywhere = ["repaired"] if repaired else []
    if review is not None:
        everywhere.append("approved" if review.approved else "not approved")
    problems = " \n ".join(review.problems).casefold() if review is not None else ""
    samples = _samples(fields, steps or {})
    signs = {}
    for path, value in leaves(dict(fields)):
        own = [f"field {field_of(path)}", *everywhere]
        own += ["absent"] if value is None else _of_grounding(found.get(path))
        if problems and _is_named(path, value, problems):
            own.append("named in a problem")
        own += _of_samples(path, value, samples)
        signs[path] = tuple(own)
    return signs


def _samples(fields: Mapping[str, Any], steps: Mapping[str, StepRecord]) -> list[dict[str, Any]]:
    """The answers of all who have voted on a document, each as its values by path."""
    found = [record.value for record in steps.values() if record.kind == _VOTE]
    answers = [answer for value in found if isinstance(value, dict) for answer in value.get("answers") or []]
    given = [dict(leaves(answer)) for answer in answers]
    if any(record.kind == _VOTE for record in steps.values()) and "answers" in fields:
        # A vote that is the document's own result has its value, and who agreed, as fields.
        given += [dict(leaves(answer, "value")) for answer in fields["answers"] or []]
    return given


def _of_samples(path: str, value: Any, samples: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    same = [_same(sample[path], value) for sample in samples if path in sample]
    if len(same) < _LEAST_SAMPLES:
        return
    if all(same):
        yield "samples agree"
    else:
        yield "samples differ" if sum(same) * 2 > len(same) else "most samples differ"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold().split() == other.casefold().split()
    return bool(one == other)


def _of_grounding(found: FieldGrounding | None) -> Iterator[str]:
    if found is None or found.status is GroundingStatus.NOT_CHECKED:
        yield "not looked up"
        return
    if found.status is GroundingStatus.NOT_FOUND:
        yield "not found"
        return
    if found.how is not None and found.how is not How.EXACT:
        yield "another spelling"
    if found.how is How.AMBIGUOUS or found.note:
        yield "ambiguous"
    if found.occurrences > 1:
        yield "in several places"
    sureness = [place.recognised for place in found.places if place.recognised is not None]
    if sureness:
        yield "recognised"
        if min(sureness) < _SURELY:
            yield "recognised badly"


def _is_named(path: str, value: Any, problems: str) -> bool:
    name = re.split(r"[.\[]", path)[-1] if not path.endswith("]") else field_of(path).split("[")[0]
    words = name.replace("_", " ").casefold()
    said = str(value).casefold() if value is not None else ""
    return words in problems or (len(said) >= _MIN_NAMED and said in problems)


class Confidence(BaseModel):
    """What the signs are worth, and the threshold that was proposed with them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    intercept: float
    weights: dict[str, float]
    """What each sign adds, in log odds; one that is not here adds nothing."""
    threshold: float | None = Field(None, ge=0, le=1)
    """A document below it needs review; None: none was found that keeps the promise."""
    rate: float | None = Field(None, gt=0, lt=1)
    """The share of wrong documents among those that are done, which the threshold keeps them under."""
    documents: int = Field(ge=1)
    """Documents that this was learned from."""
    values: int = Field(ge=1)

    def of_value(self, signs: Sequence[str]) -> float:
        """The probability that a value with these signs is right."""
        odds = self.intercept + sum(self.weights.get(sign, 0.0) for sign in signs)
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, odds))))

    def of_values(self, signs: Mapping[str, Sequence[str]]) -> dict[str, float]:
        """The same for each value of a document, by its path."""
        return {path: self.of_value(of) for path, of in signs.items()}

    @classmethod
    def read(cls, path: Path) -> Confidence:
        """Read the file that `agent-tasks evaluate` wrote.

        Raises:
            ConfigurationError: It can't be read, or it is not such a file.
        """
        try:
            with path.open("rb") as file:
                return cls.model_validate(json.loads(file.read(_MAX_BYTES)))
        except OSError as error:
            raise ConfigurationError(
                f"The confidence in {path} can't be read: {error.strerror}. `agent-tasks evaluate` writes it."
            ) from error
        except (ValidationError, ValueError) as error:
            raise ConfigurationError(
                f"{path} is no file of `agent-tasks evaluate` of this version. Evaluate the run again."
            ) from error


@dataclass(frozen=True)
class Demand:
    """How sure a document has to be for being done."""

    confidence: Confidence
    at_least: float

    def facts(self) -> dict[str, Any]:
        """All that a document's state depends on, as JSON."""
        return {
            "intercept": self.confidence.intercept,
            "weights": self.confidence.weights,
            "at_least": self.at_least,
        }

    def complaint(self, values: Mapping[str, float]) -> str | None:
        """Why a person has to look at a document with values of these confidences; None if nobody has to."""
        sure = of_document(values)
        if sure >= self.at_least:
            return None
        least = sorted(values, key=lambda path: values[path])[:_SHOWN]
        shown = ", ".join(f"{path} {values[path]:.3f}" for path in least)
        return f"{_COMPLAINT}{sure:.3f} is below {self.at_least:.3f}; the least sure: {shown}"


def is_complaint(reason: str) -> bool:
    """Whether a document's reason for review is that it is not sure enough (`Demand.complaint`)."""
    return reason.startswith(_COMPLAINT)


def of_document(values: Mapping[str, float]) -> float:
    """The probability that all values are right, as if they went wrong independently of each other."""
    return math.prod(values.values())
