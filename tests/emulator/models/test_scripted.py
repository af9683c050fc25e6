"""The scripted model follows its rules file, and says what is wrong with one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agents_emulator.models.base import (
    ChatMessage,
    ChatRequest,
    Finished,
    ModelConfigurationError,
    ModelError,
    TextDelta,
)
from agents_emulator.models.loading import load_model
from agents_emulator.models.scripted import ScriptedModel


def request(text: str = "hello", *more: ChatMessage, system: str = "", **fields: Any) -> ChatRequest:
    messages = (ChatMessage("system", system), ChatMessage("user", text), *more)
    return ChatRequest("gpt-4o", messages, **fields)


async def answer(model: ScriptedModel, asked: ChatRequest) -> tuple[list[str], Finished]:
    events = [event async for event in model.generate(asked)]
    *deltas, finished = events
    assert isinstance(finished, Finished)
    return [delta.text for delta in deltas if isinstance(delta, TextDelta)], finished


def model(*rules: dict[str, Any], **more: Any) -> ScriptedModel:
    return ScriptedModel.from_data({"rules": list(rules), **more})


async def test_expressions_are_compiled_when_the_rules_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`re` keeps 512 of those that it is given as texts: of more, each turn would compile all anew."""
    call = {"name": "f", "arguments": {}}
    rules = [{"when": {"message": f"^number {n}$"}, "reply": {"tool_calls": [call]}} for n in range(600)]
    scripted = model(*rules)
    with monkeypatch.context() as patch:
        patch.setattr("re._compile", lambda *given: pytest.fail(f"compiled in a turn: {given}"))
        _, finished = await answer(scripted, request("number 599"))
    assert finished.tool_calls[0].name == "f"


async def test_the_first_rule_whose_conditions_all_hold_answers() -> None:
    scripted = model(
        {"when": {"message": "invoice", "model": "^gpt-5"}, "reply": {"text": "wrong model"}},
        {"when": {"message": "invoice", "instructions": "extract"}, "reply": {"text": "first"}},
        {"when": {"message": "invoice"}, "reply": {"text": "second"}},
        {"when": {"schema": "^Review$"}, "reply": {"text": "third"}},
        default={"reply": {"text": "default"}},
    )
    asked = [
        request("an invoice", system="please extract"),
        request("an invoice"),
        request(schema_name="Review"),
        request(),
    ]
    assert ["".join((await answer(scripted, item))[0]) for item in asked] == [
        "first",
        "second",
        "third",
        "default",
    ]


async def test_text_comes_in_several_deltas_and_costs_tokens() -> None:
    deltas, finished = await answer(model({"reply": {"text": "abcdefgh"}, "chunk": 3}), request("12345678"))
    assert deltas == ["abc", "def", "gh"]
    assert (finished.prompt_tokens, finished.completion_tokens, finished.finish_reason) == (2, 2, "stop")


async def test_templates_see_groups_results_and_the_message() -> None:
    scripted = model(
        {
            "when": {"message": r"no\. (?P<no>\S+)", "tool_results": True},
            "reply": {"json": {"no": "{{ groups.no }}", "sum": "{{ results[0].a + 1 }}", "n": "#{{ call }}"}},
        }
    )
    asked = request("Invoice no. A-7", ChatMessage("tool", '{"a": 41}', tool_call_id="c"))
    assert json.loads("".join((await answer(scripted, asked))[0])) == {"no": "A-7", "sum": 42, "n": "#1"}


async def test_a_tool_is_called_until_its_result_is_there() -> None:
    scripted = model(
        {
            "when": {"tool_results": False},
            "reply": {"tool_calls": [{"name": "look", "arguments": {"q": "{{ message }}"}}]},
        },
        {"when": {"tool_result": "found"}, "reply": {"text": "got {{ tool_results[0] }}"}},
    )
    _, first = await answer(scripted, request("acme"))
    [call] = first.tool_calls
    assert (first.finish_reason, call.name, json.loads(call.arguments)) == (
        "tool_calls",
        "look",
        {"q": "acme"},
    )
    assert call.id.startswith("call_")
    deltas, _ = await answer(scripted, request("acme", ChatMessage("tool", "found it", tool_call_id=call.id)))
    assert deltas == ["got found it"]


async def test_results_of_an_earlier_question_do_not_count() -> None:
    scripted = model({"when": {"tool_results": False}, "reply": {"text": "none"}})
    asked = request(
        "one", ChatMessage("tool", "old"), ChatMessage("assistant", "x"), ChatMessage("user", "two")
    )
    assert (await answer(scripted, asked))[0] == ["none"]


async def test_a_rule_can_hold_for_its_nth_call_only() -> None:
    scripted = model(
        {
            "when": {"call": [1, 3]},
            "reply": {"error": {"code": "rate_limit_exceeded", "message": "Try again", "retry_after": 2}},
        },
        {"reply": {"text": "fine"}},
    )
    outcomes: list[str] = []
    for _ in range(4):
        try:
            outcomes += (await answer(scripted, request()))[0]
        except ModelError as error:
            outcomes.append(f"{error.code} {error.retry_after}")
    assert outcomes == ["rate_limit_exceeded 2.0", "fine", "rate_limit_exceeded 2.0", "fine"]


async def test_a_long_answer_is_cut_at_the_limit_of_tokens() -> None:
    deltas, finished = await answer(model({"reply": {"text": "abcdefghijkl"}}), request(max_tokens=2))
    assert ("".join(deltas), finished.finish_reason) == ("abcdefgh", "length")


async def test_without_a_matching_rule_the_error_names_the_request() -> None:
    with pytest.raises(ModelError, match=r"server_error: no rule .*'hello'.*schema 'Invoice'.*'gpt-4o'"):
        await answer(model(), request(schema_name="Invoice"))


@pytest.mark.parametrize(
    "template", ["{{ nothing }}", "{{ results[3].x }} a", "{{ 1 / 0 }}", "{{ ''.__class__ }}x"]
)
async def test_a_failing_or_forbidden_template_is_a_model_error(template: str) -> None:
    with pytest.raises(ModelError, match=r"rule 1 \(odd\) of the scripted model: template"):
        await answer(model({"name": "odd", "reply": {"text": template}}), request())


async def test_a_delay_can_be_cancelled() -> None:
    task = asyncio.create_task(answer(model({"reply": {"text": "late"}, "delay": 60}), request()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            "rules: [{when: {message: '('}, reply: {text: a}}]",
            r"rules\.0\.when\.message: .*regular expression",
        ),
        ("rules: [{reply: {text: a, json: {}}}]", r"rules\.0\.reply: .*exactly one of"),
        ("rules: [{reply: {}}]", "exactly one of"),
        (
            "rules: [{when: {mesage: a}, reply: {text: a}}]",
            r"rules\.0\.when\.mesage: is not known\. Did you mean 'message'",
        ),
        ("[1", "cannot read the rules file"),
    ],
)
def test_a_wrong_rules_file_is_refused_with_file_and_field(tmp_path: Path, rules: str, problem: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(rules)
    with pytest.raises(ModelConfigurationError, match=problem) as caught:
        load_model(f"scripted:{path}")
    assert "rules.yaml" in str(caught.value)


@pytest.mark.parametrize("spec", ["", "gpt-4o", "scripted", "scripted:", "openai:", "smollm2:x"])
def test_an_unknown_model_is_refused_with_the_known_ones(spec: str) -> None:
    with pytest.raises(ModelConfigurationError, match=r"write smollm2, scripted:RULES\.yaml or openai:"):
        load_model(spec)


async def test_json_null_is_a_reply() -> None:
    assert (await answer(model({"reply": {"json": None}}), request()))[0] == ["null"]
