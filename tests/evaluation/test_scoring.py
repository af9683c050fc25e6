"""The figures of an evaluation equal those that are counted in another way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent_tasks.batch.records import PersonDecision
from agent_tasks.errors import ConfigurationError
from agent_tasks.evaluation import RightDocument, comparator, evaluate
from agent_tasks.journal import ReviewKind
from agent_tasks.operations import Cost
from tests.evaluation.support import FIELDS, made_run, row


def test_the_figures_of_400_documents_equal_an_independent_count() -> None:
    rows, truth = made_run(400, seed=1)
    found = evaluate(rows, truth)
    pairs = {
        field: [(rows[name].fields[field], right.fields[field]) for name, right in truth.items()]  # type: ignore[index]
        for field in FIELDS
    }
    for score in found.fields:
        of = pairs[score.field]
        given = [(one, right) for one, right in of if one is not None]
        there = [(one, right) for one, right in of if right is not None]
        hits = sum(one == right for one, right in given)
        assert score.precision is not None
        assert score.recall is not None
        assert score.precision == hits / len(given)
        assert score.recall == hits / len(there)
        assert score.f1 == pytest.approx(
            2 * score.precision * score.recall / (score.precision + score.recall)
        )
        assert score.right + score.wrong + score.missed + score.invented + score.absent == 400
    right_documents = {name for name in rows if rows[name].fields == truth[name].fields}
    done = {name for name in rows if rows[name].status == "done"}
    assert found.right == len(right_documents)
    assert (found.done, found.done_wrong) == (len(done), len(done - right_documents))
    assert found.for_people_share == (400 - len(done)) / 400
    assert found.tokens_per_right_document == 400 * 110 / len(done & right_documents)
    assert 0 < found.done_wrong < found.done  # the run is not one about which everything is the same


def test_lists_are_judged_item_by_item_in_any_order() -> None:
    right = {
        "items": [
            {"name": "saw", "amount": 2},
            {"name": "nail", "amount": 100},
            {"name": "glue", "amount": 1},
        ]
    }
    given = {"items": [{"name": "nail", "amount": 100}, {"name": "saw", "amount": 3}]}
    rows = {"a": row("a", fields=given)}
    scores = {
        one.field: one for one in evaluate(rows, {"a": RightDocument(document="a", fields=right)}).fields
    }
    name, amount = scores["items[].name"], scores["items[].amount"]
    assert (name.right, name.wrong, name.missed, name.invented) == (2, 0, 1, 0)
    assert (amount.right, amount.wrong, amount.missed, amount.invented) == (1, 1, 1, 0)
    [document] = evaluate(rows, {"a": RightDocument(document="a", fields=right)}).worst
    assert {one.path for one in document.wrong} == {"items[1].amount", "items[4].name", "items[4].amount"}


def test_an_item_too_many_is_invented_and_an_empty_list_is_rightly_empty() -> None:
    truth = {
        "a": RightDocument(document="a", fields={"tags": ["x"]}),
        "b": RightDocument(document="b", fields={"tags": []}),
    }
    rows = {"a": row("a", fields={"tags": ["y", "x"]}), "b": row("b", fields={"tags": []})}
    [score] = evaluate(rows, truth).fields
    assert (score.right, score.invented, score.absent, score.missed) == (1, 1, 1, 0)


def test_documents_without_a_row_or_an_extraction_have_missed_all() -> None:
    truth = {
        name: RightDocument(document=name, fields={"a": 1, "b": None}) for name in ("there", "gone", "failed")
    }
    rows = {"there": row("there", fields={"a": 1, "b": None}), "failed": row("failed", "failed")}
    found = evaluate(rows, truth)
    assert (found.documents, found.right, found.failed, found.missing) == (3, 1, 1, ["gone"])
    assert found.total.missed == 2
    assert found.states == ["failed"]


def test_documents_that_should_fail_or_may_are_judged_by_that() -> None:
    truth = {
        "damaged": RightDocument(document="damaged", fails=True),
        "scan": RightDocument(document="scan", fields={"a": 1}, may_fail=True),
    }
    found = evaluate({"damaged": row("damaged"), "scan": row("scan", "failed")}, truth)
    assert found.states == ["damaged"]
    assert found.documents == 0


def test_what_a_person_decided_is_not_what_the_agents_have_done() -> None:
    truth = {name: RightDocument(document=name, fields={"a": 1}) for name in "xyz"}
    decision = PersonDecision(kind=ReviewKind.APPROVE, by="Ann")
    rows = {
        "x": row("x", fields={"a": 1}),
        "y": row("y", fields={"a": 2}, decision=decision),
        "z": row("z", "rejected", fields={"a": 2}, decision=decision),
    }
    found = evaluate(rows, truth)
    assert (found.done, found.done_wrong, found.for_people, found.right) == (1, 0, 2, 1)


def test_the_worst_documents_come_first_those_that_nobody_would_have_seen_before_all() -> None:
    truth = {name: RightDocument(document=name, fields={"a": 1, "b": 2, "c": 3}) for name in "xyz"}
    rows = {
        "x": row("x", "needs_review", fields={"a": 0, "b": 0, "c": 0}),
        "y": row("y", "done", fields={"a": 0, "b": 2, "c": 3}),
        "z": row("z", "done", fields={"a": 0, "b": 0, "c": 3}),
    }
    assert [one.document for one in evaluate(rows, truth).worst] == ["z", "y", "x"]


@pytest.mark.parametrize(
    ("how", "found", "right", "is_same"),
    [
        ("auto", "A  Firm Ltd.", "a firm ltd", True),
        ("auto", "Straße", "STRASSE", True),
        ("auto", "A", "B", False),
        ("auto", 1.0, 1, True),
        ("auto", 1.0, "1.00", True),
        ("auto", "0042", "42", False),
        ("auto", "2026-01-02", "2026-01-02", True),
        ("auto", True, "true", True),
        ("auto", True, 1, False),
        ("exact", "A", "a", False),
        ("exact", 1, 1.0, False),
        ("text", "Ａ－1", "a-1", True),
        ("number", "1,5", 1.5, False),
        ("number:0.01", 10.01, 10, True),
        ("number:0.01", 10.02, 10, False),
        ("number:1%", 101, 100, True),
        ("number:1%", 101.1, 100, False),
        ("date", "2026-01-02", "2026-01-03", False),
        ("date", "soon", "soon", False),
    ],
)
def test_values_are_the_same_or_not(how: str, found: object, right: object, is_same: bool) -> None:
    assert comparator(how).same(found, right) is is_same


def test_a_set_is_one_value() -> None:
    truth = {"a": RightDocument(document="a", fields={"tags": ["x", "y"]})}
    for given, right in ((["y", "X"], 1), (["x"], 0), (["x", "y", "y"], 0)):
        [score] = evaluate({"a": row("a", fields={"tags": given})}, truth, {"tags": comparator("set")}).fields
        assert (score.right, score.wrong) == (right, 1 - right)


@pytest.mark.parametrize("text", ["near", "number:", "number:x", "number:-1", "text:1"])
def test_a_comparator_that_is_none_is_told(text: str) -> None:
    if text == "number:":
        assert comparator(text).same(1, 1.0)
        return
    with pytest.raises(ConfigurationError):
        comparator(text)


def test_a_comparator_for_a_field_that_nobody_knows_is_told() -> None:
    rows, truth = made_run(3, seed=2)
    with pytest.raises(ConfigurationError, match=r"no field 'totl'.*total"):
        evaluate(rows, truth, {"totl": comparator("number")})


def test_figures_have_names() -> None:
    rows, truth = made_run(50, seed=3)
    found = evaluate(rows, truth)
    assert found.measure("f1") == found.total.f1
    assert found.measure("total.recall") == next(one.recall for one in found.fields if one.field == "total")
    assert found.measure("done_wrong") == found.done_wrong_share
    with pytest.raises(ConfigurationError, match="There is no figure 'beauty'"):
        found.measure("beauty")


def test_money_a_right_document() -> None:
    cost = Cost(amounts={"USD": Decimal("0.30")})
    rows = {
        name: row(name, status, fields={"number": number}, cost=cost)
        for name, status, number in (("a", "done", "1"), ("b", "done", "2"), ("c", "needs_review", "3"))
    }
    truth = {name: RightDocument(document=name, fields={"number": "1"}) for name in rows}
    evaluation = evaluate(rows, truth)
    assert evaluation.cost == Cost(amounts={"USD": Decimal("0.90")})
    assert evaluation.cost_per_right_document == evaluation.cost  # one of three is done and right
    assert evaluate({"b": rows["b"]}, {"b": truth["b"]}).cost_per_right_document is None
    free = {name: one.model_copy(update={"cost": None}) for name, one in rows.items()}
    assert evaluate(free, truth).cost is None
