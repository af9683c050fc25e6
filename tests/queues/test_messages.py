"""Calls and answers as they stand in messages."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_tasks.errors import QueueAnswerError
from agent_tasks.queues import AnswerMessage, Reference, decode, encode, read_answer, write_call
from agent_tasks.queues.messages import CallShape

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_call_of_today_is_flat() -> None:
    assert json.loads(write_call({"location": "Oslo"}, "c1")) == {"location": "Oslo", "CorrelationId": "c1"}


def test_call_of_the_successor_and_of_pipelines() -> None:
    reference = Reference("values", "2026/a", "ab", 3)
    call = write_call(
        {"x": 1}, "c1", shape="function_args", deadline=30, traceparent="00-1-2-01", reference=reference
    )
    assert json.loads(call) == {
        "function_args": {},
        "CorrelationId": "c1",
        "DeadlineSeconds": 30,
        "traceparent": "00-1-2-01",
        "ArgumentsReference": {"container": "values", "blob": "2026/a", "sha256": "ab", "size": 3},
    }


@pytest.mark.parametrize("shape", ["flat", "function_args"])
def test_argument_with_a_reserved_name_does_not_take_the_place_of_the_id(shape: CallShape) -> None:
    call = json.loads(write_call({"correlationID": "mine"}, "c1", shape=shape))
    assert call == {"function_args": {"correlationID": "mine"}, "CorrelationId": "c1"}


@given(TEXT)
def test_text_survives_base64(text: str) -> None:
    assert decode(encode(text)) == text


@given(TEXT, TEXT.filter(bool))
def test_answer_is_read_plain_and_in_base64(value: str, correlation_id: str) -> None:
    text = json.dumps({"Value": value, "CorrelationId": correlation_id})
    assert read_answer(encode(text)) == read_answer(text) == AnswerMessage(correlation_id, value)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ({"value": "x", "correlationid": "c"}, "x"),
        ({"VALUE": "x", "correlationId": "c", "more": 1}, "x"),
        ({"Value": {"a": [1]}, "CorrelationId": "c"}, '{"a": [1]}'),
        ({"Value": 3.5, "CorrelationId": "c"}, "3.5"),
        ({"Value": None, "CorrelationId": "c"}, ""),
    ],
)
def test_answers_of_other_functions(body: dict[str, Any], value: str) -> None:
    assert read_answer(json.dumps(body)) == AnswerMessage("c", value)


def test_answer_with_a_reference() -> None:
    reference = {"container": "values", "blob": "b", "sha256": "ab", "size": 3}
    body = {"Value": "too large", "CorrelationId": "c", "ValueReference": reference}
    assert read_answer(json.dumps(body)) == AnswerMessage("c", "too large", Reference("values", "b", "ab", 3))


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ("", None),
        ("no json", None),
        (base64.b64encode(b"\xff\xfe\x00").decode(), None),
        ("[" * 100_000, None),
        ('["Value"]', None),
        ('{"Value": "x"}', None),
        ('{"Value": "x", "CorrelationId": 7}', None),
        ('{"Value": "x", "CorrelationId": ""}', None),
        ('{"CorrelationId": "c"}', "c"),
        ('{"Value": "x", "CorrelationId": "c", "ValueReference": "here"}', "c"),
        ('{"CorrelationId": "c", "ValueReference": {"container": "a", "blob": "b", "sha256": "c"}}', "c"),
    ],
)
def test_malformed_answer_says_what_is_wrong_and_whose_it_is(body: str, known: str | None) -> None:
    with pytest.raises(QueueAnswerError) as caught:
        read_answer(body)
    assert caught.value.correlation_id == known


@given(st.text())
def test_no_text_breaks_the_reader(body: str) -> None:
    with contextlib.suppress(QueueAnswerError):
        read_answer(body)


@pytest.mark.parametrize("inner", ["", "\ufeff"], ids=["text", "marked text"])
@pytest.mark.parametrize("outer", ["", "\ufeff"], ids=["message", "marked message"])
def test_a_byte_order_mark_does_not_hide_an_answer(inner: str, outer: str) -> None:
    text = inner + json.dumps({"Value": "x", "CorrelationId": "c1"})
    assert read_answer(outer + encode(text)) == AnswerMessage("c1", "x")


def test_a_byte_order_mark_before_plain_json_is_no_part_of_it() -> None:
    assert read_answer('\ufeff{"Value": "x", "CorrelationId": "c1"}') == AnswerMessage("c1", "x")
