"""What a template makes of hostile answers is bounded; what it makes of others is as before."""

from __future__ import annotations

from typing import Any

import pytest

from agent_tasks.pipeline import prompt_bounds
from agent_tasks.pipeline.prompts import Prompt, PromptError


def rendered(source: str, **values: Any) -> str:
    return Prompt.parse(source, frozenset(values)).render(values)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_bounds, "MAX_ROUNDS", 1_000)
    monkeypatch.setattr(prompt_bounds, "MAX_CHARACTERS", 10_000)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in items %}{% for b in items %}{% set c = a %}{% endfor %}{% endfor %}",
        "{% macro one(a) %}{% for b in items %}{% endfor %}{% endmacro %}"
        "{% for a in items %}{{ one(a) }}{% endfor %}",
        "a\n{% for a in items recursive %}{{ loop(items) if loop.depth < 5 else '' }}{% endfor %}",
    ],
)
def test_rounds_are_bounded(source: str) -> None:
    with pytest.raises(PromptError, match="loops go round more than 1,000 times"):
        rendered(source, items=[1] * 100)
    rendered(source, items=[1, 2])


def test_macros_that_call_themselves_are_bounded() -> None:
    source = "{% macro twice(n) %}{% if n %}{{ twice(n - 1) }}{{ twice(n - 1) }}{% endif %}{% endmacro %}"
    assert rendered(source + "{{ twice(n) }}-", n=5) == "-"
    with pytest.raises(PromptError, match="more than 1,000 times"):
        rendered(source + "{{ twice(n) }}-", n=40)


@pytest.mark.parametrize(
    "source",
    [
        "{% for one in items %}{{ text }}{% endfor %}",
        "{% for one in items %}" + "y" * 200 + "{% endfor %}",
        "{% set all = namespace(text=text) %}{% for one in items %}"
        "{% set all.text %}{{ all.text }}{{ all.text }}{% endset %}{% endfor %}",
    ],
)
def test_text_is_bounded(source: str) -> None:
    with pytest.raises(PromptError, match="longer than 10,000 characters"):
        rendered(source, items=[1] * 100, text="x" * 200)
    assert rendered(source, items=[1], text="x") is not None


def test_bounds_are_of_one_text() -> None:
    prompt = Prompt.parse("{% for one in items %}{{ one }}{% endfor %}", frozenset({"items"}))
    for _ in range(3):
        assert prompt.render({"items": [7] * 600}) == "7" * 600


def test_a_mistake_still_names_its_line() -> None:
    with pytest.raises(PromptError) as caught:
        rendered("a\n{% for one in items %}\n{{ one.name.first }}{% endfor %}", items=[{"name": 1}])
    assert caught.value.line == 3
