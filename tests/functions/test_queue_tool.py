"""`queue_tool`: what becomes of a function, its arguments and its failures."""

from __future__ import annotations

import json
import logging
from datetime import date
from types import ModuleType
from typing import Annotated, Any

import pytest
from pydantic import Field


async def ask(tool: Any, arguments: dict[str, Any]) -> Any:
    """The tool's `Value` for a flat call."""
    answer = json.loads(await tool.answer(json.dumps({**arguments, "CorrelationId": "c1"}).encode()))
    assert set(answer) == {"Value", "CorrelationId"}
    assert answer["CorrelationId"] == "c1"
    assert isinstance(answer["Value"], str)
    return answer["Value"]


async def test_arguments_are_converted_to_the_annotated_types(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    def days_between(first: date, last: date) -> int:
        """Count days."""
        return (last - first).days

    assert await ask(days_between, {"first": "2026-10-01", "last": "2026-10-08"}) == "7"
    assert days_between(date(2026, 10, 1), date(2026, 10, 3)) == 2


async def test_defaults_async_functions_and_plain_text(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    async def greet(name: str, word: str = "Hello") -> str:
        """Greet."""
        return f"{word} {name}"

    assert await ask(greet, {"name": "Ö"}) == "Hello Ö"


async def test_invalid_arguments_are_named_to_the_agent(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    def double(number: Annotated[int, Field(le=10)]) -> int:
        """Double a number."""
        raise AssertionError("must not be called")

    missing = json.loads(await ask(double, {}))["error"]
    too_large = json.loads(await ask(double, {"number": 11}))["error"]
    assert missing == {"type": "invalid_arguments", "message": "number: Field required"}
    assert too_large["message"] == "number: Input should be less than or equal to 10"


async def test_a_tool_error_reaches_the_agent_and_any_other_stays_in_the_log(
    queue_tool: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    @queue_tool.queue_tool()
    def fail(kindly: bool) -> str:
        """Fail."""
        if kindly:
            raise queue_tool.ToolError("no rate for that day")
        raise RuntimeError("password=hunter2")

    kind = json.loads(await ask(fail, {"kindly": True}))
    assert kind == {"error": {"type": "tool_error", "message": "no rate for that day"}}
    with caplog.at_level(logging.ERROR, "queue_tools"):
        other = await ask(fail, {"kindly": False})
    assert json.loads(other)["error"]["type"] == "tool_failed"
    assert "hunter2" not in other
    assert "hunter2" in caplog.text
    assert "c1" in caplog.text


async def test_a_value_that_is_not_json_is_an_error_answer(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    def odd() -> object:
        """Return something that no queue can carry."""
        return object()

    assert json.loads(await ask(odd, {}))["error"]["type"] == "tool_failed"


async def test_without_correlation_id_it_logs_and_raises(
    queue_tool: ModuleType, queue_messages: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    @queue_tool.queue_tool()
    def nothing() -> str:
        """Do nothing."""
        raise AssertionError("must not be called")

    with pytest.raises(queue_messages.NoCorrelationIdError):
        await nothing.answer(b'{"iban": "X"}')
    assert "nothing: the message names no CorrelationId" in caplog.text


def test_the_definition_is_the_services_tool_and_follows_the_function(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool(input_queue="in-1")
    def weigh_up(item: Annotated[str, Field(description="What to weigh")], grams: int = 0) -> str:
        """Weigh
        an item.

        More for the reader of the code.
        """
        return item

    definition = weigh_up.definition("https://account.queue.core.windows.net")
    account = "https://account.queue.core.windows.net"
    inner = definition["azure_function"]
    parameters = inner["function"].pop("parameters")
    assert parameters["required"] == ["item"]
    assert parameters["properties"]["item"]["description"] == "What to weigh"
    assert definition == {
        "type": "azure_function",
        "azure_function": {
            "function": {"name": "weigh_up", "description": "Weigh an item."},
            "input_binding": {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": account, "queue_name": "in-1"},
            },
            "output_binding": {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": account, "queue_name": "weigh-up-output"},
            },
        },
    }


def test_a_function_the_agent_could_not_understand_is_refused(queue_tool: ModuleType) -> None:
    def silent(name: str) -> str:
        return name

    def untyped(name) -> str:  # type: ignore[no-untyped-def]
        """Say something."""
        return str(name)

    with pytest.raises(TypeError, match="no docstring"):
        queue_tool.queue_tool()(silent)
    with pytest.raises(TypeError, match="parameter name has no type"):
        queue_tool.queue_tool()(untyped)
