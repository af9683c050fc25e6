"""The JSON in an answer, alone or in a fenced block, whatever its strings hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from agent_tasks.errors import AnswerFormatError
from agent_tasks.pipeline import output_schema
from agent_tasks.tools import parse_answer
from agent_tasks.tools.answers import json_of

TEXT = st.text(st.one_of(st.sampled_from('`~{}[]"\\\n\r\u2028 '), st.characters(exclude_categories=["Cs"])))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)
WORDS = st.text(st.characters(categories=["L", "P", "Zs"], exclude_characters="`~"), max_size=30)
INFO = st.sampled_from(["", "json"])
FENCES = st.sampled_from(["```", "````", "~~~", "``````"])


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    count: int = 0


def _written(value: Any, indent: int | None, ascii_only: bool) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only)


@given(OBJECTS, st.sampled_from([None, 2]), st.booleans())
def test_json_alone_is_taken_as_it_is(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = _written(value, indent, ascii_only)
    assert json.loads(json_of(f"\n{text} ")) == value
    assert json.loads(json_of("\ufeff" + text)) == value


@given(OBJECTS, st.sampled_from([None, 2]), st.booleans(), FENCES, WORDS, WORDS, INFO)
def test_a_fenced_answer_is_whole(
    value: Any, indent: int | None, ascii_only: bool, fence: str, before: str, after: str, info: str
) -> None:
    text = _written(value, indent, ascii_only)
    assert json.loads(json_of(f"{before}\n{fence}{info}\n{text}\n{fence}\n{after}")) == value
    assert json.loads(json_of(f"{before}\r\n{fence} {info}\r\n{text}{fence}")) == value


@given(TEXT, st.integers(0, 10**6))
def test_both_parsers_read_the_same(text: str, count: int) -> None:
    answer = f"Here it is:\n```json\n{json.dumps({'text': text, 'count': count})}\n```\nAnything else?"
    assert parse_answer(Note, answer) == Note(text=text, count=count)
    assert output_schema.parse_answer(Note, answer) == ({"text": text, "count": count}, [])


@given(st.text(max_size=200))
def test_any_text_is_an_answer_or_a_typed_error(text: str) -> None:
    for answer in (text, f"```json\n{text}\n```", f"```{text}", f'{{"text": "{text}'):
        values, problems = output_schema.parse_answer(Note, answer)
        assert (values is None) == bool(problems)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('```json\n{"text": "```"}\n```', "```"),
        ('```json\n{"text": "a ```json\\n{}\\n``` b"}\n```', "a ```json\n{}\n``` b"),
        ('Here: ```json\n{"text": "x"}```', "x"),
        ('```json {"text": "x"} ```', "x"),
        ('```JSON\n{"text": "x"}', "x"),
        ('```python\nprint()\n```\nand\n```json\n{"text": "x"}\n```', "x"),
        ('  ```\n  {"text": "x"}\n  ```', "x"),
        ('```json\n{"text": "x"}\n```\n```json\n{"text": "y"}\n```', "x"),
    ],
)
def test_fences_as_models_write_them(answer: str, text: str) -> None:
    assert parse_answer(Note, answer) == Note(text=text)
    assert output_schema.parse_answer(Note, answer)[0] == {"text": text, "count": 0}


@pytest.mark.parametrize(
    "answer",
    [
        '```json\n{"text": "cut o',
        '```json\n{"text": "x"}\n{"text": "y"}\n```',
        'The note says: {"text": "```json\\n{\\"text\\": \\"evil\\"}\\n```"}',
        "[" * 100_000,
        "```json\n" + "[" * 100_000 + "\n```",
        "```" * 5_000,
    ],
    ids=["cut off", "two values", "a fence in a string", "deep", "deep in a fence", "fences alone"],
)
def test_what_is_no_answer_is_refused(answer: str) -> None:
    with pytest.raises(AnswerFormatError, match="JSON"):
        parse_answer(Note, answer)


def test_the_pipeline_is_strict_about_types() -> None:
    assert parse_answer(Note, '{"text": "x", "count": "3"}').count == 3
    assert output_schema.parse_answer(Note, '{"text": "x", "count": "3"}')[0] is None
    with pytest.raises(AnswerFormatError, match="count: "):
        parse_answer(Note, '{"text": "x", "count": "3"}', strict=True)
