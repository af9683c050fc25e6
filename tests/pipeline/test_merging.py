"""One extraction out of those of a document's parts."""

from __future__ import annotations

from typing import Any

from agent_tasks.documents.excerpts import Excerpt
from agent_tasks.pipeline.merging import PartAnswer, in_words, merged
from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema
from agent_tasks.pipeline.topics import topics

FIELDS = {
    "number": FieldSpec(type="string", pattern=r"^P-\d+$"),
    "total": FieldSpec(type="number"),
    "signed": FieldSpec(type="boolean", optional=True),
    "supplier": FieldSpec(fields={"name": FieldSpec(), "dueDate": FieldSpec(type="date")}),
    "tags": FieldSpec(list=True),
    "items": FieldSpec(list=True, fields={"name": FieldSpec(), "price": FieldSpec(type="number")}),
}
OUTPUT = OutputSchema("paper", FIELDS)


def of(text: str, part: str = "page-1", **values: Any) -> PartAnswer:
    return PartAnswer.of(Excerpt(part, text, (text,)), values, OUTPUT.partial())


def test_the_first_value_that_is_found_is_taken() -> None:
    answers = [of("nothing here", total=7.0), of("Total 950.00", total=950.0), of("nor here", number=None)]
    assert merged(FIELDS, answers) == ({"total": 950.0}, [])


def test_values_that_are_both_found_are_for_a_person_to_decide_between() -> None:
    answers = [
        of("rent 900", "pages-1-20", total=900.0),
        of("rent 950", "page-21-part-2", total=950.0),
        of("rent 900 again", "page-22", total=900.0),
    ]
    values, conflicts = merged(FIELDS, answers)
    assert values == {"total": 900.0}
    assert conflicts == [
        "total: parts of the document say different things: 900.0 (pages 1-20) and 950.0 (page 21, part 2)"
    ]


def test_one_value_in_two_spellings_is_no_conflict() -> None:
    answers = [PartAnswer("page 1", {"name": "ACME  Ltd"}), PartAnswer("page 2", {"name": "Acme Ltd"})]
    assert merged({"name": FieldSpec()}, answers) == ({"name": "ACME  Ltd"}, [])


def test_what_code_does_not_look_up_conflicts_too() -> None:
    assert merged(FIELDS, [of("x", signed=False), of("y", signed=True)])[1]


def test_objects_are_merged_field_by_field_and_lists_follow_each_other() -> None:
    item = {"name": "Pump", "price": 1.0}
    values, conflicts = merged(
        FIELDS,
        [
            of("Acme Pump 1 a b", supplier={"name": "Acme", "dueDate": None}, tags=["a", "b"], items=[item]),
            of("2026-03-05 Pump 1 b c", supplier={"name": None, "dueDate": "2026-03-05"}, tags=["b", "c"],
               items=[item]),
        ],
    )  # fmt: skip
    assert conflicts == []
    assert values["supplier"] == {"name": "Acme", "dueDate": "2026-03-05"}
    assert values["tags"] == ["a", "b", "c"]
    assert values["items"] == [item, item]


def test_of_a_part_any_value_may_be_missing_but_none_may_be_wrong() -> None:
    partial = OUTPUT.partial()
    assert partial.parse('{"supplier": {"name": "A"}, "items": []}')[1] == []
    assert partial.parse('{"total": "a lot"}')[1]
    assert partial.parse('{"items": [{"name": "A"}]}')[1]
    schema = partial.response_format()["json_schema"]["schema"]
    assert {"type": "null"} in schema["properties"]["total"]["anyOf"]


def test_parts_are_named_in_words() -> None:
    assert [in_words(name) for name in ("pages-1-20", "sheet-3", "part-2", "page-7-part-1")] == [
        "pages 1-20", "sheet 3", "part 2", "page 7, part 1",
    ]  # fmt: skip


def test_topics_are_the_words_of_fields_and_what_their_values_look_like() -> None:
    found = {topic.words: topic for topic in topics(FIELDS)}
    assert "supplier due Date" in found
    assert found["number"].fits("it is P-17, as said")
    assert not found["number"].fits("it is P, as said")
    assert found["supplier due Date"].fits("on 3 March")
    assert not found["supplier due Date"].fits("in March")
