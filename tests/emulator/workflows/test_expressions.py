"""The part of Power Fx that workflows use: what it gives, what is refused, and its bounds."""

from __future__ import annotations

from typing import Any

import pytest

from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.expressions import Expression, Template, formula

VARIABLES = {
    "Local": {
        "Text": "Hello, World",
        "Said": [{"Text": "One."}, {"Text": "Two. [complete]", "Role": "user"}],
        "Rows": [{"Name": "a", "N": 1}, {"Name": "b", "N": 5}],
        "State": {"IsResolved": True, "Deep": {"x": [{"Value": 3}]}},
    },
    "Global": {"User": "Ann"},
    "System": {"LastMessage": {"Text": "exit"}},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3 ^ 2 - 4 / 2", 17),
        ("-2 + 10%", -1.9),
        ("Local.Count + 1", 1),
        ('Local.Text & "!" & 1 & true', "Hello, World!1true"),
        ('"say ""hi"""', 'say "hi"'),
        ('$"Dear {Global.User}, {{1 + 1}} is {1 + 1}"', "Dear Ann, {1 + 1} is 2"),
        ("1 < 2 && 2 <= 2 And Not(3 > 4) Or false", True),
        ('"A" = "a" || 1 <> 1', False),
        ('"WORLD" in Local.Text', True),
        ('"WORLD" exactin Local.Text', False),
        ('"x" in ["x", "y"]', True),
        ("{a: 1, b: {c: [1, 2]}}.b.c", [{"Value": 1}, {"Value": 2}]),
        ("Local.Rows.Name", [{"Name": "a"}, {"Name": "b"}]),
        ("Local.State.Missing.Field", None),
        ('!IsBlank(Find("[COMPLETE]", Upper(Last(Local.Said).Text)))', True),
        ("Not(Local.State.IsResolved)\n And\n Not(Local.State.Other)", False),
        ('Upper(System.LastMessage.Text) <> "EXIT"', False),
        ('Concat(ForAll(Local.Rows, $"- " & Name & $": " & N), Value, "/")', "- a: 1/- b: 5"),
        ("Filter(Local.Rows, N > 2)", [{"Name": "b", "N": 5}]),
        ('LookUp(Local.Rows, Name = "b", N)', 5),
        ("CountIf(Local.Rows, N > 0, N < 5)", 1),
        ("CountRows(Filter(Local.Rows, ThisRecord.N = 9))", 0),
        ('If(1 > 2, "a", 2 > 1, "b", "c")', "b"),
        ("If(false, 1)", None),
        ('Switch(2, 1, "a", 2, "b", "c")', "b"),
        ('Coalesce(Blank(), "", "x")', "x"),
        ('Substitute("a-b-c", "-", "+", 2)', "a-b+c"),
        ('Replace("abcdef", 2, 3, "X")', "aXef"),
        ('Mid("abcdef", 2, 3) & Left("xyz", 1) & Right("xyz", 2)', "bcdxyz"),
        ('Trim("  a   b ")', "a b"),
        ('StartsWith("Hello", "he") && EndsWith("Hello", "LO")', True),
        ("Round(2.5, 0) + RoundUp(1.1, 0) + RoundDown(-1.9, 0) + Trunc(1.9) + Int(-1.5)", 3),
        ("Mod(7, 3) + Max(1, 4) + Min(2, 0) + Sum(1, 2) + Abs(-1)", 9),
        ('Value("1,200.5") + Len("abc")', 1203.5),
        ('Value("")', None),
        ('First(Split("a,b", ",")).Value', "a"),
        ("Index(Local.Rows, 2).N", 5),
        ("LastN(Local.Rows, 1)", [{"Name": "b", "N": 5}]),
        ("JSON(Local.State.Deep)", '{"x": [{"Value": 3}]}'),
        ('ParseJSON("[1, {""a"": 2}]")', [{"Value": 1}, {"a": 2}]),
        ("MessageText(Local.Said)", "One.\nTwo. [complete]"),
        ('UserMessage("hi").Role & AgentMessage("x").Role', "userassistant"),
        ('IsBlank(UserMessage(""))', True),
        ("Topic.Text", "Hello, World"),
        ("1 /* or so */ + 1 // two", 2),
    ],
)
def test_a_formula_gives(source: str, value: Any) -> None:
    assert Expression.of(source).evaluate(VARIABLES) == value


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Local", None),
        ("name", "a variable is Local.name"),
        ("System.Nothing", "there is no System.Nothing"),
        ('IsMatch(Local.Text, "a")', "the function IsMatch() is not known here"),
        ("Uper(1)", "Did you mean 'Upper'?"),
        ("Upper()", "Upper() does not take 0 arguments"),
        ("1 +", "expected a value, but the expression ends"),
        ("1 2", "expected an end or an operator at '2'"),
        ('"open', "expected a value at"),
        ('$"open {1}', "but the expression ends"),
        ("{a 1}", "expected ':'"),
        ("[1, 2", "expected ','"),
        ("Local.", "expected a name"),
        ("__import__('os')", "the function __import__() is not known"),
        ("(" * 50 + "1" + ")" * 50, "nested 40 times at most"),
        ("-" * 50 + "1", "nested 40 times at most"),
        ("+".join(["1"] * 300), "200 levels at most"),
        ("[" + ",".join(["1"] * 2000) + "]", "1000 parts at most"),
        (" " * 10_001, "10000 characters at most"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_when_it_is_read(source: str, said: str | None) -> None:
    if said is None:
        assert Expression.of(source).evaluate(VARIABLES) == VARIABLES["Local"]
        return
    with pytest.raises(WorkflowError) as refused:
        Expression.of(source)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 / 0", "a division by zero"),
        ("Mod(1, 0)", "a division by zero"),
        ("10 ^ 999", "too large"),
        ("(-1) ^ 0.5", "no number"),
        ('"a" + 1', "the text 'a' is no number"),
        ("Local.Rows & 1", "a table where a text is expected"),
        ("Local.Text.Length", "a text has no field 'Length'"),
        ('If("maybe", 1)', "a text where true or false is expected"),
        ("Index(Local.Rows, 9)", "Index 9 of a table with 2 rows"),
        ('ParseJSON("{")', "no JSON"),
        ("CountRows(1)", "a number where a table is expected"),
        ("Round(1, 400)", "100 digits at most"),
        ('Find("a", "a", 0)', "begins at 1"),
    ],
)
def test_what_goes_wrong_says_so(source: str, said: str) -> None:
    with pytest.raises(WorkflowError) as failed:
        Expression.of(source).evaluate(VARIABLES)
    assert said in str(failed.value)


@pytest.mark.parametrize(
    "source",
    [
        "ForAll(Local.Many, ForAll(Local.Many, ForAll(Local.Many, 1)))",
        "JSON(ForAll(Local.Many, ForAll(Local.Many, Local.Many)))",
        "Concat(Local.Many, Local.Long, Local.Long)",
        'Substitute(Local.Long, "a", Local.Long)',
        "Concatenate(" + ",".join(["Local.Long"] * 400) + ")",
        "Local.Long & Local.Long",
    ],
)
def test_work_has_a_bound(source: str) -> None:
    many = {"Many": [{"Value": n} for n in range(1000)], "Long": "a" * 900_000}
    with pytest.raises(WorkflowError, match=r"too much work|a text of more than"):
        Expression.of(source).evaluate({**VARIABLES, "Local": many})


def test_templates_and_literals() -> None:
    template = Template.of(
        'Dear {Global.User}: {Concat([1, 2], Value, "}")} {Local.State.IsResolved}{Local.No}'
    )
    assert template.evaluate(VARIABLES) == "Dear Ann: 1}2 True"
    assert Template.of("{Local.Rows}").evaluate(VARIABLES).startswith('[{"Name": "a"')
    with pytest.raises(WorkflowError, match="expected '}'"):
        Template.of("{1 2}")
    literal = formula({"a": "=1 + 1", "b": ["x", "=2"], "c": None, "d": 1.0})
    assert literal.evaluate(VARIABLES) == {"a": 2, "b": [{"Value": "x"}, {"Value": 2}], "c": None, "d": 1}
