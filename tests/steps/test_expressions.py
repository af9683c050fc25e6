"""Expressions: what they give, what is refused when they are read, and that nothing else can be reached."""

from __future__ import annotations

import contextlib
import string
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_tasks.errors import ExpressionError
from agent_tasks.steps.file.expressions import Expression
from agent_tasks.steps.file.types import (
    ANY,
    BOOLEAN,
    DOCUMENT,
    INTEGER,
    NUMBER,
    TEXT,
    ValueType,
    list_of,
    mapping,
    of_schema,
)

CLAUSE = mapping({"text": TEXT, "fair": BOOLEAN})
SCOPE = {
    "document": DOCUMENT,
    "router": mapping({"kind": ValueType("string", enum=("lease", "nda")), "pages": INTEGER, "items": TEXT}),
    "maybe": mapping({"ok": BOOLEAN, "n": NUMBER}).or_null(),
    "clauses": list_of(CLAUSE),
    "numbers": list_of(NUMBER),
    "thing": ANY,
}
VALUES: dict[str, Any] = {
    "document": {"name": "a.txt", "text": "Hello", "pages": ["Hello"]},
    "router": {"kind": "lease", "pages": 3, "items": "field"},
    "maybe": None,
    "clauses": [{"text": "one", "fair": True}, {"text": "two", "fair": False}],
    "numbers": [1, 2.5],
    "thing": {"deep": [{"x": 1}]},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("router.kind == 'lease'", True),
        ("router.kind != 'lease' or router.pages > 2", True),
        ("2 <= router.pages < 4", True),
        ("router.kind in ['nda', 'lease']", True),
        ("router['kind']", "lease"),
        ("router.items", "field"),
        ("not any(one.fair for one in clauses)", False),
        ("all(one.fair for one in clauses if one.text == 'one')", True),
        ("[one.text for one in clauses]", ["one", "two"]),
        ("len(clauses) == 2 and len(document.text) == 5", True),
        ("clauses[-1].text + '!'", "two!"),
        ("clauses[7]", None),
        ("clauses[7].fair", None),
        ("max(numbers) - min(numbers)", 1.5),
        ("sum(numbers) * 2 % 4", 3.0),
        ("maybe.ok", None),
        ("maybe.n > 1 or maybe.n <= 1", False),
        ("maybe == null", True),
        ("maybe.ok == true", False),
        ("'x' if maybe else 'y'", "y"),
        ("thing.deep[0].x == 1", True),
        ("lower(document.text)", "hello"),
        ("'ell' in document.text", True),
        ("-router.pages", -3),
        ("len(maybe.ok) if false else 1", 1),
    ],
)
def test_what_they_give(source: str, value: Any) -> None:
    if source.startswith("len(maybe"):
        with pytest.raises(ExpressionError):
            Expression.parse(source, SCOPE)
        return
    assert Expression.parse(source, SCOPE).evaluate(VALUES) == value


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "is no expression"),
        ("router.", "is no expression"),
        ("routr.kind", "Did you mean 'router'?"),
        ("router.knd", "Did you mean 'kind'?"),
        ("router.kind == 'will'", "it is one of: lease, nda"),
        ("router.kind == 3", "never a whole number"),
        ("router.pages == null", "never null"),
        ("router.kind < router.pages", "have no order"),
        ("router.pages[0]", "it has no items"),
        ("clauses.fair", "is a list and has no field"),
        ("clauses['a']", "by number"),
        ("clauses and router", "cannot decide"),
        ("not router.kind", "cannot decide"),
        ("any(clauses)", "a list of true and false"),
        ("any(one.text for one in router)", "not a list"),
        ("len(router.pages)", "takes a list"),
        ("len(clauses, clauses)", "takes one value"),
        ("router.kind + 1", "is not possible with"),
        ("-router.kind", "has no sign"),
        ("router.kind is null", "compare by == and !="),
        ("[router for router in clauses]", "is taken"),
        ("[a for a in clauses for b in clauses]", "one list"),
        ("x" * 1001, "at most 1,000"),
        ("+".join(["1"] * 300), "too long"),
        ("(" * 300 + ")" * 300, "is no expression"),
    ],
)
def test_what_is_refused_when_they_are_read(source: str, said: str) -> None:
    with pytest.raises(ExpressionError, match=said.replace("(", r"\(").replace("?", r"\?")):
        Expression.parse(source, SCOPE)


@pytest.mark.parametrize(
    "source",
    [
        "thing.__class__",
        "().__class__.__bases__[0].__subclasses__()",
        "thing['__class__']",
        "__import__('os').system('true')",
        "open('/etc/passwd')",
        "(lambda: 1)()",
        "f'{thing}'",
        "thing.deep.append(1)",
        "router.kind.upper()",
        "(x := 3)",
        "{'a': 1}",
        "{1, 2}",
        "[*clauses]",
        "len(*clauses)",
        "2 ** 99999",
        "1 << 9999",
        "'a' * 99999999",
        "numbers * 1000",
        "b'x'",
        "1j",
        "...",
        "await thing",
        "clauses[0:1]",
        "(yield)",
    ],
)
def test_nothing_of_python_can_be_reached(source: str) -> None:
    try:
        value = Expression.parse(source, SCOPE).evaluate(VALUES)
    except ExpressionError:
        return
    assert value is None, f"{source} gives {value!r}"  # a key that the mapping does not have


def test_a_long_list_does_not_take_for_ever() -> None:
    checked = Expression.parse("all(any(a.x == b.x for b in thing) for a in thing)", {"thing": ANY})
    with pytest.raises(ExpressionError, match="too many steps"):
        checked.evaluate({"thing": [{"x": n} for n in range(2000)]})


MANY = {"long": TEXT, "many": list_of(NUMBER), "other": list_of(NUMBER)}
OF_MANY: dict[str, Any] = {"long": "x" * 90_000, "many": list(range(1000)), "other": list(range(1000))}


@pytest.mark.parametrize(
    "source",
    [
        "any(any('zz' in long for a in many) for b in many)",
        "any(any(lower(long) == 'x' for a in many) for b in many)",
        "any(any(max(many) < 0 for a in many) for b in many)",
        "any(any(-1 in many for a in many) for b in many)",
        "any(any(many == other for a in many) for b in many)",
    ],
)
def test_little_that_is_written_does_not_take_much_time(source: str) -> None:
    with pytest.raises(ExpressionError, match="too many steps"):
        Expression.parse(source, MANY).evaluate(OF_MANY)


def test_little_that_is_written_does_not_take_much_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionError, match="too many steps"):
            Expression.parse("[[long + 'x' for a in many] for b in many]", MANY).evaluate(OF_MANY)
        assert tracemalloc.get_traced_memory()[1] < 110_000_000
    finally:
        tracemalloc.stop()


def test_a_long_document_may_be_searched_often() -> None:
    source = " or ".join(f"'{word}{word}' in lower(document.text)" for word in "abcdefghij")
    document = {"name": "a.txt", "text": "One word after the other. " * 100_000, "pages": []}
    assert Expression.parse(source, SCOPE).evaluate({"document": document}) is False


def test_values_that_nest_deeply_are_told() -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(ExpressionError, match="nest too deeply"):
        Expression.parse("thing == [thing]", SCOPE).evaluate({"thing": deep})


def test_what_fails_on_values_is_told() -> None:
    for source, value in (
        ("thing.a", 3),
        ("thing > 1", "a"),
        ("thing / 0", 1),
        ("max(thing)", [1, "a"]),
        ("lower(thing)", [1]),
    ):
        with pytest.raises(ExpressionError, match="cannot be worked out"):
            Expression.parse(source, {"thing": ANY}).evaluate({"thing": value})


_WORDS = [
    *("router", "kind", "clauses", "thing", ".", "[", "]", "(", ")", "==", "and", "not", "in", "for", "if"),
    *("else", "len", "any", "'a'", "1", "null", "+", "-", "*", "__class__", ",", "lambda", ":"),
]


@given(st.lists(st.sampled_from(_WORDS), max_size=12) | st.text(string.printable, max_size=40))
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_gives_a_value_or_is_told(words: list[str] | str) -> None:
    source = words if isinstance(words, str) else " ".join(words)
    with contextlib.suppress(ExpressionError):  # anything else is a defect
        Expression.parse(source, SCOPE).evaluate(VALUES)


def test_types_follow_from_json_schemas() -> None:
    schema = {
        "$defs": {
            "Party": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        },
        "type": "object",
        "properties": {
            "parties": {"type": "array", "items": {"$ref": "#/$defs/Party"}},
            "kind": {"enum": ["a", "b"]},
            "sum": {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]},
            "both": {"type": ["string", "null"]},
        },
        "required": ["parties", "kind", "sum"],
    }
    found = of_schema(schema)
    assert found.fields is not None
    assert found.fields["parties"].item is not None
    assert found.fields["parties"].item.attribute("name", "it").name == "string"
    assert found.fields["kind"].enum == ("a", "b")
    assert (found.fields["sum"].name, found.fields["sum"].nullable) == ("number", True)
    assert found.fields["both"].nullable
    itself = {
        "$ref": "#/$defs/T",
        "$defs": {"T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}},
    }
    assert of_schema(itself).name == "object"
