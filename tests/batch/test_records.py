"""What rows are made of."""

from __future__ import annotations

import pytest

from agent_tasks.batch.records import DocumentRow, Review, RowInBrief
from agent_tasks.pipeline.output_schema import parse_answer


@pytest.mark.parametrize("strict", [True, False])
def test_a_reviewer_is_asked_for_what_its_row_has(strict: bool) -> None:
    """The format is part of a turn's key: another one would have reviews paid for again."""
    bounds = ({}, {}) if strict else ({"maxLength": 200}, {"maxItems": 5})
    assert Review.response_format(strict=strict) == {
        "type": "json_schema",
        "json_schema": {
            "name": "review",
            "schema": {
                "type": "object",
                "properties": {
                    "approved": {"type": "boolean"},
                    "problems": {"type": "array", "items": {"type": "string", **bounds[0]}, **bounds[1]},
                },
                "required": list(Review.model_fields),
                "additionalProperties": False,
            },
            "strict": strict,
        },
    }


def test_what_a_reviewer_adds_of_its_own_is_left_out() -> None:
    values, problems = parse_answer(Review, '{"approved": false, "problems": ["total"], "mood": "stern"}')
    assert (values, problems) == ({"approved": False, "problems": ["total"]}, [])


def test_a_row_in_brief_has_fields_of_the_whole_one() -> None:
    """An unchanged document is judged by them: one of another name would always be at its default."""
    for name, field in RowInBrief.model_fields.items():
        whole = DocumentRow.model_fields[name]
        assert field.annotation == whole.annotation, name
        assert field.get_default(call_default_factory=True) == whole.get_default(call_default_factory=True)
