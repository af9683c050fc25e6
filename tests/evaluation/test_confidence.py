"""Confidence says what is, and a threshold keeps its promise on documents that it has not seen."""

from __future__ import annotations

import math

import pytest

from agent_tasks.batch.records import DocumentStatus
from agent_tasks.confidence import Confidence, Demand, of_document, signs_of
from agent_tasks.documents.content import Place
from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus, How
from agent_tasks.errors import ConfigurationError
from agent_tasks.evaluation.confidence import Example, calibration, examples, fit, learn, score
from agent_tasks.evaluation.scoring import judge_documents
from agent_tasks.evaluation.significance import contrast, interval, tail, upper_bound
from agent_tasks.evaluation.threshold import needed, propose
from agent_tasks.steps.file.records import Review, StepRecord
from tests.evaluation.support import made_run


def known(documents: int, seed: int) -> list[Example]:
    rows, truth = made_run(documents, seed=seed)
    return examples(rows, judge_documents(rows, truth, {}))


def test_the_signs_of_values() -> None:
    grounding = [
        FieldGrounding(path="total", kind="number", status=GroundingStatus.NOT_FOUND),
        FieldGrounding(
            path="items[0].name", kind="exact", status=GroundingStatus.FOUND, how=How.FORM, occurrences=2,
            places=(Place(page=1, recognised=0.8),),
        ),
        FieldGrounding(path="kind", kind="none", status=GroundingStatus.NOT_CHECKED),
    ]  # fmt: skip
    fields = {"total": 1.5, "items": [{"name": "Saw"}], "kind": "x", "date": None}
    review = Review(approved=False, problems=["The total is wrong"])
    signs = signs_of(fields, grounding, review, repaired=True)
    assert set(signs["total"]) == {
        "field total",
        "repaired",
        "not approved",
        "not found",
        "named in a problem",
    }
    assert set(signs["items[0].name"]) == {
        "field items[].name", "repaired", "not approved", "another spelling", "in several places",
        "recognised", "recognised badly",
    }  # fmt: skip
    assert "not looked up" in signs["kind"]
    assert "absent" in signs["date"]
    assert "approved" in signs_of(fields, grounding, Review(approved=True), repaired=False)["total"]


def test_samples_that_agree_are_a_sign() -> None:
    answers = [{"total": 10, "number": "P-1"}, {"total": 10, "number": "p-1"}, {"total": 12, "number": "P-1"}]
    value = {"value": answers[2], "agreed": 2, "of": 3, "answers": answers}
    voted = {"vote": StepRecord(step="vote", kind="vote", value=value)}
    signs = signs_of(answers[0], [], None, repaired=False, steps=voted)
    assert "samples differ" in signs["total"]
    assert "samples agree" in signs["number"]
    signs = signs_of(answers[2], [], None, repaired=False, steps=voted)
    assert "most samples differ" in signs["total"]
    itself = {"vote": StepRecord(step="vote", kind="vote")}  # the vote is the document's own result
    signs = signs_of(value, [], None, repaired=False, steps=itself)
    assert "most samples differ" in signs["value.total"]
    assert "samples agree" in signs["value.number"]
    other = {"ask": StepRecord(step="ask", kind="agent", value=value)}
    assert not any(
        "sample" in sign for sign in signs_of(answers[0], [], None, repaired=False, steps=other)["total"]
    )


def test_what_is_learned_is_calibrated_on_documents_that_were_not_seen() -> None:
    learned = learn(known(600, seed=11), 0.02)
    assert learned.calibration.ece < 0.02
    base = sum(right for one in known(600, seed=11) for _, right in one.values)
    share = base / learned.calibration.values
    assert learned.calibration.brier < share * (1 - share)  # better than saying the same of all
    weights = learned.confidence.weights
    assert weights["not found"] < weights["approved"]
    assert weights["ambiguous"] < 0


def test_the_fit_is_where_the_slope_is_zero() -> None:
    """The property that defines a fit, computed apart: no weight can be moved for the better."""
    documents = known(200, seed=12)
    fitted = fit(documents)
    slopes = {name: -weight for name, weight in fitted.weights.items()}
    rest = 0.0
    for one in documents:
        for signs, right in one.values:
            off = right - fitted.of_value(signs)
            rest += off
            for sign in signs:
                slopes[sign] += off
    assert max(map(abs, [rest, *slopes.values()])) < 1e-3


def test_a_threshold_keeps_its_promise_on_the_other_half() -> None:
    rate = 0.05
    broken = tried = 0
    for seed in range(12):
        documents = known(600, seed=100 + seed)
        first, second = documents[::2], documents[1::2]
        learned = learn(first, rate)
        if learned.proposal.threshold is None:
            continue
        tried += 1
        kept = [
            one
            for one in second
            if one.is_done and score(learned.confidence, one) >= learned.proposal.threshold
        ]
        wrong = sum(not one.is_right for one in kept)
        # Broken where so many wrong ones are not to be explained by chance at the rate.
        broken += 1 - tail(wrong - 1, len(kept), rate) < 0.05 if wrong else 0
    assert tried >= 8
    assert broken <= 2


def test_without_a_threshold_more_would_be_wrong() -> None:
    """The promise is worth something: the documents as they are do not keep it."""
    documents = known(600, seed=100)
    done = [one for one in documents if one.is_done]
    assert sum(not one.is_right for one in done) / len(done) > 0.02


def test_a_threshold_that_was_set_does_not_narrow_what_the_next_is_learned_from() -> None:
    rows, truth = made_run(300, seed=30)
    learned = learn(examples(rows, judge_documents(rows, truth, {})), 0.05)
    demand = Demand(learned.confidence, 0.9)
    bounded = {}
    for name, one in rows.items():
        signs = signs_of(one.fields or {}, one.grounding, one.review, repaired="extract-repair-1" in one.ids)
        said = demand.complaint(learned.confidence.of_values(signs))
        is_doubted = one.status == "done" and said is not None
        bounded[name] = (
            one.model_copy(update={"status": DocumentStatus.NEEDS_REVIEW, "reasons": [said]})
            if is_doubted
            else one
        )
    assert sum(one.status == "done" for one in bounded.values()) < sum(
        one.status == "done" for one in rows.values()
    )
    again = learn(examples(bounded, judge_documents(bounded, truth, {})), 0.05)
    assert again == learned


def test_too_few_documents_are_told() -> None:
    with pytest.raises(ConfigurationError, match="from 4 documents"):
        learn(known(4, seed=1), 0.01)
    proposal = propose([(0.9, True)] * 100, 0.01)
    assert proposal.threshold is None
    assert proposal.needed == needed(0.01) == 230


def test_the_lowest_threshold_that_holds_is_proposed() -> None:
    documents = [(0.99 - n / 10_000, True) for n in range(300)] + [
        (0.5 - n / 10_000, False) for n in range(50)
    ]
    proposal = propose(documents, 0.05)
    assert proposal.threshold is not None
    assert 0.49 < proposal.threshold <= 0.5  # a few wrong ones are still under the bound
    assert upper_bound(proposal.kept_wrong, proposal.kept, 0.9) <= 0.05
    assert upper_bound(proposal.kept_wrong + 1, proposal.kept + 1, 0.9) > 0.05
    assert propose([(0.9, n % 2 == 0) for n in range(400)], 0.05).threshold is None


def test_calibration_is_what_its_definition_says() -> None:
    found = calibration([(0.95, True), (0.95, True), (0.95, False), (0.05, False)])
    assert found.brier == pytest.approx((2 * 0.05**2 + 0.95**2 + 0.05**2) / 4)
    assert found.ece == pytest.approx((3 * abs(0.95 - 2 / 3) + 0.05) / 4)


def test_bounds_and_tests_equal_known_values() -> None:
    assert interval(0, 10)[1] == pytest.approx(0.30850, abs=1e-4)  # tables of Clopper and Pearson
    assert interval(2, 10) == pytest.approx((0.02521, 0.55610), abs=1e-4)
    assert upper_bound(0, 100, 0.95) == pytest.approx(1 - 0.05 ** (1 / 100), abs=1e-9)
    assert tail(3, 10, 0.5) == pytest.approx(sum(math.comb(10, k) for k in range(4)) / 1024)
    found = contrast({"a": True, "b": True, "c": False, "x": True}, {"a": True, "b": False, "c": True})
    assert (found.documents, found.both, found.only_first, found.only_second, found.neither) == (
        3,
        1,
        1,
        1,
        0,
    )
    many = contrast({str(n): n < 5 for n in range(20)}, {str(n): n < 5 or n < 17 for n in range(20)})
    assert many.p_value == pytest.approx(2 * 0.5**12)
    assert "more than chance" in many.said()


def test_a_documents_confidence_falls_with_each_value() -> None:
    sure = Confidence(intercept=2.0, weights={"not found": -3.0}, documents=10, values=50)
    good, bad = sure.of_value(["approved"]), sure.of_value(["not found"])
    assert good == pytest.approx(1 / (1 + math.exp(-2)))
    assert of_document({"a": good, "b": bad}) == pytest.approx(good * bad)
    assert bad < good
