"""What the dashboard says of a turn: all that one asks for, bounded, and without secrets."""

from __future__ import annotations

from typing import Any

from agent_tasks.backends.usage import Usage
from agent_tasks.operations import RemoteAgent, ToolCallOutcome, TurnResult, TurnSpec
from agent_tasks.prefect.turns import MAX_CALLS, MAX_TEXT_CHARS, described

AGENT = RemoteAgent(id="asst_1", name="reader", key="a1")


def call(output: str, error_type: str | None = None, arguments: str | None = None) -> ToolCallOutcome:
    return ToolCallOutcome(
        call_id="call_1", name="price-of", output=output, error_type=error_type, arguments=arguments
    )


def shown(*, prompt: str = "What?", content: bool = True, **given: Any) -> str:
    turn = TurnSpec(owner="o", step="read/2/it", agent=AGENT, prompt=prompt)
    values = {"key": "k1", "turn_id": "run-1", "conversation": "thread-1", "text": "That.", **given}
    return described(turn, "gpt-4o-mini", TurnResult(**values), content=content)


def test_prompt_answer_calls_tokens_model_and_ids_are_shown() -> None:
    usage = Usage(prompt_tokens=1200, completion_tokens=34, total_tokens=1234)
    text = shown(usage=usage, tool_calls=[call("12.5"), call("no wood", "KeyError")])
    for said in ("gpt-4o-mini", "1,200 in, 34 out", "run-1", "thread-1", "> What?", "> That."):
        assert said in text
    assert "- price-of: 12.5" in text
    assert "- price-of (KeyError): no wood" in text


def test_what_a_function_was_called_with_is_shown_where_texts_may_be() -> None:
    calls = [call("12.5", arguments='{"wood": "<b>oak</b>", "password": "hunter2"}')]
    text = shown(tool_calls=calls)
    assert "oak" in text
    assert "<b>" not in text
    assert "hunter2" not in text
    assert "oak" not in shown(tool_calls=calls, content=False)


def test_what_is_shown_is_bounded() -> None:
    long = "word " * 100_000
    text = shown(prompt=long, text=long, tool_calls=[call(long)] * 100)
    assert "(496,000 characters more)" in text
    assert "and 80 more" in text
    assert text.count("price-of") == MAX_CALLS
    assert len(text) < 4 * MAX_TEXT_CHARS


def test_secrets_are_not_shown_and_texts_only_where_they_may_be() -> None:
    secret = "password=hunter2"
    given: dict[str, Any] = {"prompt": secret, "text": secret, "tool_calls": [call(secret)]}
    assert "hunter2" not in shown(**given)
    without = shown(content=False, prompt="Mine.", text="Yours.", tool_calls=[call("Theirs.")])
    assert not {"Mine", "Yours", "Theirs"} & set(without.replace(".", " ").split())
    assert "- price-of" in without
    assert "run-1" in without
