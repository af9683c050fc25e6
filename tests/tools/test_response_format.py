"""Answers after a pydantic model: schemas that strict mode takes, and answers checked by the model."""

from __future__ import annotations

import enum
import json
import pickle
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from agent_tasks.errors import AnswerFormatError, ConfigurationError
from agent_tasks.tools import parse_answer, response_format
from agents_emulator.strictness import check_body


class Currency(enum.Enum):
    EUR = "EUR"
    NOK = "NOK"


class Line(BaseModel):
    """A line."""

    text: Annotated[str, Field(min_length=1, max_length=200, pattern="^.*$")]
    amount: Annotated[float, Field(ge=0, description="In the invoice's currency.")] = 0.0


class Card(BaseModel):
    kind: Literal["card"] = "card"
    digits: str


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str


class Invoice(BaseModel):
    """An invoice as it was sent."""

    number: str
    issued: date = Field(description="Day of issue")
    currency: Currency = Currency.EUR
    lines: Annotated[list[Line], Field(min_length=1)]
    note: str | None = None
    paid_by: Card | Transfer = Field(discriminator="kind")
    corrects: Invoice | None = None


def walk(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in walk(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for value in node.values() for found in walk(value))]


def test_schema_is_safe_for_strict_mode() -> None:
    made = response_format(Invoice)
    body = made["json_schema"]
    assert made["type"] == "json_schema"
    assert body["name"] == "Invoice"
    assert body["strict"] is True
    assert body["description"] == "An invoice as it was sent."
    schema = body["schema"]
    Draft202012Validator.check_schema(schema)
    objects = [node for node in walk(schema) if node.get("type") == "object"]
    assert len(objects) == 5, "root, its definition, a line, two ways to pay"
    for node in objects:
        assert node["additionalProperties"] is False
        assert node["required"] == list(node["properties"])
    told = {key for node in walk({**schema, "properties": None}) for key in node}
    for keyword in (
        "title",
        "default",
        "format",
        "pattern",
        "minLength",
        "minItems",
        "minimum",
        "discriminator",
    ):
        assert keyword not in told, keyword
        assert f'"{keyword}"' not in repr(schema).replace("'", '"')
    assert "oneOf" not in repr(schema)
    assert all(set(node) == {"$ref"} for node in walk(schema) if "$ref" in node)
    assert schema["properties"]["issued"] == {
        "type": "string",
        "description": "Day of issue (ISO 8601 date, YYYY-MM-DD)",
    }
    check_body("agents.create", {"model": "m", "response_format": made})


def test_schema_admits_what_the_model_admits() -> None:
    answer = {
        "number": "7",
        "issued": "2026-11-23",
        "currency": "NOK",
        "lines": [{"text": "Oak", "amount": 12.5}],
        "note": None,
        "paid_by": {"kind": "card", "digits": "1234"},
        "corrects": None,
    }
    validator = Draft202012Validator(response_format(Invoice)["json_schema"]["schema"])
    assert validator.is_valid(answer)
    assert not validator.is_valid({**answer, "extra": 1})
    assert not validator.is_valid({key: value for key, value in answer.items() if key != "note"})
    nested = {**answer, "corrects": answer}
    assert validator.is_valid(nested)
    invoice = parse_answer(Invoice, json.dumps(nested))
    assert invoice.corrects is not None
    assert invoice.corrects.issued == date(2026, 11, 23)
    assert isinstance(invoice.paid_by, Card)


def test_names_of_fields_may_be_keywords() -> None:
    class Odd(BaseModel):
        title: str
        format: str
        pattern: list[str]

    schema = response_format(Odd, name="an odd name!")["json_schema"]
    assert list(schema["schema"]["properties"]) == ["title", "format", "pattern"]
    assert schema["name"] == "an_odd_name_"


def test_what_strict_answers_cannot_hold_is_refused() -> None:
    class Open(BaseModel):
        prices: dict[str, float]

    class Anything(BaseModel):
        value: Any

    class Pair(BaseModel):
        both: tuple[int, str]

    for model, says in (
        (Open, "Open.prices is a mapping"),
        (Anything, "Anything.value may be anything"),
        (Pair, "Pair.both is a tuple"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            response_format(model)


def test_decimal_and_other_choices_keep_a_type() -> None:
    class Money(BaseModel):
        amount: Decimal
        parts: tuple[int, ...]

    properties = response_format(Money, strict=False)["json_schema"]["schema"]["properties"]
    assert {choice["type"] for choice in properties["amount"]["anyOf"]} == {"number", "string"}
    assert properties["parts"] == {"type": "array", "items": {"type": "integer"}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("I am sorry, I cannot.", "answer: Invalid JSON"),
        ('{"text": "Oak", "amount": 1', "answer: Invalid JSON"),
        ('{"text": "", "amount": 1}', "text: String should have at least 1 character"),
        ('{"text": "Oak", "amount": -1}', "amount: Input should be greater than or equal to 0"),
        ("[]", "answer: Input should be an object"),
    ],
)
def test_other_answers_are_typed_errors(text: str, problem: str) -> None:
    with pytest.raises(AnswerFormatError) as raised:
        parse_answer(Line, text)
    error = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  (our own)
    assert error.model == "Line"
    assert any(found.startswith(problem) for found in error.problems)
    assert error.retryable
