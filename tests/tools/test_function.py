"""A Python function as an agent's tool."""

import asyncio
import json
import threading
import time
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from agent_tasks.errors import ConfigurationError, ToolArgumentsError, ToolOutputError, ToolTimeoutError
from agent_tasks.tools import FunctionTool, ToolContext, ToolSet, function_tool

CONTEXT = ToolContext(call_id="call_1", turn_id="turn_1", idempotency_key="key_1")


class Unit(Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


class Place(BaseModel):
    city: str
    country: str = "NO"


def forecast(
    place: Place,
    day: date,
    unit: Unit = Unit.CELSIUS,
    detail: Literal["short", "long"] = "short",
    hours: Annotated[int, Field(ge=1, le=48)] = 24,
) -> dict[str, object]:
    """Tell the weather.

    Only for the next days.

    Args:
        place: Where.
        day: Which day,
            in ISO form.
        hours: How many hours.

    Returns:
        A forecast.
    """
    return {"city": place.city, "day": day, "unit": unit, "detail": detail, "hours": hours}


def test_schema_comes_from_hints_and_docstring() -> None:
    tool = FunctionTool.from_callable(forecast)
    assert tool.name == "forecast"
    assert tool.description == "Tell the weather.\n\nOnly for the next days."
    properties = tool.parameters["properties"]
    assert list(properties) == ["place", "day", "unit", "detail", "hours"]
    assert tool.parameters["required"] == ["place", "day"]
    assert tool.parameters["additionalProperties"] is False
    assert properties["day"] == {
        "description": "Which day,\nin ISO form.",
        "format": "date",
        "type": "string",
    }
    assert properties["detail"]["enum"] == ["short", "long"]
    assert properties["hours"]["maximum"] == 48
    assert tool.parameters["$defs"]["Place"]["required"] == ["city"]
    assert "title" not in tool.parameters


def test_definition_is_what_the_service_reads() -> None:
    definition = ToolSet([forecast]).definitions[0]
    assert definition["type"] == "function"
    assert definition["function"]["name"] == "forecast"
    assert json.dumps(definition)


async def test_arguments_arrive_as_the_hinted_types_and_results_as_json() -> None:
    tool = FunctionTool.from_callable(forecast)
    answer = await tool.call(
        '{"place": {"city": "Oslo"}, "day": "2026-03-12", "unit": "fahrenheit"}', CONTEXT
    )
    assert json.loads(answer) == {
        "city": "Oslo",
        "day": "2026-03-12",
        "unit": "fahrenheit",
        "detail": "short",
        "hours": 24,
    }


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("not json", "Invalid JSON"),
        ("[]", "arguments"),
        ('{"place": {"city": "Oslo"}}', "day"),
        ('{"place": {"city": "Oslo"}, "day": "2026-03-12", "hours": 49}', "hours"),
        ('{"place": {"city": "Oslo"}, "day": "2026-03-12", "extra": 1}', "extra"),
        ('{"place": {}, "day": "tomorrow"}', "place.city"),
    ],
)
async def test_wrong_arguments_name_the_problem(arguments: str, named: str) -> None:
    with pytest.raises(ToolArgumentsError, match=named) as caught:
        await FunctionTool.from_callable(forecast).call(arguments, CONTEXT)
    assert caught.value.tool == "forecast"


async def test_async_function_context_and_text_result() -> None:
    @function_tool(idempotent=True, timeout=5)
    async def remember(note: str, context: ToolContext | None) -> str:
        """Keep a note."""
        assert context is not None
        return f"{note}/{context.idempotency_key}"

    assert "context" not in remember.parameters["properties"]
    assert remember.idempotent
    assert remember.timeout == 5
    assert await remember.call('{"note": "milk"}', CONTEXT) == "milk/key_1"


async def test_no_arguments_at_all() -> None:
    @function_tool
    def now() -> str:
        """Tell the time."""
        return "noon"

    assert now.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    for nothing in ("", "{}", "null", " null\n"):
        assert await now.call(nothing, CONTEXT) == "noon"
        assert await ToolSet([now]).call("now", nothing) == "noon"
    with pytest.raises(ToolArgumentsError, match="place: Field required"):
        await FunctionTool.from_callable(forecast).call("null", CONTEXT)
    assert now() == "noon"


async def test_parameter_names_that_pydantic_uses_itself() -> None:
    def odd(schema: str, copy: int, model_x: bool, _private: str = "p") -> str:
        return f"{schema}{copy}{model_x}{_private}"

    answer = await FunctionTool.from_callable(odd).call(
        '{"schema": "s", "copy": 1, "model_x": true}', CONTEXT
    )
    assert answer == "s1Truep"


async def test_sync_function_does_not_block_the_loop() -> None:
    main = threading.get_ident()

    def slow() -> bool:
        time.sleep(0.1)
        return threading.get_ident() != main

    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    assert await FunctionTool.from_callable(slow).call("{}", CONTEXT) == "true"
    heart.cancel()
    assert beats >= 3


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_call_that_takes_too_long_is_given_up(kind: str) -> None:
    def sync_sleep() -> None:
        time.sleep(1)

    async def async_sleep() -> None:
        await asyncio.sleep(1)

    tool = FunctionTool.from_callable(sync_sleep if kind == "sync" else async_sleep, timeout=0.05)
    started = time.monotonic()
    with pytest.raises(ToolTimeoutError, match=r"0\.05 s") as caught:
        await tool.call("{}", CONTEXT)
    assert time.monotonic() - started < 0.5
    assert caught.value.call_id == "call_1"


async def test_the_functions_own_errors_stay_what_they_are() -> None:
    def broken() -> None:
        raise TimeoutError("the register is down")

    with pytest.raises(TimeoutError, match="register is down"):
        await FunctionTool.from_callable(broken).call("{}", CONTEXT)


async def test_output_limits() -> None:
    def chatty() -> str:
        return "x" * 11

    def strange() -> object:
        return object()

    with pytest.raises(ToolOutputError, match="11 characters"):
        await FunctionTool.from_callable(chatty, max_output_chars=10).call("{}", CONTEXT)
    with pytest.raises(ToolOutputError, match="JSON"):
        await FunctionTool.from_callable(strange).call("{}", CONTEXT)


async def test_dataclasses_and_nan_become_valid_json() -> None:
    @dataclass
    class Price:
        amount: float
        currency: str

    def price() -> list[Price]:
        return [Price(float("nan"), "EUR")]

    assert await FunctionTool.from_callable(price).call("{}", CONTEXT) == '[{"amount":null,"currency":"EUR"}]'


def test_functions_that_cannot_be_described_are_refused() -> None:
    def starred(*names: str) -> str:
        return ""

    def untyped(name) -> str:  # type: ignore[no-untyped-def]
        return str(name)

    def unknown(thing: threading.Lock) -> str:  # type: ignore[valid-type]
        return ""

    for function, named in ((starred, "names"), (untyped, "type hint"), (unknown, "described")):
        with pytest.raises(ConfigurationError, match=named):
            FunctionTool.from_callable(function)
    with pytest.raises(ConfigurationError, match="name"):
        FunctionTool.from_callable(forecast, name="two words")
    with pytest.raises(ConfigurationError, match="timeout"):
        FunctionTool.from_callable(forecast, timeout=0)


def test_names_are_unique_in_a_set() -> None:
    tools = ToolSet([forecast])
    assert list(tools.functions) == ["forecast"]
    with pytest.raises(ConfigurationError, match="two tools"):
        ToolSet([forecast, forecast])
