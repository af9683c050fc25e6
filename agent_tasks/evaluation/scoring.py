"""A run against what is right: scores of each field, of documents, and what a right document costs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from agent_tasks.batch.records import DocumentRow, DocumentStatus
from agent_tasks.errors import ConfigurationError
from agent_tasks.evaluation.comparators import Comparator
from agent_tasks.evaluation.judging import Judged, Verdict, judge
from agent_tasks.evaluation.significance import interval
from agent_tasks.evaluation.truth import RightDocument
from agent_tasks.operations import Cost, total_cost

MAX_LISTED = 200
"""Documents that an evaluation names."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


class FieldScore(_Record):
    """How often a field is right.

    Another value than the right one is both an error of precision (it was given) and of recall (the right one
    was not).
    """

    field: str
    right: int = 0
    wrong: int = 0
    missed: int = 0
    invented: int = 0
    absent: int = 0
    """Null, and rightly; neither precision nor recall counts it."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def precision(self) -> float | None:
        """Of the values that were given, the share that is right; None if none was."""
        return _share(self.right, self.right + self.wrong + self.invented)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def recall(self) -> float | None:
        """Of the values that there are, the share that was given; None if there are none."""
        return _share(self.right, self.right + self.wrong + self.missed)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None if no value was given and there are none."""
        return _share(2 * self.right, 2 * (self.right + self.wrong) + self.invented + self.missed)

    def __add__(self, other: FieldScore) -> FieldScore:
        counts = {verdict.value: getattr(self, verdict) + getattr(other, verdict) for verdict in Verdict}
        return FieldScore(field=self.field, **counts)


class WrongValue(_Record):
    """A value that is not right."""

    path: str
    verdict: Verdict
    found: Any = None
    right: Any = None
    picture: str | None = None
    """Of the place it was found at: a path from the folder of results."""


class JudgedDocument(_Record):
    """A document with the values that are not right."""

    document: str
    status: DocumentStatus | None
    """None: the results do not have it."""
    values: int
    """Values that were judged."""
    wrong: list[WrongValue] = Field(default_factory=list)
    tokens: int = 0
    cost: Cost | None = None
    """The tokens in money, as the results have it."""

    @property
    def is_right(self) -> bool:
        """Whether all its values are."""
        return self.status is not None and not self.wrong


class Evaluation(_Record):
    """How good a run is."""

    fields: list[FieldScore]
    documents: int
    """Documents with right values, those that are in no row among them."""
    right: int
    """Documents all of whose values are right."""
    done: int
    """Documents that are `done`, and that no person has decided about."""
    done_wrong: int
    """Of these, documents with a wrong value."""
    for_people: int
    """Documents that need review, wait for a person, or that a person has decided about."""
    failed: int
    missing: list[str] = Field(default_factory=list)
    """Documents that the results do not have."""
    states: list[str] = Field(default_factory=list)
    """Documents that should have failed and did not, or the other way round."""
    not_judged: int = 0
    """Documents of the results for which nothing right is known."""
    tokens: int = 0
    """Tokens that the judged documents cost."""
    cost: Cost | None = None
    """The same in money; None: the results have none (there was no table of prices)."""
    worst: list[JudgedDocument] = Field(default_factory=list)
    """Documents with wrong values: first those that are done, then by how many; the first `MAX_LISTED`."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def done_wrong_share(self) -> float | None:
        """Of the documents that are done, the share with a wrong value; None if none is done."""
        return _share(self.done_wrong, self.done)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def done_wrong_interval(self) -> tuple[float, float] | None:
        """In what this share lies with 95% confidence (Clopper and Pearson)."""
        return interval(self.done_wrong, self.done) if self.done else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def for_people_share(self) -> float | None:
        """The share of documents that a person has to look at."""
        return _share(self.for_people, self.documents)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def tokens_per_right_document(self) -> float | None:
        """Tokens of all documents for each that is done and right; None if none is."""
        return _share(self.tokens, self.done - self.done_wrong)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cost_per_right_document(self) -> Cost | None:
        """What all documents cost in money for each that is done and right; None: none is, or not known."""
        right = self.done - self.done_wrong
        if self.cost is None or not right:
            return None
        amounts = {currency: amount / right for currency, amount in self.cost.amounts.items()}
        return self.cost.model_copy(update={"amounts": amounts})

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> FieldScore:
        """All fields together."""
        return sum(self.fields, start=FieldScore(field="all"))

    def measure(self, name: str) -> float | None:
        """A figure by its name, for thresholds.

        Args:
            name: ``precision``, ``recall``, ``f1``, ``right`` (share of documents), ``done_wrong``,
                ``for_people``, ``failed`` (shares), or a field's: ``total.f1``.

        Raises:
            ConfigurationError: There is no such figure.
        """
        shares = {
            "right": _share(self.right, self.documents),
            "done_wrong": self.done_wrong_share,
            "for_people": self.for_people_share,
            "failed": _share(self.failed, self.documents),
        }
        if name in shares:
            return shares[name]
        field, _, figure = name.rpartition(".")
        by_name = {score.field: score for score in self.fields}
        score = self.total if not field else by_name.get(field)
        if score is None or figure not in ("precision", "recall", "f1"):
            known = [*shares, "precision", "recall", "f1", *(f"{one}.f1" for one in by_name)]
            raise ConfigurationError(f"There is no figure {name!r}; there are {', '.join(known)}.")
        value: float | None = getattr(score, figure)
        return value


def judge_documents(
    rows: Mapping[str, DocumentRow],
    truth: Mapping[str, RightDocument],
    comparators: Mapping[str, Comparator],
) -> dict[str, list[Judged]]:
    """Judge the values of each document for which right ones are known."""
    judged = {}
    for name, right in truth.items():
        row = rows.get(name)
        if right.fields is None or (right.may_fail and row is not None and row.status == "failed"):
            continue
        judged[name] = list(judge(row.fields if row is not None else None, right.fields, comparators))
    return judged


def evaluate(
    rows: Mapping[str, DocumentRow],
    truth: Mapping[str, RightDocument],
    comparators: Mapping[str, Comparator] | None = None,
) -> Evaluation:
    """Score a run.

    Args:
        rows: The run's, by document (`read_rows`).
        truth: What is right, by document (`read_truth`).
        comparators: By field, such as ``items[].amount``; those not named are compared as they are.

    Raises:
        ConfigurationError: A comparator is for a field that no right document has.
    """
    judged = judge_documents(rows, truth, comparators or {})
    names = {one.field for values in judged.values() for one in values}
    for field in comparators or {}:
        if field not in names:
            raise ConfigurationError(
                f"There is no field {field!r} among the right values; there are {', '.join(sorted(names))}."
            )
    documents = [_document(name, values, rows.get(name)) for name, values in judged.items()]
    of_people = {name for name, row in rows.items() if row.decision is not None}
    states = Counter(one.status for one in documents if one.document not in of_people)
    done = [one for one in documents if one.status is DocumentStatus.DONE and one.document not in of_people]
    return Evaluation(
        fields=_scores(judged),
        documents=len(documents),
        right=sum(one.is_right for one in documents),
        done=len(done),
        done_wrong=sum(not one.is_right for one in done),
        for_people=states[DocumentStatus.NEEDS_REVIEW]
        + states[DocumentStatus.WAITING]
        + sum(one.document in of_people for one in documents),
        failed=states[DocumentStatus.FAILED],
        missing=sorted(name for name in truth if name not in rows),
        states=_wrong_states(rows, truth),
        not_judged=sum(name not in truth for name in rows),
        tokens=sum(one.tokens for one in documents),
        cost=total_cost(one.cost for one in documents),
        worst=_worst(documents),
    )


def right_documents(
    rows: Mapping[str, DocumentRow],
    truth: Mapping[str, RightDocument],
    comparators: Mapping[str, Comparator],
) -> dict[str, bool]:
    """Say of each document of a run whether all its values are right; one without a row has none."""
    judged = judge_documents(rows, truth, comparators)
    return {
        name: name in rows and all(one.verdict.is_right for one in values) for name, values in judged.items()
    }


def _scores(judged: Mapping[str, list[Judged]]) -> list[FieldScore]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for values in judged.values():
        for one in values:
            counts[one.field][one.verdict.value] += 1
    return [FieldScore(field=field, **count) for field, count in counts.items()]


def _document(name: str, values: Sequence[Judged], row: DocumentRow | None) -> JudgedDocument:
    pictures = {one.path: one.picture for one in row.grounding} if row is not None else {}
    wrong = [
        WrongValue(
            path=one.path, verdict=one.verdict, found=one.found, right=one.right,
            picture=pictures.get(one.path),
        )
        for one in values
        if not one.verdict.is_right
    ]  # fmt: skip
    return JudgedDocument(
        document=name,
        status=row.status if row is not None else None,
        values=len(values),
        wrong=wrong,
        tokens=row.usage.total_tokens if row is not None else 0,
        cost=row.cost if row is not None else None,
    )


def _wrong_states(rows: Mapping[str, DocumentRow], truth: Mapping[str, RightDocument]) -> list[str]:
    return sorted(
        name
        for name, right in truth.items()
        if (row := rows.get(name)) is not None
        and not right.may_fail
        and (row.status is DocumentStatus.FAILED) != right.fails
    )


def _worst(documents: Sequence[JudgedDocument]) -> list[JudgedDocument]:
    wrong = [one for one in documents if not one.is_right]
    wrong.sort(key=lambda one: (one.status is not DocumentStatus.DONE, -len(one.wrong), one.document))
    return wrong[:MAX_LISTED]
