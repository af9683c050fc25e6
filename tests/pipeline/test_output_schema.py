"""The output's fields as a pydantic model and a JSON schema."""

from typing import Any

import jsonschema
import pytest

from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema


def _schema(strict: bool = True, **fields: Any) -> OutputSchema:
    return OutputSchema("paper", {k: FieldSpec.model_validate(v) for k, v in fields.items()}, strict=strict)


FIELDS: dict[str, Any] = {
    "kind": {"enum": ["invoice", "letter"], "description": "What it is."},
    "number": {"pattern": "^[A-Z]+-[0-9]+$", "max_length": 10},
    "total": {"type": "number", "minimum": 0, "maximum": 100, "multiple_of": 0.01},
    "pages": {"type": "integer", "minimum": 1},
    "paid": "boolean",
    "issued": {"type": "date", "optional": True},
    "note": {"optional": True},
    "model_copy": {"optional": True},
    "tags": {"list": True, "max_items": 2},
    "items": {
        "list": True,
        "optional": True,
        "fields": {"text": "string", "price": {"type": "number", "optional": True}},
    },
    "sender": {"fields": {"name": "string", "since": {"type": "date", "optional": True}}},
}
GOOD: dict[str, Any] = {
    "kind": "invoice",
    "number": "AB-12",
    "total": 12,
    "pages": 2,
    "paid": True,
    "issued": "2026-03-12",
    "note": None,
    "model_copy": "x",
    "tags": ["a"],
    "items": [{"text": "Oak", "price": 1.5}, {"text": "Glue", "price": None}],
    "sender": {"name": "Hexley", "since": "2020-01-01"},
}


def _json(values: Any) -> str:
    import json

    return json.dumps(values)


@pytest.mark.parametrize("strict", [True, False])
def test_model_and_schema_take_the_same_good_answer(strict: bool) -> None:
    schema = _schema(strict, **FIELDS)
    values, errors = schema.parse(_json(GOOD))
    assert errors == []
    assert values == {**GOOD, "total": 12.0}
    body = schema.response_format()["json_schema"]["schema"]
    jsonschema.Draft202012Validator.check_schema(body)
    jsonschema.validate(GOOD, body)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "memo"}, "kind"),
        ({"number": "12"}, "number"),
        ({"number": "ABCDEFGH-12"}, "number"),
        ({"number": "  "}, "number"),
        ({"total": 101}, "total"),
        ({"total": "1.250"}, "total"),
        ({"pages": 1.5}, "pages"),
        ({"pages": 0}, "pages"),
        ({"paid": "yes"}, "paid"),
        ({"issued": "12.03.2026"}, "issued: write the date as YYYY-MM-DD"),
        ({"issued": 20260312}, "issued"),
        ({"issued": "2026-02-30"}, "issued"),
        ({"tags": ["a", "b", "c"]}, "tags"),
        ({"tags": [1]}, "tags[0]"),
        ({"items": [{"text": "Oak", "price": "much"}]}, "items[0].price"),
        ({"items": [{"txt": "Oak"}]}, "items[0].text"),
        ({"sender": {"name": "Hexley", "since": "long ago"}}, "sender.since"),
        ({"sender": None}, "sender"),
        ({"extra": 1}, "extra"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], named: str) -> None:
    values, errors = _schema(**FIELDS).parse(_json({**GOOD, **change}))
    assert values is None
    assert any(error.startswith(named) for error in errors), errors


@pytest.mark.parametrize(("amount", "fits"), [(0.29, True), (1e300, True), (-5.25, True), (0.295, False)])
def test_multiples_are_counted_in_decimals(amount: float, fits: bool) -> None:
    schema = _schema(strict=False, total={"type": "number", "multiple_of": 0.01})
    values, errors = schema.parse(_json({"total": amount}))
    assert (values is not None) is fits
    assert errors == ([] if fits else ["total: Input should be a multiple of 0.01"])
    body = schema.response_format()["json_schema"]["schema"]
    assert body["properties"]["total"] == {"type": "number", "multipleOf": 0.01}


def test_answers_that_are_no_json() -> None:
    schema = _schema(total="number")
    assert schema.parse("I cannot do that.")[1][0].startswith("answer: Invalid JSON")
    assert schema.parse("[]")[1]
    assert schema.parse('Here it is:\n```json\n{"total": 1}\n```\nBye.') == ({"total": 1.0}, [])
    assert schema.parse('{"total": NaN}')[1]
    assert schema.parse('{"total": 1e999}')[1]


@pytest.mark.parametrize("missing", ["", "  ", "null", None])
def test_an_optional_text_that_is_blank_is_missing(missing: str | None) -> None:
    assert _schema(note={"optional": True}).parse(_json({"note": missing})) == ({"note": None}, [])


def test_strict_mode_leaves_out_what_azure_refuses_and_asks_for_all_keys() -> None:
    def walk(node: Any) -> set[str]:
        if isinstance(node, dict):
            return {key for key in node if isinstance(key, str)} | {k for v in node.values() for k in walk(v)}
        return {k for v in node for k in walk(v)} if isinstance(node, list) else set()

    refused = {"pattern", "format", "minimum", "maximum", "minLength", "maxLength", "maxItems", "default"}
    strict = _schema(**FIELDS).response_format()["json_schema"]
    assert strict["strict"] is True
    assert not refused & walk(strict["schema"])
    assert strict["schema"]["required"] == list(FIELDS)
    assert strict["schema"]["additionalProperties"] is False
    assert "YYYY-MM-DD" in strict["schema"]["properties"]["issued"]["description"]
    loose = _schema(False, **FIELDS).response_format()["json_schema"]
    assert loose["strict"] is False
    assert walk(loose["schema"]) >= refused - {"default"}


def test_leaves_are_the_single_values_with_their_paths() -> None:
    schema = _schema(**FIELDS)
    values, _ = schema.parse(_json(GOOD))
    assert values is not None
    leaves = {leaf.path: (leaf.value, leaf.kind) for leaf in schema.leaves(values)}
    assert leaves["kind"] == ("invoice", "none")
    assert leaves["total"] == (12.0, "number")
    assert leaves["paid"] == (True, "none")
    assert leaves["issued"] == ("2026-03-12", "date")
    assert leaves["tags[0]"] == ("a", "exact")
    assert leaves["items[0].price"] == (1.5, "number")
    assert leaves["sender.name"] == ("Hexley", "exact")
    assert "items[1].price" not in leaves
    assert "note" not in leaves


def test_example_is_valid() -> None:
    schema = _schema(**{**FIELDS, "number": "string", "pages": "integer"})
    assert schema.parse(_json(schema.example()))[1] == []


@pytest.mark.parametrize("kind", ["currency", "unit", "exact", "number", "date", "none"])
def test_a_text_says_how_it_is_grounded(kind: str) -> None:
    assert FieldSpec.model_validate({"type": "string", "ground": kind}).grounding_kind == kind


def test_an_enum_is_grounded_where_it_says_so() -> None:
    words = {"type": "string", "enum": ["invoice", "delivery_note"]}
    assert FieldSpec.model_validate(words).grounding_kind == "none"
    assert FieldSpec.model_validate({**words, "ground": "enum"}).grounding_kind == "enum"


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "string", "ground": "enum"},
        {"type": "string", "ground": "colour"},
        {"type": "number", "ground": "currency"},
        {"type": "date", "ground": "unit"},
        {"type": "boolean", "ambiguous": "review"},
        {"type": "string", "ground": "none", "ambiguous": "review"},
    ],
)
def test_kinds_that_do_not_fit_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ground"):
        FieldSpec.model_validate(spec)


def test_what_is_ambiguous_is_shown_unless_the_field_says_so() -> None:
    schema = _schema(issued={"type": "date", "ambiguous": "review"}, due="date")
    leaves = list(schema.leaves({"issued": "2026-03-04", "due": "2026-03-04"}))
    assert [leaf.ambiguous for leaf in leaves] == ["review", "show"]
    # Documents that were done before the option was there stay done: the fingerprint is of this.
    assert "ambiguous" not in FieldSpec.model_validate("date").model_dump(mode="json")
    assert (
        FieldSpec.model_validate({"type": "date", "ambiguous": "review"}).model_dump()["ambiguous"]
        == "review"
    )
